"""Stage 2: what the activations' ranges are on real guitar.

``python -m build calibrate --work DIR`` runs the fp32 graphs on windows of material and writes
``ranges.json``: for every convolution's input the range that int8 is to cover, for its output what
a CPU's kernels have to cover, and for every tensor the largest magnitude, which is what proves
that half precision cannot overflow.

A range is chosen, not taken as the maximum: spectra have peaks, and a step wide enough for the
highest one loses all that lies below. The error of rounding and that of clipping are weighed over
a histogram (mean squared error, as in Sung, Shin and Hwang, *Resiliency of Deep Neural Networks
under Quantization*, 2015).
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from tqdm import tqdm

from build.graph import Array, Feed, Probed, constants, layers
from build.qdq import LEVELS
from build.windows import (
    add_material_arguments,
    along_the_knob,
    decoder_feeds,
    draw,
    encoder_feeds,
)
from build.work import Material, Ranges, Work, add_work_argument

_PER_OCTAVE = 32
_LOWEST = 2.0**-24
_OCTAVES = 48
_BINS = _PER_OCTAVE * _OCTAVES
_CENTRES = _LOWEST * 2.0 ** ((np.arange(_BINS) + 0.5) / _PER_OCTAVE)
_CLIPS = np.linspace(0.15, 1.0, 69)
_TAIL = 1e-5
"""Share of the outputs that a CPU's kernel may clip at either side."""


class Histogram:
    """Magnitudes of one tensor, counted in bins that are a 32nd of an octave wide."""

    def __init__(self) -> None:
        """Empty."""
        self.counts = np.zeros(_BINS, np.int64)
        self.largest = 0.0

    def add(self, values: Array) -> None:
        """Count the magnitudes of ``values``."""
        magnitude = np.abs(values).ravel()
        self.largest = max(self.largest, float(magnitude.max(initial=0.0)))
        magnitude = magnitude[magnitude > _LOWEST]
        bins = (np.log2(magnitude / _LOWEST) * _PER_OCTAVE).astype(np.int64)
        self.counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)

    def best_range(self) -> float:
        """The largest magnitude that int8 is to cover, for the least mean squared error."""
        if self.largest <= _LOWEST:
            return 1.0  # a tensor that is always zero is zero at any scale
        errors = [self._error(self.largest * clip) for clip in _CLIPS.tolist()]
        return float(self.largest * _CLIPS[int(np.argmin(errors))])

    def _error(self, covered: float) -> float:
        step = covered / LEVELS
        error = np.full(_BINS, step**2 / 12.0)
        small = step / 2.0 > _CENTRES  # rounded to zero, lost whole
        error[small] = _CENTRES[small] ** 2
        clipped = covered < _CENTRES
        error[clipped] = (_CENTRES[clipped] - covered) ** 2
        return float(np.dot(self.counts, error))


def measure_ranges(
    model: onnx.ModelProto, feeds: Sequence[Feed], title: str, every_tensor: int = 2
) -> Ranges:
    """The ranges of a float32 graph over ``feeds``.

    Largest magnitudes are taken of every tensor for the first ``every_tensor`` feeds, and of the
    convolutions' for all.
    """
    inputs = sorted({node.input[0] for node in layers(model)})
    outputs = sorted({node.output[0] for node in layers(model)})
    histograms = {name: Histogram() for name in inputs}
    tails: dict[str, list[tuple[float, float]]] = {name: [] for name in outputs}
    maxima: dict[str, float] = {}
    probed = Probed(model, sorted({*inputs, *outputs}))
    for feed in tqdm(feeds, f"calibrating the {title}", leave=False, disable=None):
        values = probed.run(feed)
        _keep_largest(maxima, values)
        for name in inputs:
            histograms[name].add(values[name])
        for name in outputs:
            tails[name].append(_tails(values[name]))
    for group in _groups(_float_tensors(model), 150):
        whole = Probed(model, group)
        for feed in feeds[:every_tensor]:
            _keep_largest(maxima, whole.run(feed))
    return Ranges(
        inputs={name: histogram.best_range() for name, histogram in histograms.items()},
        outputs={
            name: (min(low for low, _ in ends), max(high for _, high in ends))
            for name, ends in tails.items()
        },
        maxima=maxima,
    )


def _tails(values: Array) -> tuple[float, float]:
    """Between which all but a few of the values lie, zero included."""
    flat = values.ravel()
    few = max(1, int(flat.size * _TAIL))
    parted = np.partition(flat, (few - 1, flat.size - few))
    return min(0.0, float(parted[few - 1])), max(0.0, float(parted[flat.size - few]))


def _keep_largest(maxima: dict[str, float], values: dict[str, npt.NDArray]) -> None:
    for name, value in values.items():
        maxima[name] = max(maxima.get(name, 0.0), float(np.abs(value).max(initial=0.0)))


def _float_tensors(model: onnx.ModelProto) -> list[str]:
    """Every activation; slices and shapes of constants are none of the graph's."""
    stored = constants(model)
    return [
        name for node in model.graph.node for name in node.output if name and name not in stored
    ]


def _groups(names: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def run(options: argparse.Namespace, work: Work) -> Material:
    """Draw material, measure both graphs' ranges, keep all of it. Raises ``PurgaError``."""
    settings = work.settings()
    material = draw(options, settings.window_frames)
    work.write_material(material)
    encoder, decoder = work.model("encoder"), work.model("decoder")
    feeds = encoder_feeds(material.calibration)
    work.write_ranges("encoder", measure_ranges(encoder, feeds, "encoder"))
    blends = decoder_feeds(encoder, material.calibration, settings.seed)
    blends = along_the_knob(decoder, blends)
    work.write_ranges("decoder", measure_ranges(decoder, blends, "decoder"))
    return material


def main(argv: Sequence[str]) -> int:
    """``python -m build calibrate``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m build calibrate", description=__doc__)
    add_work_argument(parser)
    add_material_arguments(parser)
    options = parser.parse_args(list(argv))
    work = Work(Path(options.work))
    material = run(options, work)
    print(f"{work.folder}: ranges on {material.note}")
    return 0
