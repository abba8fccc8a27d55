"""The pedal's states: from temperatures, audio and faults to relay, heater, ceiling and engine."""

from device.states.limits import Limits
from device.states.machine import States
from device.states.values import (
    AUDIO,
    CEILINGS,
    STATES,
    STOPPING_FAULTS,
    Decision,
    Inputs,
    Temperatures,
    Transition,
)

__all__ = [
    "AUDIO",
    "CEILINGS",
    "STATES",
    "STOPPING_FAULTS",
    "Decision",
    "Inputs",
    "Limits",
    "States",
    "Temperatures",
    "Transition",
]
