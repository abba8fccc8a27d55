"""What the engine process does from its start to its end."""

import os
import sys
import time

from device.config import Config
from device.errors import ConfigError
from device.processes.engine import EngineLoop
from device.processes.engine_bundles import Bundles
from device.processes.engine_state import EngineState, write_state
from device.processes.journal import Journal
from device.processes.realtime import (
    end_on_signals,
    go_background,
    no_garbage_collection,
    quiet_arithmetic,
)
from device.processes.watchdog import Watchdog

_STATE_S = 1.0
"""How often the engine process says how it is."""


def run_engine(config: Config) -> None:
    """Compute the studio sound for ``audio``, for ever.

    Raises ``ConfigError`` without a bundle and without updates that could bring one,
    ``ModelError`` for one that cannot be played.
    """
    if config.bundle is None and config.slot_link is None:
        raise ConfigError("the engine needs a bundle; give --bundle FOLDER, or [studio] bundle")
    rate_hz, table = config.table.audio.rate_hz, config.table.studio
    # First, because the codec takes as many threads as there are processors to it.
    for line in go_background(frozenset(table.cpus)):
        print(f"engine: {line}", file=sys.stderr)
    journal = Journal("engine")
    bundles = Bundles(config, lambda text: journal.say(text, "error"))
    bundles.begin()
    state = EngineState(os.getpid(), "nothing", "", "no bundle", 0, 0, 0.0)
    bundles.describe(state)
    end_on_signals()
    quiet_arithmetic()
    loop = EngineLoop(config.studio_socket, bundles.newest, rate_hz, state, bundles.choose)
    no_garbage_collection()
    watchdog = Watchdog()

    def told() -> str:
        return f"{state.provider}, {state.precision}, {state.bundle}"

    watchdog.ready(told())
    written_s = 0.0

    def write() -> None:
        bundles.describe(loop.state())
        watchdog.status(told())
        write_state(config.engine_state, state)

    try:
        while True:
            loop.turn()
            watchdog.alive()
            bundles.turn()
            if time.monotonic() - written_s > _STATE_S:
                written_s = time.monotonic()
                bundles.keep(loop.bundles)
                write()
    finally:
        watchdog.stopping()
        # For whoever asks after the end.
        write()
        loop.close()
