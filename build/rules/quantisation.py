"""Rules of Q/DQ: symmetric int8, weights by output channel, activations by tensor."""

from collections.abc import Iterator

import numpy as np
import onnx

from build.rules.rule import Finding, Rule
from build.rules.subject import GraphView, Subject

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
QDQ = (QUANTISE, DEQUANTISE)
HALF_OPSET = 19
"""The first whose Q/DQ take float16 (ONNX, QuantizeLinear-19)."""

SOURCE = "TensorRT, *Working with Quantized Types*; onnx-tensorrt, QuantDequantLinearHelper"


def _nodes(subject: Subject) -> Iterator[tuple[GraphView, onnx.NodeProto]]:
    for view in subject.views():
        for node in view.nodes:
            if node.op_type in QDQ:
                yield view, node


def _present(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        kinds = {node.op_type for node in view.nodes} & set(QDQ)
        if view.precision == "int8":
            for kind in QDQ:
                if kind not in kinds:
                    yield Finding(view.name, f"holds no {kind}, so nothing in it is int8")
        elif kinds:
            yield Finding(view.name, f"holds {min(kinds)}, but is {view.precision}")


def _symmetric(subject: Subject) -> Iterator[Finding]:
    for view, node in _nodes(subject):
        scale, zero = (view.arrays.get(view.taken(node, index)) for index in (1, 2))
        if scale is None:
            yield Finding(view.at(node), "its scale is no constant")
            continue
        value = scale.astype(np.float64)
        if scale.size == 0 or not np.isfinite(value).all() or value.min() <= 0.0:
            yield Finding(view.at(node), "its scales are not all finite and above zero")
        if zero is None:
            # ONNX then means uint8, and TensorRT int8.
            yield Finding(view.at(node), "has no constant zero point, which says that it is int8")
        elif zero.dtype != np.int8 or zero.any():
            yield Finding(view.at(node), f"its zero point is {_brief(zero)}, expected int8 zero")
        elif zero.size != scale.size:
            yield Finding(view.at(node), f"has {scale.size} scales but {zero.size} zero points")


def _pairs(subject: Subject) -> Iterator[Finding]:
    for view, node in _nodes(subject):
        if node.op_type == QUANTISE:
            whole = view.made(node)
            takers = view.consumers.get(whole, [])
            if not takers or any(taker.op_type != DEQUANTISE for taker in takers):
                yield Finding(view.at(node), f"is not followed by {DEQUANTISE} alone")
            elif whole in view.outputs:
                yield Finding(view.at(node), "leaves the graph as int8")
            for taker in takers:
                if taker.op_type == DEQUANTISE and not _same_scale(view, node, taker):
                    yield Finding(view.at(taker), "has another scale than its QuantizeLinear")
        else:
            maker = view.producer.get(view.taken(node, 0))
            stored = view.arrays.get(view.taken(node, 0))
            if stored is not None and stored.dtype != np.int8:
                yield Finding(view.at(node), f"its constant is {stored.dtype}, expected int8")
            if stored is None and (maker is None or maker.op_type != QUANTISE):
                yield Finding(view.at(node), f"follows neither {QUANTISE} nor an int8 constant")


def _axes(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        for node in view.nodes:
            for index, name in enumerate(node.input):
                maker = view.producer.get(name)
                if maker is None or maker.op_type != DEQUANTISE:
                    continue
                scales = view.arrays.get(view.taken(maker, 1))
                shape = _constant_shape(view, maker)
                if scales is None:
                    continue  # `symmetric` says so
                if shape is None:
                    if scales.size != 1:
                        yield Finding(
                            view.at(maker), f"an activation has {scales.size} scales, expected one"
                        )
                    continue
                axis = channel_axis(node, index, len(shape))
                if axis is not None and axis < len(shape):
                    yield from _channels(view, maker, scales.size, shape, axis)


def _rank(subject: Subject) -> Iterator[Finding]:
    for view in subject.views("int8"):
        for node in view.nodes:
            if node.op_type not in ("Conv", "ConvTranspose"):
                continue
            maker = view.producer.get(view.taken(node, 1))
            if maker is None or maker.op_type != DEQUANTISE:
                continue
            shape = _constant_shape(view, maker)
            if shape is not None and len(shape) < 4:
                yield Finding(
                    view.at(node),
                    f"is quantised over {len(shape) - 2} dimension, expected 2: make its kernel "
                    "k × 1 or leave it in fp16",
                )


def channel_axis(node: onnx.NodeProto, index: int, rank: int) -> int | None:
    """The axis of a weight that output channels lie along; None where it is no weight."""
    if node.op_type == "Conv" and index == 1:
        return 0
    if node.op_type == "ConvTranspose" and index == 1:
        return 1
    if node.op_type == "MatMul" and rank >= 2:
        return rank - 1 if index == 1 else rank - 2
    if node.op_type == "Gemm" and index in (0, 1):
        turned = any(
            attribute.name == ("transA", "transB")[index] and attribute.i
            for attribute in node.attribute
        )
        return int(turned) if index == 0 else int(not turned)
    return None


def _channels(
    view: GraphView, node: onnx.NodeProto, scales: int, shape: tuple[int, ...], axis: int
) -> Iterator[Finding]:
    """Faults of a weight's DequantizeLinear, whose channels should lie along ``axis``."""
    # Absent, it is 1 by ONNX, but was 0 to importers before 10: so it has to be said.
    stated = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    if scales != shape[axis]:
        yield Finding(
            view.at(node), f"a weight of {shape[axis]} output channels has {scales} scales"
        )
    elif scales > 1 and not stated:
        yield Finding(view.at(node), f"does not say its axis, expected {axis}")
    elif scales > 1 and stated[0] % len(shape) != axis:
        yield Finding(view.at(node), f"its axis is {stated[0]}, expected {axis}")


def _constant_shape(view: GraphView, node: onnx.NodeProto) -> tuple[int, ...] | None:
    """The shape of the weight behind a DequantizeLinear, stored as int8 or quantised there."""
    name = view.taken(node, 0)
    maker = view.producer.get(name)
    if name not in view.arrays and maker is not None and maker.op_type == QUANTISE:
        name = view.taken(maker, 0)
    return view.arrays[name].shape if name in view.arrays else None


def _opset(subject: Subject) -> Iterator[Finding]:
    for view, node in _nodes(subject):
        signal = view.taken(node, 0) if node.op_type == QUANTISE else view.made(node)
        halves = "float16" in (view.element(signal), view.element(view.taken(node, 1)))
        if view.opset < HALF_OPSET and halves:
            yield Finding(
                view.at(node),
                f"works on float16 at opset {view.opset}, expected {HALF_OPSET} or more, or casts "
                "around it",
            )


def _same_scale(view: GraphView, one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    first, second = (view.arrays.get(view.taken(node, 1)) for node in (one, other))
    return first is None or second is None or np.array_equal(first, second)


def _brief(zero: np.ndarray) -> str:
    return f"{zero.dtype} {zero.ravel()[:1].tolist()[0] if zero.size else 'of no number'}"


RULES = (
    Rule("qdq-present", "int8 graphs hold Q/DQ, the others none.", SOURCE, _present),
    Rule(
        "qdq-symmetric",
        "Scales are finite constants above zero; zero points are int8 zero.",
        SOURCE,
        _symmetric,
    ),
    Rule(
        "qdq-pairs",
        "Each QuantizeLinear is followed by DequantizeLinear of its scale; each of those follows "
        "one or a constant stored as int8.",
        SOURCE,
        _pairs,
    ),
    Rule(
        "qdq-axes",
        "Weights have a scale for each output channel (Conv axis 0, ConvTranspose 1, MatMul and "
        "Gemm the output's), activations one.",
        SOURCE,
        _axes,
    ),
    Rule(
        "qdq-rank",
        "Quantised convolutions are over two dimensions: of those over one, the importer reshapes "
        "the weights behind their DequantizeLinear, and TensorRT was seen to have no kernel.",
        "onnx-tensorrt, Conv importer; github.com/NVIDIA/TensorRT/issues/1768 (8.2)",
        _rank,
    ),
    Rule(
        "qdq-opset",
        f"Q/DQ on float16 stands at opset {HALF_OPSET} or above.",
        "ONNX, QuantizeLinear-19",
        _opset,
    ),
)
