"""What plays after a start: always something that can, whatever the slots and the disk are like."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.firmware.boot import CURRENT, TRIAL, Boot, main, unplayable
from deploy.firmware.units import TOOL
from deploy.provision.machine import Machine
from deploy.provision.updates import tool_files
from deploy.provision.whole import put
from deploy.slots.state import STATES, Book, Slot, State, write_book

PYTHON = Path(os.path.realpath(sys.executable)).name


def make_home(home: Path) -> None:
    """Code and an environment that could be started."""
    put(home / "device/__main__.py", b"")
    (home / ".venv/bin").mkdir(parents=True, exist_ok=True)
    (home / ".venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    (home / ".venv/lib" / PYTHON / "site-packages").mkdir(parents=True)


class Pedal:
    """Slots as an update leaves them, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.slots, self.factory, self.runtime = (
            folder / name for name in ("slots", "factory", "run")
        )
        make_home(self.factory)
        self.runtime.mkdir(parents=True)
        self.boot = Boot(self.slots, self.factory, self.runtime)

    def fill(self, active: str | None, **states: State) -> None:
        """Slots in these states, each with firmware that can be started."""
        book = Book("firmware")
        for version, (name, state) in enumerate(states.items(), start=7):
            if state != "empty":
                make_home(self.slots / name / "source")
            content = json.dumps({"component": "firmware", "version": version}).encode()
            put(self.slots / name / "release.json", content)
            named = (None, None) if state == "empty" else (version, hashlib.sha256(content))
            sha256 = None if named[1] is None else named[1].hexdigest()
            book = book.put("a" if name == "a" else "b", Slot(state, named[0], sha256))
        put(self.slots / "slots.json", write_book(book))
        if active is not None:
            (self.slots / "active").symlink_to(active)

    @property
    def plays(self) -> str:
        """``factory``, ``a`` or ``b``."""
        home = Path(os.readlink(self.runtime / CURRENT))
        assert unplayable(home) is None, "whatever is chosen can be started"
        return "factory" if home == self.factory else home.parent.name


@pytest.fixture
def pedal(tmp_path: Path) -> Pedal:
    """A pedal as it was provisioned."""
    return Pedal(tmp_path)


def test_without_updates_what_was_provisioned_plays(pedal: Pedal) -> None:
    assert pedal.boot.start() == []
    assert pedal.plays == "factory"
    assert not (pedal.runtime / TRIAL).exists()


def test_firmware_on_trial_plays_and_is_left_when_it_never_comes_alive(pedal: Pedal) -> None:
    pedal.fill("b", a="good", b="trial")
    for _ in range(3):
        assert pedal.boot.start() == []
        assert pedal.plays == "b"
        assert (pedal.runtime / TRIAL).exists()
    assert "never came alive" in pedal.boot.start()[0]
    assert pedal.plays == "a"
    assert not (pedal.runtime / TRIAL).exists()


def test_firmware_on_trial_that_came_alive_stays(pedal: Pedal) -> None:
    pedal.fill("b", a="good", b="trial")
    for _ in range(10):
        pedal.boot.start()
        pedal.boot.alive()
    assert pedal.plays == "b"
    assert pedal.boot.on_trial


def test_twenty_short_boots_leave_good_firmware_where_it_is(pedal: Pedal) -> None:
    pedal.fill("a", a="good", b="bad")
    for _ in range(20):
        assert pedal.boot.start() == []
    assert pedal.plays == "a"


def test_the_first_firmware_ever_leads_back_to_what_was_provisioned(pedal: Pedal) -> None:
    pedal.fill("a", a="trial")
    pedal.boot.start()
    assert pedal.plays == "a"
    assert "left release 7" in pedal.boot.fall_back()[0]
    pedal.boot.start()
    assert pedal.plays == "factory"


def test_only_what_runs_now_is_confirmed_or_left(pedal: Pedal) -> None:
    """An update has just activated b, and a still plays."""
    pedal.fill("a", a="good", b="ready")
    pedal.boot.start()
    (pedal.slots / "active").unlink()
    pedal.boot.slots.recover()
    pedal.boot.slots.activate()
    assert not pedal.boot.on_trial
    assert "not on trial" in pedal.boot.fall_back()[0]
    active = pedal.boot.slots.active
    assert active is not None
    assert active.state == "trial"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("device/__main__.py", "its code is missing"),
        (".venv/bin/python", "its Python is missing"),
        (f".venv/lib/{PYTHON}/site-packages", "another Python"),
    ],
)
def test_firmware_that_cannot_be_started_is_not(pedal: Pedal, broken: str, said: str) -> None:
    if "." not in PYTHON and "lib" in broken:
        pytest.skip("this Python has no version in its name")
    pedal.fill("a", a="good", b="good")
    path = pedal.slots / "a/source" / broken
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert said in pedal.boot.start()[0]
    assert pedal.plays == "b"
    assert [each.state for each in pedal.boot.slots.both] == ["good", "good"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_slots_are_like_something_plays(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pedal = Pedal(tmp_path_factory.mktemp("pedal"))
    states = st.sampled_from(STATES)
    pedal.fill(
        data.draw(st.sampled_from([None, "a", "b", "../../etc", "none"])),
        **{name: data.draw(states, name) for name in ("a", "b")},
    )
    for path in (
        *(pedal.slots / name / "source/device/__main__.py" for name in ("a", "b")),
        *(pedal.slots / name / "source/.venv/bin/python" for name in ("a", "b")),
        *(pedal.slots / name / "release.json" for name in ("a", "b")),
        pedal.slots / "slots.json",
    ):
        match data.draw(st.sampled_from(["keep", "keep", "remove", "empty"]), str(path.name)):
            case "remove":
                path.unlink(missing_ok=True)
            case "empty" if path.exists() and not path.is_symlink():
                path.write_bytes(b"")
    for _ in range(data.draw(st.integers(1, 6))):
        pedal.boot.start()
        assert pedal.plays in ("factory", "a", "b")


def test_a_disk_that_cannot_be_written_does_not_keep_the_pedal_from_playing(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.fill("a", a="good")

    def refuse(*_: object, **_how: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("deploy.slots.disk.locked", refuse)
    assert "Read-only" in pedal.boot.start()[0]
    assert pedal.plays == "a"


def test_forgotten_slots_are_empty_and_stay_so(pedal: Pedal) -> None:
    pedal.fill("a", a="good", b="good")
    pedal.boot.start()
    pedal.boot.forget()
    assert pedal.boot.slots.active is None
    assert pedal.boot.slots.recover() == []
    pedal.boot.start()
    assert pedal.plays == "factory"
    assert not any((pedal.slots / name / "source").exists() for name in ("a", "b"))


@pytest.mark.parametrize("cut", range(12))
def test_forgetting_can_be_cut_anywhere(
    pedal: Pedal, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.fill("a", a="good", b="good")
    calls = [0]

    def counted(real: object) -> object:
        def call(*words: object, **how: object) -> object:
            calls[0] += 1
            if calls[0] > cut:
                raise KeyboardInterrupt
            return real(*words, **how)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patched:
        for name in ("unlink", "rmdir"):
            patched.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(KeyboardInterrupt):
            pedal.boot.forget()
    pedal.boot.start()
    assert pedal.plays in ("factory", "a", "b")
    pedal.boot.forget()
    pedal.boot.start()
    assert pedal.plays == "factory"


# ---- as it is installed -------------------------------------------------------------------------


def installed(tmp_path: Path) -> Path:
    for path, content in tool_files(Machine(root=tmp_path / "machine")).items():
        put(path, content)
    return tmp_path / "machine" / str(TOOL).lstrip("/")


def test_the_system_s_python_runs_it_without_any_package(tmp_path: Path, pedal: Pedal) -> None:
    pedal.fill("b", a="good", b="trial")
    paths = [f"--slots={pedal.slots}", f"--factory={pedal.factory}", f"--runtime={pedal.runtime}"]
    tool = installed(tmp_path)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-I", "-S", str(tool), command, *paths]
        return subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)

    assert run("on-trial").returncode == 1
    assert run("start").returncode == 0
    assert run("on-trial").returncode == 0
    assert pedal.plays == "b"
    assert run("alive").returncode == 0
    done = run("fall-back")
    assert (done.returncode, done.stderr) == (0, "")
    assert "left release 8" in done.stdout


def test_it_says_in_one_sentence_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slots").write_text("a file")
    assert main(["forget", f"--slots={tmp_path}/slots"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
