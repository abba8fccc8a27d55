"""From what a player moves to one position 0…1: readings filtered, learnt, and chosen from.

``filter`` makes a position of a potentiometer's raw readings, ``range`` knows where its ends are,
``health`` says what is wrong with it, ``learn`` finds the ends by turning, and ``sources``
decides which of knob, expression pedal and MIDI is followed. Pure logic: hardware is in
``device.boards``.
"""

from device.knob.filter import KnobFilter
from device.knob.range import DEFAULT, END_ZONE, KnobRange, raw_from_position

__all__ = ["DEFAULT", "END_ZONE", "KnobFilter", "KnobRange", "raw_from_position"]
