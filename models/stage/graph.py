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
        of_a, of_b, apart = self._levels(bands)
        side = graph.node("Mul", self._block_ends(position), graph.scalar(2.0))
        side = graph.node("Sub", side, graph.scalar(1.0))
        side = graph.node("Concat", graph.node("Neg", side), side, axis=0)
        place = graph.node("Concat", side, graph.node("Mul", side, side), axis=1)
        heard = graph.node(
            "Concat",
            graph.node("Concat", of_a, of_b, axis=0),
            graph.node("Concat", of_b, of_a, axis=0),
            graph.node("Concat", apart, apart, axis=0),
            place,
            axis=1,
        )
        signal = graph.node("Tanh", self._dense("enter", heard, add=self._trait()))
        scale, shift = graph.split(self._dense("film", place), [self._shape.width] * 2)
        past = graph.node("Mul", self._past(signal), scale)
        moved = graph.node("Tanh", graph.node("Add", past, shift))
        signal = graph.node("Add", signal, moved)
        signal = graph.node("Add", signal, graph.node("Tanh", self._dense("mix", signal)))
        held = graph.node("Mul", self._ratio(tones), self._trust())
        return graph.node("Mul", self._dense("leave", signal), held)

    def _dense(self, name: str, signal: str, add: str = "") -> str:
        """A layer that hears the present only."""
        bias = self._weights[f"{name}.bias"].copy()
        if name == "film":
            bias[: self._shape.width] += 1.0  # the scale's one
        dense = self._graph.pointwise(signal, self._weights[f"{name}.weight"][:, :, 0], bias)
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

    def _levels(self, bands: str) -> list[str]:
        """Levels of A, B and their difference at each block's end, ``(1, 2·bands, blocks)``."""
        graph, count = self._graph, self._shape.bands
        first, second = (
            graph.node(
                "Slice",
                bands,
                graph.indices(row, 0),
                graph.indices(row + 1, count),
                graph.indices(0, 1),
            )
            for row in (0, 1)
        )
        apart = graph.node("Sub", first, second)
        all_three = graph.node("Concat", first, second, apart, axis=0)
        power = self._block_means(graph.node("Mul", all_three, all_three), (3, count))
        window = self._window(power, (3, count, SLOW_BLOCKS - 1))
        slow = graph.node("AveragePool", window, kernel_shape=[SLOW_BLOCKS])
        recent = graph.node(
            "Slice",
            window,
            graph.indices(SLOW_BLOCKS - FAST_BLOCKS),
            graph.indices(np.iinfo(np.int64).max),
            graph.indices(2),
        )
        fast = graph.node("AveragePool", recent, kernel_shape=[FAST_BLOCKS])
        both = graph.node("Concat", fast, slow, axis=1)
        logarithm = graph.node("Log", graph.node("Add", both, graph.scalar(POWER_FLOOR)))
        levels = graph.node("Mul", logarithm, graph.scalar(0.5 / np.log(10.0)))
        return graph.parts(levels, 3)

    def _ratio(self, tones: str) -> str:
        """How much the tones differ just now, ``(1, 1, blocks)``."""
        graph = self._graph
        a, b = graph.parts(tones, 2)
        apart = graph.node("Abs", graph.node("Sub", a, b))
        together = graph.node("Add", graph.node("Abs", a), graph.node("Abs", b))
        both = self._block_means(graph.node("Concat", apart, together, axis=1), (1, 2))
        window = self._window(both, (1, 2, FAST_BLOCKS - 1))
        mean = graph.node("AveragePool", window, kernel_shape=[FAST_BLOCKS])
        apart, together = graph.split(mean, [1, 1])
        return graph.node("Div", apart, graph.node("Add", together, graph.scalar(RATIO_FLOOR)))

    def _block_means(self, signal: str, outer: tuple[int, int]) -> str:
        graph = self._graph
        blocks = graph.node("Reshape", signal, graph.indices(*outer, -1, BLOCK_FRAMES))
        return graph.node("ReduceMean", blocks, graph.indices(3), keepdims=0)

    def _block_ends(self, signal: str) -> str:
        graph = self._graph
        blocks = graph.node("Reshape", signal, graph.indices(1, 1, -1, BLOCK_FRAMES))
        last = graph.indices(BLOCK_FRAMES - 1)
        end = graph.node("Slice", blocks, last, graph.indices(BLOCK_FRAMES), graph.indices(3))
        return graph.node("Squeeze", end, graph.indices(3))

    def _between(self, values: str, shape: tuple[int, int], before: float = 0.0) -> str:
        """Straight lines through values, one block late; ``shape`` is without the blocks."""
        graph = self._graph
        window = self._window(values, (*shape, 2), before)
        ends = [
            graph.node("Slice", window, graph.indices(at), graph.indices(at - 2), graph.indices(2))
            for at in (0, 1)
        ]
        start, end = (graph.node("Unsqueeze", each, graph.indices(3)) for each in ends)
        share = np.linspace(0.0, 1.0, BLOCK_FRAMES + 1, dtype=np.float32)[1:]
        moved = graph.node("Mul", graph.node("Sub", end, start), graph.constant(share))
        lines = graph.node("Add", start, moved)
        return graph.node("Reshape", lines, graph.indices(*shape, -1))

    def _bounded(self, out: str, a: str, b: str) -> str:
        """Never louder than 3 dB over the louder tone, in power and in peaks of the last 5 ms.

        Nothing of this acts on tones of one guitar; tones of opposite phase, say, do ask for it.
        """
        graph = self._graph
        squares = [graph.node("Mul", each, each) for each in (out, a, b)]
        powers = self._block_means(graph.node("Concat", *squares, axis=1), (1, 3))
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

    def _window(self, signal: str, past: tuple[int, int, int], before: float = 0.0) -> str:
        """A signal with its past before it; the past is ``past`` large, at first ``before``."""
        graph = self._graph
        memory = graph.memory(np.full(past, before, np.float32))
        window = graph.node("Concat", f"{memory}@1", signal, axis=2)
        graph.node(
            "Slice",
            window,
            graph.indices(-past[2]),
            graph.indices(np.iinfo(np.int64).max),
            graph.indices(2),
            output=memory,
        )
        return window


def _whole(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
