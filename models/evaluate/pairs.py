"""Pairs of tones without a truth between them: what is heard along the knob."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluate.methods import Morph
from models.evaluate.result import Kind, PairRow, Plane, Trail, WayPoint
from models.evaluate.tones import DRIVES_DB, Spectrum, Tones, loudness_of, spectrum, split_name
from models.quality import distance_db, straight_line_error_lu
from models.units import Audio, gain_from_db, rms_dbfs

POSITIONS = tuple(step / 10 for step in range(11))
KINDS: tuple[Kind, ...] = ("lsd", "mel")
NUDGE_DB = 1.0
"""How much louder the guitar plays to see what saturation swallows."""


@dataclass(frozen=True)
class Route:
    """A way from one tone to another."""

    path: str
    law: str
    at: Callable[[float], WayPoint]
    """Where it is at a position of the knob."""


@dataclass(frozen=True)
class Pairing:
    """Two tones on one phrase, behind one cabinet (``""`` for none)."""

    tones: Tones
    a: str
    b: str
    cabinet: str


def travel(pairing: Pairing, route: Route, method: str, morph: Morph) -> PairRow:
    """Play a route by one method and measure it."""
    tones, a, b = pairing.tones, pairing.a, pairing.b
    points = [route.at(position) for position in POSITIONS]
    sounds = [play(pairing, point, morph) for point in points]
    spectra = [spectrum(sound) for sound in sounds]
    real = [*tones.real(a), *tones.real(b)]
    nearest: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for point, heard in zip(points, spectra, strict=True):
        # The grid is coarse; the tones that the way itself goes by are real ones too.
        own = [_spectrum_at(tones, a, point.drive_a_db), _spectrum_at(tones, b, point.drive_b_db)]
        for kind in KINDS:
            nearest[kind].append(_nearest_db(heard, [*real, *own], kind))
    trails = {
        kind: Trail(
            tuple(nearest[kind]),
            tuple(
                distance_db(one[kind], next_[kind]) for one, next_ in itertools.pairwise(spectra)
            ),
        )
        for kind in KINDS
    }
    errors = straight_line_error_lu(POSITIONS, [loudness_of(sound) for sound in sounds])
    return PairRow(
        a=a,
        b=b,
        cabinet=pairing.cabinet,
        path=route.path,
        method=method,
        law=route.law,
        positions=POSITIONS,
        way=tuple(points),
        lsd=trails["lsd"],
        mel=trails["mel"],
        saturation=tuple(
            _saturation(pairing, point, morph, sound)
            for point, sound in zip(points, sounds, strict=True)
        ),
        loudness_error_lu=tuple(errors.tolist()),
        truth_db=_truth_db(pairing, spectra),
    )


def plane(pairing: Pairing) -> Plane:
    """How far the two captures are apart at every pair of drives."""
    first, second = pairing.tones.real(pairing.a), pairing.tones.real(pairing.b)

    def table(kind: Kind) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(distance_db(one[kind], other[kind]) for other in second) for one in first
        )

    return Plane(pairing.a, pairing.b, pairing.cabinet, DRIVES_DB, table("lsd"), table("mel"))


def play(pairing: Pairing, point: WayPoint, morph: Morph, nudge_db: float = 0.0) -> Audio:
    """The sound at one point of a way ``(1, frames)``, with the guitar ``nudge_db`` louder."""
    ends = (
        (pairing.a, point.drive_a_db, point.level_a_db),
        (pairing.b, point.drive_b_db, point.level_b_db),
    )
    if point.blend in (0.0, 1.0):
        # Only one tone is heard; the other need not play.
        ends = (ends[int(point.blend)],) * 2
    a, b = (
        np.asarray(pairing.tones.at(name, drive_db + nudge_db) * np.float32(gain_from_db(level_db)))
        for name, drive_db, level_db in ends
    )
    return morph(a, b, point.blend)


def _saturation(pairing: Pairing, point: WayPoint, morph: Morph, heard: Audio) -> float:
    """1 − d(output dB)/d(input dB) at one point of a way, which sounds as ``heard``."""
    louder = play(pairing, point, morph, NUDGE_DB)
    return 1.0 - (rms_dbfs(louder) - rms_dbfs(heard)) / NUDGE_DB


def _spectrum_at(tones: Tones, name: str, drive_db: float) -> Spectrum:
    _, own_db = split_name(name)
    if own_db + drive_db in DRIVES_DB:
        return tones.real(name)[DRIVES_DB.index(own_db + drive_db)]
    return spectrum(tones.at(name, drive_db))


def _nearest_db(heard: Spectrum, real: Iterable[Spectrum], kind: Kind) -> float:
    return min(distance_db(heard[kind], one[kind]) for one in real)


def _truth_db(
    pairing: Pairing, spectra: Sequence[Spectrum]
) -> dict[Kind, tuple[float, ...]] | None:
    """Distance to the one capture at the drive between, where both tones are that capture."""
    (capture, from_db), (other, to_db) = split_name(pairing.a), split_name(pairing.b)
    if capture != other:
        return None
    truths = [
        spectrum(pairing.tones.at(capture, from_db + p * (to_db - from_db))) for p in POSITIONS
    ]
    return {
        kind: tuple(
            distance_db(one[kind], truth[kind]) for one, truth in zip(spectra, truths, strict=True)
        )
        for kind in KINDS
    }
