"""What an evaluation found, as plain data: the table, evaluate.json and the page are made of it.

All distances are between sounds at −20 dBFS RMS, 48 kHz, one channel. Positions run from 0
(tone A) to 1 (tone B).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["lsd", "mel"]
"""Which spectral distance: log-spectral distance, or the same on 64 mel bands. Both in dB."""

MONOTONE_SLACK = 0.02
"""How far saturation may turn back along the knob and still count as monotone."""


@dataclass(frozen=True)
class Distances:
    """How far one sound is from another, or a mean of such, or a ratio of such means.

    ``lsd_db`` and ``mel_db`` in dB, ``convergence`` (multi-resolution spectral convergence) and
    ``cdpam`` without a unit; ``cdpam`` is ``None`` where the package is not installed.
    """

    lsd_db: float
    mel_db: float
    convergence: float
    cdpam: float | None


@dataclass(frozen=True)
class TruthRow:
    """One family, one position, one method, where the tone in between is known.

    ``mean`` is over ``cases``; ``ratio`` is ``mean`` over that of ``crossfade``, figure by figure
    (below 1 is nearer to the truth), and ``worst_lsd_ratio`` the largest ratio of a single case,
    by log-spectral distance. ``loudness_error_lu`` is the mean distance, in LU, of the
    in-between sound's loudness from the straight line in dB between those of the ends, before
    the sound is brought to −20 dBFS.
    """

    family: str
    position: float
    method: str
    cases: int
    mean: Distances
    ratio: Distances
    worst_lsd_ratio: float
    loudness_error_lu: float


@dataclass(frozen=True)
class WayPoint:
    """Where the knob's way is at one position.

    ``drive_a_db`` and ``drive_b_db``: input drive, relative to the tone's own (0 dB).
    ``level_a_db`` and ``level_b_db``: what is given behind each tone to keep the loudness.
    ``blend``: 0 is only A, 1 is only B.
    """

    position: float
    drive_a_db: float
    drive_b_db: float
    level_a_db: float
    level_b_db: float
    blend: float


@dataclass(frozen=True)
class Trail:
    """What is heard along the knob, by one of the two spectral distances, all in dB.

    ``nearest_db[i]``: from the sound at ``positions[i]`` to the nearest real tone (A or B at any
    drive). ``steps_db[i]``: between the sounds at ``positions[i]`` and ``positions[i + 1]``.
    """

    nearest_db: tuple[float, ...]
    steps_db: tuple[float, ...]

    @property
    def mean_nearest_db(self) -> float:
        """Mean distance to the nearest real tone over the knob."""
        return sum(self.nearest_db) / len(self.nearest_db)

    @property
    def worst_nearest_db(self) -> float:
        """Largest distance to the nearest real tone along the knob."""
        return max(self.nearest_db)

    @property
    def length_db(self) -> float:
        """Length of the way: the sum of the steps."""
        return sum(self.steps_db)

    @property
    def evenness(self) -> float:
        """Largest step over the mean step: 1 where equal turns sound equal; 1 for no way at all."""
        length = self.length_db
        return max(self.steps_db) * len(self.steps_db) / length if length > 0.0 else 1.0


@dataclass(frozen=True)
class PairRow:
    """One pair of tones, one way between them, at every position.

    ``a`` and ``b`` name the tones (``jc``, or ``jc@-36`` for a capture driven 36 dB less),
    ``cabinet`` the impulse response behind both (``""`` for none). ``path`` is ``direct``,
    ``drive`` or ``parameter``, ``method`` a morph (``crossfade``, ``stage``), ``law`` ``linear``
    or ``perceptual``. ``saturation[i]`` is 1 − d(output dB)/d(input dB): 0 for a linear tone, 1
    where playing louder changes nothing. ``loudness_error_lu[i]`` is the signed distance from
    the straight line between the ends. ``truth_db`` is the distance to the true tone by kind
    where there is one, else ``None``.
    """

    a: str
    b: str
    cabinet: str
    path: str
    method: str
    law: str
    positions: tuple[float, ...]
    way: tuple[WayPoint, ...]
    lsd: Trail
    mel: Trail
    saturation: tuple[float, ...]
    loudness_error_lu: tuple[float, ...]
    truth_db: dict[Kind, tuple[float, ...]] | None = None

    @property
    def label(self) -> str:
        """How the way is called: ``drive + stage``, with the law where it is not linear."""
        law = "" if self.law == "linear" else f", {self.law}"
        return f"{self.path} + {self.method}{law}"

    @property
    def saturation_turn(self) -> float:
        """How far saturation turns back at most, against the direction of the ends, 0…1."""
        sign = 1.0 if self.saturation[-1] >= self.saturation[0] else -1.0
        values = [sign * value for value in self.saturation]
        highest = itertools.accumulate(values, max)
        return max(top - value for top, value in zip(highest, values, strict=True))

    @property
    def saturation_is_monotone(self) -> bool:
        """Whether saturation never turns back between the ends by more than the slack."""
        return self.saturation_turn <= MONOTONE_SLACK

    @property
    def worst_loudness_error_lu(self) -> float:
        """Largest distance from the straight line, in LU."""
        return max(abs(value) for value in self.loudness_error_lu)


@dataclass(frozen=True)
class Plane:
    """The drive plane of a pair: how far A at one drive is from B at another.

    ``lsd_db[i][j]`` (and ``mel_db``) is the distance between A at ``drives_db[i]`` and B at
    ``drives_db[j]``, in dB.
    """

    a: str
    b: str
    cabinet: str
    drives_db: tuple[float, ...]
    lsd_db: tuple[tuple[float, ...], ...]
    mel_db: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Sound:
    """A written sound, FLAC, at −20 dBFS RMS (less where its peaks would clip).

    ``case`` groups the sounds that are heard against each other. ``role`` is ``a`` or ``b`` for
    an end, ``truth`` for a known in-between tone, ``morph`` for a method's. ``method`` is the
    morph's label (``drive + stage``; ``""`` for ends and truths). ``file`` is relative to the
    output folder, with forward slashes.
    """

    case: str
    role: Literal["a", "b", "truth", "morph"]
    method: str
    position: float
    file: str


@dataclass(frozen=True)
class Summary:
    """One way's figures over all pairs, against ``direct + crossfade`` under the same law.

    ``nearest_ratio``: mean over pairs of the ratios of the mean distance to the nearest real
    tone; ``worst_nearest_ratio`` the largest of those ratios; ``length_ratio`` and
    ``worst_length_ratio`` the same for the way's length. By log-spectral distance; ``mel_…`` by
    that on mel bands. ``monotone`` of ``pairs`` keep saturation monotone.
    """

    label: str
    pairs: int
    nearest_db: float
    nearest_ratio: float
    worst_nearest_ratio: float
    length_ratio: float
    worst_length_ratio: float
    evenness: float
    worst_evenness: float
    mel_nearest_ratio: float
    mel_worst_nearest_ratio: float
    mel_length_ratio: float
    mel_evenness: float
    monotone: int
    worst_loudness_error_lu: float


@dataclass(frozen=True)
class Provenance:
    """What made the figures: enough to make them again.

    ``command`` as typed, ``versions`` of Python and the libraries, ``split`` what was left out
    of training (name → members), ``missing`` what could not be measured and why, one sentence
    each.
    """

    command: str
    seed: int
    quick: bool
    stage: str
    stage_sha256: str
    cdpam: bool
    split: dict[str, tuple[str, ...]]
    phrases: tuple[str, ...]
    versions: dict[str, str]
    seconds: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """All that one run found."""

    provenance: Provenance
    truths: tuple[TruthRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    planes: tuple[Plane, ...] = ()
    summaries: tuple[Summary, ...] = ()
    sounds: tuple[Sound, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it: floats to six digits, with each pair's label and derived figures."""
        plain = asdict(self)
        for row, pair in zip(plain["pairs"], self.pairs, strict=True):
            row["label"] = pair.label
            row["saturation_turn"] = pair.saturation_turn
            row["saturation_is_monotone"] = pair.saturation_is_monotone
            for name, trail in (("lsd", pair.lsd), ("mel", pair.mel)):
                row[name] |= {
                    "mean_nearest_db": trail.mean_nearest_db,
                    "length_db": trail.length_db,
                    "evenness": trail.evenness,
                }
        rounded: dict[str, Any] = _rounded(plain)
        return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        # JSON has no infinity and no NaN; what has no value is null.
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
