"""Two captures of one architecture as one graph, so that the price of its nodes is paid once.

Half of what a capture costs in a short period is not arithmetic but the calling of its nodes.
Two captures that differ in their weights only have the same nodes: here they become one graph
whose signals carry the first capture's channels, then the second's. Every convolution works in
two groups, everything else element by element, so the two never meet, and each group's
arithmetic is the arithmetic of the capture alone: the same samples to the last bit, and a NaN
in one is not heard in the other.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.nam.capture import Capture
from models.nam.graph import streaming_onnx
from models.streaming.builder import DELAY

_ACTIVATIONS = {"Clip", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Softsign", "Tanh"}
_ARITHMETIC = {"Abs", "Add", "Div", "Greater", "Identity", "Less", "Mul", "Sub", "Sum", "Where"}
_EACH_SAMPLE = _ACTIVATIONS | _ARITHMETIC
"""Operators that work sample by sample on signals of equal channels and on single numbers."""

_CONVOLUTIONS = {"Conv", "FusedConv"}


def pair_onnx(a: Capture, b: Capture) -> bytes | None:
    """Both captures as one streaming graph, or ``None`` where they cannot share one.

    ``source`` and ``target`` are ``(1, 2, period)``: channel 0 is ``a``'s, channel 1 ``b``'s, each
    exactly what ``streaming_onnx`` of the capture alone gives. They share a graph where they
    consist of convolutions and activations, and differ in nothing but their weights; a gate, a
    FiLM with a shift, or an LSTM keeps them apart.
    """
    if a.prewarm_frames != b.prewarm_frames:
        return None
    model, other = (onnx.load_model_from_string(streaming_onnx(capture)) for capture in (a, b))
    try:
        _Joiner(model.graph, other.graph).join()
    except _ApartError:
        return None
    return bytes(model.SerializeToString())


class _ApartError(Exception):
    """The graphs cannot be one."""


class _Joiner:
    """Widens ``graph`` to hold ``other`` as well."""

    def __init__(self, graph: onnx.GraphProto, other: onnx.GraphProto) -> None:
        self._graph = graph
        self._other = other
        self._mine = {tensor.name: tensor for tensor in graph.initializer}
        self._others = {tensor.name: tensor for tensor in other.initializer}
        self._joined: dict[str, onnx.TensorProto] = {}

    def join(self) -> None:
        """Do it. Raises ``_ApartError``."""
        graph, other = self._graph, self._other
        _expect(_shapes(graph) == _shapes(other) and len(graph.node) == len(other.node))
        for mine, others in zip(graph.node, other.node, strict=True):
            self._join_node(mine, others)
        for value in (*graph.input, *graph.output):
            if value.name in self._mine:
                # What a memory holds before the first period.
                self._join_constants(value.name, value.name, value.name, axis=1)
            value.type.tensor_type.shape.dim[1].dim_value *= 2
        del graph.initializer[:]
        graph.initializer.extend(self._joined.values())

    def _join_node(self, mine: onnx.NodeProto, others: onnx.NodeProto) -> None:
        alike = (mine.op_type, mine.name, mine.output, len(mine.input), mine.attribute) == (
            others.op_type,
            others.name,
            others.output,
            len(others.input),
            others.attribute,
        )
        _expect(alike)
        join = self._side_by_side
        if mine.op_type in _CONVOLUTIONS:
            mine.attribute.append(helper.make_attribute("group", 2))
        elif mine.op_type != "PRelu":  # which has a slope for each channel
            # A delay line joins and cuts along the frames, whatever the channels.
            _expect(mine.op_type in _EACH_SAMPLE or mine.name.startswith(f"{DELAY}/"))
            join = self._same
        for slot, (name, twin) in enumerate(zip(mine.input, others.input, strict=True)):
            if _is_constant(name, self._mine) and _is_constant(twin, self._others):
                mine.input[slot] = join(name, twin)
            else:
                _expect(name == twin)

    def _side_by_side(self, mine: str, others: str) -> str:
        """Two constants as one, the second behind the first; returns its name."""
        return self._join_constants(mine, others, f"{mine}+{others}", axis=0)

    def _join_constants(self, mine: str, others: str, name: str, axis: int) -> str:
        if name not in self._joined:
            first = numpy_helper.to_array(self._mine[mine])
            second = numpy_helper.to_array(self._others[others])
            _expect(first.shape == second.shape)
            both = np.concatenate([first, second], axis)
            self._joined[name] = numpy_helper.from_array(both, name)
        return name

    def _same(self, mine: str, others: str) -> str:
        """A constant that has to be the same in both; returns its name."""
        first, second = self._mine[mine], self._others[others]
        _expect(first.raw_data == second.raw_data and first.dims == second.dims)
        # A number for each channel would have to be doubled.
        _expect(int(np.prod(first.dims)) == 1)
        self._joined[mine] = first
        return mine


def _is_constant(name: str, constants: dict[str, onnx.TensorProto]) -> bool:
    # A memory has a first value, but is no constant.
    return name in constants and "@" not in name


def _shapes(graph: onnx.GraphProto) -> list[tuple[str, str]]:
    return [(value.name, str(value.type)) for value in (*graph.input, *graph.output)]


def _expect(holds: bool) -> None:
    if not holds:
        raise _ApartError
