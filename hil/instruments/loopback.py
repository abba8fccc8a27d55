"""The bench's own round trip: measured with a cable in the pedal's place, kept in a file."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from hil.errors import BenchError
from hil.instruments.duplex_stream import Duplex
from hil.suites.delay import Signal, chirp, find_delay

STARTS = 10
"""So often the streams are started anew."""
LARGEST_SPREAD_FRAMES = 0.25
"""A card whose starts differ by more needs the reference cable."""
_ADVICE = "measure it: python -m hil loopback --bench bench.toml"


@dataclass(frozen=True)
class Loopback:
    """What a cable in the pedal's place showed."""

    card: str
    rate_hz: int
    period_frames: int
    periods: int
    own_frames: float
    """The card's own round trip, median of the starts."""
    spread_frames: float
    """Between the earliest and the latest start."""
    reference_frames: float | None = None
    """Round trip of the reference cable beside it; None where there is none."""
    starts: int = STARTS


class Loop(Protocol):
    """What is measured: ``AlsaLoop``."""

    def both(self, signal: Signal) -> Signal:
        """All inputs ``(inputs, frames)``."""

    def restart(self) -> None:
        """Start anew."""


def measure_loopback(
    loop: Loop, duplex: Duplex, starts: int = STARTS, say: Callable[[str], None] = print
) -> Loopback:
    """The card's own round trip, with a cable in the pedal's place.

    Raises ``BenchError`` where the chirp does not come back, or where the starts differ by more
    than ``LARGEST_SPREAD_FRAMES`` and no reference cable shows by how much.
    """
    signal = chirp()
    own: list[float] = []
    reference: list[float] = []
    for number in range(starts):
        if number:
            loop.restart()
        found = [find_delay(signal, channel).frames for channel in loop.both(signal)]
        own.append(found[0])
        reference += found[1:2]
        say(f"start {number + 1} of {starts}: {', '.join(f'{each:.4f}' for each in found)} frames")
    moved = [each - reference[0] for each in reference] or [0.0] * starts
    still = [each - by for each, by in zip(own, moved, strict=True)]
    spread = max(still) - min(still)
    if spread > LARGEST_SPREAD_FRAMES:
        raise BenchError(
            f"the card's round trip differs by {spread:.2f} frames from start to start; wire its "
            "output to another of its inputs too, and name that as reference_channel of [audio]."
        )
    return Loopback(
        card=duplex.card,
        rate_hz=duplex.rate_hz,
        period_frames=duplex.period_frames,
        periods=duplex.periods,
        own_frames=median(still),
        spread_frames=spread,
        reference_frames=reference[0] if reference else None,
        starts=starts,
    )


def write_loopback(file: Path, loopback: Loopback) -> None:
    """Keep it. Raises ``BenchError``."""
    try:
        file.write_text(json.dumps(asdict(loopback), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{file}: cannot be written ({error.strerror}); choose another.") from None


def read_loopback(file: Path) -> Loopback:
    """As it was measured. Raises ``BenchError``."""
    try:
        found = Loopback(**json.loads(file.read_text(encoding="utf-8")))
        numbers = (found.own_frames, found.spread_frames, found.reference_frames or 0.0)
        if not all(math.isfinite(each) for each in numbers):
            raise ValueError("a number in it is not finite")
    except OSError as error:
        raise BenchError(
            f"{file}: the card's own round trip is not there ({error.strerror}); {_ADVICE}."
        ) from None
    except (ValueError, TypeError) as error:
        what = str(error)
        raise BenchError(f"{file}: is no loopback measurement ({what:.80}); {_ADVICE}.") from None
    return found


def check_same(duplex: Duplex, loopback: Loopback) -> None:
    """Raise ``BenchError`` where another card, or other periods, were measured."""
    now = (duplex.card, duplex.rate_hz, duplex.period_frames, duplex.periods)
    then = (loopback.card, loopback.rate_hz, loopback.period_frames, loopback.periods)
    if now != then:
        raise BenchError(
            f"the loopback was measured with {_words(then)} and [audio] says {_words(now)}; "
            f"{_ADVICE}."
        )
    if (loopback.reference_frames is not None) != (duplex.inputs > 1):
        raise BenchError(
            "the loopback was measured with a reference cable and [audio] has none, or the other "
            f"way round; {_ADVICE}."
        )


def _words(which: tuple[str, int, int, int]) -> str:
    card, rate_hz, frames, periods = which
    return f"{card} at {rate_hz} Hz, {frames} × {periods}"
