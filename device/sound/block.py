"""What every block of a tone chain promises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

from device.plain import dataclass
from models.units import Audio


@dataclass(frozen=True)
class Parameter:
    """One control of a block that can be moved while playing.

    ``minimum`` and ``maximum`` are in the unit that the name ends with (``_db``, ``_hz``,
    ``_ms``, ``_s``) or plain 0…1. ``scale`` says in which domain a move is ramped: ``"log"``
    for frequencies and times, ``"linear"`` for decibels and mixes. ``restarts`` marks a time
    whose change would tear what is stored in a feedback loop.
    """

    name: str
    minimum: float
    maximum: float
    default: float
    scale: Literal["linear", "log"] = "linear"
    restarts: bool = False

    def check(self, value: float) -> None:
        """Raise ``ValueError`` for a value outside the range."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(
                f"{self.name} is {value:g}, but must lie in {self.minimum:g}…{self.maximum:g}"
            )


class Resettable(Protocol):
    """Anything with a history that can be forgotten."""

    def reset(self) -> None:
        """Forget it. Allocates nothing."""


class Block(ABC):
    """One processor of a tone chain: mono in, mono out, streaming.

    ``prepare`` allocates; ``process`` does not. A block is prepared once for a rate and a
    period and then always called with exactly that many frames.
    """

    kind: ClassVar[str]
    """The block's name in presets."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The block's kind and what tells it from others, for tables: ``nam jc.nam``."""

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, Parameter]:
        """What can be moved while playing, by name."""

    @property
    def latency_frames(self) -> int:
        """Frames by which the output trails the input, valid after ``prepare``."""
        return 0

    @abstractmethod
    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate all that ``process`` needs, and settle as if silence had come before.

        Raises ``ModelError`` or ``PresetError`` when the block cannot work at this rate.
        """

    @abstractmethod
    def process(self, source: Audio, target: Audio) -> None:
        """Turn one period of ``source`` into ``target``, both ``(1, period_frames)``.

        ``source`` and ``target`` may be the same array. Never raises on audio content.
        """

    @abstractmethod
    def move(self, name: str, value: float) -> None:
        """Send a parameter towards ``value``; it arrives on a ramp, without a click.

        Raises ``KeyError`` for an unknown name, ``ValueError`` outside the range.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget all history: back to the state right after ``prepare``. Allocates nothing."""

    @property
    def parts(self) -> tuple[Resettable, ...]:
        """What ``reset`` consists of, where that is long enough to be spread over periods."""
        return (self,)
