"""Linear and ConvNet captures: convolutions in a row, read and written as ONNX."""

from dataclasses import dataclass

import numpy as np

from models.nam import limits
from models.nam.activations import Activation, add_activation, read_activation
from models.nam.fields import Fields
from models.nam.weights import Source
from models.streaming.builder import Builder
from models.streaming.convolution import Convolution


@dataclass(frozen=True, eq=False)
class Linear:
    """One impulse response: ``response`` is ``(1, 1, taps)``, the newest tap last."""

    response: Convolution

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return 1

    @property
    def receptive_field_frames(self) -> int:
        """Input frames that one output frame depends on."""
        return self.response.lookback_frames + 1


@dataclass(frozen=True, eq=False)
class ConvNet:
    """Convolutions of two taps, each with an activation, and a linear head."""

    blocks: tuple[Convolution, ...]
    activation: Activation
    head: Convolution

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.head.weight.shape[0])

    @property
    def receptive_field_frames(self) -> int:
        """Input frames that one output frame depends on."""
        return 1 + sum(block.lookback_frames for block in self.blocks)


def read_linear(config: Fields, weights: Source) -> Linear:
    """A Linear capture; weights: the response, oldest effect last, then an optional bias."""
    taps = config.whole("receptive_field", 1, limits.KERNEL)
    bias = config.flag("bias")
    config.whole("in_channels", 1, 1, default=1)
    config.whole("out_channels", 1, 1, default=1)
    response = weights.take(1, 1, taps)
    # The file counts from the newest sample, a convolution from the oldest.
    newest_last = response[:, :, ::-1]
    return Linear(Convolution(newest_last, weights.take(1) if bias else None))


def read_convnet(config: Fields, weights: Source) -> ConvNet:
    """A ConvNet capture; batch normalisation is folded into the convolutions."""
    channels = config.whole("channels", 1, limits.CHANNELS)
    dilations = config.wholes("dilations", 1, limits.LOOKBACK_FRAMES, limits.LAYERS)
    normalised = config.flag("batchnorm")
    groups = config.whole("groups", 1, limits.CHANNELS, default=1)
    inputs = config.whole("in_channels", 1, 1, default=1)
    outputs = config.whole("out_channels", 1, limits.CHANNELS, default=1)
    place = config.place.child("activation")
    activation = read_activation(config.raw("activation"), place, channels)
    blocks = []
    for dilation in dilations:
        block = weights.convolution(
            inputs, channels, 2, bias=not normalised, groups=groups, dilation=dilation
        )
        blocks.append(_normalise(block, weights, channels) if normalised else block)
        inputs = channels
    head = weights.convolution(channels, outputs, bias=True)
    return ConvNet(tuple(blocks), activation, head)


def _normalise(block: Convolution, weights: Source, channels: int) -> Convolution:
    mean, variance, gain, offset = (weights.take(channels) for _ in range(4))
    epsilon = weights.take(1)
    scale = gain / np.sqrt(epsilon + variance)
    weight = block.weight * scale[:, np.newaxis, np.newaxis]
    return Convolution(weight, offset - scale * mean, block.dilation)


def add_linear(graph: Builder, linear: Linear, source: str) -> str:
    """Add a Linear network's nodes; ``source`` and the result have one channel."""
    return graph.convolution(source, linear.response)


def add_convnet(graph: Builder, network: ConvNet, source: str) -> str:
    """Add a ConvNet's nodes; the result has ``network.outputs`` channels."""
    signal = source
    for block in network.blocks:
        signal = add_activation(graph, network.activation, graph.convolution(signal, block))
    return graph.convolution(signal, network.head)
