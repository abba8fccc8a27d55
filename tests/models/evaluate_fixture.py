"""An evaluation made of self-made sounds: everything the pages can show, in a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from models.evaluate.result import (
    Distances,
    Evaluation,
    PairRow,
    Plane,
    Provenance,
    Sound,
    Summary,
    Trail,
    TruthRow,
    WayPoint,
)
from models.quality import at_level
from models.units import Audio

RATE_HZ = 48000
POSITIONS = tuple(place / 10 for place in range(11))
WAYS = (("direct", "crossfade"), ("drive", "crossfade"), ("drive", "stage"))


def pluck(seconds: float, pitch_hz: float) -> Audio:
    """A decaying sound with twelve partials, ``(1, frames)``, plucked twice a second."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    since_s = times_s % 0.5
    partials = [
        np.sin(2 * np.pi * n * pitch_hz * times_s) / n * np.exp(-3 * n * since_s)
        for n in range(1, 13)
    ]
    return (0.5 * np.sum(partials, axis=0)).astype(np.float32)[None]


def driven(sound: Audio, drive_db: float) -> Audio:
    return np.tanh(sound * np.float32(10 ** (drive_db / 20))).astype(np.float32)


def _sum(p: float, one: Audio, other: Audio) -> Audio:
    return np.asarray((1 - p) * one + p * other, np.float32)


def write_sounds(directory: Path, seconds: float) -> tuple[Sound, ...]:
    """Two cases: one with the truth, one without; FLAC under ``sounds/``."""
    dry = pluck(seconds, 196.0)
    blend: dict[str, Callable[[float], Audio]] = {
        "crossfade": lambda p: _sum(p, driven(dry, 0), driven(dry, 36)),
        "stage": lambda p: driven(dry, 33 * p),
        "direct + crossfade": lambda p: _sum(p, dry, driven(dry, 30)),
        "drive + crossfade": lambda p: _sum(p, driven(dry, 6), driven(dry, 24)),
        "drive + stage": lambda p: driven(dry, 28 * p),
    }
    found: list[Sound] = []

    def write(
        case: str, role: Literal["a", "b", "truth", "morph"], method: str, p: float, sound: Audio
    ) -> None:
        file = f"sounds/{len(found):03d}.flac"
        (directory / "sounds").mkdir(parents=True, exist_ok=True)
        soundfile.write(directory / file, at_level(sound, -20.0)[0], RATE_HZ)
        found.append(Sound(case, role, method, p, file))

    for case, methods, top in (
        ("drive: tanh", ("crossfade", "stage"), 36.0),
        ("jc → deluxe", tuple(f"{path} + {method}" for path, method in WAYS), 30.0),
    ):
        write(case, "a", "", 0.0, driven(dry, 0))
        write(case, "b", "", 1.0, driven(dry, top))
        for p in (0.25, 0.5, 0.75):
            if case.startswith("drive:"):
                write(case, "truth", "", p, driven(dry, 36 * p))
            for method in methods:
                write(case, "morph", method, p, blend[method](p))
    return tuple(found)


def make_pair(a: str, b: str, path: str, method: str, law: str = "linear") -> PairRow:
    """Rows whose curves are plainly different: the direct way is farther from a real tone."""
    far = {"direct": 4.0, "drive": 1.6}[path] * (0.8 if method == "stage" else 1.0)
    bow = [far * 4 * p * (1 - p) for p in POSITIONS]
    steps = [1.0 + (0.8 if path == "direct" else 0.2) * np.sin(3 * p) for p in POSITIONS[:-1]]
    dip = 18.0 if path == "drive" else 0.0
    way = tuple(
        WayPoint(p, -dip * min(1.0, 2 * p), -dip * min(1.0, 2 - 2 * p), 0.0, 0.0,
                 p if path == "direct" else float(np.clip(3 * p - 1, 0, 1)))
        for p in POSITIONS
    )  # fmt: skip
    trail = Trail(tuple(bow), tuple(steps))
    mel = Trail(tuple(0.8 * value for value in bow), tuple(0.9 * value for value in steps))
    saturation = tuple(0.1 + 0.7 * p - (0.15 if 0.3 < p < 0.5 and path == "direct" else 0.0)
                       for p in POSITIONS)  # fmt: skip
    loudness = tuple((1.2 if path == "direct" else 0.3) * np.sin(np.pi * p) for p in POSITIONS)
    return PairRow(a, b, "celestion", path, method, law, POSITIONS, way, trail, mel, saturation,
                   loudness)  # fmt: skip


def make_evaluation(directory: Path, seconds: float = 0.6) -> Evaluation:
    """All parts filled, sounds written under ``directory``."""
    truths = []
    for family, far in (("drive: tanh", 5.7), ("capture: ampeg", 4.6), ("chorus", 2.0)):
        for position in (0.25, 0.5, 0.75):
            base = Distances(far, far - 0.6, 0.1 * far, 0.05 * far)
            part = {"drive: tanh": 0.5, "capture: ampeg": 0.7, "chorus": 1.05}[family]
            better = Distances(*(part * value for value in (far, far - 0.6, 0.1 * far, 0.05 * far)))
            one, ratio = Distances(1.0, 1.0, 1.0, 1.0), Distances(part, part, part, part)
            truths.append(TruthRow(family, position, "crossfade", 4, base, one, 1.0, 0.6))
            truths.append(TruthRow(family, position, "stage", 4, better, ratio, 1.1 * part, 0.2))
    names = (("jc", "deluxe"), ("ampeg", "5153"))
    pairs = [make_pair(a, b, *way) for a, b in names for way in WAYS]
    pairs += [make_pair(a, b, "drive", "stage", "perceptual") for a, b in names]
    drives = tuple(float(value) for value in range(-36, 1, 6))
    grid = tuple(tuple(2.0 + abs(x - y + 6) / 3 + (x + 36) / 9 for y in drives) for x in drives)
    planes = [Plane(a, b, "celestion", drives, grid, grid) for a, b in names]
    provenance = Provenance(
        command="python -m models evaluate --quick --seed 7",
        seed=7,
        quick=True,
        stage="models/stage/stage.onnx",
        stage_sha256="ab" * 32,
        cdpam=True,
        split={"captures": ("ampeg", "5153"), "cabinets": ("celestion",)},
        phrases=("jazz", "funk <1>"),
        versions={"python": "3.11.2", "numpy": "2.4.0"},
        seconds=71.3,
        missing=("The spring reverb was not measured: its file is absent.",),
    )
    summaries = tuple(
        Summary(label, 2, near, part, part + 0.1, length, length + 0.1, 1.3, 1.4, part, part + 0.1,
                length, 1.2, monotone, 0.4)
        for label, near, part, length, monotone in (
            ("direct + crossfade", 2.4, 1.0, 1.0, 0),
            ("drive + stage", 0.8, 0.34, 1.2, 2),
        )
    )  # fmt: skip
    return Evaluation(
        provenance, tuple(truths), tuple(pairs), tuple(planes), summaries,
        write_sounds(directory, seconds),
    )  # fmt: skip
