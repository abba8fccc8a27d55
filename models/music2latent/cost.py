"""What one run of a graph costs, counted node by node."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.errors import ModelError

_COUNTED = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
_MOVING = {
    "Cast",
    "Concat",
    "DequantizeLinear",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "QuantizeLinear",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Nodes that compute nothing."""

_FREE = {
    "Cast",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Shape",
    "Squeeze",
    "Unsqueeze",
}
"""Nodes without a kernel of their own: a view of the same memory, or part of a neighbour."""

_POINTWISE = {
    "Add",
    "Clip",
    "Div",
    "Erf",
    "Exp",
    "Log",
    "Mul",
    "Neg",
    "Pow",
    "Relu",
    "Sigmoid",
    "Sqrt",
    "Sub",
    "Tanh",
}
"""Nodes that an engine computes where their input is made: no memory traffic of their own."""


@dataclass(frozen=True)
class NodeCost:
    """One node: operations (a multiply and an add are two), constants and tensors it touches."""

    name: str
    operator: str
    flop: int
    weights: int
    """Constants read, in elements."""
    activations: int
    """Elements of tensors read and written."""


@dataclass(frozen=True)
class GraphCost:
    """One run of a graph."""

    nodes: tuple[NodeCost, ...]

    @property
    def flop(self) -> int:
        """Operations: exact for convolutions and matrix products, one per element elsewhere."""
        return sum(node.flop for node in self.nodes)

    @property
    def weights(self) -> int:
        """Constants in elements."""
        return sum(node.weights for node in self.nodes)

    @property
    def traffic(self) -> int:
        """Elements through memory, where pointwise nodes are computed by the node before them."""
        fused = _FREE | _POINTWISE
        return sum(node.activations for node in self.nodes if node.operator not in fused)

    @property
    def kernels(self) -> int:
        """Launches, where views are none and pointwise nodes belong to the node before them."""
        return sum(node.operator not in _FREE | _POINTWISE for node in self.nodes)


def graph_cost(model: onnx.ModelProto) -> GraphCost:
    """Count every node of a graph whose shapes are static.

    Raises ``ModelError`` where a shape is not known.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {
        value.name: _shape(value)
        for value in (
            *inferred.graph.input,
            *inferred.graph.value_info,
            *inferred.graph.output,
        )
    }
    constants = {tensor.name: tuple(tensor.dims) for tensor in inferred.graph.initializer}
    for node in inferred.graph.node:
        if node.op_type == "Constant":
            value = helper.get_attribute_value(node.attribute[0])
            array = numpy_helper.to_array(value) if node.attribute[0].name == "value" else value
            constants[node.output[0]] = np.shape(array)
    _constants_through(inferred.graph.node, constants, shapes)
    shapes.update(constants)
    costs = []
    for node in inferred.graph.node:
        if node.output[0] in constants:
            continue
        missing = [name for name in (*node.input, *node.output) if name and name not in shapes]
        if missing:
            raise ModelError(
                f"The graph does not say the shape of {missing[0]} at {node.op_type} "
                f"{node.name}, expected static shapes; export it for one window."
            )
        costs.append(_node_cost(node, shapes, constants))
    return GraphCost(tuple(costs))


def _constants_through(
    nodes: Iterable[onnx.NodeProto],
    constants: dict[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Add what is made of constants alone, such as dequantised weights: an engine folds it."""
    for node in nodes:
        known = [name in constants for name in node.input if name]
        if known and all(known) and node.output[0] in shapes:
            constants[node.output[0]] = shapes[node.output[0]]


def _node_cost(
    node: onnx.NodeProto,
    shapes: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, tuple[int, ...]],
) -> NodeCost:
    inputs = [name for name in node.input if name]
    made = sum(math.prod(shapes[name]) for name in node.output if name)
    weights = sum(math.prod(constants[name]) for name in inputs if name in constants)
    read = sum(math.prod(shapes[name]) for name in inputs if name not in constants)
    return NodeCost(
        name=node.name or node.output[0],
        operator=node.op_type,
        flop=_flop(node, shapes, made),
        weights=weights,
        activations=read + made,
    )


def _flop(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], made: int) -> int:
    if node.op_type not in _COUNTED:
        return 0 if node.op_type in _MOVING else made
    left, right = shapes[node.input[0]], shapes[node.input[1]]
    if node.op_type == "Conv":
        flop = 2 * made * math.prod(right[1:])
    elif node.op_type == "ConvTranspose":
        # Each input element is spread over the kernel and its group's outputs.
        flop = 2 * math.prod(left) * math.prod(right[1:])
    elif node.op_type == "Gemm":
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        flop = 2 * made * left[0 if transposed else 1]
    else:
        flop = 2 * made * left[-1]
    biased = node.op_type != "MatMul" and len(node.input) > 2 and node.input[2]
    return flop + (made if biased else 0)


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    sizes = value.type.tensor_type.shape.dim
    if any(not size.HasField("dim_value") for size in sizes):
        raise ModelError(
            f"The graph leaves a size of {value.name} open, expected static shapes; export it for "
            "one window."
        )
    return tuple(size.dim_value for size in sizes)
