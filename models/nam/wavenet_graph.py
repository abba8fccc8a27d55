"""A WaveNet as ONNX nodes, with as few nodes as its features allow.

A period of 64 frames is little work for each node, so what a node costs besides its arithmetic
decides the speed. Where no FiLM stands between them, the condition travels as extra channels of
the layers' signal: the dilated convolution mixes it in without a node of its own, and the
residual, added inside the pointwise convolution, hands it on.
"""

import numpy as np
import numpy.typing as npt

from models.nam.activations import Activation, add_activation
from models.nam.wavenet import Film, Layer, LayerArray, WaveNet
from models.streaming.builder import Builder
from models.streaming.convolution import Convolution

_BEFORE_SUM = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
)


def add_wavenet(graph: Builder, network: WaveNet, source: str, condition: str) -> str:
    """Add a WaveNet's nodes; ``source`` has one channel, the result ``network.outputs``."""
    signal, head = source, ""
    offset = np.zeros(1)
    # The source may be the condition: then it is carried from the start.
    width, carried = 1, int(source == condition)
    for index, array in enumerate(network.arrays):
        last = index == len(network.arrays) - 1
        writer = _ArrayWriter(graph, array, condition, last)
        signal, offset = writer.rechannel(signal, width, carried, offset)
        signal, head, offset = writer.layers(signal, offset, head)
        head = graph.convolution(head, _scaled(array.head, network.head_scale if last else 1.0))
        carried = writer.carried
        width = array.channels + carried
    for convolution in network.head:
        assert network.head_activation is not None
        head = graph.convolution(add_activation(graph, network.head_activation, head), convolution)
    return head


class _ArrayWriter:
    """Writes one layer array.

    ``carried`` is how many channels of condition travel behind the array's own. Where they do,
    the residuals' biases are left out of the signal: the sum of those so far, ``offset``
    ``(channels,)``, is a constant that the next convolution's bias takes up.
    """

    def __init__(self, graph: Builder, array: LayerArray, condition: str, last: bool) -> None:
        self._graph = graph
        self._array = array
        self._condition = condition
        self._last = last
        folds = not any(name in layer.films for layer in array.layers for name in _BEFORE_SUM)
        self.carried = int(array.layers[0].mixin.weight.shape[1]) if folds else 0

    def rechannel(
        self, signal: str, width: int, carried: int, offset: npt.NDArray[np.float64]
    ) -> tuple[str, npt.NDArray[np.float64]]:
        """From the signal before to the array's own, with the condition where it is carried.

        The signal before has ``width`` channels; the last ``carried`` are the condition.
        """
        weight = self._array.rechannel.weight[:, :, 0]
        rows, columns = weight.shape
        handed = self.carried if self.carried == carried else 0
        widened = np.zeros((rows + handed, width), np.float32)
        widened[:rows, :columns] = weight
        widened[rows:, width - handed :] = np.eye(handed)
        offset = weight.astype(np.float64) @ offset
        if handed:
            return self._graph.pointwise(signal, widened, None), offset
        if self.carried:
            signal = self._graph.pointwise(signal, widened, None)
            return self._graph.node("Concat", signal, self._condition, axis=1), offset
        return self._graph.pointwise(signal, widened, offset.astype(np.float32)), np.zeros(rows)

    def layers(
        self, signal: str, offset: npt.NDArray[np.float64], head: str
    ) -> tuple[str, str, npt.NDArray[np.float64]]:
        """All layers; returns the signal, the sum for the head, and the signal's offset."""
        graph, condition = self._graph, self._condition
        skips = [head] if head else []
        for index, layer in enumerate(self._array.layers):
            if self.carried:
                mixed = graph.convolution(signal, _with_mixin(layer, self.carried, offset))
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
            # Nobody listens to the very last layer's signal.
            unheard = self._last and index == len(self._array.layers) - 1
            if layer.residual is not None and not unheard:
                signal, offset = self._residual(layer, layer.residual, active, signal, offset)
        total = graph.node("Sum", *skips) if len(skips) > 1 else skips[0]
        return signal, total, offset

    def _residual(
        self,
        layer: Layer,
        residual: Convolution,
        active: str,
        signal: str,
        offset: npt.NDArray[np.float64],
    ) -> tuple[str, npt.NDArray[np.float64]]:
        weight, bias = residual.weight[:, :, 0], residual.bias
        film = layer.films.get("layer1x1_post_film")
        # The reference applies this film in blended layers only.
        if film is not None and layer.gating == "blended":
            active = self._graph.pointwise(active, weight, bias)
            active = _apply_film(self._graph, film, active, self._condition)
            if not self.carried:
                return self._graph.node("Add", active, signal), offset
            weight, bias = np.eye(weight.shape[0], dtype=np.float32), None
        elif self.carried and bias is not None:
            offset, bias = offset + bias, None
        # The condition is handed on: nothing is added to its channels.
        taller = np.concatenate([weight, np.zeros((self.carried, weight.shape[1]), np.float32)])
        return self._graph.pointwise(active, taller, bias, signal), offset


def _with_mixin(layer: Layer, carried: int, offset: npt.NDArray[np.float64]) -> Convolution:
    """Fold into the dilated convolution: the mixed-in condition and the signal's offset."""
    outputs, inputs, taps = layer.dilated.weight.shape
    weight = np.zeros((outputs, inputs + carried, taps), np.float32)
    weight[:, :inputs] = layer.dilated.weight
    weight[:, inputs:, -1] = layer.mixin.weight[:, :, 0]
    bias = layer.dilated.weight.sum(axis=2, dtype=np.float64) @ offset
    if layer.dilated.bias is not None:
        bias = bias + layer.dilated.bias
    return Convolution(weight, bias.astype(np.float32), layer.dilated.dilation)


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
