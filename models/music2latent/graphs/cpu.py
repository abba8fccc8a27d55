"""A bundle's half-precision or int8 graph as a CPU runs it best: the same values, other types.

What TensorRT wants is slow on a CPU: half precision is computed by casting every tensor to fp32
and back, and symmetric int8 activations have no fast kernel on x86. So:

- half-precision tensors become fp32 (stored values stay those of the file);
- activations rounded to int8 about 0 become uint8 about 128: the same steps, the same values;
- a convolution of such activations is written as QLinearConv, whose output is rounded to 8 bits
  as well, within the range that the file's metadata gives (``build.quantise`` writes it there).

The first two change no value; the third adds rounding that the GPU's graph does not have, so
``build verify`` judges on each machine what runs there.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.music2latent.graphs.writer import replace_nodes

RANGES = "output_ranges"
"""Metadata key: JSON, lowest and highest value of each convolution's output by its name."""

_HALF = TensorProto.FLOAT16
_MIDDLE = 128
_STEPS = 255


def for_cpu(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy for ONNX Runtime's CPU provider; an fp32 graph comes back as it is."""
    if not any(tensor.data_type == _HALF for tensor in model.graph.initializer) and not any(
        node.op_type == "QuantizeLinear" for node in model.graph.node
    ):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _to_single(copy)
    _to_integer_convolutions(copy)
    return copy


def output_ranges(model: onnx.ModelProto) -> dict[str, tuple[float, float]]:
    """What the file's metadata says its convolutions' outputs reach; empty where nothing."""
    for entry in model.metadata_props:
        if entry.key == RANGES:
            kept = json.loads(entry.value)
            return {str(name): (float(low), float(high)) for name, (low, high) in kept.items()}
    return {}


def _to_single(model: onnx.ModelProto) -> None:
    """Make every half-precision tensor fp32, and drop the casts between the two."""
    for tensor in model.graph.initializer:
        if tensor.data_type == _HALF:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    del model.graph.value_info[:]
    outputs = {value.name for value in model.graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type == "Cast" and _casts_to_float(node):
            if node.output[0] not in outputs:
                renamed[node.output[0]] = node.input[0]
                continue
            node.CopyFrom(helper.make_node("Identity", node.input, node.output, node.name))
        kept.append(node)
    replace_nodes(model, kept)


def _casts_to_float(node: onnx.NodeProto) -> bool:
    target = next(attribute.i for attribute in node.attribute if attribute.name == "to")
    return target in (_HALF, TensorProto.FLOAT)


class _Stored:
    """The graph's stored tensors."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return numpy_helper.to_array(self._tensors[name])

    def add(self, name: str, value: np.ndarray[Any, Any]) -> str:
        if name not in self._tensors:
            tensor = numpy_helper.from_array(value, name)
            self._model.graph.initializer.append(tensor)
            self._tensors[name] = tensor
        return name

    def drop_unused(self) -> None:
        used = {name for node in self._model.graph.node for name in node.input}
        kept = [tensor for name, tensor in self._tensors.items() if name in used]
        del self._model.graph.initializer[:]
        self._model.graph.initializer.extend(kept)


def _to_integer_convolutions(model: onnx.ModelProto) -> None:
    stored = _Stored(model)
    ranges = output_ranges(model)
    dequantised = {
        node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"
    }
    rounded = {
        node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"
    }
    made: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            middle = stored.add("cpu/middle", np.array(_MIDDLE, np.uint8))
            node.input[2] = middle
        elif node.op_type == "DequantizeLinear" and node.input[0] in rounded:
            node.input[2] = "cpu/middle"
        elif node.op_type == "Conv" and _is_integer(node, dequantised, rounded):
            covered = ranges.get(node.output[0])
            if covered is not None:
                made += _integer(node, dequantised, covered, stored)
                continue
        elif node.op_type == "DequantizeLinear":
            # A weight of a layer that stays in floating point, or is left so just below.
            stored.add(node.output[0], _dequantised(node, stored))
            continue
        made.append(node)
    replace_nodes(model, _live(made, [value.name for value in model.graph.output]))
    stored.drop_unused()


def _dequantised(node: onnx.NodeProto, stored: _Stored) -> np.ndarray[Any, Any]:
    whole, scale = stored[node.input[0]], stored[node.input[1]]
    if scale.ndim:
        along = [1] * whole.ndim
        along[_axis(node)] = -1
        scale = scale.reshape(along)
    return np.asarray(whole * scale, np.float32)


def _axis(node: onnx.NodeProto) -> int:
    """Along which a DequantizeLinear has a scale for each place; ONNX's default is 1."""
    return next((each.i for each in node.attribute if each.name == "axis"), 1)


def _is_integer(
    node: onnx.NodeProto,
    dequantised: Mapping[str, onnx.NodeProto],
    rounded: Mapping[str, onnx.NodeProto],
) -> bool:
    signal, weight = (dequantised.get(name) for name in node.input[:2])
    if signal is None or weight is None or signal.input[0] not in rounded:
        return False
    return weight.input[0] not in rounded and _axis(weight) == 0


def _integer(
    node: onnx.NodeProto,
    dequantised: Mapping[str, onnx.NodeProto],
    covered: tuple[float, float],
    stored: _Stored,
) -> list[onnx.NodeProto]:
    signal, weight = (dequantised[name] for name in node.input[:2])
    scale_in = float(stored[signal.input[1]])
    scale_weight = stored[weight.input[1]].astype(np.float64)
    low, high = covered
    step = max((high - low) / _STEPS, 1e-12)
    out = node.output[0]
    scale = stored.add(f"{out}/cpu.scale", np.array(step, np.float32))
    zero = stored.add(
        f"{out}/cpu.zero", np.array(np.clip(np.rint(-low / step), 0, _STEPS), np.uint8)
    )
    inputs = [*signal.input[:2], "cpu/middle", *weight.input, scale, zero]
    if len(node.input) > 2:
        whole = np.rint(stored[node.input[2]].astype(np.float64) / (scale_in * scale_weight))
        limits = np.iinfo(np.int32)
        bias = np.clip(whole, limits.min, limits.max).astype(np.int32)
        inputs.append(stored.add(f"{node.input[2]}/cpu", bias))
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return [
        helper.make_node("QLinearConv", inputs, [f"{out}/cpu"], node.name, **attributes),
        helper.make_node("DequantizeLinear", [f"{out}/cpu", scale, zero], [out], f"{out}/cpu.DQ"),
    ]


def _live(nodes: list[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Without nodes whose outputs nobody reads."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]
