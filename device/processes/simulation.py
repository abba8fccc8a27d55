"""The audio process of a simulated run: from a sound file to what was played and a record of it."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from device.bank import playable_bank
from device.boards.open import open_audio_side
from device.boards.simulated import SimulatedAudio
from device.config import Config
from device.files import read_sound_at, whole_file, write_sound
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.banks import Banks
from device.processes.journal import Journal
from device.processes.link import Listener
from device.processes.loading import Loaded, Loader, studios_of
from device.processes.meters import Meters
from device.processes.realtime import end_on_signals, no_garbage_collection, quiet_arithmetic
from device.processes.record import PATH_FILE, RECORD_FILE, RunLog, describe
from device.sound.player import Player
from device.studio import StudioSource

_LOADING_S = 600.0
"""Another bank is waited for so long: it is made ready by another process."""


def simulate(config: Config, sound: Path | None = None, out: Path | None = None) -> None:
    """Play ``sound`` through the pedal; all that happened goes into ``out``.

    Raises ``PurgaError`` for what cannot be read, prepared or opened.
    """
    journal = Journal("audio")
    banks = Banks(config, journal, time.thread_time_ns)
    updated, slot = config.slot_link is not None, banks.slot()
    config = config.with_slot(slot)
    audio = config.table.audio
    presets = [read_preset(file, config.stage) for file in config.presets]
    source = None
    if any(preset.plays_studio for preset in presets):
        source = _studio_source(config)
    player = Player(
        playable_bank(presets, audio.rate_hz, audio.interface_dbu, studio=source),
        config.first_preset,
    )
    player.prepare(audio.rate_hz, audio.period_frames)
    studios = studios_of(player.bank)
    banks.begin(slot, player.bank, config.presets, {})
    first = Loaded(player, studios)
    loader = Loader(lambda: first, swaps=banks) if updated else None
    latency = player.latency_frames
    guitar = None
    if sound is not None:
        guitar = read_sound_at(sound, audio.rate_hz, [])
        # Silence behind the end, so that what is still on its way comes out.
        guitar = np.concatenate([guitar, np.zeros((1, latency), np.float32)], axis=1)
    followed = _Followed(loader)
    side = open_audio_side(config, guitar, [followed])
    port = side.port
    assert isinstance(port, SimulatedAudio) and guitar is not None
    log = RunLog(port.total_periods)
    listener = Listener(config.control_socket)
    loop = AudioLoop(
        port, player, Meters(config.meters), side.watch, listener, log, studios, source=loader
    )
    # Nobody is waited for who was not started.
    followed.loop = loop if config.bundle is not None else None
    end_on_signals()
    quiet_arithmetic()
    no_garbage_collection()
    try:
        loop.run(opened=None if loader is None else loader.start)
    finally:
        loop.finish()
    if out is not None:
        frames = guitar.shape[1] - latency
        write_sound(out / "run.wav", port.played[:, latency : latency + frames], audio.rate_hz)
        with whole_file(out / RECORD_FILE) as temporary, temporary.open("wb") as file:
            np.savez(file, busy_ns=log.busy_ns, positions=log.positions, knob=log.knob)
        about = describe(player.bank[player.active])
        about["peak_resident_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        with whole_file(out / PATH_FILE) as temporary:
            temporary.write_text(json.dumps(about))


def _studio_source(config: Config) -> StudioSource:
    from device.processes.studio_side import BehindASocket

    source = BehindASocket(config)
    if source.notice is not None:
        print(f"audio: {source.notice}", file=sys.stderr)
    return source


class _Followed:
    """Whom simulated time waits for: who loads another bank, and who computes for the one heard."""

    def __init__(self, loader: Loader | None) -> None:
        self._loader = loader
        self.loop: AudioLoop | None = None

    def catch_up(self, patience_s: float) -> bool:
        """See ``Follower``."""
        if self._loader is not None and not self._loader.catch_up(_LOADING_S):
            return False
        studios = () if self.loop is None else self.loop.studios.values()
        return all([studio.catch_up(patience_s) for studio in studios])
