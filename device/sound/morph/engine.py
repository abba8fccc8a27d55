"""What every morph engine promises."""

from abc import ABC, abstractmethod
from typing import ClassVar

from device.engine_kinds import Ceiling
from models.morph import Positions
from models.units import Audio


class MorphEngine(ABC):
    """Turns two tones of one performance into the tone at a position between them."""

    kind: ClassVar[str]
    """The engine's name in presets."""

    @property
    def latency_frames(self) -> int:
        """Frames by which the output trails the tones, valid after ``prepare``."""
        return 0

    @property
    def nan_periods(self) -> int:
        """Periods in which the engine gave a NaN and another sound was heard."""
        return 0

    @abstractmethod
    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate all that ``process`` needs."""

    @abstractmethod
    def process(
        self,
        a: Audio,
        b: Audio,
        position: Positions,
        target: Audio,
        knob: Positions | None = None,
    ) -> None:
        """Morph one period ``(1, period_frames)`` into ``target``, which is neither input.

        ``position`` holds one value in 0…1 per frame, which may rise and fall within the period,
        no faster than ``ramp.SLEW_S`` and a follow's together. ``knob`` is where the knob stands,
        if a way leads from there to the position. Where the knob is exactly at 0 or 1, and the
        position with it, the output is tone A or B bit for bit, whatever the other holds.
        """

    def limit(self, ceiling: Ceiling) -> None:  # noqa: B027 (most engines are cheap enough)
        """Play nothing costlier than ``ceiling`` from the next period on; change without a click.

        The latency stays. What costs less is what is heard, until the ceiling is lifted again.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget all history. Allocates nothing."""
