"""Firmware becomes ready to run in its slot, from what was signed alone, or leaves nothing."""

import errno
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware import idle, install, kept, smoke
from deploy.firmware.folder import make
from tests.conftest import ROOT
from tests.deploy.firmware import tiny

MODULES = ("purga_tiny", "device", "deploy")


@pytest.fixture
def slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A slot's folder; what the real firmware imports is not looked for."""
    monkeypatch.setattr(smoke, "MODULES", MODULES)
    # The machine that runs the tests is busy with others.
    monkeypatch.setattr(idle, "be_idle", lambda: None)
    return tmp_path / "slots" / "a"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Wheels as provisioning keeps them."""
    tiny.keep(tmp_path / "kept")
    return tmp_path / "kept"


def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_a_slot_is_installed_offline_and_plays(
    slot: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever the machine says of where packages come from is not listened to.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    release = tiny.write_firmware(slot)
    installed = install.install(slot, release, wheels)
    assert installed.packages == 2
    assert installed.bytes > 0
    python = slot / "source/.venv/bin/python"
    program = (
        "import purga_tiny, spidev, importlib.metadata as m;"
        "(e,) = m.entry_points(group='gpiozero_pin_factories');"
        "print(e.load().__name__, m.version('purga'))"
    )
    said = subprocess.run(
        [python, "-c", program], cwd=slot / "source", capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["Factory", "9.9"]
    assert list((slot / "source/device/__pycache__").glob("__main__*.pyc"))
    assert not (slot / install.SCRATCH).exists()
    seconds = smoke.test(slot / "source", scratch(tmp_path))
    assert set(seconds) == {"import", "device", "deploy", "render"}
    install.remove_built(slot)
    assert not list((slot / "source").rglob("__pycache__"))
    assert not (slot / "source/.venv").exists()


def test_a_wheel_that_is_not_the_signed_one_is_not_installed(
    slot: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_make_environment", lambda home, _s: tiny.lend_environment(home))
    release = tiny.write_firmware(slot)
    tiny.write_wheel(slot / "wheels", tiny.PACKAGE, code="raise SystemExit\n")
    with pytest.raises(UpdateError, match="Installing the firmware's packages did not work"):
        install.install(slot, release, wheels)
    assert not (slot / "source/.venv").exists()
    assert not (slot / install.SCRATCH).exists()


def test_a_kept_wheel_that_was_changed_is_none(slot: Path, wheels: Path) -> None:
    (wheel,) = wheels.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(UpdateError, match=r"needs spidev 1\.0 .* neither the release nor"):
        install.install(slot, tiny.write_firmware(slot), wheels)


def test_the_release_s_own_wheel_goes_before_the_kept_one(
    slot: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_firmware(slot)
    (kept_wheel,) = wheels.glob("*.whl")
    own = Path(shutil.copy(kept_wheel, slot / "wheels"))
    release = tiny.release_of(slot)
    seen: list[dict[str, kept.Wheel]] = []
    for step in ("_make_environment", "_register", "_compile"):
        monkeypatch.setattr(install, step, lambda *_: None)
    monkeypatch.setattr(install, "_install_wheels", lambda _home, chosen, _s: seen.append(chosen))
    first = install.install(slot, release, wheels)
    assert seen[0]["spidev"].file == own
    # What is installed is the same from either: it stands in the record.
    assert install.install(slot, tiny.write_firmware(slot), wheels).environment_sha256 == (
        first.environment_sha256
    )


def test_too_little_room_is_said_before_anything_is_written(
    slot: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tiny.write_firmware(slot)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(UpdateFailedError, match="free some space"):
        install.install(slot, release, wheels)
    assert not (slot / "source/.venv").exists()


def test_a_disk_that_fills_up_leaves_nothing(
    slot: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tiny.write_firmware(slot)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(install, "_make_environment", lambda home, _s: (home / ".venv").mkdir())
    monkeypatch.setattr(install, "_install_wheels", full)
    with pytest.raises(UpdateFailedError, match="No space left"):
        install.install(slot, release, wheels)
    assert not (slot / "source/.venv").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"device/__main__.py": "import sys; sys.exit('broken')\n"}, "device of the new firmware"),
        ({"device/__init__.py": "import no_such_thing\n"}, "no_such_thing"),
        (
            {"device/__main__.py": "import sys\nif 'render' in sys.argv: print('{}')\n"},
            "plays nothing",
        ),
        ({"pyproject.toml": tiny.CODE["pyproject.toml"].replace("9.9", "9.8")}, "not 9.8"),
    ],
    ids=["does not start", "does not import", "is silent", "is another"],
)
def test_firmware_that_does_not_run_is_found_out(
    slot: Path, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    tiny.write_firmware(slot, changed)
    tiny.lend_environment(slot / "source")
    with pytest.raises(UpdateError, match=said) as refused:
        smoke.test(slot / "source", scratch(tmp_path))
    assert not isinstance(refused.value, UpdateFailedError), "it is the release that is at fault"


def test_code_that_cannot_be_compiled_is_the_release_s_fault(
    slot: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tiny.write_firmware(slot, {"device/__main__.py": "def broken(:\n"})
    monkeypatch.setattr(install, "_make_environment", lambda home, _s: tiny.lend_environment(home))
    for step in ("_install_wheels", "_register"):
        monkeypatch.setattr(install, step, lambda *_: None)
    with pytest.raises(UpdateError, match="Compiling the firmware") as refused:
        install.install(slot, release, wheels)
    assert not isinstance(refused.value, UpdateFailedError)


# ---- beside the music ---------------------------------------------------------------------------


def run(program: str, timeout_s: float = 20.0, fault: type[UpdateError] = UpdateError) -> str:
    return idle.run_idle(
        ["python3", "-c", program],
        folder=Path("/"),
        environment=idle.clean_environment(),
        timeout_s=timeout_s,
        what="It",
        fault=fault,
    )


def test_it_runs_only_when_nobody_else_wants_to() -> None:
    said = run("import os; print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0))")
    assert said.split() == ["True", "19"]


def test_it_is_told_nothing_that_turns_it_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_INDEX_URL", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/elsewhere")
    assert "/elsewhere" not in run("import os; print(dict(os.environ))")


def test_whose_fault_it_is() -> None:
    with pytest.raises(UpdateError, match=r"^It did not work: the reason\.$") as refused:
        run("import sys; sys.exit('first\\nthe reason')")
    assert refused.value.exit_code == 2
    for program, said in (
        ("import sys; sys.exit('OSError: [Errno 28] No space left on device')", "filled the disk"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("import time; time.sleep(60)", "took more than"),
    ):
        with pytest.raises(UpdateFailedError, match=said):
            run(program, timeout_s=20.0 if "sleep" not in program else 0.3)


# ---- the real one -------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_project_itself_becomes_firmware_that_plays(tmp_path: Path) -> None:
    """From this checkout and a package registry to a slot that plays: a hundred megabytes."""
    folder = tmp_path / "slot"
    try:
        made = make(ROOT, folder, kept.this_machine(), tmp_path / "kept")
    except UpdateError as problem:
        pytest.skip(f"no package registry or no compiler: {problem}")
    assert made.left_to_the_pedal == ()
    began_s = time.monotonic()
    installed = install.install(folder, tiny.release_of(folder), tmp_path / "none")
    seconds = smoke.test(folder / "source", scratch(tmp_path))
    print(
        f"{made.bytes / 1e6:.0f} MB to fetch, {installed.bytes / 1e6:.0f} MB installed in "
        f"{time.monotonic() - began_s:.0f} s, of which smoke tests {sum(seconds.values()):.0f} s"
    )
