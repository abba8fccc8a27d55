"""Ten minutes of playing: memory stays flat, nothing is missed. `make soak` runs it."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from device.boards.audio_port import PortStatus
from device.config import bundled_presets
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.meters import Meters, read_meters
from device.sound.player import Player
from device.tools.bench import standard_capture
from models.units import Audio
from tests.conftest import plucked

PERIOD = 64
PRESET = """
format = 1
name = "Two captures"
[tone.a]
chain = [{{ block = "nam", file = "a.nam" }}, {{ block = "cab", file = "{cab}" }}]
[tone.b]
chain = [{{ block = "nam", file = "b.nam" }}, {{ block = "cab", file = "{cab}" }}]
"""


class Endless:
    """A port that plays the same phrase round and round, and keeps nothing."""

    rate_hz, period_frames, periods = 48000, PERIOD, 2

    def __init__(self, phrase: Audio) -> None:
        self._phrase = phrase
        self._at = 0
        self.peak = 0.0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self, target: Audio) -> PortStatus:
        np.copyto(target, self._phrase[:, self._at : self._at + PERIOD])
        self._at = (self._at + PERIOD) % (self._phrase.shape[1] - PERIOD)
        return PortStatus.OK

    def write(self, source: Audio) -> PortStatus:
        self.peak = max(self.peak, float(np.abs(source).max()))
        return PortStatus.OK


class NoWatch:
    """Timing is the benchmark's business."""

    def busy_ns(self) -> int:
        return 0


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_minutes_leave_memory_flat(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.nam").write_text(json.dumps(standard_capture(seed)))
    presets = bundled_presets()
    (tmp_path / "two.toml").write_text(
        PRESET.format(cab=next(presets[0].parent.glob("*.flac")).absolute())
    )
    bank = [read_preset(file).path() for file in (tmp_path / "two.toml", *presets)]
    player = Player(bank)
    player.prepare(48000, PERIOD)
    port = Endless(plucked(480000))
    loop = AudioLoop(port, player, Meters(tmp_path / "meters"), NoWatch())
    gc.collect()
    per_minute = 60 * 48000 // PERIOD
    resident = []
    for minute in range(10):
        for index in range(per_minute):
            if index % (per_minute // 3) == 100:
                loop.control.preset = (loop.control.preset + 1) % len(bank)
            loop.control.position = abs(index % 2000 - 1000) / 1000.0
            loop.control.bypass = index % 9000 < 500
            loop.step()
        resident.append(resident_kib())
        print(f"minute {minute + 1}: {resident[-1]} KiB resident")
    loop.finish()
    values = read_meters(tmp_path / "meters").values
    assert values["preset_changes"] == 30
    assert values["tone_nan_periods"] == values["guard_nan_periods"] == values["path_errors"] == 0
    assert 0.05 < port.peak <= 1.0
    # The first minute may still touch memory that was set aside before; then nothing grows.
    assert resident[-1] - resident[0] < 2048
