"""Two captures as one graph: each is what it is alone, to the last bit."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.lib import tracemalloc_domain

from models.nam.capture import Capture, read_capture
from models.nam.graph import streaming_onnx
from models.nam.pair import pair_onnx
from models.runtime import StreamingModel
from models.units import Audio
from tests.models.nam_reference import Model, make
from tests.models.playing import play
from tests.models.test_nam_networks import FEATURES, array, sound, wavenet, write

TWO_ARRAYS = FEATURES["two arrays"][1]
APART = {
    "gated",
    "gating mode",
    "condition network",
    "films after the sum",
    "films before the sum",
    "lstm",
    "lstm of three cells",
}
"""What cannot share a graph: these cut signals between channels, or keep a state of their own."""


def capture(
    folder: Path, seed: int, architecture: str = "WaveNet", config: Model = TWO_ARRAYS
) -> Capture:
    return read_capture(write(make(architecture, config, seed=seed), folder))


def pair(folder: Path) -> tuple[bytes, Capture, Capture]:
    a, b = capture(folder, seed=1), capture(folder, seed=2)
    graph = pair_onnx(a, b)
    assert graph is not None
    return graph, a, b


def alone(one: Capture, period: int, source: Audio) -> Audio:
    return play(StreamingModel(streaming_onnx(one), period), source)


def noise(frames: int, seed: int = 5) -> Audio:
    return np.concatenate([sound(frames, seed), sound(frames, seed + 1)])


@pytest.mark.parametrize("feature", FEATURES)
def test_each_plays_as_alone(feature: str, tmp_path: Path) -> None:
    a, b = (capture(tmp_path, seed, *FEATURES[feature]) for seed in (1, 2))
    graph = pair_onnx(a, b)
    assert (graph is None) == (feature in APART)
    if graph is None:
        return
    source = noise(1024)
    for period in (1, 16, 17, 32, 33, 64, 1024):
        model = StreamingModel(graph, period)
        target = play(model, source)
        assert model.channels == 2 and np.abs(target).max() > 0.0
        for channel, one in enumerate((a, b)):
            tone = slice(channel, channel + 1)
            np.testing.assert_array_equal(target[tone], alone(one, period, source[tone]))


@pytest.mark.parametrize(
    "spec",
    ["Hardtanh", "Fasttanh", "LeakyHardtanh", "Hardswish", "SiLU", "Softsign", {"type": "PReLU"}],
)
def test_activations_of_several_nodes_play_as_alone(spec: object, tmp_path: Path) -> None:
    config = wavenet(array(activation=spec))
    a, b = (capture(tmp_path, seed, "WaveNet", config) for seed in (1, 2))
    graph = pair_onnx(a, b)
    assert graph is not None
    source = noise(256)
    target = play(StreamingModel(graph, 32), source)
    np.testing.assert_array_equal(target[:1], alone(a, 32, source[:1]))
    np.testing.assert_array_equal(target[1:], alone(b, 32, source[1:]))


@pytest.mark.parametrize(
    "names",
    [
        ("jc", "5153"),
        pytest.param(("ac10", "deluxe"), marks=pytest.mark.whole),
        pytest.param(("ampeg", "ampeg"), marks=pytest.mark.whole),
    ],
)
def test_real_captures_equal_the_reference(names: tuple[str, str], shared_audio: Path) -> None:
    a, b = (read_capture(shared_audio / "nam" / f"{name}.nam") for name in names)
    graph = pair_onnx(a, b)
    assert graph is not None
    guitar, _ = soundfile.read(
        shared_audio / "di" / "jazz-trot.flac", frames=96_000, dtype="float32", always_2d=True
    )
    source = np.repeat(guitar.T, 2, axis=0)
    for period in (64, 16, 1000):
        target = play(StreamingModel(graph, period), source)
        for channel, (name, one) in enumerate(zip(names, (a, b), strict=True)):
            tone = slice(channel, channel + 1)
            np.testing.assert_array_equal(target[tone], alone(one, period, source[tone]))
            golden = shared_audio / "nam" / "golden" / f"{name}.wav"
            expected, _ = soundfile.read(golden, dtype="float32", always_2d=True)
            wanted = expected.T[:, : target.shape[1]].astype(np.float64)
            error = np.sum(np.square(target[tone] - wanted)) / np.sum(np.square(wanted))
            assert error <= 1e-9


@pytest.mark.parametrize(
    "other",
    [
        {"channels": 5},
        {"dilations": [1, 2, 4]},
        {"dilations": [1, 2]},
        {"kernel_size": 2},
        {"activation": "ReLU"},
        {"activation": {"type": "LeakyReLU", "negative_slope": 0.3}},
        {"head_bias": False},
    ],
)
def test_other_architectures_stay_apart(other: Model, tmp_path: Path) -> None:
    slope = {"type": "LeakyReLU", "negative_slope": 0.2}
    first = {"activation": slope} if isinstance(other.get("activation"), dict) else {}
    a = capture(tmp_path, 1, "WaveNet", wavenet(array(**first)))
    b = capture(tmp_path, 2, "WaveNet", wavenet(array(**other)))
    assert pair_onnx(a, b) is None and pair_onnx(b, a) is None
    assert pair_onnx(a, capture(tmp_path, 3, *FEATURES["lstm"])) is None


def test_different_numbers_in_an_activation_keep_captures_apart(tmp_path: Path) -> None:
    bent = [{"type": "LeakyHardtanh", "min_val": low} for low in (-0.3, -0.4)]
    a, b = (capture(tmp_path, 1, "WaveNet", wavenet(array(activation=spec))) for spec in bent)
    assert pair_onnx(a, b) is None


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_one_goes_wrong_and_the_other_plays_on(broken: int, value: float, tmp_path: Path) -> None:
    graph, *captures = pair(tmp_path)
    source = noise(960)
    other = 1 - broken
    expected = alone(captures[other], 16, source[other : other + 1])
    bad = source.copy()
    bad[broken, 100:300] = value
    target = play(StreamingModel(graph, 16), bad)
    np.testing.assert_array_equal(target[other : other + 1], expected)


@pytest.mark.parametrize("period", [16, 8, 1])
@pytest.mark.parametrize("channel", [0, 1])
def test_one_is_reset_and_the_other_plays_on(channel: int, period: int, tmp_path: Path) -> None:
    graph, *captures = pair(tmp_path)
    model = StreamingModel(graph, period)
    fresh = noise(240, seed=9)
    tone, rest = slice(channel, channel + 1), slice(1 - channel, 2 - channel)
    started = alone(captures[channel], period, fresh[tone])
    # After any number of periods, because the rings of memories turn with them.
    for count in (1, 2, 3, 5, 30):
        model.reset()
        before = noise(count * period, seed=count)
        play(model, before)
        model.reset_channel(channel)
        target = play(model, fresh)
        np.testing.assert_array_equal(target[tone], started)
        whole = np.concatenate([before[rest], fresh[rest]], axis=1)
        expected = alone(captures[1 - channel], period, whole)
        np.testing.assert_array_equal(target[rest], expected[:, before.shape[1] :])


def test_reset_is_the_state_after_construction(tmp_path: Path) -> None:
    model = StreamingModel(pair(tmp_path)[0], 16)
    first = play(model, noise(240))
    for periods in (1, 2, 3, 9):
        play(model, noise(periods * 16, seed=periods))
        model.reset()
        np.testing.assert_array_equal(play(model, noise(240)), first)
        model.reset()


def test_a_period_allocates_nothing(tmp_path: Path) -> None:
    model = StreamingModel(pair(tmp_path)[0], 16)
    source, target = noise(16), np.zeros((2, 16), np.float32)
    for _ in range(300):
        model.process(source, target)
    tracemalloc.start()
    try:
        only = [tracemalloc.DomainFilter(inclusive=True, domain=tracemalloc_domain)]
        for _ in range(300):
            model.process(source, target)
        model.reset_channel(1)
        after = tracemalloc.take_snapshot().filter_traces(only)
    finally:
        tracemalloc.stop()
    assert sum(statistic.count for statistic in after.statistics("filename")) == 0


def test_another_shape_or_channel_is_refused(tmp_path: Path) -> None:
    model = StreamingModel(pair(tmp_path)[0], 16)
    right, wrong = np.zeros((2, 16), np.float32), np.zeros((1, 16), np.float32)
    with pytest.raises(ValueError, match="expected"):
        model.process(wrong, right)
    with pytest.raises(ValueError, match="expected"):
        model.process(right, wrong)
    with pytest.raises(IndexError):
        model.reset_channel(2)


def test_a_blocks_memory_is_shared_out_by_capture(tmp_path: Path) -> None:
    """Dilations of whole periods: earlier periods are read where they lie, capture by capture."""
    config = wavenet(array(dilations=[16, 32, 64, 1]))
    a, b = (capture(tmp_path, seed, "WaveNet", config) for seed in (1, 2))
    graph = pair_onnx(a, b)
    assert graph is not None
    model = StreamingModel(graph, 16)
    # Four channels of each capture, and its condition.
    assert [2, 5, 16] in [value.shape for value in model._session.get_inputs()]
    source = noise(640)
    target = play(model, source)
    np.testing.assert_array_equal(target[:1], alone(a, 16, source[:1]))
    np.testing.assert_array_equal(target[1:], alone(b, 16, source[1:]))
