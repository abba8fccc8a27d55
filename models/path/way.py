"""The way that a knob takes: found once, then read from tables."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.path.measure import Figures, Judge, Measured
from models.path.search import REACHES, SATURATION_SLACK, Plane, between, direct_route
from models.path.states import EVERY, Pair, bin_levels, distance_db, mel_levels
from models.path.tone import DRIVES_DB, SILENT_LUFS, Floats, Tone
from models.quality.spectral import Spectra

Law = Literal["linear", "perceptual"]
Table = npt.NDArray[np.float32]

TABLE_STEPS = 256
"""Steps of the tables over the knob's travel; between them it goes in straight lines."""

LONGEST_MEL, LONGEST_BINS = 1.4, 2.0
"""Longest way taken, times the direct one, on the probe. On mel bands, where other phrases must
keep within 1.5: they are what is heard. On bins, which count chance interference of partials as
way, only what nobody wants is kept out (README.md has the figures of either choice)."""

_LEAST_GAIN = 0.97  # of the direct way's distance: a detour for less is not worth its length
_BISECTIONS = 3
_MOST_LEVEL_DB = 60.0
_LEAST_TRAVEL = 0.02  # of what is heard, for positions between which nothing is: the table rises


@dataclass(frozen=True)
class DrivePath:
    """A way from tone A at its own level to tone B at its own, at points that sound even.

    All arrays ``(points,)``. The levels bring each tone, at its drive there, to 0 LUFS on the
    probe, ``makeup_db`` their blend; ``loud_a`` and ``loud_b`` are the tones' own loudness, LUFS.
    Distances are dB per step of ``models.path.measure``: ``nearest`` and ``length`` of this way
    and of the direct one, on mel bands and on bins.
    """

    drive_a_db: Floats
    drive_b_db: Floats
    blend: Floats
    level_a_db: Floats
    level_b_db: Floats
    makeup_db: Floats
    saturation: Floats
    loud_a: float
    loud_b: float
    mel: Figures
    bins: Figures
    direct_mel: Figures
    direct_bins: Figures

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for values that no search can have found."""
        points = self.blend.shape
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and (value.shape != points or value.size < 2):
                raise ValueError(f"{field.name} has the shape {value.shape}")
            numbers = value.as_array() if isinstance(value, Figures) else np.asarray(value)
            if not np.isfinite(numbers).all():
                raise ValueError(f"{field.name} is not finite")
        for drive_db in (self.drive_a_db, self.drive_b_db):
            if drive_db.min() < DRIVES_DB[0] or drive_db.max() > DRIVES_DB[-1]:
                raise ValueError("a drive lies outside its range")
        ends = (self.drive_a_db[0], self.drive_b_db[-1], self.blend[0], self.blend[-1] - 1.0)
        if any(ends) or (np.diff(self.blend) < 0.0).any():
            raise ValueError("it does not lead from tone A to tone B")

    @property
    def direct(self) -> bool:
        """Whether both tones keep their own drive."""
        return not (self.drive_a_db.any() or self.drive_b_db.any())


def find_path(a: Tone, b: Tone, rate_hz: int, drives: bool = True) -> DrivePath:
    """Find the best way from one tone to another: nearest to real tones, not much longer.

    Without ``drives`` the tones stay at their own level: the direct way, which is also taken
    where nothing is gained, or where a tone is silence or holds what is no number. Raises
    ``ValueError`` where the two tones' probes differ in shape.
    """
    if not (a.finite and b.finite):
        a, b = (Tone(np.nan_to_num(t.spectra, nan=0.0, posinf=0.0, neginf=0.0)) for t in (a, b))
        drives = False
    pair = Pair(a, b, rate_hz)
    judge = Judge(pair)
    direct = judge.measure(direct_route())
    best = direct
    heard = min(pair.loud_a[-1], pair.loud_b[-1]) > SILENT_LUFS
    if drives and heard and direct.mel.length_db > 0.0:
        best = _best(pair, judge, direct)
    return _described(pair, best, direct, heard)


def _best(pair: Pair, judge: Judge, direct: Measured) -> Measured:
    """Judge ways from straight to wandering, up to the longest that is allowed.

    Between the last that is short enough and the first that is not there lie others, which come
    nearer to the limit.
    """
    plane = Plane(pair)
    best = direct
    for reach in range(len(REACHES)):
        short, long = direct, None
        for route in plane.routes(reach):
            found = judge.measure(route)
            if not _short_enough(found, direct):
                long = found
                break
            short = found
            best = _nearer(best, found, direct)
        if long is None:
            continue
        low, high = 0.0, 1.0
        for _ in range(_BISECTIONS):
            share = (low + high) / 2.0
            found = judge.measure(between(short.route, long.route, share))
            if _short_enough(found, direct):
                low = share
                best = _nearer(best, found, direct)
            else:
                high = share
    return best


def _short_enough(found: Measured, direct: Measured) -> bool:
    return (
        found.mel.length_db <= LONGEST_MEL * direct.mel.length_db
        and found.bins.length_db <= LONGEST_BINS * direct.bins.length_db
    )


def _nearer(best: Measured, found: Measured, direct: Measured) -> Measured:
    """The better of two ways: what is new must gain by both measures, and never turn back."""
    shares = _nearness(found, direct)
    saturation = found.saturation
    if saturation[-1] < saturation[0]:
        saturation = -saturation
    back = float(np.max(np.maximum.accumulate(saturation) - saturation))
    if max(shares) > _LEAST_GAIN or back > SATURATION_SLACK:
        return best
    return found if sum(shares) < sum(_nearness(best, direct)) else best


def _nearness(found: Measured, direct: Measured) -> tuple[float, float]:
    """Mean distance to real tones as a share of the direct way's, by each measure."""
    return (
        found.mel.nearest_db / max(1e-6, direct.mel.nearest_db),
        found.bins.nearest_db / max(1e-6, direct.bins.nearest_db),
    )


def _described(pair: Pair, best: Measured, direct: Measured, heard: bool) -> DrivePath:
    route = best.route
    states = (route.drive_a_db, route.drive_b_db, route.blend)
    nothing = np.zeros(len(route.blend))
    loud_a, loud_b = float(pair.loud_a[-1]), float(pair.loud_b[-1])
    return DrivePath(
        *states,
        # Silence can be brought to nobody's level: then all stay as they are.
        level_a_db=pair.level_a_db(route.drive_a_db) if heard else nothing,
        level_b_db=pair.level_b_db(route.drive_b_db) if heard else nothing,
        makeup_db=pair.makeup_db(*states) if heard else nothing,
        saturation=best.saturation,
        loud_a=loud_a if heard else 0.0,
        loud_b=loud_b if heard else 0.0,
        mel=best.mel,
        bins=best.bins,
        direct_mel=direct.mel,
        direct_bins=direct.bins,
    )


@dataclass(frozen=True)
class Way:
    """What the knob does at ``TABLE_STEPS + 1`` even positions from 0 to 1, tables of float32.

    ``drive_a`` and ``drive_b`` are amplitudes before the tones, ``level_a`` and ``level_b``
    behind them; ``blend`` is the position for the morph engine. Both ends leave their tone as it
    is: gains exactly 1, blend exactly 0 and 1.
    """

    drive_a: Table
    drive_b: Table
    level_a: Table
    level_b: Table
    blend: Table

    def tables(self) -> tuple[Table, Table, Table, Table, Table]:
        """All five, in the order of the fields."""
        return self.drive_a, self.drive_b, self.level_a, self.level_b, self.blend

    def at(self, position: float) -> tuple[float, float, float, float, float]:
        """Drive of A and B, level of A and B (amplitudes) and blend, at a position 0…1."""
        place = min(max(position, 0.0), 1.0) * TABLE_STEPS
        grid = np.arange(TABLE_STEPS + 1)
        a, b, c, d, e = (float(np.interp(place, grid, table)) for table in self.tables())
        return a, b, c, d, e


def way_along(path: DrivePath, law: Law) -> Way:
    """Spread a path over the knob's travel.

    ``"perceptual"``: equal steps of the knob are equal steps in what is heard. ``"linear"``:
    they are equal changes of the controls, 36 dB of drive as much as a whole blend. Loudness
    runs linearly in dB between the tones' own either way.
    """
    if law == "perceptual":
        travel = np.linspace(0.0, 1.0, len(path.blend))
    else:
        moves = np.abs(np.diff(path.blend))
        for drive_db in (path.drive_a_db, path.drive_b_db):
            moves = moves + np.abs(np.diff(drive_db)) / -DRIVES_DB[0]
        travel = np.concatenate([[0.0], np.cumsum(moves + 1e-9)])
        travel /= travel[-1]
    knob = np.linspace(0.0, 1.0, TABLE_STEPS + 1)

    def spread(values: Floats) -> Floats:
        return np.interp(knob, travel, values)

    def gain(level_db: Floats) -> Table:
        limited = np.clip(level_db, -_MOST_LEVEL_DB, _MOST_LEVEL_DB)
        return np.asarray(10.0 ** (limited / 20.0), np.float32)

    line = path.loud_a + (path.loud_b - path.loud_a) * knob + spread(path.makeup_db)
    way = Way(
        drive_a=gain(spread(path.drive_a_db)),
        drive_b=gain(spread(path.drive_b_db)),
        level_a=gain(spread(path.level_a_db) + line),
        level_b=gain(spread(path.level_b_db) + line),
        blend=spread(path.blend).astype(np.float32),
    )
    way.drive_a[0] = way.level_a[0] = 1.0
    way.drive_b[-1] = way.level_b[-1] = 1.0
    way.blend[0], way.blend[-1] = 0.0, 1.0
    return way


def even_positions(sounds: Spectra) -> Table:
    """Which position a knob stands for when its equal steps are to sound equal.

    ``sounds`` ``(positions, times, bins)`` are heard at even positions from 0 to 1, at least two.
    The table has ``TABLE_STEPS + 1`` entries, rises, and runs from exactly 0 to exactly 1. For
    tones between which a knob moves something else than drives and a blend.
    """
    travel = np.linspace(0.0, _LEAST_TRAVEL, len(sounds))
    thinned = np.nan_to_num(sounds[:, ::EVERY], nan=0.0, posinf=0.0, neginf=0.0)
    for levels in (mel_levels(thinned), bin_levels(thinned)):
        heard = np.cumsum(distance_db(levels[1:], levels[:-1]))
        if heard[-1] > 0.0:
            travel[1:] += heard / heard[-1]
    knob = np.linspace(0.0, travel[-1], TABLE_STEPS + 1)
    table = np.interp(knob, travel, np.linspace(0.0, 1.0, len(sounds))).astype(np.float32)
    table[0], table[-1] = 0.0, 1.0
    return table
