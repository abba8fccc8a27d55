"""Stage 1: from a checkpoint to fp32 graphs.

``python -m build export --checkpoint FILE --work DIR`` reads the weights (a checkpoint of the
official architecture, or the same as safetensors), merges adapters, and writes encoder and decoder
for one window length.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from build.work import Settings, Work, add_work_argument
from models.errors import ModelError
from models.facts import Adapter as AdapterFacts
from models.music2latent.adapters import Adapter, merge, read_adapter
from models.music2latent.architecture import Weights, recognise
from models.music2latent.checkpoint import read_weights, weights_sha256
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.stream import StreamSettings

LICENCE = (
    "CC BY-NC 4.0 where they are the official weights or derived from them (SonyCSLParis/"
    "music2latent); otherwise their maker's"
)


def export(
    work: Work, weights: Weights, settings: Settings, adapters: Sequence[Adapter] = ()
) -> None:
    """Write both graphs and the settings. Raises ``ModelError``."""
    for adapter in adapters:
        adapter.check(weights)
    merged = merge(weights, adapters[0]) if len(adapters) == 1 else weights
    sides = (adapters[0], adapters[1]) if len(adapters) == 2 else None
    work.write_model("encoder", "fp32", encoder_onnx(weights, settings.window_frames))
    work.write_model("decoder", "fp32", decoder_onnx(merged, settings.window_frames, sides))
    work.write_settings(settings)


def settings_for(
    options: argparse.Namespace, weights: Weights, adapters: Sequence[AdapterFacts] = ()
) -> Settings:
    """What was asked for, checked. Raises ``ModelError`` for windows that do not fit."""
    of = recognise(weights)
    StreamSettings(
        window_frames=options.window_frames,
        hop_frames=options.hop_frames,
        look_ahead_frames=options.look_ahead_frames,
        seed=options.seed,
        rate_hz=options.rate_hz,
    )
    return Settings(
        name=options.name,
        checkpoint_sha256=weights_sha256(weights),
        window_frames=options.window_frames,
        hop_frames=options.hop_frames,
        look_ahead_frames=options.look_ahead_frames,
        rate_hz=options.rate_hz,
        seed=options.seed,
        bins=of.bins,
        latent_channels=of.latent_channels,
        adapters=tuple(adapters),
        weights_licence=LICENCE,
    )


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """``--checkpoint``, ``--adapter``, the window and how the stream moves it."""
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="the weights")
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="FILE",
        help="merged into the decoder; given twice, tone A's and tone B's, between which the "
        "knob moves",
    )
    parser.add_argument("--name", default="studio", help="what status calls it (studio)")
    parser.add_argument("--window-frames", type=int, default=16, help="8, 16 or 32 (16)")
    parser.add_argument("--hop-frames", type=int, default=4, help="frames between windows (4)")
    parser.add_argument(
        "--look-ahead-frames",
        type=int,
        default=2,
        help="a window's newest frames, which are not played yet: they sound worst (2)",
    )
    parser.add_argument(
        "--rate-hz", type=int, default=44_100, help="what the network hears: 44100 or 48000 (44100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise (0)")


def run(options: argparse.Namespace, work: Work) -> Settings:
    """Export as asked. Raises ``ModelError``."""
    if len(options.adapter) > 2:
        raise ModelError(
            f"--adapter was given {len(options.adapter)} times, expected at most two: tone A's "
            "and tone B's."
        )
    weights = read_weights(Path(options.checkpoint))
    files = [Path(file) for file in options.adapter]
    adapters = [read_adapter(file) for file in files]
    facts = [_facts(file, adapter) for file, adapter in zip(files, adapters, strict=True)]
    settings = settings_for(options, weights, facts)
    export(work, weights, settings, adapters)
    return settings


def _facts(file: Path, adapter: Adapter) -> AdapterFacts:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return AdapterFacts(name=file.stem, rank=adapter.rank, sha256=digest)


def main(argv: Sequence[str]) -> int:
    """``python -m build export``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m build export", description=__doc__)
    add_work_argument(parser)
    add_export_arguments(parser)
    options = parser.parse_args(list(argv))
    work = Work(Path(options.work))
    settings = run(options, work)
    print(f"{work.folder}: encoder and decoder, windows of {settings.window_frames} frames")
    return 0
