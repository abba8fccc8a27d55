"""Whether edges hold a coil, told bit by bit as the edges come."""

from collections.abc import Iterable

from device.pump import HOLD_MIN_S, Interval, Monostable, rising_edges
from hil.virtual.guest.pins import Edge

_KEPT_S = 1.0
"""Longer than the circuit takes to arm and to let go."""


class Coil:
    """The circuit that lets go soonest, on the edges of the last second.

    Soonest, because what is asked here is whether it ever let go.
    """

    def __init__(self, hold_s: float = HOLD_MIN_S) -> None:
        """No edge yet."""
        self._circuit = Monostable(hold_s=hold_s)
        self._levels: list[tuple[float, bool]] = []
        self._asked_s: float | None = None

    def update(self, edges: Iterable[Edge], now_s: float) -> tuple[bool, float]:
        """Whether it is held at ``now_s``, and its longest time without current since last time.

        ``edges`` are those since the last call, in the order of time. The first call tells of the
        moment alone.
        """
        self._levels += [(edge.time_s, bool(edge.value)) for edge in edges]
        levels = list(self._levels)
        if levels:
            # A line rests low before its first edge.
            levels.insert(0, (levels[0][0] - 1.0, False))
        row = self._circuit.energised(rising_edges(levels))
        held = any(each.start_s <= now_s < each.end_s for each in row)
        gap_s = 0.0 if self._asked_s is None else _longest_gap_s(row, self._asked_s, now_s)
        self._asked_s = now_s
        self._levels = [level for level in self._levels if level[0] >= now_s - _KEPT_S]
        return held, gap_s


def _longest_gap_s(row: Iterable[Interval], start_s: float, end_s: float) -> float:
    """Between ``start_s`` and ``end_s``, outside of all intervals."""
    longest_s, free_s = 0.0, start_s
    for each in row:
        if each.end_s > start_s and each.start_s < end_s:
            longest_s = max(longest_s, each.start_s - free_s)
            free_s = each.end_s
    return max(longest_s, end_s - free_s)
