"""A WaveNet as ONNX nodes, with as few nodes as its features allow.

A period of 64 frames is little work for each node, so what a node costs besides its arithmetic
decides the speed. Where no FiLM stands between them, the condition travels as extra channels of
the layers' signal: the dilated convolution mixes it in without a node of its own, and the
residual, added inside the pointwise convolution, hands it on.
"""

import numpy as np

from models.nam.activations import Activation, add_activation
from models.nam.builder import Builder
from models.nam.wavenet import Film, Layer, LayerArray, WaveNet
from models.nam.weights import Array, Convolution

_BEFORE_SUM = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
)


def add_wavenet(graph: Builder, network: WaveNet, source: str, condition: str) -> str:
    """Add a WaveNet's nodes; ``source`` has one channel, the result ``network.outputs``."""
    signal, width = source, 1
    head = ""
    last = network.arrays[-1]
    for array in network.arrays:
        carried = array.layers[0].mixin.weight.shape[1] if _carries(array) else 0
        signal = _add_rechannel(graph, array, signal, width, condition, carried)
        signal, head = _add_layers(graph, array, signal, condition, carried, head, array is last)
        scale = network.head_scale if array is last else 1.0
        head = graph.convolution(head, _scaled(array.head, scale))
        # The next array sees this one's channels; what was carried along gets no weight there.
        width = array.channels + carried
    for convolution in network.head:
        assert network.head_activation is not None
        head = graph.convolution(add_activation(graph, network.head_activation, head), convolution)
    return head


def _carries(array: LayerArray) -> bool:
    return not any(name in layer.films for layer in array.layers for name in _BEFORE_SUM)


def _add_rechannel(
    graph: Builder, array: LayerArray, signal: str, width: int, condition: str, carried: int
) -> str:
    weight = array.rechannel.weight[:, :, 0]
    rows, columns = weight.shape
    widened = np.zeros((rows, width), np.float32)
    widened[:, :columns] = weight
    rechannelled = graph.pointwise(signal, widened, None)
    if not carried:
        return rechannelled
    return graph.node("Concat", rechannelled, condition, axis=1)


def _add_layers(
    graph: Builder,
    array: LayerArray,
    signal: str,
    condition: str,
    carried: int,
    head: str,
    last: bool,
) -> tuple[str, str]:
    skips = [head] if head else []
    for index, layer in enumerate(array.layers):
        if carried:
            mixed = graph.convolution(signal, _with_mixin(layer, carried))
        else:
            mixed = _add_mixed(graph, layer, signal, condition)
        mixed = _add_film(graph, layer, "activation_pre_film", mixed, condition)
        active = _add_gate(graph, layer, mixed)
        active = _add_film(graph, layer, "activation_post_film", active, condition)
        skip = active
        if layer.head is not None:
            skip = graph.convolution(active, layer.head)
            skip = _add_film(graph, layer, "head1x1_post_film", skip, condition)
        skips.append(skip)
        # Nobody listens to the last layer's signal.
        if layer.residual is not None and not (last and index == len(array.layers) - 1):
            signal = _add_residual(graph, layer, active, signal, condition, carried)
    total = graph.node("Sum", *skips) if len(skips) > 1 else skips[0]
    return signal, total


def _with_mixin(layer: Layer, carried: int) -> Convolution:
    """The dilated convolution of a signal that carries the condition behind its channels."""
    outputs, inputs, taps = layer.dilated.weight.shape
    weight = np.zeros((outputs, inputs + carried, taps), np.float32)
    weight[:, :inputs] = layer.dilated.weight
    weight[:, inputs:, -1] = layer.mixin.weight[:, :, 0]
    return Convolution(weight, layer.dilated.bias, layer.dilated.dilation)


def _add_mixed(graph: Builder, layer: Layer, signal: str, condition: str) -> str:
    signal = _add_film(graph, layer, "conv_pre_film", signal, condition)
    signal = graph.convolution(signal, layer.dilated)
    signal = _add_film(graph, layer, "conv_post_film", signal, condition)
    mixin = _add_film(graph, layer, "input_mixin_pre_film", condition, condition)
    mixin = graph.convolution(mixin, layer.mixin)
    mixin = _add_film(graph, layer, "input_mixin_post_film", mixin, condition)
    return graph.node("Add", signal, mixin)


def _add_gate(graph: Builder, layer: Layer, mixed: str) -> str:
    if layer.gating == "none":
        return add_activation(graph, _fitted(layer.activation, layer), mixed)
    first, second = graph.split(mixed, [layer.bottleneck, layer.bottleneck])
    active = add_activation(graph, _fitted(layer.activation, layer), first)
    gate = add_activation(graph, _fitted(layer.secondary, layer), second)
    if layer.gating == "gated":
        return graph.node("Mul", active, gate)
    blended = graph.node("Mul", gate, graph.node("Sub", active, first))
    return graph.node("Add", blended, first)


def _fitted(activation: Activation, layer: Layer) -> Activation:
    """PReLU's slopes of the channels that a cut network keeps."""
    if len(activation.slopes) <= layer.bottleneck:
        return activation
    return Activation(activation.kind, slopes=activation.slopes[: layer.bottleneck])


def _add_residual(
    graph: Builder, layer: Layer, active: str, signal: str, condition: str, carried: int
) -> str:
    assert layer.residual is not None
    weight, bias = layer.residual.weight[:, :, 0], layer.residual.bias
    film = layer.films.get("layer1x1_post_film")
    # The reference applies this film in blended layers only.
    if film is not None and layer.gating == "blended":
        changed = graph.pointwise(active, weight, bias)
        changed = _apply_film(graph, film, changed, condition)
        if carried:
            nothing = np.zeros((carried, weight.shape[0]), np.float32)
            identity = np.eye(weight.shape[0], dtype=np.float32)
            return graph.pointwise(changed, np.concatenate([identity, nothing]), None, signal)
        return graph.node("Add", changed, signal)
    return graph.pointwise(active, _taller(weight, carried), _longer(bias, carried), signal)


def _taller(weight: Array, carried: int) -> Array:
    return np.concatenate([weight, np.zeros((carried, weight.shape[1]), np.float32)])


def _longer(bias: Array | None, carried: int) -> Array | None:
    return None if bias is None else np.concatenate([bias, np.zeros(carried, np.float32)])


def _add_film(graph: Builder, layer: Layer, name: str, signal: str, condition: str) -> str:
    film = layer.films.get(name)
    return signal if film is None else _apply_film(graph, film, signal, condition)


def _apply_film(graph: Builder, film: Film, signal: str, condition: str) -> str:
    modulation = graph.convolution(condition, film.condition)
    if not film.shift:
        return graph.node("Mul", signal, modulation)
    half = film.condition.weight.shape[0] // 2
    scale, shift = graph.split(modulation, [half, half])
    return graph.node("Add", graph.node("Mul", signal, scale), shift)


def _scaled(convolution: Convolution, scale: float) -> Convolution:
    factor = np.float32(scale)
    bias = None if convolution.bias is None else convolution.bias * factor
    return Convolution(convolution.weight * factor, bias, convolution.dilation)
