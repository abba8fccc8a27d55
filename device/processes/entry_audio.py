"""What the audio process does from its start to its end.

On stage it opens the interface and lets the dry guitar through before it knows a single preset;
what is slow to import or to prepare is left to a thread (``loading``). In a simulation, which has
a beginning and an end, all is prepared first, and what is wrong ends it with one sentence.
"""

import gc
import os
import time
from pathlib import Path
from typing import NoReturn

from device.boards.open import open_audio_side
from device.config import Config
from device.processes.age import age_ms
from device.processes.audio import AudioLoop
from device.processes.bank_report import BankReport, write_bank
from device.processes.banks import Banks
from device.processes.journal import Journal
from device.processes.link import Listener
from device.processes.loading import Loader
from device.processes.meters import Meters
from device.processes.pace import Pace
from device.processes.realtime import end_on_signals, go_realtime, quiet_arithmetic
from device.processes.watchdog import Watchdog
from device.sound.blocks.effects import load_library
from device.unit_config import FileChange

_LOOK_S = 0.1
"""How often a file that could not be used is looked at."""


def run_audio(
    config: Config,
    sound: Path | None = None,
    out: Path | None = None,
    problem: str = "",
    file: FileChange | None = None,
) -> None:
    """Play. On the simulated board: ``sound`` through the pedal, all that happened into ``out``.

    ``problem`` is why ``pedal.toml`` could not be used: nothing is played then, so that control
    leaves the relay down, until ``file`` has changed. Raises ``PurgaError`` for what cannot be
    opened; in a simulation also for what cannot be read or prepared.
    """
    if config.board == "simulated":
        # Imported here, because a pedal on stage writes no report.
        from device.processes.simulation import simulate

        simulate(config, sound, out)
        return
    end_on_signals()
    watchdog, journal = Watchdog(), Journal("audio")
    if problem:
        _wait_for_change(config, problem, file, watchdog, journal)
    _play(config, watchdog, journal)


def _play(config: Config, watchdog: Watchdog, journal: Journal) -> None:
    audio = config.table.audio
    quiet_arithmetic()
    # Nearly every preset needs it, and nothing else that most need stops the loop for as long.
    load_library()
    # A unit's card that refuses what is asked is looked for again, like one that is not there.
    side = open_audio_side(config, None, patient=watchdog.watched)
    meters = Meters(config.meters)
    listener = Listener(config.control_socket)
    pace = Pace()
    banks = Banks(config, journal, time.thread_time_ns, pace.rest, watchdog.status)
    updated = config.slot_link is not None
    loader = Loader(banks.first, locked=True, swaps=banks if updated else None, pace=pace)
    loop = AudioLoop(
        side.port,
        None,
        meters,
        side.watch,
        listener,
        source=loader,
        life=watchdog,
        age_ms=age_ms,
    )
    # What lives now lives on; looking for what does not would take as long as opening the card.
    gc.freeze()
    gc.disable()
    for line in go_realtime(audio.realtime_priority, frozenset(audio.cpus)):
        journal.say(line, "warning")
    watchdog.ready("dry: presets are being loaded")
    try:
        loop.run(opened=loader.start)
    finally:
        loop.finish()
        watchdog.stopping()


def _wait_for_change(
    config: Config,
    problem: str,
    file: FileChange | None,
    watchdog: Watchdog,
    journal: Journal,
) -> NoReturn:
    """Be alive and play nothing, for as long as ``pedal.toml`` cannot be used."""
    journal.say(problem, "error", PURGA_PROBLEM=problem)
    write_bank(config.runtime, BankReport(os.getpid(), problem=problem))
    watchdog.ready(problem)
    while file is None or not file.changed():
        time.sleep(_LOOK_S)
        watchdog.alive()
    journal.say("pedal.toml has changed; starting again with it", "notice")
    raise SystemExit(0)
