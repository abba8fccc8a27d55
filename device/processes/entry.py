"""What each process of the pedal does from its start to its end."""

import json
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import numpy.typing as npt

from device.bank import playable_bank
from device.boards.open import open_audio_side, open_control_side
from device.boards.simulated import SimulatedAudio
from device.config import Config
from device.files import read_sound_at, whole_file, write_sound
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.control import ControlLoop
from device.processes.link import Listener, connect
from device.processes.meters import Meters
from device.processes.realtime import go_realtime, no_garbage_collection, quiet_arithmetic
from device.script import Script, there_and_back
from device.sound.player import Playable, Player
from models.path import Way
from models.units import db_from_gain

RECORD_FILE = "record.npz"
PATH_FILE = "path.json"
_WAY_POINTS = 101


class RunLog:
    """Every period's figures of a simulated run."""

    def __init__(self, periods: int) -> None:
        """Allocate for all of them."""
        self.busy_ns: npt.NDArray[np.int64] = np.zeros(periods, np.int64)
        self.positions = np.zeros(periods, np.float64)
        self.knob = np.zeros(periods, np.float64)
        self._next = 0

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        """Store one period: what was played, and where the knob stood."""
        index = self._next
        self.busy_ns[index] = busy_ns
        self.positions[index] = position
        self.knob[index] = knob
        self._next = index + 1


def _end_on_signals() -> None:
    """Let SIGTERM and SIGINT end the process in order, with exit code 0."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def run_audio(config: Config, sound: Path | None = None, out: Path | None = None) -> None:
    """Play. On the simulated board: ``sound`` through the pedal, all that happened into ``out``.

    Raises ``PurgaError`` for what cannot be read, prepared or opened.
    """
    audio = config.table.audio
    presets = [read_preset(file) for file in config.presets]
    bank = playable_bank(presets, audio.rate_hz, audio.interface_dbu)
    player = Player(bank, config.first_preset)
    player.prepare(audio.rate_hz, audio.period_frames)
    latency = player.latency_frames
    guitar = None
    if sound is not None:
        guitar = read_sound_at(sound, audio.rate_hz, [])
        # Silence behind the end, so that what is still on its way comes out.
        guitar = np.concatenate([guitar, np.zeros((1, latency), np.float32)], axis=1)
    side = open_audio_side(config, guitar)
    log = None
    if isinstance(side.port, SimulatedAudio):
        log = RunLog(side.port.total_periods)
    else:
        for line in go_realtime(audio.realtime_priority, frozenset(audio.cpus)):
            print(f"audio: {line}", file=sys.stderr)
    meters = Meters(config.meters)
    loop = AudioLoop(side.port, player, meters, side.watch, Listener(config.control_socket), log)
    _end_on_signals()
    quiet_arithmetic()
    no_garbage_collection()
    try:
        loop.run()
    finally:
        loop.finish()
    if out is not None and isinstance(side.port, SimulatedAudio) and log is not None:
        assert guitar is not None
        frames = guitar.shape[1] - latency
        write_sound(out / "run.wav", side.port.played[:, latency : latency + frames], audio.rate_hz)
        with whole_file(out / RECORD_FILE) as temporary, temporary.open("wb") as file:
            np.savez(file, busy_ns=log.busy_ns, positions=log.positions, knob=log.knob)
        about = describe(player.bank[player.active])
        about["peak_resident_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        with whole_file(out / PATH_FILE) as temporary:
            temporary.write_text(json.dumps(about))


def describe(path: Playable) -> dict[str, object]:
    """What a report says about the preset that played."""
    return {
        "name": path.name,
        "tones": path.tones,
        "latency": path.latency_table(),
        "way": None if path.way is None else _way_by_points(path.way),
    }


def _way_by_points(way: Way) -> dict[str, list[float]]:
    """Drives in dB and blend of a way at even positions of the knob."""
    rows = [way.at(position) for position in np.linspace(0.0, 1.0, _WAY_POINTS).tolist()]
    return {
        "drive_a_db": [round(db_from_gain(row[0]), 2) for row in rows],
        "drive_b_db": [round(db_from_gain(row[1]), 2) for row in rows],
        "blend": [round(row[4], 4) for row in rows],
    }


def run_control(config: Config, duration_s: float | None = None) -> None:
    """Follow the knob's script, by default from A to B and back within ``duration_s``."""
    script = config.script()
    if script is None:
        script = there_and_back(duration_s) if duration_s else Script()
    side = open_control_side(config, script)
    _end_on_signals()
    ControlLoop(
        side.knob,
        side.feet,
        side.clock,
        lambda: connect(config.control_socket),
        config.first_preset,
    ).run()
