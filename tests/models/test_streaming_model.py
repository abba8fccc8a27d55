"""What every streaming model promises, whatever network it runs."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.lib import tracemalloc_domain
from onnx import TensorProto, helper

from models.errors import ModelError
from models.nam.capture import read_capture
from models.nam.graph import streaming_onnx
from models.runtime import StreamingModel
from tests.models.nam_reference import make
from tests.models.playing import play
from tests.models.test_nam_networks import FEATURES, sound

PERIOD = 16
KINDS = ("two arrays", "lstm", "convnet", "linear", "no layer1x1, blocks")


@pytest.fixture(params=KINDS)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    architecture, config = FEATURES[request.param]
    path = tmp_path / "capture.nam"
    path.write_text(json.dumps(make(architecture, config, seed=7)))
    return streaming_onnx(read_capture(path))


def test_reset_is_the_state_after_construction(graph: bytes) -> None:
    model = StreamingModel(graph, PERIOD)
    first = play(model, sound())
    for periods in (1, 2, 3, 9):
        play(model, sound(periods * PERIOD, seed=periods))
        model.reset()
        np.testing.assert_array_equal(play(model, sound()), first)
        model.reset()


def test_silence_gives_a_settled_output(graph: bytes) -> None:
    model = StreamingModel(graph, PERIOD)
    target = play(model, np.zeros((1, 40 * PERIOD), np.float32))
    assert np.ptp(target) <= 1e-5


def test_source_may_be_target(graph: bytes) -> None:
    apart, together = StreamingModel(graph, PERIOD), StreamingModel(graph, PERIOD)
    expected = play(apart, sound())
    audio = sound().copy()
    for start in range(0, audio.shape[1], PERIOD):
        period = audio[:, start : start + PERIOD]
        together.process(period, period)
    np.testing.assert_array_equal(audio, expected)


def test_a_period_allocates_nothing(graph: bytes) -> None:
    model = StreamingModel(graph, PERIOD)
    source, target = sound(PERIOD), np.zeros((1, PERIOD), np.float32)
    for _ in range(300):
        model.process(source, target)
    tracemalloc.start()
    try:
        only = [tracemalloc.DomainFilter(inclusive=True, domain=tracemalloc_domain)]
        before = tracemalloc.take_snapshot().filter_traces(only)
        for _ in range(300):
            model.process(source, target)
        model.reset()
        after = tracemalloc.take_snapshot().filter_traces(only)
    finally:
        tracemalloc.stop()
    assert sum(change.size_diff for change in after.compare_to(before, "filename")) == 0
    assert sum(statistic.count for statistic in after.statistics("filename")) == 0


def test_the_buffers_stay_where_they_are(graph: bytes) -> None:
    model = StreamingModel(graph, PERIOD)

    def addresses() -> list[int]:
        rings = [buffer.ctypes.data for ring in model._rings.values() for buffer in ring]
        return [model._source.ctypes.data, model._target.ctypes.data, *rings]

    before = addresses()
    play(model, sound())
    model.reset()
    play(model, sound())
    assert addresses() == before


def test_what_follows_nan_recovers_or_not_but_never_raises(graph: bytes) -> None:
    model = StreamingModel(graph, PERIOD)
    bad = np.full((1, PERIOD), np.nan, np.float32)
    target = np.zeros((1, PERIOD), np.float32)
    model.process(bad, target)
    model.process(np.full((1, PERIOD), 1e30, np.float32), target)
    model.reset()
    model.process(sound(PERIOD), target)
    assert np.isfinite(target).all()


@pytest.mark.parametrize("shape", [(1, PERIOD - 1), (2, PERIOD), (PERIOD,), (1, 1)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    model = StreamingModel(_passing(), PERIOD)
    right, wrong = np.zeros((1, PERIOD), np.float32), np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match="expected"):
        model.process(wrong, right)
    with pytest.raises(ValueError, match="expected"):
        model.process(right, wrong)


@pytest.mark.parametrize("period", [0, -1, 10**9])
def test_an_absurd_period_is_refused(period: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to"):
        StreamingModel(_passing(), period)


def _passing(output: str = "target", memory: str = "") -> bytes:
    shape: list[str | int | None] = [1, 1, "period"]
    source = helper.make_tensor_value_info("source", TensorProto.FLOAT, shape)
    target = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    inputs = [source]
    if memory:
        inputs.append(helper.make_tensor_value_info(memory, TensorProto.FLOAT, shape))
    node = helper.make_node("Identity", ["source"], [output])
    graph = helper.make_graph([node], "g", inputs, [target])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"RIFF0000WAVE",
        _passing()[:-20],
        _passing(output="elsewhere"),
        _passing(memory="unnamed"),
        _passing(memory="nowhere@1"),
        _passing(memory="target@x"),
        onnx.ModelProto().SerializeToString(),
    ],
)
def test_a_damaged_model_is_a_model_error(model: bytes) -> None:
    with pytest.raises(ModelError, match=r"does not load|does not settle"):
        StreamingModel(model, PERIOD)


def test_any_cut_of_a_model_is_a_model_error_or_plays(tmp_path: Path) -> None:
    path = tmp_path / "capture.nam"
    path.write_text(json.dumps(make(*FEATURES["two arrays"], seed=7)))
    whole = streaming_onnx(read_capture(path))
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        try:
            StreamingModel(whole[:length], PERIOD)
        except ModelError:
            continue
