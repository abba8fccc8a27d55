"""Relay and heater are held by edges: what sends them, and what the circuit makes of them.

A Jetson's outputs keep their last level after a crash, so a level cannot be fail-safe. Each
output is held by a monostable that every rising edge starts anew (``deploy/hardware.md``): no
edges, whatever the reason, and the contact falls off. ``Pump`` is the firmware's end of the line,
``Monostable`` the circuit's; tests and the virtual pedal tell by it what the contact would do.
"""

from collections.abc import Iterable, Sequence

from device.boards.board import Output
from device.plain import dataclass

HALF_PERIOD_S = 0.010
"""Time between two edges of the pump line: 100 edges/s, 50 of them rising."""
HOLD_S = 0.080
"""How long the circuit holds after the last rising edge, nominal."""
HOLD_MIN_S = 0.060
HOLD_MAX_S = 0.100
"""What every built circuit keeps to from -40 to +85 °C (the arithmetic is in hardware.md)."""
EDGES_TO_ARM = 8
"""Rising edges, none later than the hold time after the one before, until the contact moves."""
SHORTEST_LEVEL_S = 0.003
"""A level shorter than this may be lost in the circuit's input filter."""

_EARLY_S = 0.0005
"""How much too early an edge may be, so that a turn which comes by rounding a little before its
time does not make the edge a whole turn late."""


class Pump:
    """Toggles one line as long as its contact is wanted; stops dead otherwise.

    The line is left as it stands when the contact is no longer wanted: putting it back would be
    one more edge, and the contact would fall off that much later.
    """

    def __init__(self, output: Output, half_period_s: float = HALF_PERIOD_S) -> None:
        """Take the line; nothing is sent yet. ``half_period_s`` is the time between edges."""
        if not SHORTEST_LEVEL_S < half_period_s < HOLD_MIN_S / 2.0:
            raise ValueError(
                f"half period {half_period_s} s: the circuit needs more than {SHORTEST_LEVEL_S} s"
                f" and less than {HOLD_MIN_S / 2.0} s"
            )
        self._output = output
        self._due_after_s = half_period_s - _EARLY_S
        self._level = False
        self._edge_s = float("-inf")
        self.edges = 0
        """Edges sent since the start."""

    def turn(self, now_s: float, wanted: bool) -> None:
        """Send the edge that is due, at most one; time lost is not caught up with a burst.

        Call it every few milliseconds with a monotonic clock. Raises ``OSError`` where the line
        cannot be set; the same edge is tried again at the next turn.
        """
        if not wanted or now_s - self._edge_s < self._due_after_s:
            return
        self._output.set(not self._level)
        self._level = not self._level
        self._edge_s = now_s
        self.edges += 1


@dataclass(frozen=True)
class Interval:
    """A time from ``start_s`` up to ``end_s`` during which the coil has current."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Monostable:
    """The circuit: low-pass and Schmitt trigger, retriggerable monostable, edge counter.

    The contact is energised from the ``edges_to_arm``-th rising edge of an unbroken row until
    ``hold_s`` after the last one. Times of the contact itself (some ms) are not part of it.
    """

    hold_s: float = HOLD_S
    edges_to_arm: int = EDGES_TO_ARM

    def energised(self, edges_s: Iterable[float]) -> list[Interval]:
        """From the times of the rising edges, ascending, to the intervals of coil current."""
        intervals: list[Interval] = []
        row = 0
        last_s = float("-inf")
        start_s = float("nan")
        for edge_s in edges_s:
            if edge_s < last_s:
                raise ValueError(f"edges must ascend: {edge_s} s comes after {last_s} s")
            if edge_s - last_s >= self.hold_s:
                if row >= self.edges_to_arm:
                    intervals.append(Interval(start_s, last_s + self.hold_s))
                row = 0
            row += 1
            if row == self.edges_to_arm:
                start_s = edge_s
            last_s = edge_s
        if row >= self.edges_to_arm:
            intervals.append(Interval(start_s, last_s + self.hold_s))
        return intervals

    def energised_at(self, edges_s: Iterable[float], now_s: float) -> bool:
        """Whether the coil has current at ``now_s``, after the rising edges up to then."""
        past = self.energised(edge_s for edge_s in edges_s if edge_s <= now_s)
        return bool(past) and past[-1].start_s <= now_s < past[-1].end_s


def rising_edges(
    levels: Sequence[tuple[float, bool]], shortest_level_s: float = SHORTEST_LEVEL_S
) -> list[float]:
    """Rising edges that get through the input filter, from a line's ``(time_s, level)``.

    Times ascend; repeated levels do no harm. A level that lasts less than ``shortest_level_s``
    is taken out: the filter is modelled at its worst, as one that loses all it may lose.
    """
    changes: list[tuple[float, bool]] = []
    for time_s, level in levels:
        if changes and changes[-1][1] == level:
            continue
        if changes and len(changes) > 1 and time_s - changes[-1][0] < shortest_level_s:
            changes.pop()
            continue
        changes.append((time_s, level))
    return [time_s for time_s, level in changes[1:] if level]
