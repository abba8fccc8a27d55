"""Handing a WaveNet its weights, at full size or cut to fewer channels."""

from typing import TYPE_CHECKING

from models.nam.fields import Place
from models.nam.wavenet import (
    FILMS,
    ArrayShape,
    Film,
    Layer,
    LayerArray,
    WaveNet,
    WaveNetShape,
    slimmed,
)
from models.nam.weights import Source
from models.streaming.convolution import Convolution

if TYPE_CHECKING:
    from models.nam.capture import Network


def read_wavenet(
    shape: WaveNetShape, size: float, place: Place, weights: Source, condition: "Network | None"
) -> WaveNet:
    """The network that ``shape`` describes, cut to ``size`` 0…1, with its weights.

    The list always holds the weights of the full size; a cut network uses the first channels.
    Raises ``ModelError`` where a network cannot be cut.
    """
    cut = slimmed(shape, size)
    if cut != shape:
        _check_cut(shape, place)
    arrays = tuple(
        _read_array(full, slim, weights)
        for full, slim in zip(shape.arrays, cut.arrays, strict=True)
    )
    widths = shape.head_channels
    head = tuple(
        weights.convolution(widths[index], widths[index + 1], taps, bias=True)
        for index, taps in enumerate(shape.head_kernels)
    )
    scale = float(weights.take(1)[0])
    return WaveNet(arrays, scale, shape.head_activation, head, condition)


def _check_cut(shape: WaveNetShape, place: Place) -> None:
    grouped = any(
        max(array.groups, array.mixin_groups, array.residual_groups or 1, array.head1x1_groups) > 1
        for array in shape.arrays
    )
    if grouped or shape.head_kernels or any(array.head_taps > 1 for array in shape.arrays):
        raise place.child("layers").fault(
            "slimmable, with groups, a head of several taps or a network behind the layers",
            "none of these in a network that is cut to a smaller size, or size 1",
        )


class _Cutter:
    """Takes convolutions of the full network and keeps their first channels."""

    def __init__(self, weights: Source) -> None:
        self._weights = weights

    def convolution(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        taps: int = 1,
        *,
        bias: bool,
        groups: int = 1,
        dilation: int = 1,
    ) -> Convolution:
        """The next convolution; ``inputs`` and ``outputs`` are (channels listed, kept)."""
        full = self._weights.convolution(
            inputs[0], outputs[0], taps, bias=bias, groups=groups, dilation=dilation
        )
        return Convolution(
            full.weight[: outputs[1], : inputs[1]],
            None if full.bias is None else full.bias[: outputs[1]],
            dilation,
        )


def _read_array(full: ArrayShape, slim: ArrayShape, weights: Source) -> LayerArray:
    cutter = _Cutter(weights)
    channels = (full.channels, slim.channels)
    rechannel = cutter.convolution((full.inputs, slim.inputs), channels, bias=False)
    layers = tuple(_read_layer(full, slim, index, cutter) for index in range(len(full.dilations)))
    head = cutter.convolution(
        (full.skip_channels, slim.skip_channels),
        (full.head_channels, slim.head_channels),
        full.head_taps,
        bias=full.head_bias,
    )
    return LayerArray(rechannel, layers, head)


def _read_layer(full: ArrayShape, slim: ArrayShape, index: int, cutter: _Cutter) -> Layer:
    gating = full.gatings[index]
    halves = 1 if gating == "none" else 2
    channels = (full.channels, slim.channels)
    bottleneck = (full.bottleneck, slim.bottleneck)
    mixed = (halves * full.bottleneck, halves * slim.bottleneck)
    condition = (full.condition, full.condition)
    dilated = cutter.convolution(
        channels,
        mixed,
        full.kernels[index],
        bias=True,
        groups=full.groups,
        dilation=full.dilations[index],
    )
    mixin = cutter.convolution(condition, mixed, bias=False, groups=full.mixin_groups)
    residual = head = None
    if full.residual_groups is not None:
        residual = cutter.convolution(bottleneck, channels, bias=True, groups=full.residual_groups)
    head_channels = (0, 0)
    if full.head1x1_channels is not None:
        head_channels = (full.head1x1_channels, full.head1x1_channels)
        head = cutter.convolution(bottleneck, head_channels, bias=True, groups=full.head1x1_groups)
    widths = {
        "conv_pre_film": channels,
        "conv_post_film": mixed,
        "input_mixin_pre_film": condition,
        "input_mixin_post_film": mixed,
        "activation_pre_film": mixed,
        "activation_post_film": bottleneck,
        "layer1x1_post_film": channels,
        "head1x1_post_film": head_channels,
    }
    films = {}
    for name in FILMS:
        if name in full.films:
            film = full.films[name]
            parts = 2 if film.shift else 1
            outputs = (parts * widths[name][0], parts * widths[name][1])
            pointwise = cutter.convolution(condition, outputs, bias=True, groups=film.groups)
            films[name] = Film(pointwise, film.shift)
    return Layer(
        dilated,
        mixin,
        residual,
        head,
        films,
        gating,
        full.activations[index],
        full.secondaries[index],
        slim.bottleneck,
    )
