"""Where a knob's ends are: from a raw reading, a fraction of the reference, to a position."""

from device.plain import dataclass

END_ZONE = 0.015
"""Part of the travel at each end that counts as the end.

Pots rarely reach their last ohms, and the 100 Ω end resistors at 10 kΩ take 1 % on purpose, so
that codes 0 and 1023 can only mean a broken wire.
"""
SHORTEST = 0.1
"""A range may not be shorter, as a fraction of the reference: noise would move the sound."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class KnobRange:
    """The raw readings 0…1 at tone A's end (``low``) and tone B's end (``high``) of the travel.

    ``low > high`` is a pedal that is wired the other way round. Raises ``ValueError`` for ends
    outside 0…1 or closer together than ``SHORTEST``.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no knob could have."""
        if not (0.0 <= self.low <= 1.0 and 0.0 <= self.high <= 1.0):
            raise ValueError(f"a knob's ends lie in 0…1, not at {self.low} and {self.high}")
        if abs(self.high - self.low) < SHORTEST:
            raise ValueError(
                f"a knob's ends must be {SHORTEST:g} of the travel apart or more, "
                f"not at {self.low:g} and {self.high:g}; turn it from end to end"
            )

    def position(self, raw: float) -> float:
        """The position 0…1 at a raw reading; exactly 0 and 1 in the end zones and beyond."""
        travel = (raw - self.low) / (self.high - self.low)
        position = (travel - END_ZONE) / (1.0 - 2.0 * END_ZONE)
        if position <= _ROUNDING:
            return 0.0
        return 1.0 if position >= 1.0 - _ROUNDING else position

    def raw(self, position: float) -> float:
        """The raw reading at which the knob stands on ``position``."""
        travel = END_ZONE + position * (1.0 - 2.0 * END_ZONE)
        return self.low + travel * (self.high - self.low)


DEFAULT = KnobRange()
"""Of a knob that was never learnt: the whole reference."""


def raw_from_position(position: float) -> float:
    """The raw reading 0…1 at which a knob that was never learnt stands on ``position``."""
    return DEFAULT.raw(position)
