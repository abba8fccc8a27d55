"""What each process of the pedal does from its start to its end."""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import numpy as np
import numpy.typing as npt

from device.bank import playable_bank
from device.boards.board import Follower
from device.boards.open import open_audio_side, open_control_side
from device.boards.simulated import SimulatedAudio
from device.config import Config
from device.errors import ConfigError
from device.files import read_sound_at, whole_file, write_sound
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.control import ControlLoop
from device.processes.engine import MOST_PENDING_FRAMES, EngineLoop, TimedCodec
from device.processes.engine_state import EngineState, write_state
from device.processes.link import Listener, connect
from device.processes.meters import Meters
from device.processes.realtime import (
    go_background,
    go_realtime,
    no_garbage_collection,
    quiet_arithmetic,
)
from device.processes.studio_link import StudioLink
from device.script import Script, there_and_back
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio_feed import Change, StudioFeed, timing_of
from device.sound.path import SoundPath
from device.sound.player import Playable, Player
from device.studio import StudioBundle, read_studio, settings_or_default
from models.music2latent.spectrum import HOP
from models.path import Way
from models.units import db_from_gain

RECORD_FILE = "record.npz"
PATH_FILE = "path.json"
_WAY_POINTS = 101
_STATE_S = 1.0
"""How often the engine process says how it is."""


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
    studio = None
    if any(preset.plays_studio for preset in presets):
        studio = _BehindASocket(config)
    bank = playable_bank(presets, audio.rate_hz, audio.interface_dbu, studio=studio)
    studios = {
        index: path.morph
        for index, path in enumerate(bank)
        if isinstance(path, SoundPath) and isinstance(path.morph, Studio)
    }
    player = Player(bank, config.first_preset)
    player.prepare(audio.rate_hz, audio.period_frames)
    latency = player.latency_frames
    guitar = None
    if sound is not None:
        guitar = read_sound_at(sound, audio.rate_hz, [])
        # Silence behind the end, so that what is still on its way comes out.
        guitar = np.concatenate([guitar, np.zeros((1, latency), np.float32)], axis=1)
    # Nobody is waited for who was not started.
    followers: list[Follower] = [*studios.values()] if config.bundle is not None else []
    side = open_audio_side(config, guitar, followers)
    log = None
    if isinstance(side.port, SimulatedAudio):
        log = RunLog(side.port.total_periods)
    else:
        for line in go_realtime(audio.realtime_priority, frozenset(audio.cpus)):
            print(f"audio: {line}", file=sys.stderr)
    meters = Meters(config.meters)
    listener = Listener(config.control_socket)
    loop = AudioLoop(side.port, player, meters, side.watch, listener, log, studios)
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


class _BehindASocket:
    """Studio engines whose sound comes from the engine process, should there be one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        settings, instead = settings_or_default(config)
        if instead is not None:
            print(
                f"audio: the stage engine plays in the studio engine's place: {instead}",
                file=sys.stderr,
            )
        self._there = instead is None
        self._timing = timing_of(settings, config.table.audio.rate_hz)

    @property
    def network(self) -> StudioBundle | None:
        """Read when it is asked for, which is where a preset has a direction."""
        config = self._config
        if config.bundle is None or not self._there:
            return None
        return read_studio(config.bundle, config.table.studio)

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """See ``StudioSource``."""
        link = StudioLink(self._config.studio_socket, change)
        return Studio(stand_in, link, self._timing, change is None)


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


def run_engine(config: Config) -> None:
    """Compute the studio sound for ``audio``, for ever.

    Raises ``ConfigError`` without a bundle, ``ModelError`` for one that cannot be played.
    """
    if config.bundle is None:
        raise ConfigError("the engine needs a bundle; give --bundle FOLDER, or [studio] bundle")
    rate_hz, table = config.table.audio.rate_hz, config.table.studio
    # First, because the codec takes as many threads as there are processors to it.
    for line in go_background(frozenset(table.cpus)):
        print(f"engine: {line}", file=sys.stderr)
    studio = read_studio(config.bundle, table)
    settings = studio.settings
    codec = TimedCodec(studio.codec)

    def make_feed(change: Change | None) -> StudioFeed:
        return StudioFeed(codec, settings, rate_hz, MOST_PENDING_FRAMES, change)

    make_feed(None)  # what cannot be played is said now, not when the first guitar comes
    state = EngineState(
        pid=os.getpid(),
        provider=codec.provider,
        precision=studio.precision,
        bundle=studio.bundle.manifest.name,
        window_frames=settings.window_frames,
        hop_frames=settings.hop_frames,
        hop_ms=round(1000.0 * settings.hop_frames * HOP / settings.rate_hz, 2),
    )
    _end_on_signals()
    quiet_arithmetic()
    loop = EngineLoop(config.studio_socket, make_feed, rate_hz, state)
    no_garbage_collection()
    written_s = 0.0

    def write() -> None:
        codec.note(loop.state())
        write_state(config.engine_state, state)

    try:
        while True:
            loop.turn()
            if time.monotonic() - written_s > _STATE_S:
                written_s = time.monotonic()
                write()
    finally:
        # For whoever asks after the end.
        write()
        loop.close()
