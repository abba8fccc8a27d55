"""One evaluation from the first phrase to the last figure."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version
from types import MappingProxyType

import numpy as np
from tqdm import tqdm

from models.errors import ModelError
from models.evaluate.methods import Morph, blend, describe_stage, find_methods
from models.evaluate.pairs import Pairing, Route, plane, play, travel
from models.evaluate.perceptual import Cdpam, find_cdpam
from models.evaluate.result import Evaluation, PairRow, Plane, Provenance, TruthRow
from models.evaluate.sounds import SoundFolder
from models.evaluate.summary import summarise
from models.evaluate.tones import Tones, split_name
from models.evaluate.truths import POSITIONS as TRUTH_POSITIONS
from models.evaluate.truths import Heard, Material, draw_cases, hear, judged_families, rows
from models.evaluate.ways import Ways
from models.stage.families import Case, Family
from models.stage.families.captures import Amplifier
from models.stage.families.filters import read_cabinet
from models.stage.material import draw_segment
from models.stage.split import phrases, read_split
from models.units import RATE_HZ, Audio

LIBRARIES = ("numpy", "scipy", "onnxruntime", "pyloudnorm", "soxr")
"""What the figures depend on."""

SPAN_DB = -36.0
"""The least drive of a tone."""

LISTENED = (0.25, 0.5, 0.75)
"""Positions at which the sounds of pairs are kept."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Order:
    """What is asked for. ``None`` stands for everything there is, an empty tuple for nothing.

    ``stage`` is a network instead of the one that ships; ``both_ways`` goes between captures there
    and back; ``sounds`` keeps those of some cases.
    """

    audio: Path
    stage: Path | None = None
    families: tuple[str, ...] | None = None
    pairs: tuple[Pair, ...] | None = None
    both_ways: bool = False
    cabinet: str = ""
    sounds: bool = False
    quick: bool = False
    seed: int = 1
    command: str = "python -m models evaluate"


@dataclass(frozen=True)
class Extent:
    """How much is heard."""

    cases: int
    case_s: float
    phrase_s: float
    cdpam: bool


FULL = Extent(cases=6, case_s=5.0, phrase_s=5.0, cdpam=True)
QUICK = Extent(cases=1, case_s=2.5, phrase_s=2.5, cdpam=False)

QUICK_PAIRS: tuple[Pair, ...] = (("ampeg", "deluxe"), ("jc", "5153"), ("jc@-36", "jc"))
HEARD_PAIRS = ({"ampeg", "deluxe"}, {"ac10", "jc"}, {"5153", "jc"})
"""Pairs whose sounds are kept for ears, if there are more."""


METHODS_OF_WAYS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("direct", "linear"): ("crossfade", "stage"),
        ("direct", "perceptual"): ("crossfade",),
        ("drive", "linear"): ("crossfade", "stage"),
        ("drive", "perceptual"): ("crossfade", "stage"),
        ("parameter", "linear"): ("chain",),
    }
)
"""Which methods play which path and law. Where one chain runs there is nothing to morph."""


class Study:
    """A run in progress: what is asked for, what plays, and what was found so far."""

    def __init__(self, order: Order) -> None:
        """Read all that is needed. Raises ``ModelError`` for what is missing or not known."""
        self._order, self._extent = order, QUICK if order.quick else FULL
        self._split = read_split(order.audio)
        self._methods, self._missing = find_methods(order.stage)
        self._phrases = phrases(self._split, "test")
        self._families = _chosen(judged_families(self._split), order.families)
        captures = sorted((order.audio / "nam").glob("*.nam"))
        name = order.cabinet
        self._cabinet = read_cabinet(_cabinet_file(order.audio, name)) if name else None
        self.pairs = _pairs(order, [file.stem for file in captures])
        names = {split_name(name)[0] for pair in self.pairs for name in pair}
        self._amplifiers = {file.stem: Amplifier(file) for file in captures if file.stem in names}
        self._cdpam: Cdpam | None = None
        if self._families:
            why = "CDPAM is left out, because of --quick."
            if self._extent.cdpam:
                self._cdpam, why = find_cdpam()
            self._missing += [why] if why else []
        self._sounds = SoundFolder()

    def run(self) -> tuple[Evaluation, SoundFolder]:
        """All of it, with progress on stderr; the same order gives the same result."""
        start = time.monotonic()
        truths = self._judge_families()
        pairs, planes = self._judge_pairs()
        return (
            Evaluation(
                provenance=self._provenance(time.monotonic() - start),
                truths=tuple(truths),
                pairs=tuple(pairs),
                planes=tuple(planes),
                summaries=summarise(pairs),
                sounds=self._sounds.sounds,
            ),
            self._sounds,
        )

    def _judge_families(self) -> list[TruthRow]:
        material = Material(
            self._phrases, self._order.seed, self._extent.cases, self._extent.case_s
        )
        found = []
        for name, family in tqdm(self._families.items(), desc="families", disable=None):
            heard = []
            for number, case in enumerate(draw_cases(name, family, material)):
                # The first two are enough for the measure that takes seconds a sound.
                here = hear(case, self._methods, self._cdpam if number < 2 else None)
                heard += here
                if number == 0 and self._order.sounds:
                    self._keep_case(f"{name}: {case.name}", case, here)
            found += rows(name, heard)
        return found

    def _judge_pairs(self) -> tuple[list[PairRow], list[Plane]]:
        if not self.pairs:
            return [], []
        tones = Tones(self._amplifiers, self._cabinet, self._guitar(0))
        ways = Ways(Tones(self._amplifiers, self._cabinet, self._guitar(1)))
        morphs = self._methods | {"chain": blend}
        found: list[PairRow] = []
        planes: list[Plane] = []
        for a, b in tqdm(self.pairs, desc="pairs", disable=None):
            pairing = Pairing(tones, a, b, self._order.cabinet)
            for route in ways.between(pairing):
                for method in METHODS_OF_WAYS[route.path, route.law]:
                    if method in morphs:
                        found.append(travel(pairing, route, method, morphs[method]))
                        self._keep_way(pairing, route, found[-1].label, morphs[method])
            if not _is_one_capture((a, b)):
                planes.append(plane(pairing))
        return found, planes

    def _guitar(self, which: int) -> Audio:
        """What the pairs play, 0, and what ways are found on, 1: phrases no weight has met."""
        rng = np.random.default_rng([self._order.seed, which])
        return draw_segment(self._phrases[which][1], round(self._extent.phrase_s * RATE_HZ), rng)

    def _keep_case(self, name: str, case: Case, heard: Sequence[Heard]) -> None:
        self._sounds.add(name, "a", "", 0.0, case.a)
        self._sounds.add(name, "b", "", 1.0, case.b)
        for position, truth in zip(TRUTH_POSITIONS, case.truths, strict=True):
            self._sounds.add(name, "truth", "", position, truth)
        for one in heard:
            self._sounds.add(name, "morph", one.method, one.position, one.sound)

    def _keep_way(self, pairing: Pairing, route: Route, label: str, morph: Morph) -> None:
        pair = pairing.a, pairing.b
        chosen = set(pair) in HEARD_PAIRS or len(self.pairs) <= len(HEARD_PAIRS)
        if not self._order.sounds or not chosen:
            return
        name = " → ".join(pair)
        self._sounds.add(name, "a", "", 0.0, play(pairing, route.at(0.0), morph))
        self._sounds.add(name, "b", "", 1.0, play(pairing, route.at(1.0), morph))
        for position in LISTENED:
            sound = play(pairing, route.at(position), morph)
            self._sounds.add(name, "morph", label, position, sound)

    def _provenance(self, seconds: float) -> Provenance:
        order, test = self._order, self._split.test
        stage, stage_sha256 = describe_stage(order.stage)
        return Provenance(
            command=order.command,
            seed=order.seed,
            quick=order.quick,
            stage=stage,
            stage_sha256=stage_sha256,
            cdpam=self._cdpam is not None,
            split={
                "players": tuple(player.name for player in test.players),
                "captures": test.captures,
                "cabinets": test.cabinets,
                "nonlinearities": test.nonlinearities,
                "spaces": test.spaces,
            },
            phrases=tuple(name for name, _ in self._phrases),
            versions={"python": python_version()}
            | {name: metadata.version(name) for name in LIBRARIES},
            seconds=round(seconds, 1),
            missing=tuple(self._missing),
        )


def _chosen(known: Mapping[str, Family], wanted: tuple[str, ...] | None) -> dict[str, Family]:
    """The families asked for. Raises ``ModelError`` for one that there is not."""
    for name in wanted or ():
        if name not in known:
            raise ModelError(
                f"There is no family {name!r}; give some of: {', '.join(known)}, or none."
            )
    return {name: family for name, family in known.items() if wanted is None or name in wanted}


def _pairs(order: Order, captures: Sequence[str]) -> tuple[Pair, ...]:
    """The pairs asked for, or all. Raises ``ModelError`` for a capture that there is not."""
    if order.pairs is None and order.quick:
        return QUICK_PAIRS
    if order.pairs is None:
        choose = itertools.permutations if order.both_ways else itertools.combinations
        return (
            *choose(captures, 2),
            *((f"{capture}@{SPAN_DB:.0f}", capture) for capture in captures),
        )
    for name in itertools.chain.from_iterable(order.pairs):
        try:
            capture, drive_db = split_name(name)
        except ValueError:
            capture, drive_db = "", 0.0
        if capture not in captures or not SPAN_DB <= drive_db <= 0.0:
            raise ModelError(
                f"There is no tone {name!r}; give a capture in {order.audio / 'nam'} "
                f"({', '.join(captures)}), with its drive behind it if it is not 0 dB: "
                f"{captures[0] if captures else 'jc'}@-36."
            )
    return order.pairs


def _cabinet_file(audio: Path, name: str) -> Path:
    """The impulse response of that name. Raises ``ModelError`` where there is none."""
    files = {file.stem: file for file in sorted((audio / "ir").glob("*"))}
    if name not in files:
        raise ModelError(f"There is no cabinet {name!r}; give one of: {', '.join(files)}.")
    return files[name]


def _is_one_capture(pair: Pair) -> bool:
    return split_name(pair[0])[0] == split_name(pair[1])[0]
