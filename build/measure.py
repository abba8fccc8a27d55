"""What the studio engine costs and how near it comes: the tables of its card, measured anew.

``python -m build measure --checkpoint FILE [--bundle DIR] [--study speed windows rates budget]``

- ``speed``: encode and decode by the bundle's precisions on this machine's CPU, and by the
  ``music2latent`` package on PyTorch where both are installed, by turns in one run;
- ``windows``: streaming against decoding a whole phrase at once;
- ``rates``: the network fed at 44.1 kHz through a converter, or natively at 48 kHz;
- ``budget``: what Jetson modules are expected to take, computed from the graphs.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from build.graph import Array
from build.windows import tones_of
from models.errors import ModelError
from models.facts import Precision
from models.golden import Golden
from models.manifest import KINDS, Bundle, read_bundle
from models.music2latent.architecture import OFFICIAL, Weights, recognise
from models.music2latent.budget import budget_markdown
from models.music2latent.checkpoint import read_weights
from models.music2latent.codec import Codec, OnnxCodec
from models.music2latent.cost import graph_cost
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.measure import WINDOWS, window_study
from models.music2latent.measure_rates import conversion, rate_rows
from models.music2latent.measure_tables import rate_table, window_table
from models.music2latent.stream import NETWORK_RATE_HZ
from models.units import RATE_HZ

Runs = tuple[Callable[[], object], Callable[[], object]]
"""An encode and a decode of one window."""

STUDIES = ("speed", "windows", "rates", "budget")
PACKAGE = "music2latent on PyTorch, fp32"

_TONES = 2
_RATES_WINDOW = 16


def speed_table(
    folder: Path, weights: Weights, rounds: int, spin: bool = False
) -> tuple[str, dict[str, float]]:
    """Markdown and ms per latent by who computes. Raises ``ModelError``."""
    bundle = read_bundle(folder)
    golden, frames = bundle.golden(), bundle.manifest.window_frames
    latents = frames // bundle.manifest.frames_per_latent
    runs: dict[str, Runs] = {}
    package = _package(weights, golden["spectra"][:1], golden["noise"])
    if package is not None:
        runs[PACKAGE] = package
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        runs[f"bundle {precision}, ONNX Runtime CPU"] = _bundled(bundle, precision, golden, spin)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in tqdm(range(rounds + 2), "timing", leave=False, disable=None):
        for name, (encode, decode) in runs.items():
            pair = _timed(encode), _timed(decode)
            if turn >= 2:
                # The bundle's encoder takes both tones at once, the package one.
                tones = 1 if name == PACKAGE else _TONES
                taken[name].append((pair[0] / tones / latents, pair[1] / latents))
    medians = {name: np.median(pairs, axis=0) for name, pairs in taken.items()}
    peer = np.array(taken[PACKAGE]).sum(axis=1) if package is not None else None
    lines = [
        "| who | encode, ms a latent | decode | both | times the package |",
        "|---|---|---|---|---|",
    ]
    figures = {}
    for name, (encode_ms, decode_ms) in medians.items():
        ratio = "–"
        figures[name] = float(encode_ms + decode_ms)
        if peer is not None:
            quicker = float(np.median(peer / np.array(taken[name]).sum(axis=1)))
            ratio, figures[f"{name}, ratio"] = f"{quicker:.2f}", quicker
        lines.append(
            f"| {name} | {encode_ms:.1f} | {decode_ms:.1f} | {encode_ms + decode_ms:.1f} "
            f"| {ratio} |"
        )
    return "\n".join(lines) + "\n", figures


def _bundled(bundle: Bundle, precision: Precision, golden: Golden, spin: bool) -> Runs:
    encoder, decoder = (bundle.read_model(kind, precision) for kind in KINDS)
    codec = OnnxCodec(encoder, decoder, spin=spin)
    latents = np.zeros_like(golden["latents.fp32"])
    decoded = np.zeros_like(golden["decoded.fp32"])

    def encode() -> None:
        codec.encode(golden["spectra"], latents)

    def decode() -> None:
        codec.decode(golden["blend"], golden["noise"], 0.0, decoded)

    return encode, decode


def _package(weights: Weights, spectra: Array, noise: Array) -> Runs | None:
    """The package's own modules with the same weights; None where it is not installed."""
    try:
        import torch

        from models.music2latent.adapters_train import generator

        network = generator(weights)
    except ImportError:  # of torch, or of the package
        return None
    drawn = torch.from_numpy(noise * np.float32(OFFICIAL.sigma_max))
    given = torch.from_numpy(spectra)
    with torch.no_grad():
        latents = network.encoder(given)

    @torch.no_grad()
    def encode() -> object:
        return network.encoder(given)

    @torch.no_grad()
    def decode() -> object:
        return network(latents, drawn)

    return encode, decode


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


def _codec(weights: Weights, window_frames: int) -> Codec:
    return OnnxCodec(
        encoder_onnx(weights, window_frames).SerializeToString(),
        decoder_onnx(weights, window_frames).SerializeToString(),
    )


def main(argv: Sequence[str]) -> int:
    """``python -m build measure``; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m build measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="the weights")
    parser.add_argument("--bundle", metavar="DIR", help="for speed: what was built from them")
    parser.add_argument(
        "--study", nargs="+", choices=STUDIES, default=list(STUDIES), help="which tables (all)"
    )
    parser.add_argument("--rounds", type=int, default=15, help="turns of the timing (15)")
    parser.add_argument(
        "--spin",
        action="store_true",
        help="threads wait for each other on busy cores, as PyTorch's do and the pedal's do not",
    )
    parser.add_argument("--out", metavar="FILE", help="write the tables there too, as Markdown")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(list(argv))
    if "speed" in options.study and not options.bundle:
        raise ModelError("--study speed needs --bundle DIR, or leave it out of --study.")
    if options.rounds < 1:
        raise ModelError(f"--rounds is {options.rounds}, expected 1 or more.")
    weights = read_weights(Path(options.checkpoint))
    recognise(weights)
    name = Path(options.checkpoint).name
    tables: list[str] = []
    figures: dict[str, object] = {"onnxruntime": onnxruntime.__version__}
    if "speed" in options.study:
        table, figures["ms_per_latent"] = speed_table(
            Path(options.bundle), weights, options.rounds, options.spin
        )
        tables.append(table)
    if "windows" in options.study or "rates" in options.study:
        a, b = tones_of(NETWORK_RATE_HZ)
        if "windows" in options.study:
            study = window_study(lambda frames: _codec(weights, frames), a, b, progress=print)
            tables.append(window_table(study, name))
        if "rates" in options.study:
            codec = _codec(weights, _RATES_WINDOW)
            tables.append(rate_table(rate_rows(codec, tones_of(RATE_HZ)[0]), conversion(), name))
    if "budget" in options.study:
        costs = {
            frames: (
                graph_cost(encoder_onnx(weights, frames)),
                graph_cost(decoder_onnx(weights, frames)),
            )
            for frames in WINDOWS
        }
        tables.append(budget_markdown(costs))
    text = "\n".join(tables)
    print(text)
    if options.out:
        Path(options.out).write_text(text)
    if options.json:
        print(json.dumps(figures, sort_keys=True))
    return 0
