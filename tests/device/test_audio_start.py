"""The audio process under a service manager: up at once, alive whatever is wrong, light."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.errors import LinkError
from device.processes.bank_report import read_bank
from device.processes.meters import read_meters
from tests.conftest import ROOT
from tests.device.alsa_support import WIDE_CARD, needs_alsa, use_asoundrc

PRESET = """
format = 1
name = "Effects and a cabinet"
[tone.a]
chain = [{{ block = "compressor" }}, {{ block = "cab", file = "{cab}" }}]
[tone.b]
chain = [{{ block = "drive" }}, {{ block = "cab", file = "{cab}" }}]
[morph]
engine = "crossfade"
path = "direct"
"""
PEDAL = """
board = "jetson"
[audio]
card = "hw:CARD=NoSuchCard"
[bank]
presets = ["good.toml", "broken.toml"]
"""
HEAVY = (
    "pydantic",
    "onnx",
    "onnxruntime",
    "soxr",
    "tqdm",
    "multiprocessing",
    "matplotlib",
    "scipy",
)
PATIENCE_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pedal.toml with one good preset and one that names a key that does not exist."""
    good = PRESET.format(cab=ROOT / "device" / "presets" / "open-1x12.flac")
    (tmp_path / "good.toml").write_text(good)
    (tmp_path / "broken.toml").write_text(good.replace("engine", "enigne"))
    (tmp_path / "pedal.toml").write_text(PEDAL)
    return tmp_path


class Unit:
    """An audio process as a unit starts it, and its manager's end."""

    def __init__(self, folder: Path, manager: socket.socket) -> None:
        self.runtime, self._manager = folder / "rt", manager
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        environment["WATCHDOG_USEC"] = "400000"
        command = [sys.executable, "-m", "device", "audio", "--runtime", str(self.runtime)]
        command += ["--config", str(folder / "pedal.toml")]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        self.told: list[str] = []

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait for something while the process lives; a busy machine may take its time."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline_s and self.process.poll() is None, self.told
            self.listen()
            time.sleep(0.01)

    def listen(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.told.append(self._manager.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def values(self) -> Mapping[str, int]:
        """The meters, empty where there are none yet."""
        try:
            return read_meters(self.runtime / "meters").values
        except LinkError:
            return {}

    def alive(self) -> int:
        """How many signs of life were heard."""
        return self.listen().count("WATCHDOG=1")


@contextmanager
def unit(folder: Path) -> Iterator[Unit]:
    """Started, and ended as a unit is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.setblocking(False)
        started = Unit(folder, manager)
        try:
            yield started
        finally:
            started.process.terminate()
            started.process.communicate(timeout=30)
            started.listen()
        assert started.process.returncode == 0


def test_it_is_ready_without_its_card_and_lives_and_names_a_broken_preset(folder: Path) -> None:
    needs_alsa()
    with unit(folder) as started:
        started.wait(lambda: started.values().get("presets", 0) == 2)
        assert any(each.startswith("READY=1") for each in started.listen())
        before = started.alive()
        started.wait(lambda: started.alive() > before + 2)
        values = started.values()
        assert values["absent"] == 1 and values["loading"] == 0 and values["presets_broken"] == 1
        assert values["loading_periods"] > 0 and values["wet_after_ms"] == 0
        assert values["dry_after_ms"] == 0  # there is no card to hear it from
        bank = read_bank(started.runtime)
        assert bank is not None and bank.pid == started.process.pid
        assert [each.problem is None for each in bank.presets] == [True, False]
        assert "enigne" in (bank.presets[1].problem or "")
    assert started.told[-1] == "STOPPING=1"
    assert "STATUS=2 presets, 1 of them broken" in started.told


def test_a_card_that_refuses_is_told_and_looked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_alsa()
    use_asoundrc(WIDE_CARD, folder, monkeypatch)
    (folder / "pedal.toml").write_text(PEDAL.replace("hw:CARD=NoSuchCard", "wide"))
    with unit(folder) as started:
        started.wait(lambda: started.values().get("absent_periods", 0) > 20)
        started.wait(lambda: started.alive() > 1)
        assert "on wide: asked for" in read_meters(started.runtime / "meters").message


def test_a_wrong_file_is_said_and_nothing_plays_until_it_has_changed(folder: Path) -> None:
    file = folder / "pedal.toml"
    file.write_text(PEDAL.replace("[audio]", "[adio]"))
    with unit(folder) as started:
        started.wait(lambda: started.alive() > 2)
        ready = next(each for each in started.told if each.startswith("READY=1"))
        assert str(file) in ready and "adio" in ready
        bank = read_bank(started.runtime)
        assert bank is not None and "adio" in bank.problem and bank.presets == ()
        assert not (started.runtime / "audio.sock").exists()  # control finds nobody: relay down
        file.write_text(PEDAL)
        assert started.process.wait(PATIENCE_S) == 0  # the manager starts it again
        assert "adio" in (started.process.stderr.read() if started.process.stderr else "")


def test_in_the_foreground_a_wrong_file_ends_it_with_one_sentence(folder: Path) -> None:
    (folder / "pedal.toml").write_text("[adio]")
    command = [sys.executable, "-m", "device", "audio", "--config", str(folder / "pedal.toml")]
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "adio" in done.stderr and "Traceback" not in done.stderr


def test_effects_and_a_cabinet_start_without_any_library_they_do_not_play_with(
    folder: Path,
) -> None:
    """What decides how soon a pedal that was killed sounds again."""
    program = f"""
import json, sys
from pathlib import Path
import device.boards.alsa, device.processes.entry_audio, device.unit_commands
early = [each for each in {HEAVY!r} if each in sys.modules]
before = [each for each in ("soundfile", "pedalboard", "hashlib") if each in sys.modules]
from device.bank import loaded_bank
player, problems = loaded_bank([Path("good.toml")], 0, 48000, 128)
late = [each for each in {HEAVY!r} if each in sys.modules]
print(json.dumps([early, before, late, problems, player.bank[0].name]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [[], [], [], {}, "Effects and a cabinet"]
