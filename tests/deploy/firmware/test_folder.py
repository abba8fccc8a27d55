"""The release folder: the checkout's code and a wheel of each locked package, and nothing else."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.__main__ import main
from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware import command, folder, kept
from deploy.firmware.day import DAY_FILE, built_at, day_of
from deploy.firmware.pip import pip, reason_in
from deploy.firmware.units import installed_units, units_sha256
from deploy.provision.code import FOLDERS
from deploy.release import Release
from deploy.resolve import Pin, Target
from tests.conftest import ROOT
from tests.deploy.firmware import tiny

HERE = kept.this_machine()
OTHER = Target((3, 12) if HERE.python != (3, 12) else (3, 13), "aarch64")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A little project."""
    made = tmp_path / "checkout"
    tiny.write_firmware(made / "slot")
    (made / "slot/source").rename(tmp_path / "moved")
    subprocess.run(["rm", "-r", made], check=True)
    (tmp_path / "moved").rename(made)
    for name in FOLDERS:
        (made / name / "__pycache__").mkdir(parents=True, exist_ok=True)
        (made / name / "__pycache__/foreign.pyc").write_text("")
        (made / name / ".hidden").write_text("")
    tool = made / "deploy/host-setup"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    (made / "out").mkdir()
    (made / "out/sound.wav").write_text("")
    return made


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Target]]:
    """What was fetched; no test asks a real registry."""
    asked: list[tuple[list[str], Target]] = []

    def fetch(pins: list[Pin], target: Target, there: Path) -> None:
        asked.append(([pin.name for pin in pins], target))
        for pin in pins:
            tiny.write_wheel(there, pin.name)

    monkeypatch.setattr(folder, "fetch", fetch)
    return asked


def names_below(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_it_holds_the_code_and_the_wheels(
    checkout: Path, tmp_path: Path, registry: list[tuple[list[str], Target]]
) -> None:
    made = folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    names = names_below(tmp_path / "out")
    assert {name for name in names if name.startswith("wheels/")} == {
        "wheels/purga_tiny-1.0-py3-none-any.whl"
    }
    source = {name for name in names if name.startswith("source/")}
    assert len(names) == len(source) + 1
    assert {f"source/{name}" for name in tiny.CODE} <= source
    assert not {name for name in source if "__pycache__" in name or "hidden" in name}
    assert not any("out/" in name for name in source)
    assert registry == [([tiny.PACKAGE], OTHER)]
    assert made.left_to_the_pedal == ("spidev 1.0",)
    assert (made.files, made.wheels) == (len(source), 1)
    assert (tmp_path / "out/source/deploy/host-setup").stat().st_mode & 0o777 == 0o755
    # It has its place in a release.
    release = tiny.release_of(tmp_path / "out")
    assert isinstance(Release.model_validate(release.model_dump()), Release)


def test_only_what_is_tracked_ships(checkout: Path, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", checkout, *name, *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "--", *FOLDERS, "pyproject.toml")
    git("commit", "-q", "-m", "All")
    made = folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    assert made.commit is not None
    assert not made.changed
    (checkout / "device/notes.txt").write_text("my own")
    (checkout / "device/__init__.py").write_text("edited = True\n")
    made = folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    assert made.changed
    # Its clock knows the day, on a pedal and in a folder that is made from what came there.
    assert (tmp_path / "out/source" / DAY_FILE).read_bytes() == day_of(checkout)
    assert built_at(tmp_path / "out/source") <= datetime.now(UTC)
    folder.make(tmp_path / "out/source", tmp_path / "two", OTHER, tmp_path / "built")
    assert (tmp_path / "two/source" / DAY_FILE).read_bytes() == day_of(checkout)
    assert not (tmp_path / "out/source/device/notes.txt").exists()
    assert (tmp_path / "out/source/device/__init__.py").read_text() == "edited = True\n"


def test_a_folder_that_holds_something_else_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letters").write_text("dear")
    with pytest.raises(UpdateError, match="holds something else"):
        folder.make(checkout, mine, OTHER, tmp_path / "built")
    assert names_below(mine) == {"letters"}
    with pytest.raises(UpdateError, match="holds something else"):
        folder.make(checkout, mine / "letters", OTHER, tmp_path / "built")


def test_what_fails_leaves_the_folder_as_it_was(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    folder.make(checkout, out, OTHER, tmp_path / "built")
    before = names_below(out)
    (checkout / "device/more.py").write_text("")

    def refuse(*_: object) -> None:
        raise UpdateFailedError("Fetching the wheels did not work: no network.")

    monkeypatch.setattr(folder, "fetch", refuse)
    with pytest.raises(UpdateFailedError, match="no network"):
        folder.make(checkout, out, OTHER, tmp_path / "built")
    assert names_below(out) == before
    monkeypatch.setattr(folder, "fetch", lambda *_: None)
    with pytest.raises(UpdateError, match=r"purga-tiny 1\.0: no wheel of it was fetched"):
        folder.make(checkout, out, OTHER, tmp_path / "built")
    assert names_below(out) == before


def test_half_a_checkout_is_none(checkout: Path, tmp_path: Path) -> None:
    (checkout / "requirements/board.txt").unlink()
    with pytest.raises(UpdateError, match=r"board\.txt: cannot be read"):
        folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    subprocess.run(["rm", "-r", checkout / "build"], check=True)
    with pytest.raises(UpdateError, match="is no checkout of the project, build is missing"):
        folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    assert not (tmp_path / "out").exists()


def test_wheels_brought_from_a_pedal_are_taken_along(checkout: Path, tmp_path: Path) -> None:
    wheel = tiny.keep(tmp_path / "built")
    made = folder.make(checkout, tmp_path / "out", HERE, tmp_path / "built")
    assert made.left_to_the_pedal == ()
    assert (tmp_path / "out/wheels" / wheel.name).read_bytes() == wheel.read_bytes()
    # For another Python it is none.
    made = folder.make(checkout, tmp_path / "out", OTHER, tmp_path / "built")
    assert made.left_to_the_pedal == ("spidev 1.0",)


# ---- kept wheels --------------------------------------------------------------------------------


def test_a_kept_wheel_is_of_the_locked_source_and_unchanged(checkout: Path, tmp_path: Path) -> None:
    requirements = checkout / "requirements"
    assert [pin.name for pin in kept.missing(tmp_path, requirements, HERE)] == ["spidev"]
    wheel = tiny.keep(tmp_path)
    assert kept.missing(tmp_path, requirements, HERE) == []
    assert [pin.name for pin in kept.missing(tmp_path, requirements, OTHER)] == ["spidev"]
    lock = requirements / "board.txt"
    lock.write_text(lock.read_text().replace("a" * 64, "b" * 64))
    assert [pin.name for pin in kept.missing(tmp_path, requirements, HERE)] == ["spidev"]
    lock.write_text(lock.read_text().replace("b" * 64, "a" * 64))
    wheel.write_bytes(b"")
    assert [pin.name for pin in kept.missing(tmp_path, requirements, HERE)] == ["spidev"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"../x.whl": {"sha256": "", "source_sha256": ""}}', '{"x": 1}']
)
def test_a_note_that_says_nothing_keeps_nothing(checkout: Path, tmp_path: Path, text: str) -> None:
    tiny.keep(tmp_path)
    (tmp_path / kept.NOTE).write_text(text)
    assert kept.missing(tmp_path, checkout / "requirements", HERE)


def test_building_takes_the_locked_setuptools(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "requirements/tools.txt").write_text("setuptools==0.1\n")
    with pytest.raises(UpdateError, match=r"setuptools 0\.1 compiles .*run deploy/host-setup"):
        kept.build(
            tmp_path,
            kept.missing(tmp_path, checkout / "requirements", HERE),
            checkout / "requirements",
        )
    (tmp_path / "empty").mkdir()
    assert kept.main(["--check", str(tmp_path / "empty")]) == 0
    assert set(capsys.readouterr().out.split()) == {"pyalsaaudio", "spidev", "systemd-python"}


def test_what_pip_says_becomes_one_sentence() -> None:
    assert reason_in("WARNING: x\nERROR: Could not find it\n  hint\n") == "Could not find it."
    assert reason_in("") == "it said nothing."
    with pytest.raises(UpdateFailedError, match=r"^Looking did not work: .*\.$"):
        pip(["download", "--no-index", "no-such-package-at-all"], "Looking")


# ---- units --------------------------------------------------------------------------------------


def test_firmware_names_the_units_that_it_was_made_for(checkout: Path, tmp_path: Path) -> None:
    unit = checkout / "deploy/units/purga.target"
    before = units_sha256(checkout)
    unit.write_text("# A remark.\n[Unit]\n\nDescription=Purga\n; another\n")
    (checkout / "deploy/units/README.md").write_text("x")
    assert units_sha256(checkout) == before, "comments say nothing to the service manager"
    unit.write_text("[Unit]\nDescription=Another\n")
    changed = units_sha256(checkout)
    assert changed != before
    unit.rename(unit.with_name("purga-more.target"))
    assert units_sha256(checkout) not in (before, changed)
    assert installed_units(tmp_path) is None
    (tmp_path / "units.sha256").write_text(f"{before}\n")
    assert installed_units(tmp_path) == before


# ---- the command --------------------------------------------------------------------------------


def test_the_command_says_what_it_made(
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "ROOT", checkout)
    arguments = ["firmware", str(tmp_path / "out"), f"--built={tmp_path / 'built'}", "--json"]
    machine = ["--machine", OTHER.machine, "--python", OTHER.version]
    assert main([*arguments, *machine]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["target"] == str(OTHER)
    assert figures["left_to_the_pedal"] == ["spidev 1.0"]
    assert figures["units_sha256"] == units_sha256(checkout)
    (tmp_path / "out/mine").write_text("")
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_project_itself_has_its_place_in_a_release() -> None:
    files = folder.product_files(ROOT)
    assert len(files) < 4000
    assert {"deploy/firmware/boot.py", "pyproject.toml"} <= {str(name) for name in files}
    pins = kept.wanted(ROOT / "requirements", Target((3, 12), "aarch64"))
    assert {"numpy", "onnxruntime", "tuf", "gpiod", "spidev"} <= {pin.name for pin in pins}
