"""Captures of every kind with random weights against the offline reference in NumPy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.nam.activations import NAMES
from models.nam.capture import Capture, read_capture
from models.nam.graph import load, streaming_onnx
from models.runtime import StreamingModel
from models.units import Audio
from tests.models.nam_reference import Model, Signal, make, render, settled
from tests.models.playing import play

FRAMES = 240


def array(**options: Any) -> Model:
    """A small layer array, with whatever is asked for instead."""
    return {
        "input_size": 1,
        "condition_size": 1,
        "head_size": 1,
        "channels": 4,
        "kernel_size": 3,
        "dilations": [1, 2, 8],
        "activation": "Tanh",
        "gated": False,
        "head_bias": True,
        **options,
    }


def wavenet(*arrays: Model, **options: Any) -> Model:
    """A WaveNet's config."""
    return {"layers": list(arrays), "head": None, "head_scale": 0.02, **options}


def film(shift: bool = True, groups: int = 1) -> Model:
    """An active FiLM."""
    return {"active": True, "shift": shift, "groups": groups}


TWO = (
    array(head_size=3, head_bias=False),
    array(input_size=4, channels=3, dilations=[1, 16], kernel_size=2),
)
CONDITION = make("WaveNet", wavenet(array(head_size=3, dilations=[1, 4])), seed=9)
FEATURES: dict[str, tuple[str, Model]] = {
    "two arrays": ("WaveNet", wavenet(*TWO)),
    "gated": ("WaveNet", wavenet(array(gated=True, activation="ReLU"))),
    "gating mode": (
        "WaveNet",
        wavenet(
            array(
                gating_mode=["none", "gated", "blended"],
                secondary_activation=["Tanh", "Hardswish", "Sigmoid"],
            )
        ),
    ),
    "head of several taps": (
        "WaveNet",
        wavenet(array(head={"out_channels": 1, "kernel_size": 5, "bias": True})),
    ),
    "kernel sizes and activations per layer": (
        "WaveNet",
        wavenet(
            array(
                kernel_size=None,
                kernel_sizes=[2, 6, 1],
                activation=[
                    "SiLU",
                    {"type": "PReLU", "negative_slopes": [0.1, 0.2, 0.3, -0.4]},
                    {"type": "LeakyReLU", "negative_slope": 0.2},
                ],
            )
        ),
    ),
    "bottleneck, groups, head1x1": (
        "WaveNet",
        wavenet(
            array(
                bottleneck=6,
                groups_input=2,
                groups_input_mixin=1,
                layer1x1={"active": True, "groups": 2},
                head1x1={"active": True, "out_channels": 2, "groups": 2},
            )
        ),
    ),
    "no layer1x1": ("WaveNet", wavenet(array(layer1x1={"active": False, "groups": 1}))),
    "no layer1x1, blocks": (
        "WaveNet",
        wavenet(array(layer1x1={"active": False, "groups": 1}, dilations=[64, 32, 64])),
    ),
    "condition network": (
        "WaveNet",
        wavenet(
            array(condition_size=3, head_size=2),
            array(input_size=4, channels=2, condition_size=3, groups_input_mixin=1),
            condition_dsp=CONDITION,
        ),
    ),
    "network behind": (
        "WaveNet",
        wavenet(
            array(head_size=2),
            head={
                "channels": 3,
                "out_channels": 1,
                "kernel_sizes": [3, 1, 4],
                "activation": "ReLU",
            },
        ),
    ),
    "films after the sum": (
        "WaveNet",
        wavenet(
            array(
                condition_size=3,
                gating_mode="blended",
                activation_pre_film=film(),
                activation_post_film=film(shift=False),
                layer1x1_post_film=film(),
                head1x1={"active": True, "out_channels": 3, "groups": 1},
                head1x1_post_film=film(groups=3),
            ),
            condition_dsp=CONDITION,
        ),
    ),
    "films before the sum": (
        "WaveNet",
        wavenet(
            array(
                condition_size=3,
                gating_mode="gated",
                conv_pre_film=film(),
                conv_post_film=film(shift=False),
                input_mixin_pre_film=film(groups=3),
                input_mixin_post_film=film(),
                layer1x1_post_film=film(),
                head_size=2,
            ),
            array(input_size=4, channels=2, condition_size=3),
            condition_dsp=CONDITION,
        ),
    ),
    "lstm": ("LSTM", {"input_size": 1, "hidden_size": 5, "num_layers": 1}),
    "lstm of three cells": ("LSTM", {"input_size": 1, "hidden_size": 3, "num_layers": 3}),
    "convnet": (
        "ConvNet",
        {"channels": 4, "dilations": [1, 2, 32], "batchnorm": False, "activation": "Tanh"},
    ),
    "convnet with batch normalisation": (
        "ConvNet",
        {"channels": 3, "dilations": [1, 4], "batchnorm": True, "activation": "ReLU"},
    ),
    "linear": ("Linear", {"receptive_field": 37, "bias": True}),
}


def write(model: Model, folder: Path) -> Path:
    """The model as a .nam file."""
    path = folder / "capture.nam"
    path.write_text(json.dumps(model))
    return path


def sound(frames: int = FRAMES, seed: int = 1) -> Audio:
    """Noise with a loud and a quiet half."""
    noise = np.random.default_rng(seed).normal(0.0, 0.5, (1, frames))
    noise[:, frames // 2 :] *= 0.05
    return noise.astype(np.float32)


def check(capture: Capture, model: Model, periods: tuple[int, ...]) -> None:
    """The capture plays as the reference says, whatever the period."""
    source = sound()
    for period in periods:
        streaming = StreamingModel(streaming_onnx(capture), period)
        # As much silence as whole periods hold; only an LSTM can tell the difference.
        silence = -(-capture.prewarm_frames // period) * period
        expected: Signal = settled(model, source.astype(np.float64), silence)
        target = play(streaming, source)
        expected = expected[:, : target.shape[1]]
        peak = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(target, expected, rtol=0.0, atol=2e-5 * peak)


@pytest.mark.parametrize("feature", FEATURES)
def test_plays_every_feature(feature: str, tmp_path: Path) -> None:
    architecture, config = FEATURES[feature]
    model = make(architecture, config, seed=3)
    check(read_capture(write(model, tmp_path)), model, (1, 7, 16, 32, 64, 240))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gating", ["none", "gated"])
def test_plays_every_activation(name: str, gating: str, tmp_path: Path) -> None:
    options = {"gating_mode": gating, "secondary_activation": name}
    model = make("WaveNet", wavenet(array(activation=name, **options)), seed=4)
    check(read_capture(write(model, tmp_path)), model, (16,))


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "LeakyHardtanh", "min_val": -0.3, "max_val": 0.4, "min_slope": 0.1},
        {"type": "LeakyHardTanh", "max_slope": 0.5},
        {"type": "PReLU", "negative_slope": 0.3},
        {"type": "PReLU"},
        {"type": "LeakyReLU"},
        {"type": "Softsign"},
    ],
)
def test_plays_activations_with_parameters(spec: Model, tmp_path: Path) -> None:
    model = make("WaveNet", wavenet(array(activation=spec)), seed=5)
    check(read_capture(write(model, tmp_path)), model, (16,))


widths = st.integers(1, 5)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """A WaveNet of one or two arrays with any widths, dilations, kernels and gatings."""
    count = draw(st.integers(1, 2))
    arrays = []
    width = draw(widths)
    inputs = 1
    for index in range(count):
        following = draw(widths)
        last = index == count - 1
        dilations = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
        arrays.append(
            array(
                input_size=inputs,
                channels=width,
                head_size=1 if last else following,
                head_bias=draw(st.booleans()),
                dilations=dilations,
                kernel_size=None,
                kernel_sizes=[draw(st.integers(1, 4)) for _ in dilations],
                gating_mode=[
                    draw(st.sampled_from(["none", "gated", "blended"])) for _ in dilations
                ],
                activation=[draw(st.sampled_from(["Tanh", "ReLU", "Softsign"])) for _ in dilations],
            )
        )
        inputs, width = width, following
    return make("WaveNet", wavenet(*arrays), seed=draw(st.integers(0, 1000)), scale=0.7)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(model=models(), period=st.integers(1, 100))
def test_plays_any_shape_at_any_period(model: Model, period: int, tmp_path: Path) -> None:
    check(read_capture(write(model, tmp_path)), model, (period,))


@pytest.mark.parametrize("size", [0.0, 0.4, 0.5, 0.99, 1.0])
def test_a_slimmable_network_is_cut_to_its_first_channels(size: float, tmp_path: Path) -> None:
    slim = {"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [2, 4]}}
    model = make("WaveNet", wavenet(array(slimmable=slim, activation="ReLU")), seed=6)
    capture = read_capture(write(model, tmp_path), size)
    channels = 4 if size >= 0.5 else 2
    check(capture, model if channels == 4 else _cut(model, channels), (16,))


def _cut(model: Model, channels: int) -> Model:
    """The first channels of a one-array classic WaveNet, cut by hand."""
    full = model["config"]["layers"][0]["channels"]
    flat, kept = list(model["weights"]), []

    def take(rows: int, columns: int, keep_rows: int, keep_columns: int, taps: int = 1) -> None:
        count = rows * columns * taps
        block = np.array(flat[:count]).reshape(rows, columns, taps)
        del flat[:count]
        kept.extend(block[:keep_rows, :keep_columns].ravel().tolist())

    take(full, 1, channels, 1)
    for _ in model["config"]["layers"][0]["dilations"]:
        take(full, full, channels, channels, 3)
        take(full, 1, channels, 1)
        take(full, 1, channels, 1)
        take(full, full, channels, channels)
        take(full, 1, channels, 1)
    take(1, full, 1, channels)
    kept += flat
    layers = [{**model["config"]["layers"][0], "channels": channels, "slimmable": None}]
    return {**model, "config": {**model["config"], "layers": layers}, "weights": kept}


def test_models_in_a_row(tmp_path: Path) -> None:
    parts = [
        make("Linear", {"receptive_field": 5, "bias": False}, seed=1),
        make("WaveNet", wavenet(array()), seed=2),
    ]
    model = {
        "architecture": "Sequential",
        "config": {"weights_version": 2, "models": [{"model": parts[0]}, parts[1]]},
        "weights": [],
    }
    source = sound()
    quiet = np.zeros((1, 100))
    expected = np.concatenate([quiet, source], axis=1)
    for part in parts:
        expected = render(part, expected)
    target = play(load(write(model, tmp_path), 16), source)
    np.testing.assert_allclose(target, expected[:, 100:], rtol=0.0, atol=1e-5)
