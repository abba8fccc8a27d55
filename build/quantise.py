"""Stage 3: from fp32 graphs to half precision and int8, and the certificate of what that costs.

``python -m build quantise --work DIR`` tries every layer in int8 alone (``build.sensitivity``),
leaves in half precision those that cost most, writes the fp16 and int8 graphs, and holds both
against fp32 on windows that calibration has not seen. Where int8 does not meet the limits with
the layers left at first, more are left, until it does. The first and the last convolution of both
graphs always stay in half precision: they see the spectra themselves and cost next to nothing.
"""

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from build.graph import Array, Feed, layer_of, layers, session
from build.half import to_half
from build.qdq import with_qdq
from build.sensitivity import Layer, choose, measure_layers
from build.windows import along_the_knob, decoder_feeds, encoder_feeds
from build.work import Material, Ranges, Settings, Work, add_work_argument
from models.certificate import (
    FP16_HEADROOM,
    FP16_LARGEST,
    Calibration,
    Certificate,
    Limits,
    Maxima,
    Parity,
    Sensitivity,
)
from models.errors import ModelError
from models.facts import CERTIFICATE, GOLDEN, KINDS, Kind
from models.golden import pack_golden
from models.latent import slerp
from models.music2latent.graphs.cpu import RANGES
from models.music2latent.noise import WindowNoise
from models.music2latent.parity import latent_cosine, log_spectral_distance_db, snr_db
from models.record import write_record

ENDS: Mapping[Kind, tuple[str, ...]] = {
    "encoder": ("encoder.conv_inp", "encoder.conv_out"),
    "decoder": ("conv_inp", "conv_out"),
}
"""First and last layers, which are never quantised."""

PROJECTION = ".mha.in_proj"
"""Layers of the encoder whose output a CPU must not round: attention exponentiates it, and the
latents show it; the decoder's sound does not."""

LEAST_SNR_DB: Mapping[Kind, float] = {"encoder": 32.0, "decoder": 27.0}
"""What int8 may cost a graph's output at first: somewhat better than the limits ask for."""

_JUDGE_SEED = 1_000_003  # noise that calibration has not seen
_STEP_DB = 2.0
_TRIES = 6


@dataclass(frozen=True)
class Graph:
    """One graph in all precisions, and how it was judged."""

    fp32: onnx.ModelProto
    fp16: onnx.ModelProto
    int8: onnx.ModelProto
    found: list[Layer]
    left: tuple[str, ...]
    """Nodes that could be quantised and were not."""


def int8_graph(
    model: onnx.ModelProto, half: onnx.ModelProto, ranges: Ranges, left: Collection[str]
) -> onnx.ModelProto:
    """The half-precision graph with int8 in every layer but those ``left``."""
    covered = {
        node.name: ranges.inputs[node.input[0]]
        for node in layers(model)
        if layer_of(node.name) not in left
    }
    int8 = with_qdq(half, covered)
    kept = int8.metadata_props.add()
    kept.key = RANGES
    outputs = {
        node.output[0]: ranges.outputs[node.output[0]]
        for node in layers(model)
        if not (node.name.startswith("encoder.") and node.name.endswith(PROJECTION))
    }
    kept.value = json.dumps(outputs, sort_keys=True)
    return int8


def quantise(work: Work, limits: Limits, trials: int = 1, leave: Sequence[str] = ()) -> Certificate:
    """Write fp16, int8, the golden pair and the certificate. Raises ``ModelError``.

    Every layer is tried on ``trials`` windows; where ``leave`` names layers, none is tried, and
    those and the ends stay in half precision.
    """
    settings, material = work.settings(), work.material()
    models = {kind: work.model(kind) for kind in KINDS}
    ranges = {kind: work.ranges(kind) for kind in KINDS}
    judged = {
        "encoder": encoder_feeds(material.kept_back),
        "decoder": along_the_knob(
            models["decoder"], decoder_feeds(models["encoder"], material.kept_back, _JUDGE_SEED)
        ),
    }
    truths = {kind: _outputs(models[kind], judged[kind]) for kind in KINDS}
    _check_layers(leave, models)
    graphs: dict[Kind, Graph] = {}
    for kind in KINDS:
        _check_fits_half(kind, ranges[kind])
        half = to_half(models[kind])
        if leave:
            left = {*leave, *ENDS[kind]}
            int8 = int8_graph(models[kind], half, ranges[kind], left)
            graphs[kind] = Graph(models[kind], half, int8, [], _nodes(models[kind], left))
        else:
            found = measure_layers(models[kind], ranges[kind].inputs, judged[kind][:trials], kind)
            graphs[kind] = _within_limits(
                kind, models[kind], half, ranges[kind], found, judged[kind], truths[kind], limits
            )
        work.write_model(kind, "fp16", half)
        work.write_model(kind, "int8", graphs[kind].int8)
    work.write(GOLDEN, pack_golden(_golden(graphs, material, settings)))
    certificate = Certificate(
        limits=limits,
        precisions={
            "fp16": _parity({kind: graphs[kind].fp16 for kind in KINDS}, judged, truths),
            "int8": _parity({kind: graphs[kind].int8 for kind in KINDS}, judged, truths),
        },
        maxima=Maxima(encoder=ranges["encoder"].maxima, decoder=ranges["decoder"].maxima),
        sensitivity=_sensitivities(graphs),
        left_in_fp16=tuple(f"{kind}/{node}" for kind in KINDS for node in graphs[kind].left),
        calibration=Calibration(
            material=material.note, windows=len(material.calibration), sha256=material.sha256
        ),
        cpu_provider=f"ONNX Runtime {onnxruntime.__version__} CPU",
    )
    work.write(CERTIFICATE, write_record(certificate))
    return certificate


def _within_limits(
    kind: Kind,
    model: onnx.ModelProto,
    half: onnx.ModelProto,
    ranges: Ranges,
    found: list[Layer],
    feeds: Sequence[Feed],
    truths: Sequence[Array],
    limits: Limits,
) -> Graph:
    least_snr_db = LEAST_SNR_DB[kind]
    free = [layer for layer in found if layer.name not in ENDS[kind]]
    for _ in range(_TRIES):
        chosen = choose(free, 10.0 ** (-least_snr_db / 10.0))
        left = {*ENDS[kind], *(layer.name for layer in chosen)}
        int8 = int8_graph(model, half, ranges, left)
        outputs = _outputs(int8, feeds)
        if kind == "encoder":
            good = _mean(latent_cosine, truths, outputs) >= limits.latent_cosine
        else:
            distance_db = _mean(log_spectral_distance_db, truths, outputs)
            good = distance_db <= limits.log_spectral_distance_db
        if good or len(chosen) == len(free):
            break
        least_snr_db += _STEP_DB
    return Graph(model, half, int8, found, _nodes(model, left))


def _nodes(model: onnx.ModelProto, left: Collection[str]) -> tuple[str, ...]:
    return tuple(node.name for node in layers(model) if layer_of(node.name) in left)


def _check_layers(names: Sequence[str], models: Mapping[Kind, onnx.ModelProto]) -> None:
    known = {layer_of(node.name) for model in models.values() for node in layers(model)}
    for name in names:
        if name not in known:
            raise ModelError(
                f"--leave names {name[:80]!r}, which is no layer; the certificate's sensitivity "
                "names them all."
            )


def _parity(
    graphs: Mapping[Kind, onnx.ModelProto],
    judged: Mapping[str, Sequence[Feed]],
    truths: Mapping[Kind, Sequence[Array]],
) -> Parity:
    outputs = {kind: _outputs(graphs[kind], judged[kind]) for kind in KINDS}
    return Parity(
        latent_cosine=_mean(latent_cosine, truths["encoder"], outputs["encoder"]),
        latent_snr_db=_mean(snr_db, truths["encoder"], outputs["encoder"]),
        decoded_snr_db=_mean(snr_db, truths["decoder"], outputs["decoder"]),
        log_spectral_distance_db=_mean(
            log_spectral_distance_db, truths["decoder"], outputs["decoder"]
        ),
    )


def _sensitivities(graphs: Mapping[Kind, Graph]) -> tuple[Sensitivity, ...]:
    rows = [
        Sensitivity(model=kind, node=layer.name, snr_db=_db(1.0 / max(layer.noise, 1e-30)))
        for kind in KINDS
        for layer in graphs[kind].found
    ]
    return tuple(sorted(rows, key=lambda row: row.snr_db))


def _golden(
    graphs: Mapping[Kind, Graph], material: Material, settings: Settings
) -> dict[str, Array]:
    spectra = material.kept_back[0]
    noise = np.zeros((1, *spectra.shape[1:]), np.float32)
    WindowNoise(settings.seed, settings.window_frames).window(0, noise)
    a, b = session(graphs["encoder"].fp32).run(None, {"spectra": spectra})[0]
    blend = np.asarray(slerp(a, b, 0.5), np.float32)[None]
    feed = along_the_knob(graphs["decoder"].fp32, [{"latents": blend, "noise": noise}])[0]
    golden = {"spectra": spectra, "blend": blend, "noise": noise}
    if "position" in feed:
        golden["position"] = feed["position"]
    for precision in ("fp32", "fp16", "int8"):
        encoder, decoder = (getattr(graphs[kind], precision) for kind in KINDS)
        golden[f"latents.{precision}"] = session(encoder).run(None, {"spectra": spectra})[0]
        golden[f"decoded.{precision}"] = session(decoder).run(None, dict(feed))[0]
    return golden


def _check_fits_half(kind: Kind, ranges: Ranges) -> None:
    most = FP16_LARGEST / FP16_HEADROOM
    name, largest = max(ranges.maxima.items(), key=lambda item: item[1])
    if not largest < most:
        raise ModelError(
            f"The {kind}'s tensor {name} reaches {largest:.6g}, but half precision is only trusted "
            f"below {most:.6g}; this network cannot be built in fp16 or int8."
        )


def _outputs(model: onnx.ModelProto, feeds: Sequence[Feed]) -> list[Array]:
    run = session(model)
    return [run.run(None, dict(feed))[0] for feed in feeds]


def _mean(measure, truths: Sequence[Array], outputs: Sequence[Array]) -> float:
    pairs = zip(truths, outputs, strict=True)
    return float(np.mean([measure(truth, output) for truth, output in pairs]))


def _db(ratio: float) -> float:
    return float(10.0 * np.log10(ratio))


def add_quantise_arguments(parser: argparse.ArgumentParser) -> None:
    """``--trials`` and ``--leave``."""
    parser.add_argument(
        "--trials", type=int, default=1, help="windows on which each layer is tried alone (1)"
    )
    parser.add_argument(
        "--leave",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="try no layers: leave these in half precision, as an earlier certificate says",
    )


def summary(certificate: Certificate) -> str:
    """The certificate for a person."""
    lines = [
        f"{name}: latents cosine {parity.latent_cosine:.5f}, {parity.latent_snr_db:.1f} dB SNR; "
        f"decoded {parity.decoded_snr_db:.1f} dB SNR, log-spectral distance "
        f"{parity.log_spectral_distance_db:.2f} dB"
        for name, parity in certificate.precisions.items()
    ]
    return "\n".join([*lines, f"left in fp16: {len(certificate.left_in_fp16)} convolutions"])


def run(options: argparse.Namespace, work: Work) -> Certificate:
    """Quantise as asked. Raises ``ModelError``."""
    if options.trials < 1:
        raise ModelError(f"--trials is {options.trials}, expected 1 or more.")
    return quantise(work, Limits(), options.trials, options.leave)


def main(argv: Sequence[str]) -> int:
    """``python -m build quantise``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m build quantise", description=__doc__)
    add_work_argument(parser)
    add_quantise_arguments(parser)
    options = parser.parse_args(list(argv))
    print(summary(run(options, Work(Path(options.work)))))
    return 0
