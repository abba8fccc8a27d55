"""Families whose in-between is known: how far each method is from it."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.evaluate.methods import REFERENCE, Morph
from models.evaluate.perceptual import Cdpam
from models.evaluate.result import Distances, TruthRow
from models.quality import (
    at_level,
    log_spectral_distance,
    loudness_lufs,
    mel_spectral_distance,
    spectral_convergence,
    straight_line_error_lu,
)
from models.stage.families import Case, Family, families
from models.stage.families.captures import CaptureFamily
from models.stage.families.filters import Cabinets
from models.stage.material import draw_segment
from models.stage.split import Split
from models.units import RATE_HZ, Audio

POSITIONS = (0.25, 0.5, 0.75)

Phrases = Sequence[tuple[str, Audio]]
"""Names, and guitar ``(1, frames)`` at 48 kHz."""


@dataclass(frozen=True)
class Material:
    """What cases are drawn from."""

    phrases: Phrases
    seed: int
    cases: int
    """How many of each family."""
    seconds: float
    """How long each is."""


@dataclass(frozen=True)
class Heard:
    """One method's sound at one position of a case, with its figures."""

    case: Case
    position: float
    method: str
    sound: Audio
    distances: Distances
    loudness_error_lu: float


def judged_families(split: Split) -> dict[str, Family]:
    """The families that no weight has met, by name.

    Each capture is a family of its own, so that none hides behind another.
    """
    half = split.half("test")
    cabinets = Cabinets([split.audio / file for file in half.cabinets], resize=False)
    found: dict[str, Family] = {}
    for file in half.captures:
        family = CaptureFamily([split.audio / file], cabinets, training=False)
        found[f"{family.name} {Path(file).stem}"] = family
    others = [family for family in families(split, "test") if family.name != CaptureFamily.name]
    return found | {family.name: family for family in others}


def draw_cases(name: str, family: Family, material: Material) -> Iterator[Case]:
    """The family's cases: each depends on the seed, the family's name and its number only."""
    key = zlib.crc32(name.encode())
    for number in range(material.cases):
        rng = np.random.default_rng([material.seed, key, number])
        _, phrase = material.phrases[int(rng.integers(len(material.phrases)))]
        guitar = draw_segment(phrase, round(material.seconds * RATE_HZ), rng)
        yield family.case(guitar, rng, POSITIONS)


def hear(case: Case, methods: Mapping[str, Morph], cdpam: Cdpam | None) -> list[Heard]:
    """Every method at every position of a case, and how far each is from the truth."""
    ends_lufs = [loudness_lufs(end) for end in (case.a, case.b)]
    heard = []
    for position, truth in zip(POSITIONS, case.truths, strict=True):
        for name, morph in methods.items():
            raw = morph(case.a, case.b, position)
            sound = at_level(raw)
            loudness = [ends_lufs[0], loudness_lufs(raw), ends_lufs[1]]
            error = straight_line_error_lu((0.0, position, 1.0), loudness)[1]
            distances = Distances(
                lsd_db=log_spectral_distance(sound, truth),
                mel_db=mel_spectral_distance(sound, truth),
                convergence=spectral_convergence(sound, truth),
                cdpam=cdpam.distance(sound, truth) if cdpam else None,
            )
            heard.append(Heard(case, position, name, sound, distances, float(error)))
    return heard


def rows(name: str, heard: Sequence[Heard]) -> list[TruthRow]:
    """One family's rows from all that was heard of it, the reference among the methods."""
    found = []
    methods = list(dict.fromkeys(one.method for one in heard))
    for position in POSITIONS:
        groups = {
            method: [one for one in heard if (one.position, one.method) == (position, method)]
            for method in methods
        }
        reference = groups[REFERENCE]
        base = _mean(reference)
        for method, group in groups.items():
            mean = _mean(group)
            pairs = zip(group, reference, strict=True)
            found.append(
                TruthRow(
                    family=name,
                    position=position,
                    method=method,
                    cases=len(group),
                    mean=mean,
                    ratio=_ratio(mean, base),
                    worst_lsd_ratio=max(
                        _over(one.distances.lsd_db, by.distances.lsd_db) for one, by in pairs
                    ),
                    loudness_error_lu=float(np.mean([abs(o.loudness_error_lu) for o in group])),
                )
            )
    return found


def _mean(group: Sequence[Heard]) -> Distances:
    all_of = [one.distances for one in group]
    perceptual = [one.cdpam for one in all_of if one.cdpam is not None]
    return Distances(
        lsd_db=float(np.mean([one.lsd_db for one in all_of])),
        mel_db=float(np.mean([one.mel_db for one in all_of])),
        convergence=float(np.mean([one.convergence for one in all_of])),
        cdpam=float(np.mean(perceptual)) if perceptual else None,
    )


def _ratio(mean: Distances, base: Distances) -> Distances:
    both = mean.cdpam is not None and base.cdpam is not None
    return Distances(
        lsd_db=_over(mean.lsd_db, base.lsd_db),
        mel_db=_over(mean.mel_db, base.mel_db),
        convergence=_over(mean.convergence, base.convergence),
        cdpam=_over(mean.cdpam or 0.0, base.cdpam or 0.0) if both else None,
    )


def _over(value: float, base: float) -> float:
    """The ratio; 1 where both are nothing."""
    if base > 0.0:
        return value / base
    return 1.0 if value == 0.0 else float("inf")
