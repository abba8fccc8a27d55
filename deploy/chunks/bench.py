"""What updates weigh: ``python -m deploy.chunks.bench``.

For each pair of files, before and after, it publishes both and plans the second for a pedal that
plays the first. Beside what would be fetched stand what plain chunks by content would fetch, and
one zstd frame with the older file for a dictionary (``zstd --patch-from``), all against the whole
file as it is stored. Random weights are spread evenly, so they fill int8 more than trained ones do.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.chunks.bench_material import (
    Files,
    as_network,
    built_bundles,
    fine_tuned,
    last_retrained,
    official_weights,
    read_folder,
)
from deploy.chunks.describing import Frames, describe
from deploy.chunks.difference import as_frame, stored_bytes
from deploy.chunks.planning import Base, plan
from deploy.chunks.store import Store
from deploy.errors import UpdateError
from deploy.release import Release

_NOISES = (0.001, 0.002, 0.003, 0.005, 0.01)


@dataclass(frozen=True)
class Row:
    """One pair; bytes as they are stored."""

    what: str
    full_bytes: int
    fetched_bytes: int
    """By the cheapest plan."""
    chunks_bytes: int
    """By chunks alone."""
    frame_bytes: int
    """As one frame with the older file for a dictionary."""
    difference_s: float
    """CPU time to publish the second, its difference included."""

    @property
    def line(self) -> str:
        """The row of the table."""
        parts = (self.fetched_bytes, self.chunks_bytes, self.frame_bytes)
        shares = "".join(f"{100 * part / self.full_bytes:10.1f} %" for part in parts)
        size = f"{self.full_bytes / 1e6:9.2f} MB"
        return f"{self.what:44}{size}{shares}{self.difference_s:9.1f} s"


def measure(what: str, older: Files, newer: Files) -> Row:
    """Publish both, plan the second onto the first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in older.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        base = Base(folder, _release(older, {})[0])
        begun = time.process_time()
        release, _frames = _release(newer, older)
        took_s = time.process_time() - begun
        store = Store(folder / "none")
        need = plan(release, store, [base]).need
        chunks = plan(release, store, [base], differences=False).need
        frames = sum(
            stored_bytes(as_frame(older[path], content)) if path in older else 0
            for path, content in newer.items()
            if older.get(path) != content
        )
        return Row(what, need.full_bytes, need.stored_bytes, chunks.stored_bytes, frames, took_s)


def _release(files: Files, older: Mapping[str, bytes]) -> tuple[Release, Frames]:
    described, frames = [], Frames()
    for path, content in files.items():
        file, more = describe(path, content, False, [older[path]] if path in older else [])
        described.append(file)
        frames.update(more)
    return Release(component="models", version=1, name="bench", files=tuple(described)), frames


def _networks(parameters: int, noises: Sequence[float]) -> Iterator[tuple[str, Files, Files]]:
    path = "studio/decoder.onnx"
    weights = official_weights(parameters)
    for precision in ("int8", "fp16", "fp32"):
        before = {path: as_network(weights, precision)}
        yield f"{precision}: nothing changed", before, before
        yield f"{precision}: metadata only", before, {path: as_network(weights, precision, "2nd")}
        retrained = last_retrained(weights, 0.05)
        yield f"{precision}: last 5 % retrained", before, {path: as_network(retrained, precision)}
        for noise in noises if precision == "int8" else noises[1:2]:
            after = {path: as_network(fine_tuned(weights, noise), precision)}
            yield f"{precision}: all fine-tuned, noise {100 * noise:.1f} %", before, after


def _bundles(noises: Sequence[float]) -> Iterator[tuple[str, Files, Files]]:
    bundles = built_bundles({f"noise {100 * noise:.1f} %": noise for noise in noises})
    _label, base = next(bundles)
    for label, bundle in bundles:
        yield from _by_file(f"small bundle, {label}", base, bundle)


def _by_file(what: str, older: Files, newer: Files) -> Iterator[tuple[str, Files, Files]]:
    for precision in ("int8", "fp16", "fp32"):
        before, after = (
            {f"studio/{name}": content for name, content in files.items() if precision in name}
            for files in (older, newer)
        )
        if after:
            yield f"{what}: {precision}", before, after
    before, after = (
        {f"studio/{name}": content for name, content in files.items()} for files in (older, newer)
    )
    yield f"{what}: all files", before, after


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.chunks.bench",
        description="What an update weighs: differences, chunks, and zstd with a dictionary.",
    )
    parser.add_argument(
        "--parameters", type=int, default=4_000_000, help="of the network with random weights"
    )
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=list(_NOISES),
        metavar="R",
        help="how far a fine-tune moves weights, in their standard deviations",
    )
    parser.add_argument("--build", action="store_true", help="also build small bundles (a minute)")
    parser.add_argument(
        "--bundles", type=Path, nargs=2, metavar=("OLD", "NEW"), help="compare two folders instead"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def _pairs(options: argparse.Namespace) -> Iterator[tuple[str, Files, Files]]:
    if options.bundles is not None:
        older, newer = (read_folder(folder) for folder in options.bundles)
        yield from _by_file(options.bundles[1].name, older, newer)
        return
    yield from _networks(options.parameters, options.noise)
    if options.build:
        yield from _bundles(options.noise[1:2])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table; returns 0."""
    options = _parser().parse_args(argv)
    print(f"{'':44}{'all of it':>12}{'fetched':>12}{'chunks':>12}{'frame':>12}{'publish':>11}")
    rows = []
    for what, older, newer in _pairs(options):
        rows.append(measure(what, older, newer))
        print(rows[-1].line, flush=True)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (UpdateError, OSError) as problem:
        sys.exit(f"error: {problem}")
