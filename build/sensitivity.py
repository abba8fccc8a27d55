"""Which layers int8 costs most: each one alone, in one graph with a switch for each.

A layer's input becomes ``x + switch · (rounded(x) − x)``, so one session serves every trial; its
weights are rounded throughout, which costs far less than rounding what goes in. What a layer does
to the output is told as noise over signal (power); noises of different layers are nearly
independent, so those of a set add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper
from tqdm import tqdm

from build.graph import Array, Feed, constants, layer_of, layers, session
from build.qdq import with_qdq
from models.music2latent.graphs.writer import replace_nodes


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised: one convolution, or the phases of one widening step."""

    name: str
    nodes: tuple[str, ...]
    noise: float
    """Power of what quantising it alone changes in the output, over the output's."""
    flops: float
    parameters: int


def measure_layers(
    model: onnx.ModelProto, ranges: Mapping[str, float], feeds: Sequence[Feed], title: str
) -> list[Layer]:
    """Every layer of a float32 graph, loudest noise first."""
    members: dict[str, list[onnx.NodeProto]] = {}
    for node in layers(model):
        members.setdefault(layer_of(node.name), []).append(node)
    sizes = _sizes(model)
    run = session(_switched(model, ranges, {n: k for k, ns in members.items() for n in _names(ns)}))
    off = {f"{name}/switch": np.zeros(1, np.float32) for name in members}
    truths = [run.run(None, {**feed, **off})[0] for feed in feeds]
    found = []
    for name, nodes in tqdm(
        members.items(), f"trying the {title}'s layers", leave=False, disable=None
    ):
        on = {**off, f"{name}/switch": np.ones(1, np.float32)}
        noise = np.mean(
            [
                _noise(truth, run.run(None, {**feed, **on})[0])
                for truth, feed in zip(truths, feeds, strict=True)
            ]
        )
        weights = [sizes[node.name] for node in nodes]
        found.append(
            Layer(
                name,
                _names(nodes),
                float(noise),
                float(sum(flops for flops, _ in weights)),
                sum(parameters for _, parameters in weights),
            )
        )
    return sorted(found, key=lambda layer: -layer.noise)


def choose(found: Sequence[Layer], most_noise: float) -> list[Layer]:
    """Which layers to leave in half precision so that the others' noise stays below a limit.

    Those first whose noise is largest for what leaving them costs in work and in size.
    """
    work = sum(layer.flops for layer in found)
    size = sum(layer.parameters for layer in found)

    def gain(layer: Layer) -> float:
        cost = layer.flops / work + layer.parameters / size
        return layer.noise / max(cost, 1e-9)

    left: list[Layer] = []
    total = sum(layer.noise for layer in found)
    for layer in sorted(found, key=gain, reverse=True):
        if total <= most_noise:
            break
        left.append(layer)
        total -= layer.noise
    return left


def _names(nodes: Sequence[onnx.NodeProto]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _noise(truth: Array, other: Array) -> float:
    difference = np.sum(np.square(truth - other, dtype=np.float64))
    return float(difference / np.sum(np.square(truth, dtype=np.float64)))


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[float, int]]:
    """FLOP and parameters of every convolution."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    stored = constants(model)
    sizes = {}
    for node in layers(model):
        weight = list(stored[node.input[1]].dims)
        out = shapes[node.output[0]]
        parameters = int(np.prod(weight))
        sizes[node.name] = (2.0 * parameters * out[0] * float(np.prod(out[2:])), parameters)
    return sizes


def _switched(
    model: onnx.ModelProto, ranges: Mapping[str, float], switches: Mapping[str, str]
) -> onnx.ModelProto:
    """The graph with Q/DQ at every layer, each behind a switch; ``switches`` by node."""
    covered = {node.name: ranges[node.input[0]] for node in layers(model)}
    switched = with_qdq(model, covered)
    precise = {node.name: node.input[0] for node in layers(model)}
    made: list[onnx.NodeProto] = []
    for node in switched.graph.node:
        if node.name in switches:
            mixed = f"{node.name}/switched"
            switch = f"{switches[node.name]}/switch"
            made += _mix(precise[node.name], node.input[0], switch, mixed)
            node.input[0] = mixed
        made.append(node)
    replace_nodes(switched, made)
    switched.graph.input.extend(
        helper.make_tensor_value_info(f"{name}/switch", TensorProto.FLOAT, [1])
        for name in sorted(set(switches.values()))
    )
    return switched


def _mix(exact: str, rounded: str, switch: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Sub", [rounded, exact], [f"{out}/difference"]),
        helper.make_node("Mul", [f"{out}/difference", switch], [f"{out}/share"]),
        helper.make_node("Add", [exact, f"{out}/share"], [out]),
    ]
