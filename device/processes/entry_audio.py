"""What the audio process does from its start to its end."""

import json
import resource
import sys
from pathlib import Path

import numpy as np

from device.bank import playable_bank
from device.boards.board import Follower
from device.boards.open import open_audio_side
from device.boards.simulated import SimulatedAudio
from device.config import Config
from device.files import read_sound_at, whole_file, write_sound
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.link import Listener
from device.processes.meters import Meters
from device.processes.realtime import (
    end_on_signals,
    go_realtime,
    no_garbage_collection,
    quiet_arithmetic,
)
from device.processes.record import PATH_FILE, RECORD_FILE, RunLog, describe
from device.processes.studio_link import StudioLink
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio_feed import Change, timing_of
from device.sound.path import SoundPath
from device.sound.player import Player
from device.studio import StudioBundle, read_studio, settings_or_default


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
    end_on_signals()
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
