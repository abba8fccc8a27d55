"""Fixing a streaming graph to one period length, so that less is copied.

``models.nam.graph`` writes every convolution with a past as *window, next, taps*: join the past
to the period, keep the end as the next past, convolve. That holds for any period, and moves all
of the past in every period: 200 KB for a standard WaveNet. Two rewrites avoid most of it:

- *Blocks.* Where the dilation is a multiple of the period, each tap reads one whole earlier
  period. The period itself becomes the memory, kept as long as it is needed, and the taps read
  it where it lies: ``<memory>@<lag>``. Where a graph holds two captures, the blocks are joined
  capture by capture: a memory of ``(1, 2·channels, frames)`` is read as ``(2, channels, frames)``.
- *Short pasts.* Where the past fits into the period, its end is cut from the period, not from
  the longer window.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.streaming.builder import DELAY, PERIOD
from models.streaming.convolution import Array

MOST_BLOCKS = 64
"""The largest lag in periods; beyond it the bindings would take more memory than they save."""


def for_period(model: onnx.ModelProto, period_frames: int) -> onnx.ModelProto:
    """A copy of a streaming graph for exactly ``period_frames`` frames, with the same output."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    _set_period(fixed.graph, period_frames)
    rewriter = _Rewriter(fixed.graph, period_frames)
    for number in rewriter.lines():
        rewriter.rewrite(number)
    rewriter.finish()
    return fixed


def _set_period(graph: onnx.GraphProto, period_frames: int) -> None:
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == PERIOD:
                dimension.dim_value = period_frames


@dataclass(frozen=True)
class _Line:
    """One delay line: its three nodes and what they compute."""

    window: onnx.NodeProto
    following: onnx.NodeProto
    taps: onnx.NodeProto
    weight: Array
    dilation: int
    groups: int

    @property
    def older_taps(self) -> int:
        return int(self.weight.shape[2]) - 1


class _Rewriter:
    def __init__(self, graph: onnx.GraphProto, period: int) -> None:
        self._graph = graph
        self._period = period
        # Kept by position, because a line that is rewritten changes the list.
        self._nodes = list(graph.node)
        self._inputs = {value.name: value for value in graph.input}
        self._outputs = {value.name: value for value in graph.output}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}

    def lines(self) -> list[str]:
        """The numbers of the delay lines in the graph."""
        names = [node.name.split("/") for node in self._nodes]
        return [parts[1] for parts in names if parts[0] == DELAY and parts[-1] == "window"]

    def rewrite(self, number: str) -> None:
        """Replace one delay line's nodes where its dilation or length allows."""
        line = self._line(number)
        lags = [
            (line.older_taps - tap) * line.dilation // self._period
            for tap in range(line.older_taps)
        ]
        if line.dilation % self._period == 0 and max(lags) <= MOST_BLOCKS:
            self._use_blocks(line, lags)
        elif line.older_taps * line.dilation <= self._period:
            line.following.input[0] = line.window.input[1]

    def _line(self, number: str) -> _Line:
        roles = {
            node.name.split("/")[2]: node
            for node in self._nodes
            if node.name.startswith(f"{DELAY}/{number}/")
        }
        taps = roles["taps"]
        weight = numpy_helper.to_array(self._weights[taps.input[1]])
        dilation = next(a.ints[0] for a in taps.attribute if a.name == "dilations")
        groups = next((a.i for a in taps.attribute if a.name == "group"), 1)
        return _Line(roles["window"], roles["next"], taps, weight, dilation, groups)

    def _use_blocks(self, line: _Line, lags: list[int]) -> None:
        outputs, channels, count = line.weight.shape
        past, signal = line.window.input
        memory = line.following.output[0]
        shape = [line.groups, channels, self._period]
        written = [1, line.groups * channels, self._period]
        self._outputs[memory] = helper.make_tensor_value_info(memory, TensorProto.FLOAT, written)
        del self._inputs[past], self._weights[past]
        blocks = [f"{memory}@{lag}" for lag in lags]
        for name in blocks:
            self._inputs[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        self._nodes.remove(line.following)
        if signal in self._inputs or signal in self._outputs:
            # Such a signal keeps its name, so that it has to be copied.
            copy = helper.make_node("Identity", [signal], [memory])
            self._nodes.insert(self._nodes.index(line.window), copy)
        else:
            # The memory is the signal itself: its maker writes it where it will lie.
            self._rename(signal, memory)
        newest = memory
        if line.groups > 1:
            newest = self._by_group(line, shape, count)
        del line.window.input[:]
        line.window.input.extend([*blocks, newest])
        next(a for a in line.window.attribute if a.name == "axis").i = 1
        flat = line.weight.transpose(0, 2, 1).reshape(outputs, count * channels, 1)
        name = f"{line.taps.name}/weight"
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(flat), name)
        line.taps.input[1] = name
        next(a for a in line.taps.attribute if a.name == "dilations").ints[0] = 1

    def _by_group(self, line: _Line, shape: list[int], count: int) -> str:
        """Join the blocks group by group: a group's channels have to lie together."""
        groups, channels, period = shape
        memory, window = line.following.output[0], line.window.output[0]
        newest, joined = f"{memory}/newest", f"{memory}/joined"
        before = self._reshape(memory, shape, newest)
        after = self._reshape(joined, [1, groups * count * channels, period], window)
        line.window.output[0] = joined
        at = self._nodes.index(line.window)
        self._nodes[at : at + 1] = [before, line.window, after]
        return newest

    def _reshape(self, signal: str, shape: list[int], output: str) -> onnx.NodeProto:
        name = "shape/" + "x".join(str(extent) for extent in shape)
        self._weights[name] = numpy_helper.from_array(np.array(shape, np.int64), name)
        return helper.make_node("Reshape", [signal, name], [output])

    def _rename(self, signal: str, memory: str) -> None:
        for node in self._nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == signal:
                        names[index] = memory

    def finish(self) -> None:
        """Write the changed lists back, without the weights that nothing uses any more."""
        used = {name for node in self._nodes for name in node.input}
        weights = [tensor for name, tensor in self._weights.items() if name in used]
        for field, values in (
            (self._graph.node, self._nodes),
            (self._graph.input, list(self._inputs.values())),
            (self._graph.output, list(self._outputs.values())),
            (self._graph.initializer, weights),
        ):
            copies = [type(value).FromString(value.SerializeToString()) for value in values]
            del field[:]
            field.extend(copies)
