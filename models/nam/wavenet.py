"""WaveNet captures of every kind, classic and A2: what they consist of, and how they are read.

The order of the weights and the defaults are NeuralAmpModelerCore's (``NAM/wavenet/``).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from models.nam import limits
from models.nam.activations import Activation, read_activation
from models.nam.fields import Fields, describe, entries, flag, text
from models.streaming.convolution import Convolution

if TYPE_CHECKING:
    from models.nam.capture import Network

Gating = Literal["none", "gated", "blended"]
GATINGS: tuple[Gating, ...] = ("none", "gated", "blended")

FILMS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)
"""Places of a layer where the condition may scale and shift a signal, in weight order."""


@dataclass(frozen=True, eq=False)
class Film:
    """Scale (and shift) of a signal by a pointwise function of the condition.

    ``condition`` gives the scales of all channels, then, where ``shift``, their shifts.
    """

    condition: Convolution
    shift: bool


@dataclass(frozen=True, eq=False)
class Layer:
    """One residual layer. Gated and blended layers compute ``2·bottleneck`` channels."""

    dilated: Convolution
    mixin: Convolution
    residual: Convolution | None
    head: Convolution | None
    films: dict[str, Film]
    gating: Gating
    activation: Activation
    secondary: Activation
    bottleneck: int


@dataclass(frozen=True, eq=False)
class LayerArray:
    """Layers of one width in a row; their outputs add up and pass ``head``."""

    rechannel: Convolution
    layers: tuple[Layer, ...]
    head: Convolution

    @property
    def channels(self) -> int:
        """Channels of the signal from layer to layer."""
        return int(self.rechannel.weight.shape[0])

    @property
    def lookback_frames(self) -> int:
        """Past frames that the array needs."""
        dilated = sum(layer.dilated.lookback_frames for layer in self.layers)
        return dilated + self.head.lookback_frames


@dataclass(frozen=True, eq=False)
class WaveNet:
    """Layer arrays in a row, scaled, with an optional network behind them.

    ``condition`` is a network whose output replaces the source as what the layers mix in.
    """

    arrays: tuple[LayerArray, ...]
    head_scale: float
    head_activation: Activation | None
    head: tuple[Convolution, ...]
    condition: "Network | None"

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        last = self.head[-1] if self.head else self.arrays[-1].head
        return int(last.weight.shape[0])

    @property
    def receptive_field_frames(self) -> int:
        """Input frames that one output frame depends on, the condition network not counted."""
        arrays = sum(array.lookback_frames for array in self.arrays)
        return 1 + arrays + sum(convolution.lookback_frames for convolution in self.head)


@dataclass(frozen=True)
class FilmShape:
    """A FiLM's options: whether it shifts, and its groups."""

    shift: bool
    groups: int


@dataclass(frozen=True)
class ArrayShape:
    """A layer array's options, without weights; ``slim`` are the widths that it can be cut to."""

    inputs: int
    condition: int
    channels: int
    bottleneck: int
    head_channels: int
    head_taps: int
    head_bias: bool
    kernels: tuple[int, ...]
    dilations: tuple[int, ...]
    activations: tuple[Activation, ...]
    gatings: tuple[Gating, ...]
    secondaries: tuple[Activation, ...]
    groups: int
    mixin_groups: int
    residual_groups: int | None
    head1x1_channels: int | None
    head1x1_groups: int
    films: dict[str, FilmShape]
    slim: tuple[int, ...]

    @property
    def skip_channels(self) -> int:
        """Channels that each layer gives to the head."""
        return self.bottleneck if self.head1x1_channels is None else self.head1x1_channels


@dataclass(frozen=True)
class WaveNetShape:
    """A WaveNet's options, without weights."""

    arrays: tuple[ArrayShape, ...]
    head_channels: tuple[int, ...]
    head_kernels: tuple[int, ...]
    head_activation: Activation | None


def read_shape(config: Fields) -> WaveNetShape:
    """Read and check a WaveNet's options; raises ``ModelError`` at the first that is wrong."""
    config.whole("in_channels", 1, 1, default=1)
    place = config.place.child("layers")
    arrays: list[ArrayShape] = []
    for index, entry in enumerate(config.list("layers", 1, limits.ARRAYS)):
        fields = Fields(entry, place.child(index))
        array = _read_array(fields)
        if not arrays and array.inputs != 1:
            raise fields.place.child("input_size").fault(str(array.inputs), "1, the source")
        if arrays:
            _check_joint(fields, arrays[-1], array)
        arrays.append(array)
    channels, kernels, activation = _read_head(config, arrays[-1].head_channels)
    return WaveNetShape(tuple(arrays), channels, kernels, activation)


def _check_joint(fields: Fields, before: ArrayShape, array: ArrayShape) -> None:
    if array.inputs != before.channels:
        raise fields.place.child("input_size").fault(
            str(array.inputs), f"{before.channels}, the channels of the array before"
        )
    if array.skip_channels != before.head_channels:
        raise fields.place.fault(
            f"an array whose layers give {array.skip_channels} channels to the head",
            f"{before.head_channels}, the head channels of the array before",
        )


def _read_head(
    config: Fields, inputs: int
) -> tuple[tuple[int, ...], tuple[int, ...], Activation | None]:
    if not config.has("head"):
        return (), (), None
    head = config.object("head")
    head.whole("in_channels", inputs, inputs, default=inputs)
    inner = head.whole("channels", 1, limits.CHANNELS)
    outputs = head.whole("out_channels", 1, limits.CHANNELS)
    kernels = head.wholes("kernel_sizes", 1, limits.KERNEL, limits.LAYERS)
    widths = (inputs, *(inner for _ in kernels[1:]), outputs)
    place = head.place.child("activation")
    activation = read_activation(head.raw("activation"), place, min(widths[:-1]))
    if len(activation.slopes) > 1 and len(set(widths[:-1])) > 1:
        raise place.fault("a PReLU with a slope per channel", "one slope, for layers of any width")
    return widths, kernels, activation


def _read_array(fields: Fields) -> ArrayShape:
    channels = fields.whole("channels", 1, limits.CHANNELS)
    bottleneck = fields.whole("bottleneck", 1, limits.CHANNELS, default=channels)
    dilations = fields.wholes("dilations", 1, limits.LOOKBACK_FRAMES, limits.LAYERS)
    count = len(dilations)
    gatings = _read_gatings(fields, count)
    head_channels, head_taps, head_bias = _read_array_head(fields)
    residual_groups: int | None = 1
    if fields.has("layer1x1"):
        layer1x1 = fields.object("layer1x1")
        active = layer1x1.flag("active")
        groups = layer1x1.whole("groups", 1, limits.CHANNELS, default=1)
        residual_groups = groups if active else None
    head1x1_channels: int | None = None
    head1x1_groups = 1
    if fields.has("head1x1"):
        head1x1 = fields.object("head1x1")
        if head1x1.flag("active"):
            head1x1_channels = head1x1.whole("out_channels", 1, limits.CHANNELS)
            head1x1_groups = head1x1.whole("groups", 1, limits.CHANNELS, default=1)
    films = {name: film for name in FILMS if (film := _read_film(fields, name))}
    _check_films(fields, films, residual_groups, head1x1_channels)
    if residual_groups is None and bottleneck != channels:
        raise fields.place.child("bottleneck").fault(
            str(bottleneck), f"{channels}, the channels, since layer1x1 is not active"
        )
    return ArrayShape(
        inputs=fields.whole("input_size", 1, limits.CHANNELS),
        condition=fields.whole("condition_size", 1, limits.CHANNELS),
        channels=channels,
        bottleneck=bottleneck,
        head_channels=head_channels,
        head_taps=head_taps,
        head_bias=head_bias,
        kernels=_read_kernels(fields, count),
        dilations=dilations,
        activations=_read_activations(fields, "activation", count, bottleneck),
        gatings=gatings,
        secondaries=_read_secondaries(fields, gatings, bottleneck),
        groups=fields.whole("groups_input", 1, limits.CHANNELS, default=1),
        mixin_groups=fields.whole("groups_input_mixin", 1, limits.CHANNELS, default=1),
        residual_groups=residual_groups,
        head1x1_channels=head1x1_channels,
        head1x1_groups=head1x1_groups,
        films=films,
        slim=_read_slim(fields, channels),
    )


def _read_kernels(fields: Fields, count: int) -> tuple[int, ...]:
    if fields.has("kernel_size") and fields.has("kernel_sizes"):
        raise fields.place.child("kernel_sizes").fault(
            "given next to kernel_size", "only one of the two"
        )
    if fields.has("kernel_sizes"):
        kernels = fields.wholes("kernel_sizes", 1, limits.KERNEL, limits.LAYERS)
        if len(kernels) != count:
            raise fields.place.child("kernel_sizes").fault(
                f"a list of {len(kernels)} entries", f"{count}, one per dilation"
            )
        return kernels
    return (fields.whole("kernel_size", 1, limits.KERNEL),) * count


def _read_array_head(fields: Fields) -> tuple[int, int, bool]:
    if fields.has("head"):
        head = fields.object("head")
        return (
            head.whole("out_channels", 1, limits.CHANNELS),
            head.whole("kernel_size", 1, limits.KERNEL),
            head.flag("bias"),
        )
    return fields.whole("head_size", 1, limits.CHANNELS), 1, fields.flag("head_bias")


def _read_activations(
    fields: Fields, name: str, count: int, channels: int
) -> tuple[Activation, ...]:
    value, place = fields.raw(name), fields.place.child(name)
    if not isinstance(value, list):
        return (read_activation(value, place, channels),) * count
    return tuple(
        read_activation(entry, place.child(index), channels)
        for index, entry in enumerate(entries(value, place, count, count))
    )


def _read_gatings(fields: Fields, count: int) -> tuple[Gating, ...]:
    place = fields.place.child("gating_mode")
    if fields.has("gating_mode"):
        value = fields.raw("gating_mode")
        modes = entries(value, place, count, count) if isinstance(value, list) else [value] * count
        return tuple(cast(Gating, text(mode, place, GATINGS)) for mode in modes)
    gated = flag(fields.raw("gated", False), fields.place.child("gated"))
    return ("gated" if gated else "none",) * count


def _read_secondaries(
    fields: Fields, gatings: tuple[Gating, ...], channels: int
) -> tuple[Activation, ...]:
    """Activations of the second half of the channels; those of ungated layers do not matter."""
    place = fields.place.child("secondary_activation")
    default = Activation("Sigmoid")
    # The old boolean "gated" knows sigmoid only, whatever else the file says.
    if not fields.has("secondary_activation") or not fields.has("gating_mode"):
        return (default,) * len(gatings)
    value = fields.raw("secondary_activation")
    if not isinstance(value, list):
        return tuple(
            default if mode == "none" else read_activation(value, place, channels)
            for mode in gatings
        )
    values = entries(value, place, len(gatings), len(gatings))
    return tuple(
        default if mode == "none" else read_activation(values[index], place.child(index), channels)
        for index, mode in enumerate(gatings)
    )


def _read_film(fields: Fields, name: str) -> FilmShape | None:
    if not fields.has(name) or fields.raw(name) is False:
        return None
    film = fields.object(name)
    shape = FilmShape(
        film.flag("shift", default=True), film.whole("groups", 1, limits.CHANNELS, default=1)
    )
    return shape if film.flag("active", default=True) else None


def _check_films(
    fields: Fields, films: dict[str, FilmShape], residual: int | None, head1x1: int | None
) -> None:
    for name, there in (("layer1x1", residual), ("head1x1", head1x1)):
        if f"{name}_post_film" in films and there is None:
            raise fields.place.child(f"{name}_post_film").fault(
                "active", f"no such film, since {name} is not active"
            )


def _read_slim(fields: Fields, channels: int) -> tuple[int, ...]:
    if not fields.has("slimmable"):
        return ()
    slimmable = fields.object("slimmable")
    if not slimmable.has("method"):
        return ()
    slimmable.text("method", ("slice_channels_uniform",))
    options = slimmable.object("kwargs") if slimmable.has("kwargs") else None
    if options is None or not options.has("allowed_channels"):
        return tuple(range(1, channels + 1))
    widths = options.wholes("allowed_channels", 1, channels, limits.CHANNELS)
    if list(widths) != sorted(set(widths)) or widths[-1] != channels:
        raise options.place.child("allowed_channels").fault(
            describe(list(widths)), f"ascending widths that end with {channels}"
        )
    return widths


def slimmed(shape: WaveNetShape, size: float) -> WaveNetShape:
    """The shape cut to ``size`` 0…1; the widths are those that the capture was trained for."""
    widths = [
        array.slim[min(int(size * len(array.slim)), len(array.slim) - 1)]
        if array.slim
        else array.channels
        for array in shape.arrays
    ]
    arrays = []
    for index, (array, width) in enumerate(zip(shape.arrays, widths, strict=True)):
        bottleneck = max(1, array.bottleneck * width // array.channels)
        following = widths[index + 1] if index + 1 < len(widths) else None
        arrays.append(
            replace(
                array,
                inputs=widths[index - 1] if index else array.inputs,
                channels=width,
                bottleneck=width if array.residual_groups is None else bottleneck,
                head_channels=array.head_channels if following is None else following,
            )
        )
    return replace(shape, arrays=tuple(arrays))
