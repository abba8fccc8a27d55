"""Broken, foreign and hostile capture files: one clear sentence, never anything else."""

import json
import os
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.nam import limits
from models.nam.capture import read_capture
from models.nam.graph import streaming_onnx
from models.runtime import StreamingModel
from tests.models.nam_reference import Model, make
from tests.models.test_nam_networks import FEATURES, array, wavenet

BROKEN = Path(__file__).parent / "broken"
LONGEST_MESSAGE = 500


def refused(path: Path) -> str:
    """The message with which a file is refused: one sentence that names the file."""
    with pytest.raises(ModelError) as caught:
        read_capture(path)
    message = str(caught.value)
    assert str(path) in message
    assert "expected" in message
    assert "\n" not in message
    assert len(message) < LONGEST_MESSAGE + len(str(path))
    return message


def write(content: object, folder: Path) -> Path:
    """A capture file of JSON, text or bytes."""
    path = folder / "capture.nam"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("path", sorted(BROKEN.iterdir()), ids=lambda path: path.name)
def test_refuses_the_corpus(path: Path) -> None:
    refused(path)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert "no regular file" in refused(tmp_path)
    assert "does not exist" in refused(tmp_path / "missing.nam")
    assert "not readable" in refused(tmp_path / ("x" * 5000))
    pipe = tmp_path / "pipe.nam"
    os.mkfifo(pipe)
    assert "no regular file" in refused(pipe)
    with pytest.raises(ModelError, match="not readable"):
        read_capture("capture\0.nam")


def test_refuses_a_huge_file_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.nam"
    with path.open("wb") as file:
        file.truncate(limits.FILE_BYTES + 1)
    assert "at most" in refused(path)


def test_refuses_every_truncation(tmp_path: Path) -> None:
    content = json.dumps(make("WaveNet", wavenet(array(dilations=[1]))))
    for length in range(0, len(content) - 1, 7):
        refused(write(content[:length], tmp_path))


@pytest.mark.parametrize("change", [-1, 1, -10, 1000])
@pytest.mark.parametrize("feature", ["two arrays", "lstm", "convnet", "linear"])
def test_says_how_many_weights_it_expected(feature: str, change: int, tmp_path: Path) -> None:
    model = make(*FEATURES[feature])
    right = len(model["weights"])
    model["weights"] = (model["weights"] * 10)[: right + change]
    if len(model["weights"]) != right + change:
        model["weights"] += [0.0] * (right + change - len(model["weights"]))
    message = refused(write(model, tmp_path))
    assert f"{right + change} numbers" in message
    assert f"the {right} that" in message


HOSTILE = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "null", '"0.5"', "true", "[1]"]


@pytest.mark.parametrize("weight", [*HOSTILE, "9" * 5000, "1e39"])
def test_refuses_weights_that_are_no_finite_numbers(weight: str, tmp_path: Path) -> None:
    model = make("Linear", {"receptive_field": 3, "bias": False})
    model["weights"] = [0.25, "HERE", 0.25]
    content = json.dumps(model).replace('"HERE"', weight)
    message = refused(write(content, tmp_path))
    if len(weight) < 5000:
        assert "weights[1]" in message


@pytest.mark.parametrize(
    ("rate", "fine"),
    [
        (44_100, True),
        (48_000.0, True),
        (8_000, True),
        (384_000, True),
        (None, True),
        (7_999, False),
        (384_001, False),
        (0, False),
        (-48_000, False),
        (44_100.5, False),
        ("48000", False),
        (True, False),
        ([48_000], False),
        (1e300, False),
    ],
)
def test_the_sample_rate(rate: object, fine: bool, tmp_path: Path) -> None:
    model = make("Linear", {"receptive_field": 3, "bias": False})
    path = write({**model, "sample_rate": rate}, tmp_path)
    if fine:
        assert read_capture(path).sample_rate_hz == (rate or 48_000)
    else:
        assert "sample_rate" in refused(path)


Edit = Callable[[Model], None]


def _layers(model: Model) -> Model:
    layer: Model = model["config"]["layers"][0]
    return layer


EDITS: dict[str, tuple[Edit, str]] = {
    "unknown architecture": (lambda m: m.update(architecture="Transformer"), "architecture"),
    "no architecture": (lambda m: m.pop("architecture"), "architecture is missing"),
    "config is a list": (lambda m: m.update(config=[]), "config"),
    "metadata is text": (lambda m: m.update(metadata="x"), "metadata"),
    "loudness is text": (lambda m: m.update(metadata={"loudness": "loud"}), "metadata.loudness"),
    "weights are missing": (lambda m: m.pop("weights"), "weights is missing"),
    "weights are an object": (lambda m: m.update(weights={}), "weights"),
    "no layers": (lambda m: m["config"].update(layers=[]), "config.layers"),
    "a million arrays": (
        lambda m: m["config"].update(layers=[_layers(m)] * 100_000),
        "a list of 100000 entries",
    ),
    "a million layers": (lambda m: _layers(m).update(dilations=[1] * 10**6), "dilations"),
    "channels 1e9": (lambda m: _layers(m).update(channels=10**9), "layers[0].channels"),
    "channels 0": (lambda m: _layers(m).update(channels=0), "channels is 0"),
    "channels -1": (lambda m: _layers(m).update(channels=-1), "channels is -1"),
    "channels 1.5": (lambda m: _layers(m).update(channels=1.5), "channels is 1.5"),
    "channels true": (lambda m: _layers(m).update(channels=True), "channels is true"),
    "channels null": (lambda m: _layers(m).update(channels=None), "channels is null"),
    "kernel 1e9": (lambda m: _layers(m).update(kernel_size=10**9), "kernel_size"),
    "wide and long": (
        lambda m: _layers(m).update(channels=1024, kernel_size=60_000),
        "more weights",
    ),
    "dilation 1e9": (lambda m: _layers(m).update(dilations=[10**9]), "dilations[0]"),
    "long past": (lambda m: _layers(m).update(dilations=[40_000] * 3), "looks back"),
    "much past": (
        lambda m: _layers(m).update(dilations=[20_000], channels=500),
        "samples of history",
    ),
    "unknown activation": (lambda m: _layers(m).update(activation="Gelu"), "activation"),
    "activation 7": (lambda m: _layers(m).update(activation=7), "activation is 7"),
    "activation without type": (lambda m: _layers(m).update(activation={}), "activation.type"),
    "too few activations": (lambda m: _layers(m).update(activation=["Tanh"]), "activation"),
    "PReLU slopes": (
        lambda m: _layers(m).update(activation={"type": "PReLU", "negative_slopes": [0.1] * 3}),
        "negative_slopes",
    ),
    "unknown gating": (lambda m: _layers(m).update(gating_mode="both"), "gating_mode"),
    "gated is 1": (lambda m: _layers(m).update(gated=1), "gated"),
    "groups": (lambda m: _layers(m).update(groups_input=3), "groups"),
    "both kernels": (lambda m: _layers(m).update(kernel_sizes=[3, 3, 3]), "kernel_sizes"),
    "bottleneck alone": (
        lambda m: _layers(m).update(bottleneck=2, layer1x1={"active": False, "groups": 1}),
        "bottleneck",
    ),
    "film without its place": (
        lambda m: _layers(m).update(head1x1_post_film={"active": True}),
        "head1x1_post_film",
    ),
    "film is text": (lambda m: _layers(m).update(conv_pre_film="yes"), "conv_pre_film"),
    "stereo": (lambda m: m["config"].update(in_channels=2), "in_channels"),
    "two outputs": (lambda m: _layers(m).update(head_size=2), "expected"),
    "condition of another size": (lambda m: _layers(m).update(condition_size=2), "condition_size"),
    "unknown slimming": (
        lambda m: _layers(m).update(slimmable={"method": "magic"}),
        "slimmable.method",
    ),
    "slim widths": (
        lambda m: _layers(m).update(
            slimmable={"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [4, 2]}}
        ),
        "allowed_channels",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_names_the_place_of_the_fault(edit: str, tmp_path: Path) -> None:
    model = make("WaveNet", wavenet(array()))
    change, place = EDITS[edit]
    change(model)
    assert place in refused(write(model, tmp_path))


def test_absurd_sizes_take_no_memory(tmp_path: Path) -> None:
    model = make("WaveNet", wavenet(array()))
    _layers(model).update(channels=1024, kernel_size=60_000, dilations=[7] * 200)
    path = write(model, tmp_path)
    tracemalloc.start()
    try:
        refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_refuses_what_would_take_minutes_to_settle(tmp_path: Path) -> None:
    config = {"input_size": 1, "hidden_size": 400, "num_layers": 1}
    model = make("LSTM", config)
    assert "to settle" in refused(write({**model, "sample_rate": 384_000}, tmp_path))


def test_refuses_nesting_without_end(tmp_path: Path) -> None:
    assert "nested" in refused(write("[" * 200_000, tmp_path))
    refused(write('{"a":' * 200_000, tmp_path))
    container: Any = make("Linear", {"receptive_field": 1, "bias": False})
    for _ in range(50):
        container = {
            "architecture": "SlimmableContainer",
            "config": {"submodels": [{"max_value": 1.0, "model": container}]},
            "weights": [],
        }
    assert "levels" in refused(write(container, tmp_path))
    inner: Model = make("WaveNet", wavenet(array()))
    for _ in range(10):
        inner = {**inner, "config": {**inner["config"], "condition_dsp": inner}}
    assert "levels" in refused(write(inner, tmp_path))


def _container(*sizes: float, **options: Any) -> Model:
    model = make("Linear", {"receptive_field": 1, "bias": False})
    submodels = [{"max_value": size, "model": {**model, **options}} for size in sizes]
    config = {"submodels": submodels}
    return {
        "architecture": "SlimmableContainer",
        "config": config,
        "weights": [],
        "sample_rate": 8000,
    }


@pytest.mark.parametrize(
    ("container", "place"),
    [
        (_container(), "submodels"),
        (_container(0.5), "1 or more"),
        (_container(0.5, 0.5, 1.0), "submodels[1].max_value"),
        (_container(1.0, sample_rate=44_100), "sample_rate"),
        (_container(1.0, weights=[]), "submodels[0].model.weights"),
        (_container(0.5, 1.0, architecture="Foo"), "submodels[0].model.architecture"),
    ],
)
def test_refuses_broken_containers(container: Model, place: str, tmp_path: Path) -> None:
    assert place in refused(write(container, tmp_path))


@pytest.mark.parametrize("size", [-0.1, 1.1, float("nan")])
def test_a_size_outside_its_range_is_the_callers_fault(size: float, tmp_path: Path) -> None:
    path = write(make("Linear", {"receptive_field": 1, "bias": False}), tmp_path)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        read_capture(path, size)


def test_weights_that_never_settle_are_refused(tmp_path: Path) -> None:
    model = make("WaveNet", wavenet(array(activation="ReLU")))
    model["weights"] = [1e30] * len(model["weights"])
    graph = streaming_onnx(read_capture(write(model, tmp_path)))
    with pytest.raises(ModelError, match="does not settle"):
        StreamingModel(graph, 16)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "Tanh", "gated", "PReLU", "WaveNet", "none", "NaN"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "active", "groups", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutations(draw: st.DrawFn) -> Model:
    """A sound capture in which one to three fields, found by a random walk, are changed."""
    feature = draw(st.sampled_from(sorted(FEATURES)))
    model = deepcopy(make(*FEATURES[feature]))
    for _ in range(draw(st.integers(1, 3))):
        node: Any = model
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(min(len(node), 4)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.integers(0, 3)):
                node = node[key]
                continue
            action = draw(st.sampled_from(["replace", "remove", "add"]))
            if action == "replace":
                node[key] = draw(VALUES)
            elif action == "remove":
                del node[key]
            elif isinstance(node, dict):
                node[draw(st.sampled_from(sorted(ALL_FIELDS)))] = draw(VALUES)
            else:
                node.append(draw(VALUES))
            break
    return model


ALL_FIELDS = {
    name
    for _, config in FEATURES.values()
    for source in (config, *config.get("layers", []))
    for name in source
}


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(model=mutations())
def test_a_changed_capture_plays_or_is_refused(model: Model, tmp_path: Path) -> None:
    path = write(model, tmp_path)
    try:
        capture = read_capture(path)
    except ModelError as error:
        assert str(path) in str(error)
        assert len(str(error)) < LONGEST_MESSAGE + len(str(path))
        return
    try:
        StreamingModel(streaming_onnx(capture), 64)
    except ModelError as error:
        assert "does not settle" in str(error)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_bytes_play_or_are_refused(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(json.dumps(make("WaveNet", wavenet(array(dilations=[1])))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    path = write(bytes(content), tmp_path)
    try:
        capture = read_capture(path)
    except ModelError as error:
        assert str(path) in str(error)
        return
    assert streaming_onnx(capture)
