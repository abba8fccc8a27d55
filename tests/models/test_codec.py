"""The codec on ONNX Runtime: what goes in, what comes out, and what is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.errors import ModelError
from models.music2latent.codec import CPU, CUDA, CodecError, OnnxCodec
from tests.models.codec_graphs import BINS, CHANNELS, WINDOW, small_decoder, small_encoder

SPECTRA, LATENTS = (2, 2, BINS, WINDOW), (2, CHANNELS, WINDOW // 8)
TARGET = (1, 2, BINS, WINDOW)


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _codec(**settings) -> OnnxCodec:
    return OnnxCodec(
        small_encoder().SerializeToString(), small_decoder().SerializeToString(), **settings
    )


def _alone(model: onnx.ModelProto, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)[0]


def test_encoding_is_the_graphs_own_output() -> None:
    spectra, latents = _normal(1, *SPECTRA), np.zeros(LATENTS, np.float32)
    _codec().encode(spectra, latents)
    np.testing.assert_array_equal(latents, _alone(small_encoder(), spectra=spectra))
    assert np.any(latents[0] != latents[1])


def test_decoding_is_the_graphs_own_output() -> None:
    latents, noise = _normal(1, 1, *LATENTS[1:]), _normal(2, *TARGET)
    spectra = np.zeros(TARGET, np.float32)
    _codec().decode(latents, noise, 0.5, spectra)
    np.testing.assert_array_equal(spectra, _alone(small_decoder(), latents=latents, noise=noise))


def test_each_call_computes_what_it_is_given_not_what_was_bound_first() -> None:
    codec = _codec()
    first, second = np.zeros(LATENTS, np.float32), np.zeros(LATENTS, np.float32)
    one, other = _normal(1, *SPECTRA), _normal(2, *SPECTRA)
    codec.encode(one, first)
    codec.encode(other, second)
    np.testing.assert_array_equal(second, _alone(small_encoder(), spectra=other))
    codec.encode(one, second)
    np.testing.assert_array_equal(second, first)


def test_views_that_are_not_contiguous_are_read_and_written_as_they_stand() -> None:
    wide = _normal(1, *SPECTRA[:-1], 2 * WINDOW)
    target = np.zeros((*LATENTS, 2), np.float32)
    _codec().encode(wide[..., ::2], target[..., 1])
    np.testing.assert_array_equal(
        target[..., 1], _alone(small_encoder(), spectra=np.ascontiguousarray(wide[..., ::2]))
    )
    assert not target[..., 0].any()


def test_the_position_moves_a_decoder_that_has_one() -> None:
    codec = OnnxCodec(
        small_encoder().SerializeToString(), small_decoder(position=True).SerializeToString()
    )
    latents, noise = _normal(1, 1, *LATENTS[1:]), _normal(2, *TARGET)
    at = {p: np.zeros(TARGET, np.float32) for p in (0.0, 0.25, 1.0)}
    for position, spectra in at.items():
        codec.decode(latents, noise, position, spectra)
    np.testing.assert_allclose(at[0.25], 0.75 * at[0.0] + 0.25 * at[1.0], atol=1e-5)
    assert np.any(at[0.0] != at[1.0])


def test_a_codec_says_its_window_its_shapes_and_what_runs() -> None:
    codec = _codec(why=["no TensorRT here"])
    assert codec.window_frames == WINDOW
    assert codec.latents_shape == LATENTS
    assert codec.provider == "ONNX Runtime CPU"
    assert codec.why == ("no TensorRT here",)


def test_a_codec_keeps_no_copy_of_the_files() -> None:
    encoder, decoder = small_encoder().SerializeToString(), small_decoder().SerializeToString()
    before = [sys.getrefcount(content) for content in (encoder, decoder)]
    codec = OnnxCodec(encoder, decoder)
    assert [sys.getrefcount(content) for content in (encoder, decoder)] == before
    assert codec.window_frames == WINDOW


def test_as_many_threads_compute_as_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = onnxruntime.InferenceSession

    def record(content: bytes, options: onnxruntime.SessionOptions, **others):
        spinning = options.get_session_config_entry("session.intra_op.allow_spinning")
        asked.append((options.intra_op_num_threads, spinning))
        return real(content, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2})
    _codec()
    _codec(threads=1, spin=True)
    assert asked == [(3, "0"), (3, "0"), (1, "1"), (1, "1")]


@pytest.mark.parametrize(
    ("spectra", "target"),
    [
        (np.zeros((2, 2, BINS, WINDOW + 1), np.float32), np.zeros(LATENTS, np.float32)),
        (np.zeros((1, 2, BINS, WINDOW), np.float32), np.zeros(LATENTS, np.float32)),
        (np.zeros(SPECTRA), np.zeros(LATENTS, np.float32)),
        (np.zeros(SPECTRA, np.float32), np.zeros(LATENTS[1:], np.float32)),
        (np.zeros(SPECTRA, np.float32), np.zeros(LATENTS)),
    ],
    ids=["window", "one tone", "float64 in", "no tones out", "float64 out"],
)
def test_arrays_of_another_shape_or_type_are_refused(spectra, target) -> None:
    with pytest.raises(ValueError, match=r"expected float32 \("):
        _codec().encode(spectra, target)


@pytest.mark.parametrize("wrong", ["latents", "noise", "target"])
def test_decoding_refuses_another_shape(wrong: str) -> None:
    arrays = {
        "latents": np.zeros((1, *LATENTS[1:]), np.float32),
        "noise": np.zeros(TARGET, np.float32),
        "target": np.zeros(TARGET, np.float32),
    }
    arrays[wrong] = arrays[wrong][..., :-1]
    with pytest.raises(ValueError, match=r"expected float32 \("):
        _codec().decode(position=0.0, **arrays)


@pytest.mark.parametrize("position", [-0.01, 1.01, float("nan")])
def test_a_position_outside_0_to_1_is_refused(position: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        _codec().decode(
            np.zeros((1, *LATENTS[1:]), np.float32),
            np.zeros(TARGET, np.float32),
            position,
            np.zeros(TARGET, np.float32),
        )


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        _codec(threads=0)


def _renamed(model: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    """The graph with one of its inputs or outputs under another name."""
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    return model


def _open_ended(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "frames"
    return model


def _external(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a weight that lies in a file beside it."""
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    return model


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: b"not a graph",
        lambda model: b"",
        lambda model: model.SerializeToString()[:-200],
        lambda model: _renamed(model, "latents", "codes").SerializeToString(),
        lambda model: _renamed(model, "spectra", "sound").SerializeToString(),
        lambda model: _open_ended(model).SerializeToString(),
        lambda model: _external(model).SerializeToString(),
    ],
    ids=["text", "empty", "truncated", "output's name", "input's name", "open-ended", "external"],
)
def test_files_that_are_no_encoder_are_one_sentence(
    tmp_path: Path, spoil: Callable[[onnx.ModelProto], bytes]
) -> None:
    encoder = tmp_path / "encoder.onnx"
    encoder.write_bytes(spoil(small_encoder()))
    (tmp_path / "weights.bin").write_bytes(bytes(1_000_000))
    with pytest.raises(ModelError) as caught:
        OnnxCodec(encoder, small_decoder().SerializeToString())
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith("build the bundle again.")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"decoder .*gone\.onnx cannot be read"):
        OnnxCodec(small_encoder().SerializeToString(), tmp_path / "gone.onnx")


def test_an_encoder_and_a_decoder_of_two_windows_are_refused() -> None:
    with pytest.raises(ModelError, match="one window for two tones"):
        OnnxCodec(
            small_encoder(WINDOW).SerializeToString(),
            small_decoder(2 * WINDOW).SerializeToString(),
        )


def test_a_provider_that_is_not_there_is_an_error_not_the_cpu() -> None:
    with pytest.raises(ModelError, match=f"{CUDA} is not in this ONNX Runtime"):
        _codec(providers=[CUDA])


def test_a_provider_that_does_not_start_is_an_error_not_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Listed but without its driver: ONNX Runtime then falls back to the CPU by itself."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda content, options, providers, **rest: real(content, options, [CPU], **rest),
    )
    with pytest.raises(ModelError, match=f"{CUDA} did not start"):
        _codec(providers=[CUDA, CPU])


def test_a_session_that_fails_on_a_gpu_is_not_tried_again_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime would, and print so where a command's JSON goes."""
    session = onnxruntime.InferenceSession
    real = session._create_inference_session

    def create(self, providers, options, disabled=None):
        if CUDA in (names := [each if isinstance(each, str) else each[0] for each in providers]):
            raise RuntimeError("CUDA failure 35: driver version is insufficient")
        return real(self, names, options, disabled)

    monkeypatch.setattr(session, "_create_inference_session", create)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    with pytest.raises(ModelError, match="CUDA failure 35"):
        _codec(providers=[CUDA, CPU])
    assert capsys.readouterr().out == ""


def test_a_run_that_fails_is_a_codec_error() -> None:
    """An index that lies outside is only found while the graph runs."""
    model = small_encoder()
    outside = helper.make_node("Gather", ["latents.whole", "outside"], ["latents"], axis=0)
    model.graph.node[-1].output[0] = "latents.whole"
    index = helper.make_node("Cast", ["index.float"], ["outside"], to=TensorProto.INT64)
    first = helper.make_node("Slice", ["spectra.flat", "from", "to"], ["index.float"])
    flat = helper.make_node("Reshape", ["spectra", "all"], ["spectra.flat"])
    model.graph.node.extend([flat, first, index, outside])
    for name, numbers in {"from": [0], "to": [2], "all": [-1]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(numbers), name))
    codec = OnnxCodec(model.SerializeToString(), small_decoder().SerializeToString())
    spectra = np.zeros(SPECTRA, np.float32)
    codec.encode(spectra, np.zeros(LATENTS, np.float32))
    spectra[0, 0, 0, 0] = 7.0
    with pytest.raises(CodecError, match="encoder fails on ONNX Runtime CPU") as caught:
        codec.encode(spectra, np.zeros(LATENTS, np.float32))
    assert caught.value.exit_code == 1
