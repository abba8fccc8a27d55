"""What the engine process does from its start to its end."""

import os
import sys
import time

from device.config import Config
from device.errors import ConfigError
from device.processes.engine import MOST_PENDING_FRAMES, EngineLoop, TimedCodec
from device.processes.engine_state import EngineState, write_state
from device.processes.realtime import (
    end_on_signals,
    go_background,
    no_garbage_collection,
    quiet_arithmetic,
)
from device.processes.watchdog import Watchdog
from device.sound.morph.studio_feed import Change, StudioFeed
from device.studio import read_studio
from models.music2latent.spectrum import HOP

_STATE_S = 1.0
"""How often the engine process says how it is."""


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
    end_on_signals()
    quiet_arithmetic()
    loop = EngineLoop(config.studio_socket, make_feed, rate_hz, state)
    no_garbage_collection()
    watchdog = Watchdog()
    watchdog.ready(f"{state.provider}, {state.precision}, {state.bundle}")
    written_s = 0.0

    def write() -> None:
        codec.note(loop.state())
        write_state(config.engine_state, state)

    try:
        while True:
            loop.turn()
            watchdog.alive()
            if time.monotonic() - written_s > _STATE_S:
                written_s = time.monotonic()
                write()
    finally:
        watchdog.stopping()
        # For whoever asks after the end.
        write()
        loop.close()
