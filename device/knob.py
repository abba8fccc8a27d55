"""From the knob's raw readings to a position that can be trusted."""

END_ZONE = 0.015
"""Part of the travel at each end that counts as the end: pots rarely reach their last ohms."""


def raw_from_position(position: float) -> float:
    """The raw reading 0…1 at which the knob stands on ``position``."""
    return END_ZONE + position * (1.0 - 2.0 * END_ZONE)


class KnobFilter:
    """Median of three, end zones, and the last good position when a reading is impossible.

    A cold or worn wiper jumps for single readings; a median takes those out without smearing a
    quick turn. Readings outside 0…1, NaN and bus errors are counted and held over.
    """

    def __init__(self) -> None:
        """Wait for the first good reading, which is taken as it is; 0 until then."""
        self._recent: list[float] = []
        self.position = 0.0
        """Position 0…1; exactly 0 and 1 in the end zones."""
        self.faults = 0
        """Readings that were impossible."""

    def update(self, raw: float) -> float:
        """Take one reading, nominally 0…1 (NaN for a failed one), and return the position."""
        if not 0.0 <= raw <= 1.0:
            self.faults += 1
            return self.position
        self._recent = [*self._recent[1:], raw] if self._recent else [raw] * 3
        middle = sorted(self._recent)[1]
        position = (middle - END_ZONE) / (1.0 - 2.0 * END_ZONE)
        self.position = min(max(position, 0.0), 1.0)
        return self.position
