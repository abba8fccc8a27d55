"""One example with ground truth: two tones and what lies between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.quality import at_level
from models.units import Audio

Positions = Sequence[float]
"""Knob positions, each in 0…1."""

LOWEST_DB = -36.0
"""Drive at position 0, relative to position 1, over the full span."""


@dataclass(frozen=True)
class Case:
    """Two tones of one performance and the true tones between, all aligned to the sample.

    Each is ``(1, frames)`` at 48 kHz and −20 dBFS RMS over its length.
    """

    family: str
    name: str
    """What was drawn, in words, e.g. "jc, celestion"."""
    a: Audio
    b: Audio
    truths: tuple[Audio, ...]
    """One for each position: the control moved linearly in its natural unit."""


class Family(Protocol):
    """A kind of control whose in-between settings can be computed."""

    name: str

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random member of the family playing ``guitar`` ``(1, frames)``, 48 kHz mono.

        The same generator state gives the same case, bit for bit.
        """


def make_case(
    family: str, name: str, tone_at: Callable[[float], Audio], positions: Positions
) -> Case:
    """The case of a tone ``tone_at(position)``, ``(1, frames)``, each brought to −20 dBFS RMS."""
    return Case(
        family,
        name,
        at_level(tone_at(0.0)),
        at_level(tone_at(1.0)),
        tuple(at_level(tone_at(position)) for position in positions),
    )


def between(low: float, high: float, position: float) -> float:
    """Linear from ``low`` at 0 to ``high`` at 1."""
    return low + (high - low) * position


def drive_span(rng: np.random.Generator, wide: bool) -> tuple[float, float]:
    """Drive in dB at positions 0 and 1: −36 and 0, or for training half the time less of it."""
    if not wide or rng.random() < 0.5:
        return LOWEST_DB, 0.0
    low = rng.uniform(LOWEST_DB, -12.0)
    return low, rng.uniform(low + 12.0, 0.0)


def span_words(low_db: float, high_db: float) -> str:
    """A span of drive for a case's name."""
    return f"drive {low_db:.0f} to {round(high_db)} dB"
