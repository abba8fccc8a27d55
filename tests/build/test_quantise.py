"""From weights to int8: ranges, layers, Q/DQ, and what the certificate says about it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from build.calibrate import Histogram, measure_ranges
from build.graph import constants, layer_of, layers, session
from build.half import KEPT_IN_FP32, to_half
from build.qdq import LEVELS, with_qdq
from build.sensitivity import Layer, choose, measure_layers
from models.music2latent.architecture import TINY, Tensor, Weights, random_weights
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.parity import snr_db

FRAMES = 8


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(TINY, 5)


@pytest.fixture(scope="module")
def encoder(weights: Weights) -> onnx.ModelProto:
    return encoder_onnx(weights, FRAMES)


def spectra(seed: int) -> dict[str, Tensor]:
    drawn = np.random.default_rng(seed).standard_normal((2, 2, TINY.bins, FRAMES))
    return {"spectra": (0.3 * drawn).astype(np.float32)}


def values_of(seed: int, tails: float) -> Tensor:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(20_000) * np.exp(tails * rng.standard_normal(20_000))).astype(
        np.float32
    )


# ---- ranges -------------------------------------------------------------------------------------


def error_at(values: Tensor, covered: float) -> float:
    step = covered / LEVELS
    rounded = np.clip(np.rint(values / step), -LEVELS, LEVELS) * step
    return float(np.mean(np.square(values - rounded)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), tails=st.floats(0.0, 1.5), octave=st.integers(-8, 8))
def test_the_range_loses_least(seed: int, tails: float, octave: int) -> None:
    values = values_of(seed, tails) * np.float32(2.0**octave)
    histogram = Histogram()
    histogram.add(values)
    chosen = histogram.best_range()
    assert 0.0 < chosen <= histogram.largest
    least = min(error_at(values, histogram.largest * clip) for clip in np.linspace(0.15, 1, 69))
    assert error_at(values, chosen) <= 1.1 * least


def test_rare_peaks_are_clipped_and_even_values_are_not() -> None:
    even, peaked = Histogram(), Histogram()
    even.add(np.linspace(-1.0, 1.0, 9999).astype(np.float32))
    peaked.add(np.random.default_rng(1).laplace(size=2_000_000).astype(np.float32))
    assert even.best_range() > 0.95
    assert peaked.best_range() < 0.9 * peaked.largest


def test_a_tensor_that_is_always_zero_has_a_range() -> None:
    histogram = Histogram()
    histogram.add(np.zeros(10, np.float32))
    assert histogram.best_range() > 0.0


def test_maxima_name_every_float_tensor(encoder: onnx.ModelProto) -> None:
    ranges = measure_ranges(encoder, [spectra(1), spectra(2)], "encoder")
    made = {name for node in encoder.graph.node for name in node.output}
    assert set(ranges.maxima) == made
    assert all(np.isfinite(largest) for largest in ranges.maxima.values())
    assert set(ranges.inputs) == {node.input[0] for node in layers(encoder)}
    assert all(low <= 0.0 <= high for low, high in ranges.outputs.values())


# ---- Q/DQ ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_only_the_named_layers_are_rounded(encoder: onnx.ModelProto, half: bool) -> None:
    given_model = to_half(encoder) if half else encoder
    name = "encoder.down_layers.2.conv1"
    quantised = with_qdq(given_model, {name: 4.0})
    kinds = [node.op_type for node in quantised.graph.node]
    assert kinds.count("QuantizeLinear") == 1
    assert kinds.count("DequantizeLinear") == 2
    stored, before = constants(quantised), constants(given_model)
    rounded = numpy_helper.to_array(stored[f"{name}.weight/int8"])
    scale = numpy_helper.to_array(stored[f"{name}.weight/scale"])
    exact = numpy_helper.to_array(before[f"{name}.weight"])
    assert rounded.dtype == np.int8 and np.abs(rounded.astype(int)).max() <= LEVELS
    assert scale.dtype == exact.dtype == (np.float16 if half else np.float32)
    back = rounded * scale.astype(np.float32).reshape(-1, 1, 1, 1)
    half_steps = np.abs(back - exact) / scale.astype(np.float32).reshape(-1, 1, 1, 1)
    assert half_steps.max() <= 0.5 + 0.1
    assert not numpy_helper.to_array(stored[f"{name}.weight/zero"]).any()
    for other, tensor in before.items():
        if other != f"{name}.weight":
            assert stored[other].SerializeToString() == tensor.SerializeToString()


def test_no_layer_named_no_bit_changed(encoder: onnx.ModelProto) -> None:
    assert with_qdq(encoder, {}).SerializeToString() == encoder.SerializeToString()


def test_half_precision_leaves_norms_and_ends_in_fp32(encoder: onnx.ModelProto) -> None:
    half = to_half(encoder)
    onnx.checker.check_model(half, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(half, data_prop=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    fp32 = onnx.TensorProto.FLOAT
    for node in half.graph.node:
        if node.op_type in KEPT_IN_FP32:
            assert kinds[node.input[0]] == kinds[node.output[0]] == fp32
        elif node.op_type == "Conv":
            assert kinds[node.output[0]] == onnx.TensorProto.FLOAT16
    assert {value.type.tensor_type.elem_type for value in half.graph.input} == {fp32}
    assert {value.type.tensor_type.elem_type for value in half.graph.output} == {fp32}


# ---- layers -------------------------------------------------------------------------------------


def test_a_layers_noise_is_what_rounding_it_alone_does(
    weights: Weights, encoder: onnx.ModelProto
) -> None:
    feed = spectra(3)
    ranges = measure_ranges(encoder, [feed], "encoder")
    found = measure_layers(encoder, ranges.inputs, [feed], "encoder")
    assert {layer.name for layer in found} == {layer_of(node.name) for node in layers(encoder)}
    noises = [layer.noise for layer in found]
    assert noises == sorted(noises, reverse=True)
    truth = session(encoder).run(None, feed)[0]
    # The loudest is about as loud in the real graph, where the other weights are exact.
    loudest = found[0]
    covered = {
        node.name: ranges.inputs[node.input[0]]
        for node in layers(encoder)
        if node.name in loudest.nodes
    }
    alone = session(with_qdq(encoder, covered)).run(None, feed)[0]
    assert abs(snr_db(truth, alone) + 10.0 * np.log10(loudest.noise)) < 6.0


def test_phases_of_a_step_are_one_layer(weights: Weights) -> None:
    decoder = decoder_onnx(weights, FRAMES)
    phases = [node.name for node in layers(decoder) if ".phase" in node.name]
    steps = {layer_of(name) for name in phases}
    assert len(phases) == 4 * len(steps) == 32


@settings(max_examples=60, deadline=None)
@given(
    noises=st.lists(st.floats(1e-9, 1e-1), min_size=1, max_size=20),
    limit=st.floats(1e-9, 1.0),
    seed=st.integers(0, 99),
)
def test_what_is_left_brings_the_noise_below_the_limit(
    noises: list[float], limit: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    found = [
        Layer(f"layer{index}", (f"layer{index}",), noise, float(rng.random() + 0.1), 10)
        for index, noise in enumerate(noises)
    ]
    left = choose(found, limit)
    rest = [layer.noise for layer in found if layer not in left]
    assert sum(rest) <= limit * (1.0 + 1e-9) + 1e-15 or not rest
    if left:
        # Without the last one chosen it would not have been enough.
        assert sum(rest) + left[-1].noise > limit * (1.0 - 1e-9) - 1e-15
    if sum(noises) <= limit:
        assert left == []


def test_graphs_are_not_changed_by_being_worked_on(
    encoder: onnx.ModelProto, tmp_path: Path
) -> None:
    before = encoder.SerializeToString()
    ranges = measure_ranges(encoder, [spectra(4)], "encoder")
    measure_layers(encoder, ranges.inputs, [spectra(4)], "encoder")
    to_half(encoder)
    with_qdq(encoder, {"encoder.conv_inp": 1.0})
    assert encoder.SerializeToString() == before
