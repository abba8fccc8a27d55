"""What a player plays: the way of the sound through one preset, and a bank of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from device.engine_kinds import Ceiling
from device.sound.block import Resettable
from device.sound.ramp import Curve
from device.sound.steering import Steering
from models.units import Audio

if TYPE_CHECKING:
    from models.path import Way


class Playable(Protocol):
    """The whole way of the sound through one preset: ``SoundPath`` or ``ParameterPath``."""

    name: str
    parts: tuple[Resettable, ...]
    steering: Steering | None
    """What moves the position besides the knob; the player runs it."""

    @property
    def way(self) -> "Way | None":
        """What the knob does to both tones' drive, where it does."""

    @property
    def latency_frames(self) -> int:
        """Frames from the guitar to the sound."""

    @property
    def nan_periods(self) -> int:
        """Periods in which a tone gave a NaN and was reset."""

    @property
    def tones(self) -> dict[str, list[str]]:
        """The labels of each tone's blocks."""

    def latency_table(self) -> list[tuple[str, str, int]]:
        """Rows of (where, what, frames)."""

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Prepare all parts and allocate."""

    def limit(self, ceiling: Ceiling) -> None:
        """Play no costlier engine than ``ceiling``, at the same latency and without a click."""

    def process(self, source: Audio, positions: Curve, wet: Audio, dry: Audio) -> None:
        """Play one period."""


Instead = Callable[[int, Exception], Playable]
"""Gives what plays in the place of a preset, by its index and why it cannot be prepared."""


def prepared_bank(
    bank: Sequence[Playable], rate_hz: int, period_frames: int, instead: Instead | None = None
) -> tuple[Playable, ...]:
    """Prepare every preset. Raises what one raises that cannot be prepared.

    ``instead`` gives one that plays in its place, which needs no preparing.
    """
    prepared = list(bank)
    for index, path in enumerate(prepared):
        try:
            path.prepare(rate_hz, period_frames)
            if path.steering is not None:
                path.steering.prepare(rate_hz, period_frames)
        except Exception as problem:
            if instead is None:
                raise
            prepared[index] = instead(index, problem)
    return tuple(prepared)
