"""``python -m models evaluate``: its options, and what it writes."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import PurgaError
from models.evaluate.page import write_page
from models.evaluate.study import Order, Pair, Study
from models.evaluate.table import tables
from models.evaluate.writing import write_text
from models.stage.split import REAL_AUDIO

NOTHING, ORDERED = "none", "ordered"


class FolderError(PurgaError, OSError):
    """A folder that the results cannot be written into."""


def main(argv: Sequence[str]) -> int:
    """Run it; returns the exit status. Raises ``PurgaError`` for wrong input."""
    args = _parser().parse_args(argv)
    order = Order(
        audio=args.audio,
        stage=args.stage,
        families=args.families,
        pairs=None if args.pairs == ORDERED else args.pairs,
        both_ways=args.pairs == ORDERED,
        cabinet=args.cabinet,
        sounds=args.out is not None,
        quick=args.quick,
        seed=args.seed,
        command=shlex.join(["python", "-m", "models", "evaluate", *argv]),
    )
    study = Study(order)
    if args.out:
        _make_folder(args.out)
    evaluation, sounds = study.run()
    text = json.dumps(evaluation.as_dict(), ensure_ascii=False, allow_nan=False)
    print(tables(evaluation))
    if args.out:
        try:
            sounds.write(args.out)
            write_text(args.out / "evaluate.json", text + "\n")
            page = write_page(evaluation, args.out)
        except OSError as error:
            raise FolderError(f"{args.out} cannot be written ({error}); free it.") from error
        print(f"\nwritten: {page}", file=sys.stderr)
    if args.json:
        print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models evaluate",
        description="How near the tones in between come: each morph against the crossfade.",
        epilog="Everything is seeded: the same command gives the same figures.",
    )
    parser.add_argument(
        "--audio", type=Path, default=REAL_AUDIO, metavar="DIR", help="real audio (%(default)s)"
    )
    parser.add_argument(
        "--stage", type=Path, metavar="FILE.onnx", help="instead of the stage network that ships"
    )
    parser.add_argument(
        "--families",
        type=_names,
        metavar="NAME,…",
        help=f"families with truth, or {NOTHING} (default: all)",
    )
    parser.add_argument(
        "--pairs",
        type=_pairs,
        metavar="A:B,…",
        help=f"captures to go between, such as jc:ac10 or jc@-36:jc; {NOTHING}; or {ORDERED}: all, "
        "there and back (default: all, once)",
    )
    parser.add_argument(
        "--cabinet", default="", metavar="NAME", help="behind the pairs' captures (default: none)"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, in minutes")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write evaluate.json, the sounds and the page there"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as the last line")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return () if text == NOTHING else tuple(name.strip() for name in text.split(","))


def _pairs(text: str) -> tuple[Pair, ...] | str:
    if text == ORDERED:
        return text
    pairs = []
    for part in _names(text):
        a, colon, b = part.partition(":")
        if not (a and colon and b) or a == b:
            raise argparse.ArgumentTypeError(f"{part!r} is no pair; give two tones such as jc:ac10")
        pairs.append((a, b))
    return tuple(pairs)


def _make_folder(folder: Path) -> None:
    """Make the folder before minutes are spent. Raises ``FolderError``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"{folder} is no folder to write into ({error}); give another."
        ) from error
