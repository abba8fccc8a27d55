"""Captures made at random, and what they must sound like: computed directly, offline, in float64.

Written from the description of the file format, on the JSON as it stands; shares no code with
``models.nam``.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
Model = dict[str, Any]


def activate(spec: Any, x: Signal) -> Signal:
    """Apply an activation given by name or object to ``(channels, frames)``."""
    options = spec if isinstance(spec, dict) else {}
    kind = options.get("type", spec)
    if kind == "Tanh":
        return np.tanh(x)
    if kind == "Hardtanh":
        return np.clip(x, -1.0, 1.0)
    if kind == "Fasttanh":
        size, square = np.abs(x), x * x
        top = 2.45550750702956 + 2.45550750702956 * size
        top = x * (top + (0.893229853513558 + 0.821226666969744 * size) * square)
        bend = np.abs(x + 0.814642734961073 * x * size)
        return top / (2.44506634652299 + (2.44506634652299 + square) * bend)
    if kind == "ReLU":
        return np.maximum(x, 0.0)
    if kind == "LeakyReLU":
        return np.where(x > 0, x, options.get("negative_slope", 0.01) * x)
    if kind == "PReLU":
        slopes = options.get("negative_slopes", [options.get("negative_slope", 0.01)])
        return np.where(x > 0, x, np.array(slopes)[:, None] * x)
    if kind == "Sigmoid":
        return 1.0 / (1.0 + np.exp(-x))
    if kind == "SiLU":
        return x / (1.0 + np.exp(-x))
    if kind == "Hardswish":
        return x * np.clip(x + 3.0, 0.0, 6.0) / 6.0
    if kind == "Softsign":
        return x / (1.0 + np.abs(x))
    assert kind in ("LeakyHardtanh", "LeakyHardTanh")
    low, high = options.get("min_val", -1.0), options.get("max_val", 1.0)
    below = low + (x - low) * options.get("min_slope", 0.01)
    above = high + (x - high) * options.get("max_slope", 0.01)
    return np.where(x < low, below, np.where(x > high, above, x))


class Weights:
    """Weights drawn at random while a network is walked for the first time, replayed after."""

    def __init__(self, seed: int) -> None:
        self.drawn: list[float] = []
        self._random = np.random.default_rng(seed)

    def take(self, *shape: int, positive: bool = False) -> Signal:
        """New random weights, exact in float32, noted in the order of the file."""
        values = self._random.normal(0.0, 0.5, shape).astype(np.float32)
        if positive:
            values = np.abs(values) + np.float32(0.1)
        self.drawn += [float(value) for value in values.ravel()]
        return values.astype(np.float64)


class Replay(Weights):
    """The weights of a finished model, in order."""

    def __init__(self, flat: list[float]) -> None:
        super().__init__(0)
        self._flat: Iterator[float] = iter(flat)

    def take(self, *shape: int, positive: bool = False) -> Signal:
        """The next weights."""
        count = int(np.prod(shape))
        return np.array([next(self._flat) for _ in range(count)], np.float64).reshape(shape)

    def left(self) -> int:
        """How many weights nobody has taken."""
        return sum(1 for _ in self._flat)


def convolve(
    weights: Weights,
    x: Signal,
    outputs: int,
    taps: int = 1,
    *,
    bias: bool,
    groups: int = 1,
    dilation: int = 1,
) -> Signal:
    """A causal convolution of ``(inputs, frames)``, silence before the start."""
    inputs, frames = x.shape
    kernel = weights.take(groups, outputs // groups, inputs // groups, taps)
    offset = weights.take(outputs) if bias else np.zeros(outputs)
    result = np.zeros((outputs, frames)) + offset[:, None]
    each_out, each_in = outputs // groups, inputs // groups
    for group in range(groups):
        rows = slice(group * each_out, (group + 1) * each_out)
        part = x[group * each_in : (group + 1) * each_in]
        for tap in range(taps):
            delay = (taps - 1 - tap) * dilation
            late = np.pad(part, ((0, 0), (delay, 0)))[:, :frames]
            result[rows] += kernel[group, :, :, tap] @ late
    return result


def film(weights: Weights, layer: Model, name: str, x: Signal, condition: Signal) -> Signal:
    """Scale and shift ``x`` by the condition, where the layer array says so."""
    spec = layer.get(name)
    if not spec or not spec.get("active", True):
        return x
    shift = spec.get("shift", True)
    channels = x.shape[0]
    outputs = channels * (2 if shift else 1)
    modulation = convolve(weights, condition, outputs, bias=True, groups=spec.get("groups", 1))
    return x * modulation[:channels] + (modulation[channels:] if shift else 0.0)


def wavenet(weights: Weights, config: Model, source: Signal) -> Signal:
    """A WaveNet of any kind."""
    condition = source
    if config.get("condition_dsp"):
        condition = render(config["condition_dsp"], source)
    x: Signal = source
    head: Signal | None = None
    for array in config["layers"]:
        x, head = _array(weights, array, x, condition, head)
    assert head is not None
    outer = config.get("head")
    if not outer:
        return head * weights.take(1)
    # The scale comes last in the file but acts first.
    inner = head
    kernels = []
    width = inner.shape[0]
    for index, taps in enumerate(outer["kernel_sizes"]):
        last = index == len(outer["kernel_sizes"]) - 1
        outputs = outer["out_channels"] if last else outer["channels"]
        kernels.append((weights.take(outputs, width, taps), weights.take(outputs)))
        width = outputs
    inner = inner * weights.take(1)
    for kernel, bias in kernels:
        flat = Replay([*kernel.ravel().tolist(), *bias.tolist()])
        active = activate(outer["activation"], inner)
        inner = convolve(flat, active, kernel.shape[0], kernel.shape[2], bias=True)
    return inner


def _array(
    weights: Weights, array: Model, x: Signal, condition: Signal, head: Signal | None
) -> tuple[Signal, Signal]:
    channels: int = array["channels"]
    bottleneck: int = array.get("bottleneck") or channels
    count = len(array["dilations"])
    x = convolve(weights, x, channels, bias=False)
    total = head
    for index, dilation in enumerate(array["dilations"]):
        gating = _each(array.get("gating_mode"), index, "gated" if array.get("gated") else "none")
        wide = bottleneck * (1 if gating == "none" else 2)
        kernels = array.get("kernel_sizes") or [array["kernel_size"]] * count
        # In the file the films come after the convolutions, so those are noted first.
        layer = _Layer(weights, array, channels, bottleneck, wide, kernels[index], dilation)
        x, skip = layer.run(x, condition, gating, index)
        total = skip if total is None else total + skip
    assert total is not None
    spec = array.get("head") or {
        "out_channels": array.get("head_size"),
        "kernel_size": 1,
        "bias": array.get("head_bias"),
    }
    taps, outputs = spec["kernel_size"], spec["out_channels"]
    return x, convolve(weights, total, outputs, taps, bias=spec["bias"])


class _Layer:
    def __init__(
        self,
        weights: Weights,
        array: Model,
        channels: int,
        bottleneck: int,
        wide: int,
        taps: int,
        dilation: int,
    ) -> None:
        self._array = array
        self._bottleneck = bottleneck
        condition = array["condition_size"]
        self._convolutions: dict[str, tuple[list[float], dict[str, Any]]] = {}

        def note(name: str, inputs: int, outputs: int, **options: Any) -> None:
            taps = options.get("taps", 1)
            count = outputs * inputs // options.get("groups", 1) * taps
            count += outputs if options["bias"] else 0
            flat = weights.take(count).tolist()
            self._convolutions[name] = (flat, {"outputs": outputs, **options})

        groups = array.get("groups_input", 1)
        note("dilated", channels, wide, taps=taps, bias=True, groups=groups, dilation=dilation)
        note("mixin", condition, wide, bias=False, groups=array.get("groups_input_mixin", 1))
        one = array.get("layer1x1") or {"active": True, "groups": 1}
        if one["active"]:
            note("layer1x1", bottleneck, channels, bias=True, groups=one.get("groups", 1))
        skip = array.get("head1x1") or {"active": False}
        if skip["active"]:
            outputs = skip["out_channels"]
            note("head1x1", bottleneck, outputs, bias=True, groups=skip.get("groups", 1))
        widths = {
            "conv_pre_film": channels,
            "conv_post_film": wide,
            "input_mixin_pre_film": condition,
            "input_mixin_post_film": wide,
            "activation_pre_film": wide,
            "activation_post_film": bottleneck,
            "layer1x1_post_film": channels,
            "head1x1_post_film": skip.get("out_channels", 0),
        }
        for name, width in widths.items():
            spec = array.get(name)
            if spec and spec.get("active", True):
                outputs = width * (2 if spec.get("shift", True) else 1)
                note(name, condition, outputs, bias=True, groups=spec.get("groups", 1))

    def _apply(self, name: str, x: Signal) -> Signal:
        flat, options = self._convolutions[name]
        return convolve(Replay(flat), x, **options)

    def _film(self, name: str, x: Signal, condition: Signal) -> Signal:
        if name not in self._convolutions:
            return x
        return film(Replay(self._convolutions[name][0]), self._array, name, x, condition)

    def run(self, x: Signal, condition: Signal, gating: str, index: int) -> tuple[Signal, Signal]:
        """The signal for the next layer, and the one for the head."""
        mixed = self._apply("dilated", self._film("conv_pre_film", x, condition))
        mixed = self._film("conv_post_film", mixed, condition)
        mixin = self._apply("mixin", self._film("input_mixin_pre_film", condition, condition))
        mixed = mixed + self._film("input_mixin_post_film", mixin, condition)
        mixed = self._film("activation_pre_film", mixed, condition)
        first, second = mixed[: self._bottleneck], mixed[self._bottleneck :]
        active = activate(_each(self._array["activation"], index), first)
        if gating != "none":
            name = self._array.get("secondary_activation", "Sigmoid")
            gate = activate(_each(name, index), second)
            blended = gate * active + (1.0 - gate) * first
            active = active * gate if gating == "gated" else blended
        active = self._film("activation_post_film", active, condition)
        if "layer1x1" in self._convolutions:
            change = self._apply("layer1x1", active)
            if gating == "blended":
                change = self._film("layer1x1_post_film", change, condition)
            x = x + change
        skip = active
        if "head1x1" in self._convolutions:
            skip = self._apply("head1x1", active)
            skip = self._film("head1x1_post_film", skip, condition)
        return x, skip


def _each(spec: Any, index: int, default: Any = None) -> Any:
    if spec is None:
        return default
    return spec[index] if isinstance(spec, list) else spec


def lstm(weights: Weights, config: Model, source: Signal) -> Signal:
    """LSTM cells in a row, step by step."""
    hidden, inputs = config["hidden_size"], config["input_size"]
    x = source
    for _ in range(config["num_layers"]):
        matrix, bias = weights.take(4 * hidden, inputs + hidden), weights.take(4 * hidden)
        state, cell = weights.take(hidden), weights.take(hidden)
        steps = []
        for step in x.T:
            gates = matrix @ np.concatenate([step, state]) + bias
            enter, forget, new, out = np.split(gates, 4)
            cell = activate("Sigmoid", forget) * cell + activate("Sigmoid", enter) * np.tanh(new)
            state = activate("Sigmoid", out) * np.tanh(cell)
            steps.append(state)
        x, inputs = np.array(steps).T, hidden
    return convolve(weights, x, config.get("out_channels", 1), bias=True)


def convnet(weights: Weights, config: Model, source: Signal) -> Signal:
    """Blocks of two taps, with or without batch normalisation, and a linear head."""
    x, channels = source, config["channels"]
    for dilation in config["dilations"]:
        x = convolve(
            weights,
            x,
            channels,
            2,
            bias=not config["batchnorm"],
            groups=config.get("groups", 1),
            dilation=dilation,
        )
        if config["batchnorm"]:
            mean, variance = weights.take(channels), weights.take(channels, positive=True)
            gain, offset = weights.take(channels), weights.take(channels)
            scale = gain / np.sqrt(weights.take(1, positive=True) + variance)
            x = x * scale[:, None] + (offset - scale * mean)[:, None]
        x = activate(config["activation"], x)
    return convolve(weights, x, config.get("out_channels", 1), bias=True)


def linear(weights: Weights, config: Model, source: Signal) -> Signal:
    """One impulse response, its first number the newest sample's."""
    response = weights.take(config["receptive_field"])
    bias = weights.take(1) if config["bias"] else np.zeros(1)
    return np.convolve(source[0], response)[None, : source.shape[1]] + bias


ARCHITECTURES = {"WaveNet": wavenet, "LSTM": lstm, "ConvNet": convnet, "Linear": linear}


def make(architecture: str, config: Model, seed: int = 0, scale: float = 1.0) -> Model:
    """A complete model object with random weights, as many as its config needs."""
    weights = Weights(seed)
    ARCHITECTURES[architecture](weights, config, np.zeros((1, 4)))
    flat = [value * scale for value in weights.drawn]
    return {
        "version": "0.7.0",
        "architecture": architecture,
        "config": config,
        "weights": [float(np.float32(value)) for value in flat],
        "sample_rate": 8000,
    }


def render(model: Model, source: Signal) -> Signal:
    """The model's whole output for ``(1, frames)``, from silent memories on."""
    weights = Replay(model["weights"])
    result = ARCHITECTURES[model["architecture"]](weights, model["config"], source)
    assert weights.left() == 0
    return result


def settled(model: Model, source: Signal, silence: int) -> Signal:
    """The output after ``silence`` frames of silence, which do not count."""
    quiet = np.zeros((1, silence))
    return render(model, np.concatenate([quiet, source], axis=1))[:, silence:]
