"""Training material drawn once: ``python -m models.stage.material OUT --cases 1200 --seed 1``.

The folder holds, for ``cases`` cases of ``frames`` frames with ``POSITIONS`` positions each:
``a.npy`` and ``b.npy`` ``(cases, frames)``, ``truths.npy`` ``(cases, POSITIONS, frames)``, all
float32 at −20 dBFS RMS (float16's rounding would bury the treble); ``positions.npy``
``(cases, POSITIONS)`` float32; ``family.npy`` ``(cases,)`` int8, an index into ``index.json``'s
``families``; ``done.npy`` ``(cases,)`` bool; ``cases.jsonl``, what each case is in words. Case n
depends on the seed and n only, so a drawing that was cut off goes on where it stopped and ends in
the same numbers.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from models.errors import ModelError, PurgaError
from models.stage.families import Family, families
from models.stage.split import REAL_AUDIO, Split, Use, phrases, read_split
from models.units import RATE_HZ, Audio, gain_from_db, rms_dbfs

WEIGHTS = {
    "capture": 0.40,
    "drive": 0.25,
    "sag": 0.08,
    "cascade": 0.08,
    "modulation": 0.04,
    "eq": 0.05,
    "cabinet": 0.05,
    "space": 0.05,
}
"""How often each family is drawn."""

POSITIONS = 3
LOWEST_POSITION, HIGHEST_POSITION = 0.1, 0.9
QUIETEST_DB = -12.0
"""A segment is silent when its RMS lies this far below its phrase's."""

_FADE_FRAMES = 240
_FORMAT = 1


def draw_segment(phrase: Audio, frames: int, rng: np.random.Generator) -> Audio:
    """A random piece of a phrase that is not silent, ``(1, frames)``, faded in over 5 ms.

    A phrase that is shorter comes whole, with silence behind.
    """
    segment = np.zeros((1, frames), np.float32)
    gate_dbfs = rms_dbfs(phrase) + QUIETEST_DB
    for _ in range(50):
        start = int(rng.integers(max(1, phrase.shape[1] - frames + 1)))
        piece = phrase[:, start : start + frames]
        if rms_dbfs(piece) >= gate_dbfs:
            break
    segment[:, : piece.shape[1]] = piece
    segment[:, :_FADE_FRAMES] *= np.linspace(0.0, 1.0, _FADE_FRAMES, dtype=np.float32)
    return segment


def make_dataset(
    folder: Path,
    split: Split,
    cases: int,
    seconds: float,
    seed: int,
    progress: bool = True,
    use: Use = "train",
) -> Path:
    """Draw ``cases`` cases of ``seconds`` into ``folder``, or finish what was begun there.

    Raises ``ModelError`` when the folder holds other material or the split's audio cannot be read.
    """
    frames = round(seconds * RATE_HZ)
    members = families(split, use)
    settings = {
        "format": _FORMAT,
        "use": use,
        "cases": cases,
        "frames": frames,
        "rate_hz": RATE_HZ,
        "seed": seed,
        "split": split.digest,
        "families": [family.name for family in members],
    }
    arrays = _open(folder, settings)
    guitar = phrases(split, use)
    left = np.flatnonzero(~np.asarray(arrays["done"]))
    with (folder / "cases.jsonl").open("a", encoding="utf-8") as words:
        for number in tqdm(left, desc="material", unit="case", disable=None if progress else True):
            said = _draw(arrays, int(number), seed, guitar, members)
            words.write(json.dumps({"case": int(number), **said}, ensure_ascii=False) + "\n")
    return folder


def _draw(
    arrays: dict[str, npt.NDArray[Any]],
    number: int,
    seed: int,
    guitar: list[tuple[str, Audio]],
    members: list[Family],
) -> dict[str, str]:
    rng = np.random.default_rng([seed, number])
    weights = np.array([WEIGHTS[family.name] for family in members])
    which = int(rng.choice(len(members), p=weights / weights.sum()))
    phrase_name, phrase = guitar[rng.integers(len(guitar))]
    segment = draw_segment(phrase, arrays["a"].shape[1], rng)
    segment = segment * np.float32(gain_from_db(rng.uniform(-3.0, 3.0)) * rng.choice([-1.0, 1.0]))
    positions = rng.uniform(LOWEST_POSITION, HIGHEST_POSITION, POSITIONS).astype(np.float32)
    case = members[which].case(segment, rng, [float(position) for position in positions])
    arrays["a"][number], arrays["b"][number] = case.a[0], case.b[0]
    arrays["truths"][number] = np.concatenate(case.truths)
    arrays["positions"][number], arrays["family"][number] = positions, which
    arrays["done"][number] = True
    return {"family": case.family, "name": case.name, "phrase": phrase_name}


def _open(folder: Path, settings: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The folder's arrays, made if it is new."""
    index = folder / "index.json"
    cases, frames = settings["cases"], settings["frames"]
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "a": ((cases, frames), np.float32),
        "b": ((cases, frames), np.float32),
        "truths": ((cases, POSITIONS, frames), np.float32),
        "positions": ((cases, POSITIONS), np.float32),
        "family": ((cases,), np.int8),
        "done": ((cases,), np.bool_),
    }
    if index.exists():
        if json.loads(index.read_text(encoding="utf-8")) != settings:
            raise ModelError(
                f"{folder} holds material of other settings (see its index.json); choose another "
                "folder or delete it."
            )
        return {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in shapes}
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, (shape, dtype) in shapes.items()
    }
    # Last, so that a folder with an index has all its arrays.
    index.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return arrays


def main() -> int:
    """Draw the material; exit code 0, or 2 with one sentence for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m models.stage.material", description="Draw training material once."
    )
    parser.add_argument("out", type=Path, help="folder to draw into, or to go on in")
    parser.add_argument("--cases", type=int, default=1200)
    parser.add_argument("--seconds", type=float, default=2.7, help="length of each case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--audio", type=Path, default=REAL_AUDIO, help="folder of real audio")
    parser.add_argument("--use", choices=("train", "test"), default="train")
    given = parser.parse_args()
    if given.cases < 1 or not 0.1 <= given.seconds <= 60.0:
        parser.error("expected at least one case, of 0.1 to 60 seconds")
    try:
        split = read_split(given.audio)
        make_dataset(given.out, split, given.cases, given.seconds, given.seed, use=given.use)
    except PurgaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
