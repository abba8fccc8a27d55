"""The graphs' arithmetic, held against NumPy written from the definitions; and the CPU's form."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from build.calibrate import measure_ranges
from build.half import to_half
from build.quantise import ENDS, int8_graph
from models.errors import ModelError
from models.music2latent.adapters import Adapter
from models.music2latent.architecture import (
    NORM_EPSILON,
    OFFICIAL,
    TINY,
    Tensor,
    Weights,
    groups,
    random_weights,
    recognise,
    shapes,
)
from models.music2latent.checkpoint import weights_sha256
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.graphs.blocks import Blocks, _phase
from models.music2latent.graphs.cpu import RANGES, for_cpu, output_ranges
from models.music2latent.graphs.writer import OPSET, Writer
from models.music2latent.parity import snr_db

FRAMES = 16


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(TINY, 3)


def normal(seed: int, *shape: int) -> Tensor:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(model: onnx.ModelProto, **inputs: Tensor) -> Tensor:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    output: Tensor = session.run(None, inputs)[0]
    return output


def written(name: str, weights: Weights, signal: Tensor, write: str, *arguments: object) -> Tensor:
    """What one method of ``Blocks`` makes of a signal."""
    writer = Writer("one")
    blocks = Blocks(writer, weights, TINY, len(signal))
    out = getattr(blocks, write)(name, writer.input("given", signal.shape), *arguments)
    value = onnx.helper.make_tensor_value_info("made", TensorProto.FLOAT, None)
    writer.output("made", out, [])
    model = writer.model()
    model.graph.output[0].CopyFrom(value)
    return run(model, given=signal)


# ---- the architecture ---------------------------------------------------------------------------


def test_the_official_network_has_58_million_parameters() -> None:
    sizes = {name: int(np.prod(shape)) for name, shape in shapes(OFFICIAL).items()}
    assert sum(sizes.values()) == 58_185_026
    parts = {
        part: sum(n for k, n in sizes.items() if k.startswith(part)) for part in ("enc", "dec")
    }
    assert [round(n / 1e6, 1) for n in parts.values()] == [16.3, 17.3]


def test_random_weights_are_the_seeds(weights: Weights) -> None:
    again, other = random_weights(TINY, 3), random_weights(TINY, 4)
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    assert not any(np.array_equal(weights[name], other[name]) for name in weights)
    assert all(value.any() and value.dtype == np.float32 for value in weights.values())


@pytest.mark.parametrize("spoil", ["missing", "foreign", "shape"])
def test_another_architecture_is_named(weights: Weights, spoil: str) -> None:
    spoilt = dict(random_weights(OFFICIAL, 0))
    if spoil == "missing":
        del spoilt["norm_out.bias"]
    elif spoil == "foreign":
        spoilt["lstm.weight"] = np.zeros(3, np.float32)
    else:
        spoilt["norm_out.bias"] = np.zeros(3, np.float32)
    with pytest.raises(ModelError, match=r"norm_out\.bias|lstm\.weight"):
        recognise(spoilt)


# ---- single operations, from their definitions --------------------------------------------------


def convolved(signal: Tensor, weight: Tensor) -> Tensor:
    """Correlation of a signal ``(in, frames, bins)`` with ``(out, in, bins, frames)``, zeros."""
    across, along = weight.shape[2] // 2, weight.shape[3] // 2
    padded = np.pad(signal.astype(np.float64), ((0, 0), (along, along), (across, across)))
    out = np.zeros((len(weight), *signal.shape[1:]))
    for bin_ in range(weight.shape[2]):
        for frame in range(weight.shape[3]):
            piece = padded[:, frame : frame + signal.shape[1], bin_ : bin_ + signal.shape[2]]
            out += np.einsum("oi,itf->otf", weight[:, :, bin_, frame].astype(np.float64), piece)
    return out.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    taps=st.sampled_from([3, 5]),
    factor=st.sampled_from([1, 2, 4]),
    size=st.integers(1, 9),
    seed=st.integers(0, 999),
)
def test_phases_give_what_repeating_first_gives(
    taps: int, factor: int, size: int, seed: int
) -> None:
    kernel, values = normal(seed, 1, 1, taps), normal(seed + 1, size)
    repeated = np.pad(np.repeat(values, factor), taps // 2)
    wanted = np.array([kernel[0, 0] @ repeated[at : at + taps] for at in range(size * factor)])
    made = np.zeros(size * factor)
    for phase in range(factor):
        short, before, after = _phase(kernel, 2, factor, phase)
        padded = np.pad(values, (before, after))
        made[phase::factor] = [short[0, 0] @ padded[at : at + short.shape[2]] for at in range(size)]
    np.testing.assert_allclose(made, wanted, atol=1e-5)


@pytest.mark.parametrize(("level", "name"), [(1, "decoder.up_layers.7.c"), (3, "up_layers.5.c")])
def test_a_widening_step_is_repeating_and_convolving(
    weights: Weights, level: int, name: str
) -> None:
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    signal = normal(5, 1, weight.shape[1], 4, 8)
    repeated = signal[0].repeat(4, 2) if level == 1 else signal[0].repeat(2, 1).repeat(2, 2)
    wanted = convolved(repeated, weight) + bias[:, None, None]
    made = written(name, weights, signal, "widen", level, 4, 8)
    np.testing.assert_allclose(made[0], wanted, atol=1e-5)


def normalised(signal: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Group normalisation (Wu and He 2018) of ``(batch, channels, …)``."""
    split = signal.reshape(len(signal), groups(len(scale)), -1).astype(np.float64)
    mean, spread = split.mean(-1, keepdims=True), split.var(-1, keepdims=True)
    even = ((split - mean) / np.sqrt(spread + NORM_EPSILON)).reshape(signal.shape)
    along = (1, -1) + (1,) * (signal.ndim - 2)
    return np.asarray(even * scale.reshape(along) + shift.reshape(along), np.float32)


def test_norms_are_group_normalisation_of_each_tone(weights: Weights) -> None:
    name = "encoder.down_layers.2.norm2"
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    signal = normal(6, 2, len(scale), 4, 16) * np.float32(3.0) + np.float32(1.0)
    made = written(name, weights, signal, "norm", len(scale), 4, 16)
    np.testing.assert_allclose(made, normalised(signal, scale, shift), atol=2e-5)


def test_attention_looks_across_bins_and_never_across_frames(weights: Weights) -> None:
    block = "encoder.down_layers.4"
    name = f"{block}.att"
    width = weights[f"{name}.norm.weight"].size
    signal = normal(7, 1, width, 4, 16)
    made = written(block, weights, signal, "attention", 4, 16)
    even = normalised(signal, weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"])
    wanted = np.zeros_like(signal)
    each = width // TINY.heads
    for frame in range(4):
        tokens = even[0, :, frame].T.astype(np.float64)
        projected = tokens @ weights[f"{name}.mha.in_proj_weight"].T
        projected = projected + weights[f"{name}.mha.in_proj_bias"]
        query, key, value = np.split(projected, 3, axis=1)
        mixed = np.zeros_like(query)
        for head in range(TINY.heads):
            part = slice(head * each, (head + 1) * each)
            scores = query[:, part] @ key[:, part].T / np.sqrt(each)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            mixed[:, part] = shares / shares.sum(1, keepdims=True) @ value[:, part]
        out = mixed @ weights[f"{name}.mha.out_proj.weight"].T
        wanted[0, :, frame] = (out + weights[f"{name}.mha.out_proj.bias"]).T
    np.testing.assert_allclose(made, wanted + signal, atol=2e-5)


# ---- whole graphs -------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [8, 16, 32])
def test_graphs_are_static_and_in_standard_operators(weights: Weights, frames: int) -> None:
    for model in (encoder_onnx(weights, frames), decoder_onnx(weights, frames)):
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
        assert {node.domain for node in model.graph.node} == {""}
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for value in inferred.graph.value_info:
            assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize("frames", [0, 4, 12, 17])
def test_a_window_of_part_of_a_latent_is_refused(weights: Weights, frames: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        encoder_onnx(weights, frames)
    with pytest.raises(ValueError, match="multiple of 8"):
        decoder_onnx(weights, frames)


def test_what_depends_on_sigma_only_is_a_constant(weights: Weights) -> None:
    names = {tensor.name for tensor in decoder_onnx(weights, FRAMES).graph.initializer}
    assert not any("emb" in name or name.startswith("scale_inp.") for name in names)


def test_both_tones_are_encoded_as_each_alone(weights: Weights) -> None:
    spectra = normal(8, 2, 2, TINY.bins, FRAMES)
    both = run(encoder_onnx(weights, FRAMES), spectra=spectra)
    alone = encoder_onnx(weights, FRAMES, batch=1)
    for tone in range(2):
        single = run(alone, spectra=spectra[tone : tone + 1])
        np.testing.assert_allclose(both[tone], single[0], atol=1e-5)


# ---- adapters in the graph ----------------------------------------------------------------------


def test_adapters_of_rank_0_leave_every_bit(weights: Weights) -> None:
    none = Adapter(0, 1.0, {}, weights_sha256(weights))
    latents, noise = normal(9, 1, 64, 2), normal(10, 1, 2, TINY.bins, FRAMES)
    plain = run(decoder_onnx(weights, FRAMES), latents=latents, noise=noise)
    adapted = decoder_onnx(weights, FRAMES, (none, none))
    for place in (0.0, 0.4, 1.0):
        position = np.full((1, 1, 1, 1), place, np.float32)
        made = run(adapted, latents=latents, noise=noise, position=position)
        np.testing.assert_array_equal(made, plain)


# ---- as a CPU runs them -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def int8(weights: Weights) -> tuple[onnx.ModelProto, onnx.ModelProto, Tensor]:
    """An encoder in fp32 and in int8, and spectra that its ranges were measured on."""
    model = encoder_onnx(weights, FRAMES)
    spectra = normal(11, 2, 2, TINY.bins, FRAMES) * np.float32(0.3)
    ranges = measure_ranges(model, [{"spectra": spectra}], "encoder")
    return model, int8_graph(model, to_half(model), ranges, ENDS["encoder"]), spectra


def test_an_fp32_graph_is_left_alone(weights: Weights) -> None:
    model = encoder_onnx(weights, FRAMES)
    assert for_cpu(model) is model


def test_half_precision_is_computed_in_fp32(weights: Weights) -> None:
    model = encoder_onnx(weights, FRAMES)
    half = to_half(model)
    single = for_cpu(half)
    assert not any(tensor.data_type == TensorProto.FLOAT16 for tensor in single.graph.initializer)
    assert not any(node.op_type == "Cast" for node in single.graph.node)
    spectra = normal(12, 2, 2, TINY.bins, FRAMES)
    assert snr_db(run(model, spectra=spectra), run(single, spectra=spectra)) > 50.0


def test_int8_layers_become_integer_convolutions_of_the_same_values(
    int8: tuple[onnx.ModelProto, onnx.ModelProto, Tensor],
) -> None:
    model, quantised, spectra = int8
    single = for_cpu(quantised)
    kinds = [node.op_type for node in single.graph.node]
    rounded = {
        node.name
        for node in quantised.graph.node
        if node.op_type == "Conv" and "/rounded" in node.input[1]
    }
    projections = {name for name in rounded if name.endswith(".in_proj")}
    assert kinds.count("QLinearConv") == len(rounded - projections) > 10
    assert kinds.count("Conv") == len(ENDS["encoder"]) + len(projections)
    truth = run(model, spectra=spectra)
    as_written, as_run = run(quantised, spectra=spectra), run(single, spectra=spectra)
    assert snr_db(truth, as_written) > 15.0
    assert snr_db(as_written, as_run) > 20.0
    # The weights are those of the file, to the bit.
    files = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for tensor in single.graph.initializer:
        if tensor.name.endswith(".weight/int8"):
            np.testing.assert_array_equal(
                numpy_helper.to_array(tensor), numpy_helper.to_array(files[tensor.name])
            )


def test_without_ranges_of_the_outputs_only_the_zero_moves(
    int8: tuple[onnx.ModelProto, onnx.ModelProto, Tensor],
) -> None:
    _, quantised, spectra = int8
    bare = onnx.ModelProto()
    bare.CopyFrom(quantised)
    del bare.metadata_props[:]
    assert output_ranges(bare) == {}
    single = for_cpu(bare)
    assert not any(node.op_type == "QLinearConv" for node in single.graph.node)
    # Same steps, same values: what is left is half precision's rounding.
    assert snr_db(run(quantised, spectra=spectra), run(single, spectra=spectra)) > 25.0


def test_ranges_travel_in_the_file(
    int8: tuple[onnx.ModelProto, onnx.ModelProto, Tensor],
) -> None:
    _, quantised, _ = int8
    kept = {entry.key: entry.value for entry in quantised.metadata_props}
    ranges = json.loads(kept[RANGES])
    assert ranges and all(low <= 0.0 <= high for low, high in ranges.values())
    assert not any(name.endswith(".in_proj") for name in ranges)
