"""A control loop over parts that a test holds in its hands."""

from collections.abc import Callable

from device.boards.board import Clock
from device.boards.scripted import ScriptedKnob
from device.processes.control import ControlLoop
from device.processes.control_feet import Feet
from device.processes.control_hands import Hands
from device.processes.control_part import Part
from device.processes.control_power import Power
from device.processes.link import Link
from device.script import Script


def scripted_control(
    script: Script, clock: Clock, connect: Callable[[], Link | None]
) -> ControlLoop:
    """A control loop that follows a script and has neither pins nor thermometers."""
    knob = ScriptedKnob(script)
    return ControlLoop(
        clock, Hands(Part("knob", lambda: knob)), Feet(script=script), Power(), connect
    )
