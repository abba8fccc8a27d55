"""Writing int8 into a graph: Q/DQ as TensorRT reads it, and nothing else.

Symmetric, zero-point 0; one scale for each output channel of a weight, one for a whole activation;
weights stored as int8 with a DequantizeLinear behind, biases left in floating point. Integer
convolution then is the engine's own doing: what the file says is where values are rounded
(NVIDIA, *Working with Quantized Types*, TensorRT documentation, explicit quantisation).

ONNX Runtime's own quantiser writes the same for fp32. This one also writes scales in half
precision, and rounds weights by the scale as it is stored.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from build.graph import add_constant, constants
from models.music2latent.graphs.writer import replace_nodes

LEVELS = 127
"""Steps on one side of zero in symmetric int8."""

_SMALLEST_SCALE = 6.2e-5
"""A scale below half precision's normal range would be rounded coarsely."""


def with_qdq(model: onnx.ModelProto, covered: Mapping[str, float]) -> onnx.ModelProto:
    """A copy whose convolutions compute on int8, those that ``covered`` names.

    It gives the magnitude of their input that int8 covers. The graph may be fp32 or fp16; Q/DQ
    take its type.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    stored = constants(quantised)
    written: list[onnx.NodeProto] = []
    rounded: dict[str, str] = {}
    for node in quantised.graph.node:
        if node.op_type == "Conv" and node.name in covered:
            weight = stored[node.input[1]]
            kind = numpy_helper.to_array(weight).dtype
            signal = node.input[0]
            if signal not in rounded:
                written += _activation(quantised, signal, covered[node.name], kind)
                rounded[signal] = f"{signal}/rounded"
            node.input[0] = rounded[signal]
            written.append(_weight(quantised, weight))
            node.input[1] = f"{weight.name}/rounded"
        written.append(node)
    replace_nodes(quantised, written)
    return quantised


def _activation(
    model: onnx.ModelProto, signal: str, covered: float, kind: npt.DTypeLike
) -> list[onnx.NodeProto]:
    scale = add_constant(
        model, f"{signal}/scale", np.array(max(covered / LEVELS, _SMALLEST_SCALE), kind)
    )
    zero = add_constant(model, f"{signal}/zero", np.array(0, np.int8))
    whole, back = f"{signal}/int8", f"{signal}/rounded"
    return [
        helper.make_node("QuantizeLinear", [signal, scale, zero], [whole], f"{signal}/Q"),
        helper.make_node("DequantizeLinear", [whole, scale, zero], [back], f"{signal}/DQ"),
    ]


def _weight(model: onnx.ModelProto, weight: onnx.TensorProto) -> onnx.NodeProto:
    values = numpy_helper.to_array(weight)
    name, kind = weight.name, values.dtype
    per_channel = np.abs(values.astype(np.float32)).reshape(len(values), -1).max(axis=1)
    scale = np.maximum(per_channel / LEVELS, _SMALLEST_SCALE).astype(kind)
    along = (-1,) + (1,) * (values.ndim - 1)
    whole = np.rint(values.astype(np.float32) / scale.astype(np.float32).reshape(along))
    model.graph.initializer.remove(weight)
    add_constant(model, f"{name}/int8", np.clip(whole, -LEVELS, LEVELS).astype(np.int8))
    add_constant(model, f"{name}/scale", scale)
    add_constant(model, f"{name}/zero", np.zeros(len(values), np.int8))
    return helper.make_node(
        "DequantizeLinear",
        [f"{name}/int8", f"{name}/scale", f"{name}/zero"],
        [f"{name}/rounded"],
        f"{name}/DQ",
        axis=0,
    )
