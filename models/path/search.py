"""Ways over the plane of drives and blends, by shortest paths (Dijkstra 1959).

A state is (drive of A, drive of B, blend). A step costs its length times (how far it lies from
the nearest real tone + impatience): the more impatient, the more direct. Saturation goes one way
only, so a musician who turns from clean to lead never hears it get cleaner.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.path.states import Pair, level_sets
from models.path.tone import DRIVES_DB, Floats

BLENDS = np.linspace(0.0, 1.0, 9)
IMPATIENCE = (3.0, 1.4, 0.75, 0.4, 0.2, 0.1, 0.03)
"""What length alone is worth; the direct way's mean distance is 1. From straight to wandering."""

REACHES = ((3.0, 0.125), (6.0, 0.25))
"""How far one step may go in each drive (dB) and in the blend. Longer steps see less of what lies
between, shorter ones count chance differences as length: which finds better ways depends on the
tones."""

SATURATION_SLACK = 0.02
"""What saturation may fall back by on the whole way, of 0…1: less than its measure's error."""

MOST_LIFT_DB = 40.0
"""A tone that drive makes quieter by more has been swallowed by a gate: no state."""

_EVERY = 8
_SHARES = (0.35, 0.65)  # of the measures on mel bands and on bins
_UNHEARD = 1e-5  # what a step costs that is not heard: were it free, a way would wander

Single = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Route:
    """A way as points, all ``(points,)``, from tone A at its own level to tone B at its own."""

    drive_a_db: Floats
    drive_b_db: Floats
    blend: Floats


def direct_route() -> Route:
    """The blend of both tones at their own level."""
    own = np.zeros(len(BLENDS))
    return Route(own, own, BLENDS)


def between(one: Route, other: Route, share: float) -> Route:
    """A way between two ways of as many points."""
    pairs = zip(_columns(one), _columns(other), strict=True)
    return Route(*((1.0 - share) * first + share * second for first, second in pairs))


def _columns(route: Route) -> tuple[Floats, Floats, Floats]:
    return route.drive_a_db, route.drive_b_db, route.blend


class Plane:
    """Every state of two tones, and what it costs to go from any to any.

    At an end of the blend the other tone is not heard and its drive is nothing (NaN).
    """

    def __init__(self, pair: Pair) -> None:
        nothing = np.full(len(DRIVES_DB), np.nan)
        inner = np.meshgrid(DRIVES_DB, DRIVES_DB, BLENDS[1:-1], indexing="ij")
        self._a = np.concatenate([DRIVES_DB, inner[0].ravel(), nothing])
        self._b = np.concatenate([nothing, inner[1].ravel(), DRIVES_DB])
        self._blend = np.concatenate([nothing * 0.0, inner[2].ravel(), nothing])
        self._blend[: len(DRIVES_DB)], self._blend[-len(DRIVES_DB) :] = 0.0, 1.0
        self._start, self._end = len(DRIVES_DB) - 1, len(self._a) - 1
        a, b = np.nan_to_num(self._a), np.nan_to_num(self._b)
        self._distances = [
            _distances(levels) for levels in level_sets(pair, a, b, self._blend, _EVERY)
        ]
        real = np.r_[: len(DRIVES_DB), -len(DRIVES_DB) : 0]
        self._nearest = [distances[:, real].min(axis=1) for distances in self._distances]
        self._halfway = self._states_halfway()
        self._direct = self._plain()
        allowed = self._steps_allowed(pair, pair.saturation(a, b, self._blend))
        self._length, self._away = self._costs()
        self._graphs = [allowed & self._within(*reach) for reach in REACHES]

    def _plain(self) -> list[tuple[float, float]]:
        """Nearness and length of the direct way by each measure; never zero, to be divided by."""
        own = np.nan_to_num(self._a) == 0.0
        own &= np.nan_to_num(self._b) == 0.0
        states = np.flatnonzero(own)
        states = states[np.argsort(self._blend[states])]
        return [
            (max(1e-6, float(nearest[states].mean())), max(1e-6, _length(distances, states)))
            for distances, nearest in zip(self._distances, self._nearest, strict=True)
        ]

    def _states_halfway(self) -> npt.NDArray[np.int64]:
        """The state half way between any two, ``(states, states)``; where it falls between, one."""
        drives, blends = len(DRIVES_DB), len(BLENDS)
        step_db = DRIVES_DB[1] - DRIVES_DB[0]

        def middle(drive_db: Floats) -> npt.NDArray[np.int64]:
            # Where a tone is not heard at one end of the step, its drive is that of the other.
            one, other = np.broadcast_arrays(drive_db[:, None], drive_db)
            both = np.where(np.isnan(one), other, np.where(np.isnan(other), one, (one + other) / 2))
            place = (np.nan_to_num(both) - DRIVES_DB[0]) // step_db
            return np.asarray(place, np.int64)

        row, column = middle(self._a), middle(self._b)
        blend = np.round(np.add.outer(self._blend, self._blend) / 2 * (blends - 1)).astype(np.int64)
        inner = drives + (row * drives + column) * (blends - 2) + blend - 1
        last = drives + drives * drives * (blends - 2)
        return np.where(blend == 0, row, np.where(blend == blends - 1, last + column, inner))

    def _steps_allowed(self, pair: Pair, saturation: Floats) -> npt.NDArray[np.bool_]:
        ends = (saturation[self._start], saturation[self._end])
        rising = 1.0 if ends[1] >= ends[0] else -1.0
        inside = (saturation >= min(ends) - SATURATION_SLACK) & (
            saturation <= max(ends) + SATURATION_SLACK
        )
        for drive_db, loud in ((self._a, pair.loud_a), (self._b, pair.loud_b)):
            heard = np.interp(np.nan_to_num(drive_db), DRIVES_DB, loud)
            inside &= heard > loud[-1] - MOST_LIFT_DB
        allowed = np.broadcast_to(inside, (len(inside), len(inside))).copy()
        allowed &= np.subtract.outer(self._blend, self._blend) <= 0.0
        allowed &= rising * np.subtract.outer(saturation, saturation) <= SATURATION_SLACK / 4.0
        return allowed

    def _within(self, drive_db: float, blend: float) -> npt.NDArray[np.bool_]:
        near: npt.NDArray[np.bool_] = np.abs(np.subtract.outer(self._blend, self._blend)) <= blend
        for own_db in (self._a, self._b):
            # Comparing with NaN is False: where a tone is not heard its drive may go anywhere.
            near &= ~(np.abs(np.subtract.outer(own_db, own_db)) > drive_db)
        return near

    def _costs(self) -> tuple[Single, Single]:
        """Length of every step, and how far from real tones it lies; of the direct way's, both."""
        length = np.zeros_like(self._distances[0])
        away = np.zeros(len(length), np.float32)
        for share, distances, nearest, (near, direct) in zip(
            _SHARES, self._distances, self._nearest, self._direct, strict=True
        ):
            length += np.float32(share / direct) * distances
            away += np.float32(0.5 / near) * nearest
        return length, (away[:, None] + 2.0 * away[self._halfway] + away) / 4.0

    def routes(self, reach: int) -> Iterator[Route]:
        """The shortest way for every impatience, each once; none where drive leads nowhere.

        ``reach`` is an index of ``REACHES``.
        """
        seen = set()
        for impatience in IMPATIENCE:
            cost = self._length * (self._away + np.float32(impatience)) + np.float32(_UNHEARD)
            cost[~self._graphs[reach]] = np.inf
            states = self._shortest(cost)
            if states is None:
                return
            if tuple(states) not in seen:
                seen.add(tuple(states))
                yield self._route(np.array(states))

    def _shortest(self, cost: Single) -> list[int] | None:
        """Dijkstra's shortest path over a dense graph; None where the end cannot be reached."""
        best = np.full(len(cost), np.inf, np.float32)
        best[self._start] = 0.0
        waiting = best.copy()  # infinite for what is settled
        before = np.full(len(cost), -1)
        while True:
            here = int(np.argmin(waiting))
            if not np.isfinite(waiting[here]):
                return None
            if here == self._end:
                break
            waiting[here] = np.inf
            total = best[here] + cost[here]
            better = total < best
            best[better] = waiting[better] = total[better]
            before[better] = here
        states = [here]
        while before[states[-1]] >= 0:
            states.append(int(before[states[-1]]))
        return states[::-1]

    def _route(self, at: npt.NDArray[np.int64]) -> Route:
        blend = self._blend[at]
        a, b = self._a[at].copy(), self._b[at].copy()
        # Where a tone is not heard it waits with the drive at which it will be heard, or was.
        b[blend == 0.0] = b[np.argmax(blend > 0.0)]
        a[blend == 1.0] = a[np.flatnonzero(blend < 1.0)[-1]]
        return Route(a, b, blend)


def _length(distances: Single, states: npt.NDArray[np.int64]) -> float:
    return float(distances[states[:-1], states[1:]].sum())


def _distances(levels: Single) -> Single:
    """Distance of every state from every other, ``(states, states)``, dB.

    ``levels`` ``(states, times, bands)``. All at once by the cosine theorem, one time after the
    other.
    """
    total = np.zeros((len(levels), len(levels)), np.float32)
    for frame in np.moveaxis(levels, 1, 0):
        centred = frame - frame.mean(axis=0)
        squares = np.einsum("ij,ij->i", centred, centred)
        between = squares[:, None] + squares - 2.0 * (centred @ centred.T)
        total += np.sqrt(np.maximum(between, 0.0) / levels.shape[2])
    np.fill_diagonal(total, 0.0)
    return np.asarray(total / levels.shape[1], np.float32)
