"""What the bypass relay did, from the edges that the pedal put on its pump line."""

import time
from dataclasses import dataclass

from device.pump import HOLD_MAX_S, Interval, Monostable, rising_edges
from hil.virtual.guest.pins import Scope

RELAY_OFFSET = 106
"""Pin 31 of an Orin Nano's header."""
HEATER_OFFSET = 43
"""Pin 33."""


def energised(
    scope: Scope, offset: int = RELAY_OFFSET, hold_s: float = HOLD_MAX_S
) -> list[Interval]:
    """When the coil has had current so far, by the circuit that holds longest."""
    levels = [(edge.time_s, bool(edge.value)) for edge in scope.edges(offset)]
    if levels:
        # A line rests low before its first edge.
        levels.insert(0, (levels[0][0] - 1.0, False))
    return Monostable(hold_s=hold_s).energised(rising_edges(levels))


@dataclass(frozen=True)
class Gap:
    """One time without current after a fault."""

    dropped_s: float | None
    """When the contact fell off; None where it held all the time."""
    back_s: float | None
    """When it was energised again; None where it was not."""


def gap_after(scope: Scope, fault_s: float) -> Gap:
    """The first time without current that ends after ``fault_s``."""
    # Reading a long trace takes longer than the circuit holds.
    now_s = time.monotonic()
    intervals = energised(scope)
    before = [each for each in intervals if each.start_s <= fault_s]
    after = [each for each in intervals if each.start_s > fault_s]
    if before and before[-1].end_s > now_s:
        return Gap(None, None)  # it has held up to now
    dropped_s = before[-1].end_s if before else None
    return Gap(dropped_s, after[0].start_s if after else None)
