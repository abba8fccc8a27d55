"""The stage network as a streaming ONNX graph (``models.streaming.builder``), node by node.

``source`` has three rows, tone A and tone B at −20 dBFS RMS and the position of every frame;
``target`` has one. Periods are whole blocks (``models.stage.shape.BLOCK_FRAMES``). The colour of
a pair of tones stands in three initializers, so one file serves every pair: see ``coloured``.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from models.stage.colour import SHAPE_TAPS, TRAIT_BANDS, TRAIT_ROWS, WHITEN_TAPS, Colour
from models.stage.shape import (
    BLOCK_FRAMES,
    FAST_BLOCKS,
    MOST_GAIN,
    MOST_POWER,
    PEAK_FRAMES,
    POWER_FLOOR,
    QUIET_POWER,
    RATIO_FLOOR,
    SLOW_BLOCKS,
    Shape,
)
from models.streaming.builder import Builder
from models.streaming.convolution import Array

Weights = Mapping[str, Array]
"""The trained weights, by the names that ``StageNetwork`` gives them."""

WHITEN, SHAPE, TRAITS = "whiten", "shape", "traits"
"""The initializers that hold the colour."""


def stage_onnx(shape: Shape, weights: Weights) -> bytes:
    """The network with no colour: the filters pass everything, the traits are zero."""
    return _Writer(shape, weights).write()


def coloured(model: bytes, colour: Colour) -> bytes:
    """The network for one pair of tones. Raises ``ValueError`` for another kind of model."""
    graph = onnx.load_model_from_string(model)
    values = {
        WHITEN: colour.whiten[::-1].reshape(1, 1, -1),
        SHAPE: colour.shape[::-1].reshape(1, 1, -1),
        # Each tone's own traits come first.
        TRAITS: np.array([colour.traits.ravel(), colour.traits[[1, 0, 2, 3]].ravel()]),
    }
    found = {tensor.name: tensor for tensor in graph.graph.initializer if tensor.name in values}
    if set(found) != set(values):
        raise ValueError("it is no stage network: " + ", ".join(set(values) - set(found)))
    for name, tensor in found.items():
        value = np.ascontiguousarray(values[name], np.float32)
        if tuple(tensor.dims) != value.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.dims)}, expected {value.shape}")
        tensor.CopyFrom(numpy_helper.from_array(value, name))
    return bytes(graph.SerializeToString())


_END = np.iinfo(np.int64).max
_OWN_OTHER_APART = ((0, 1), (1, 0), (2, 2))
"""Whose levels A's and B's network hear first, second and third."""


class _Writer:
    def __init__(self, shape: Shape, weights: Weights) -> None:
        self._shape = shape
        self._weights = weights
        self._graph = Builder(rows_in=3)

    def write(self) -> bytes:
        graph = self._graph
        size = TRAIT_ROWS * 2 * TRAIT_BANDS
        graph.initializer(TRAITS, np.zeros((2, size), np.float32))
        a, b, position = graph.split("source", [1, 1, 1])
        blend = graph.node("Add", a, graph.node("Mul", position, graph.node("Sub", b, a)))
        tones = self._filter(graph.node("Concat", a, b, axis=0), self._colour_filter(WHITEN), 2)
        bands = self._bands(tones)
        gains = self._gains(tones, bands, position)
        of_both = graph.node("Mul", self._between(gains, (2, self._shape.bands + 1)), bands)
        added = graph.node("ReduceSum", of_both, graph.indices(0, 1), keepdims=1)
        added = self._filter(added, self._colour_filter(SHAPE), 1)
        rest = graph.node("Sub", graph.scalar(4.0), graph.node("Mul", position, graph.scalar(4.0)))
        share = graph.node("Mul", position, rest)
        out = graph.node("Add", blend, graph.node("Mul", share, added))
        return graph.finish(self._bounded(out, a, b), prewarm_frames=0)

    def _bands(self, tones: str) -> str:
        """Every band of each tone and the tone itself, ``(2, bands + 1, frames)``."""
        itself = np.zeros((1, 1, self._shape.ear_taps), np.float32)
        itself[..., -1] = 1.0
        ear = np.concatenate([self._weights["ear"][:, None, ::-1], itself])
        return self._filter(tones, self._graph.constant(_whole(ear)), 2)

    def _gains(self, tones: str, bands: str, position: str) -> str:
        """Gains at each block's end, ``(2, bands + 1, blocks)``."""
        graph = self._graph
        apart = self._apart(bands)
        levels = self._levels(apart)
        ends = self._block_ends(position)
        # Seen from A the knob is at 1 − 2p of the middle, from B at 2p − 1.
        signs = np.array([[-2.0], [2.0]], np.float32)
        side = graph.pointwise(ends, signs, np.array([1.0, -1.0], np.float32))
        side = graph.node("Reshape", side, graph.indices(2, 1, -1))
        place = graph.node("Concat", side, graph.node("Mul", side, side), axis=1)
        heard = graph.node(
            "Concat",
            *(graph.node("Gather", levels, graph.indices(*o), axis=0) for o in _OWN_OTHER_APART),
            place,
            axis=1,
        )
        signal = graph.node("Tanh", self._dense("enter", heard, add=self._trait()))
        scale, shift = graph.split(self._dense("film", place), [self._shape.width] * 2)
        past = graph.node("Mul", self._past(signal), scale)
        moved = graph.node("Tanh", graph.node("Add", past, shift))
        signal = graph.node("Add", signal, moved)
        signal = graph.node("Add", signal, graph.node("Tanh", self._dense("mix", signal)))
        held = graph.node("Mul", self._ratio(apart), self._trust())
        return graph.node("Mul", self._dense("leave", signal), held)

    def _dense(self, name: str, signal: str, add: str = "") -> str:
        """A layer that hears the present only."""
        bias = self._weights[f"{name}.bias"].copy()
        if name == "film":
            bias[: self._shape.width] += 1.0  # the scale's one
        weight = self._weights[f"{name}.weight"][:, :, 0]
        if name == "enter":
            # The levels of the whole tones come along with the bands' and are not heard.
            places = np.arange(1, 7) * self._shape.bands
            weight = np.insert(weight, places, 0.0, axis=1).astype(np.float32)
        dense = self._graph.pointwise(signal, weight, bias)
        return self._graph.node("Add", dense, add) if add else dense

    def _trait(self) -> str:
        """What the traits of both tones add, ``(2, width, 1)``: settled when the model loads."""
        graph = self._graph
        weight = graph.constant(_whole(self._weights["traits.weight"].T))
        product = graph.node("MatMul", TRAITS, weight)
        return graph.node("Unsqueeze", product, graph.indices(2))

    def _trust(self) -> str:
        """Whether the pair is one to be bent, 0…1, ``(1, 1, 1)``: settled when the model loads."""
        graph = self._graph
        signal = TRAITS
        for name in ("doubt", "gate"):
            weight = graph.constant(_whole(self._weights[f"{name}.weight"].T))
            bias = graph.constant(self._weights[f"{name}.bias"])
            signal = graph.node("Add", graph.node("MatMul", signal, weight), bias)
            signal = graph.node("Tanh", signal) if name == "doubt" else signal
        mean = graph.node("ReduceMean", signal, graph.indices(0), keepdims=1)
        held = graph.node("Clip", mean, graph.scalar(0.0), graph.scalar(1.0))
        return graph.node("Unsqueeze", held, graph.indices(2))

    def _past(self, signal: str) -> str:
        shape = self._shape
        weight = self._weights["past.weight"]
        lookback = (shape.taps - 1) * shape.dilation
        window = self._window(signal, (2, int(weight.shape[1]), lookback))
        return self._graph.node(
            "Conv",
            window,
            self._graph.constant(weight),
            self._graph.constant(self._weights["past.bias"]),
            dilations=[shape.dilation],
        )

    def _apart(self, bands: str) -> str:
        """Bands and whole of A, of B and of their difference, ``(3, bands + 1, frames)``."""
        graph = self._graph
        first, second = graph.parts(bands, 2)
        return graph.node("Concat", bands, graph.node("Sub", first, second), axis=0)

    def _levels(self, apart: str) -> str:
        """Their levels at each block's end, ``(3, 2·(bands + 1), blocks)``."""
        graph, count = self._graph, self._shape.bands + 1
        power = self._block_means(graph.node("Mul", apart, apart))
        window = self._window(power, (3, count, SLOW_BLOCKS - 1))
        slow = graph.node("AveragePool", window, kernel_shape=[SLOW_BLOCKS])
        start = graph.indices(SLOW_BLOCKS - FAST_BLOCKS)
        recent = graph.node("Slice", window, start, graph.indices(_END), graph.indices(2))
        fast = graph.node("AveragePool", recent, kernel_shape=[FAST_BLOCKS])
        both = graph.node("Concat", fast, slow, axis=1)
        logarithm = graph.node("Log", graph.node("Add", both, graph.scalar(POWER_FLOOR)))
        return graph.node("Mul", logarithm, graph.scalar(0.5 / np.log(10.0)))

    def _ratio(self, apart: str) -> str:
        """How much the tones differ just now, ``(1, 1, blocks)``."""
        graph = self._graph
        whole = graph.indices(self._shape.bands)
        whole = graph.node("Slice", apart, whole, graph.indices(_END), graph.indices(1))
        means = self._block_means(graph.node("Abs", whole))
        window = self._window(means, (3, 1, FAST_BLOCKS - 1))
        mean = graph.node("AveragePool", window, kernel_shape=[FAST_BLOCKS])
        a, b, between = graph.parts(mean, 3)
        together = graph.node("Add", a, b)
        return graph.node("Div", between, graph.node("Add", together, graph.scalar(RATIO_FLOOR)))

    def _block_means(self, signal: str) -> str:
        size = [BLOCK_FRAMES]
        return self._graph.node("AveragePool", signal, kernel_shape=size, strides=size)

    def _block_ends(self, signal: str) -> str:
        graph = self._graph
        last, step = graph.indices(BLOCK_FRAMES - 1), graph.indices(BLOCK_FRAMES)
        return graph.node("Slice", signal, last, graph.indices(_END), graph.indices(2), step)

    def _between(self, values: str, shape: tuple[int, int], before: float = 0.0) -> str:
        """Straight lines through values, one block late; ``shape`` is without the blocks."""
        graph = self._graph
        column = graph.node("Unsqueeze", values, graph.indices(3))
        window = self._window(column, (*shape, 2, 1), before)
        start, end = (
            graph.node("Slice", window, graph.indices(at), graph.indices(at - 2), graph.indices(2))
            for at in (0, 1)
        )
        share = np.linspace(0.0, 1.0, BLOCK_FRAMES + 1, dtype=np.float32)[1:]
        moved = graph.node("Mul", graph.node("Sub", end, start), graph.constant(share))
        lines = graph.node("Add", start, moved)
        return graph.node("Reshape", lines, graph.indices(*shape, -1))

    def _bounded(self, out: str, a: str, b: str) -> str:
        """Never louder than 3 dB over the louder tone, in power and in peaks of the last 5 ms.

        Nothing of this acts on tones of one guitar; tones of opposite phase, say, do ask for it.
        """
        graph = self._graph
        sounds = graph.node("Concat", out, a, b, axis=1)
        powers = self._block_means(graph.node("Mul", sounds, sounds))
        window = self._window(powers, (1, 3, FAST_BLOCKS - 1))
        mean = graph.node("AveragePool", window, kernel_shape=[FAST_BLOCKS])
        made, first, second = graph.split(mean, [1, 1, 1])
        most = graph.node("Mul", graph.node("Max", first, second), graph.scalar(MOST_POWER))
        ratio = graph.node(
            "Div",
            graph.node("Add", most, graph.scalar(QUIET_POWER)),
            graph.node("Add", made, graph.scalar(QUIET_POWER)),
        )
        gain = graph.node("Min", graph.node("Sqrt", ratio), graph.scalar(1.0))
        out = graph.node("Mul", out, self._between(gain, (1, 1), before=1.0))
        peak = graph.node("Max", graph.node("Abs", a), graph.node("Abs", b))
        window = self._window(peak, (1, 1, PEAK_FRAMES - 1))
        peak = graph.node("MaxPool", window, kernel_shape=[PEAK_FRAMES])
        highest = graph.node("Mul", peak, graph.scalar(MOST_GAIN))
        return graph.node("Max", graph.node("Min", out, highest), graph.node("Neg", highest))

    def _colour_filter(self, name: str) -> str:
        taps = np.zeros((1, 1, WHITEN_TAPS if name == WHITEN else SHAPE_TAPS), np.float32)
        taps[..., -1] = 1.0
        return self._graph.initializer(name, taps)

    def _filter(self, signal: str, weight: str, batch: int) -> str:
        """A causal filter bank ``(filters, 1, taps)`` on ``(batch, 1, frames)``."""
        taps = self._graph.length(weight)
        return self._graph.node("Conv", self._window(signal, (batch, 1, taps - 1)), weight)

    def _window(self, signal: str, past: tuple[int, ...], before: float = 0.0) -> str:
        """A signal with its past before it; the past is ``past`` large, at first ``before``."""
        return self._graph.window(signal, np.full(past, before, np.float32))


def _whole(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
