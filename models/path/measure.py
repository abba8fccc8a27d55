"""What a way is worth: how near real tones it keeps, how long it is, how even its steps are."""

from dataclasses import dataclass

import numpy as np

from models.path.search import Route
from models.path.states import EVERY, Levels, Pair, bin_levels, distance_db, mel_levels
from models.path.tone import Floats

POINTS = 61
"""Points that a way is measured at, even in what is heard."""

STEPS = 10
"""Steps of the knob that a way is judged by: 11 positions, as an evaluation has."""

_ROUNDS = 2
_EVERY_EVENED = 8


@dataclass(frozen=True)
class Figures:
    """A way by one measure of distance, at 11 positions of the knob.

    ``nearest_db`` is the mean distance to the nearest real tone, ``length_db`` the sum of the
    steps, ``evenness`` the largest step over the mean one (1 where nothing changes).
    """

    nearest_db: float
    length_db: float
    evenness: float

    def as_array(self) -> Floats:
        """All three, ``(3,)``."""
        return np.array([self.nearest_db, self.length_db, self.evenness])


@dataclass(frozen=True)
class Measured:
    """A way of ``POINTS`` points, even in what is heard, with its figures on mel bands and bins.

    ``saturation`` ``(POINTS,)``.
    """

    route: Route
    mel: Figures
    bins: Figures
    saturation: Floats


class Judge:
    """Measures ways between two tones."""

    def __init__(self, pair: Pair) -> None:
        """Take the tones; the real ones among them are transformed once."""
        self._pair = pair
        real = pair.real()
        self._real = (mel_levels(real), bin_levels(real))

    def measure(self, route: Route) -> Measured:
        """Walk a way in steps that sound equal, and take its figures."""
        dense = _resampled(route, _moved(route))
        for _ in range(_ROUNDS):
            dense = self._evened(dense)
        eleven = _at(dense, np.linspace(0.0, POINTS - 1.0, STEPS + 1))
        sounds = self._pair.sounds(eleven.drive_a_db, eleven.drive_b_db, eleven.blend, EVERY)
        mel, bins = (
            _figures(levels, real)
            for levels, real in zip(
                (mel_levels(sounds), bin_levels(sounds)), self._real, strict=True
            )
        )
        saturation = self._pair.saturation(dense.drive_a_db, dense.drive_b_db, dense.blend)
        return Measured(dense, mel, bins, saturation)

    def _evened(self, route: Route) -> Route:
        """Space a way's points more evenly by what is heard.

        A stretch's length is measured over a tenth of the way, because that is a step of the
        knob that is heard as one: in smaller ones chance differences add up.
        """
        sounds = self._pair.sounds(route.drive_a_db, route.drive_b_db, route.blend, _EVERY_EVENED)
        reach = (POINTS - 1) // STEPS // 2
        low = np.maximum(np.arange(POINTS) - reach, 0)
        high = np.minimum(np.arange(POINTS) + reach, POINTS - 1)
        speed = np.zeros(POINTS)
        for levels in (mel_levels(sounds), bin_levels(sounds)):
            heard = distance_db(levels[high], levels[low]) / (high - low)
            if heard.max() > 0.0:
                speed += heard / heard.mean()
        if speed.max() <= 0.0:  # two equal tones: any spacing is as good as another
            return route
        speed = np.maximum(speed, 0.02 * speed.mean())
        travel = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2.0)])
        even = np.linspace(0.0, travel[-1], POINTS)
        return _at(route, np.interp(even, travel, np.arange(POINTS, dtype=np.float64)))


def _figures(levels: Levels, real: Levels) -> Figures:
    nearest = np.full(len(levels), np.inf)
    for tone in real:
        np.minimum(nearest, distance_db(levels, tone), out=nearest)
    steps = distance_db(levels[1:], levels[:-1])
    length = float(steps.sum())
    evenness = float(steps.max() * len(steps) / length) if length > 0.0 else 1.0
    return Figures(float(nearest.mean()), length, evenness)


def _moved(route: Route) -> Floats:
    """How far the controls have moved, cumulated; a whole blend counts as 36 dB."""
    moves = (
        np.abs(np.diff(route.drive_a_db)) / 36.0
        + np.abs(np.diff(route.drive_b_db)) / 36.0
        + np.abs(np.diff(route.blend))
    )
    return np.concatenate([[0.0], np.cumsum(moves)])


def _resampled(route: Route, moved: Floats) -> Route:
    even = np.linspace(0.0, moved[-1], POINTS)
    return Route(
        *(np.interp(even, moved, v) for v in (route.drive_a_db, route.drive_b_db, route.blend))
    )


def _at(route: Route, place: Floats) -> Route:
    points = np.arange(len(route.blend), dtype=np.float64)
    return Route(
        *(np.interp(place, points, v) for v in (route.drive_a_db, route.drive_b_db, route.blend))
    )
