"""What the control process does from its start to its end."""

import gc
from functools import partial
from pathlib import Path

from device.boards.open import ControlSide, open_control_side
from device.config import Config
from device.knob.learn import read_learnt, state_folder
from device.plain import replace
from device.processes.control import AUDIO_STOPPED_S, ControlLoop
from device.processes.control_feet import Feet
from device.processes.control_hands import Hands
from device.processes.control_part import Part
from device.processes.control_power import Power
from device.processes.control_report import Kept, kept
from device.processes.control_watch import Watch
from device.processes.journal import Journal
from device.processes.link import connect
from device.processes.realtime import end_on_signals, go_realtime
from device.processes.watchdog import Watchdog
from device.script import Script, there_and_back
from device.slots import LinkWatch
from device.states import Limits
from device.unit_config import FileChange

_BELOW_AUDIO = 10
"""Real-time priorities between ``audio`` and ``control``: the sound goes first."""
_PERIODS_STOPPED = 3
"""Periods longer than the time that counts as stopped are waited for so often."""
_NO_HEATER_BELOW_C = -273.15


def run_control(
    config: Config,
    duration_s: float | None = None,
    problem: str = "",
    file: FileChange | None = None,
) -> None:
    """Follow hands and feet until the end of time or of the process.

    Where no script is written one takes ``duration_s`` from A to B and back. ``problem`` is why
    ``pedal.toml`` could not be used: ``config`` is then the defaults, the relay stays down, and
    the process ends when ``file`` has changed.
    """
    script = config.script()
    if script is None:
        script = there_and_back(duration_s) if duration_s else Script()
    side = open_control_side(config, script)
    journal = Journal("control")
    end_on_signals()
    if config.board != "simulated":
        priority = max(1, config.table.audio.realtime_priority - _BELOW_AUDIO)
        for line in go_realtime(priority, frozenset()):
            journal.say(line, "warning")
    notes: list[str] = []
    before = kept(config.control_state)
    hands = _hands(config, side, before, notes)
    watch = Watch(
        config.control_state,
        journal,
        Watchdog(),
        config_problem=problem,
        file=file,
        notes=tuple(notes),
        meters=config.meters,
    )
    audio = config.table.audio
    loop = ControlLoop(
        side.clock,
        hands,
        Feet(
            Part("footswitch", side.footswitch, needed=False, pin=True),
            script if script.presets or script.bypass else None,
            config.first_preset,
            preset=before.preset,
            bypass=before.bypass,
        ),
        _power(config, side),
        partial(connect, config.control_socket),
        watch,
        presets=len(config.presets),
        faults=(f"wrong config: {problem}",) if problem else (),
        slot=None if config.slot_link is None else LinkWatch(config.slot_link),
        stopped_s=max(AUDIO_STOPPED_S, _PERIODS_STOPPED * audio.period_frames / audio.rate_hz),
    )
    gc.freeze()
    gc.enable()  # what is left is small, and an exception's circle must not stay for ever
    try:
        loop.run()
    finally:
        watch.finish(loop)


def learnt_folder(config: Config) -> Path:
    """Where what was learnt is kept; a simulated pedal keeps it to itself."""
    return config.runtime if config.board == "simulated" else state_folder()


def _hands(config: Config, side: ControlSide, before: Kept, notes: list[str]) -> Hands:
    table, folder = config.table, learnt_folder(config)
    channel = table.midi.channel
    return Hands(
        Part("knob", side.knob, needed=False),
        None if side.expression is None else Part("expression", side.expression, needed=False),
        None if side.midi is None else Part("midi", side.midi, needed=False),
        learnt=read_learnt(folder, notes),
        state_folder=folder,
        cc=table.midi.cc,
        channel=None if channel is None else channel - 1,
        position=before.position,
    )


def _power(config: Config, side: ControlSide) -> Power:
    limits: Limits = config.table.temperature
    heater = None
    if side.heater is None:
        limits = replace(limits, heater_below_c=_NO_HEATER_BELOW_C)
    else:
        heater = Part("heater", side.heater, needed=False, pin=True)
    return Power(
        side.sensors,
        Part("relay", side.relay, pin=True),
        heater,
        (
            Part("status LED", side.status_led, needed=False, pin=True),
            Part("fault LED", side.fault_led, needed=False, pin=True),
        ),
        limits,
    )
