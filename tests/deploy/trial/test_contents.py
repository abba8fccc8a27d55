"""What a slot's files hold: graphs, bundle and presets that lie are refused in one sentence."""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deploy.trial.child import JOBS, answer
from deploy.trial.contents import check_contents
from deploy.trial.graphs import STAGE_BYTES
from deploy.trial.limits import Here, Limits
from tests.build.bundles import CERTIFICATE, small_bundle
from tests.deploy.trial.slots_made import (
    PLAIN,
    constant,
    preset,
    put,
    stage_model,
    whole_slot,
)

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_slot(tmp_path_factory.mktemp("whole") / "slot")


@pytest.fixture
def slot(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "slot"))


def refusal(slot: Path) -> str:
    """Why a slot is refused, as the parent is told."""
    given = answer(JOBS["inspect"], slot, Limits(), Here())
    assert given["ok"] is False, given
    why = given["why"]
    assert isinstance(why, str)
    assert "\n" not in why and 10 < len(why) <= 400
    assert str(slot) not in why
    return why


def test_what_is_right_is_taken(slot: Path) -> None:
    assert check_contents(slot, Here()) == {"stage": "read", "studio": "small", "presets": 1.0}


@pytest.mark.parametrize("part", ["stage.onnx", "studio", "presets"])
def test_any_part_may_be_missing(slot: Path, part: str) -> None:
    shutil.rmtree(slot / part) if (slot / part).is_dir() else (slot / part).unlink()
    assert len(check_contents(slot, Here())) == 2


# ---- the stage network ---------------------------------------------------------------------------


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[20]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/shadow")


def _domain(model: onnx.ModelProto) -> None:
    model.graph.node[3].domain = "com.example"


def _nested_external(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inner", [], [])
    tensor = inner.initializer.add(name="w", data_type=1, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../secret")
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner))


def _rename(model: onnx.ModelProto, kind: str, old: str, new: str) -> None:
    value = next(value for value in getattr(model.graph, kind) if value.name == old)
    value.name = new


def _size(model: onnx.ModelProto, kind: str, name: str, at: int, size: int) -> None:
    value = next(value for value in getattr(model.graph, kind) if value.name == name)
    value.type.tensor_type.shape.dim[at].dim_value = size


def _type(model: onnx.ModelProto, name: str) -> None:
    value = next(value for value in model.graph.input if value.name == name)
    value.type.tensor_type.elem_type = TensorProto.DOUBLE


def _number(model: onnx.ModelProto, number: float) -> None:
    weights = constant(model, "constant20")
    weights[3, 5, 0] = number
    put(model, "constant20", weights)


def _colourless(model: onnx.ModelProto) -> None:
    next(each for each in model.graph.initializer if each.name == "whiten").name = "blacken"


def _prewarm(model: onnx.ModelProto, value: str) -> None:
    model.metadata_props[0].value = value


def _endless_memory(model: onnx.ModelProto) -> None:
    _size(model, "input", "memory0@1", 2, 1 << 24)
    _size(model, "output", "memory0", 2, 1 << 24)


STAGES: dict[str, tuple[Change, str]] = {
    "external data": (_external, "stage.onnx: keeps the tensor .*external data"),
    "nested external data": (_nested_external, "stage.onnx: keeps the tensor 'w'"),
    "custom operator": (_domain, "stage.onnx: uses operators of the domain 'com.example'"),
    "runtime's operator": (
        lambda model: setattr(model.graph.node[3], "domain", "com.microsoft"),
        "operators of the domain 'com.microsoft'",
    ),
    "functions": (
        lambda model: model.functions.add(name="f", domain="ai.onnx"),
        "defines functions of its own",
    ),
    "training": (lambda model: model.training_info.add(), "holds what one trains with"),
    "branch": (
        lambda model: model.graph.node.append(helper.make_node("Loop", ["a"], ["b"])),
        "uses Loop, an operator whose time",
    ),
    "chance": (
        lambda model: model.graph.node.append(helper.make_node("RandomNormal", [], ["b"])),
        "uses RandomNormal, an operator of chance",
    ),
    "many nodes": (
        lambda model: model.graph.node.extend([model.graph.node[0]] * 5000),
        "has 5126 nodes",
    ),
    "nan": (lambda model: _number(model, float("nan")), "constant20' hold a NaN"),
    "infinite": (lambda model: _number(model, float("inf")), "constant20' hold a NaN"),
    "damaged numbers": (
        lambda model: setattr(model.graph.initializer[20], "raw_data", b"12345"),
        "are damaged",
    ),
    "nan attribute": (
        lambda model: model.graph.node.append(
            helper.make_node("LeakyRelu", ["a"], ["b"], alpha=float("nan"))
        ),
        "LeakyRelu.alpha' hold a NaN",
    ),
    "no source": (lambda model: _rename(model, "input", "source", "guitar"), "has no source"),
    "no target": (lambda model: _rename(model, "output", "target", "sound"), "has no target"),
    "two signals": (lambda model: _size(model, "input", "source", 1, 2), "1×2×\\? source"),
    "two targets": (lambda model: _size(model, "output", "target", 1, 2), "1×2×\\? target"),
    "doubles": (lambda model: _type(model, "source"), "'source' is not float32"),
    "nobody's memory": (
        lambda model: _rename(model, "input", "memory0@1", "memory0@x"),
        "'memory0@x' is nobody's memory",
    ),
    "far memory": (
        lambda model: _rename(model, "input", "memory0@1", "memory0@999"),
        "'memory0@999' does not fit",
    ),
    "other memory": (
        lambda model: _size(model, "input", "memory0@1", 2, 200),
        "'memory0@1' does not fit",
    ),
    "unread memory": (
        lambda model: _rename(model, "output", "memory9", "memory99"),
        "memory9@1' is nobody's memory",
    ),
    "endless memory": (_endless_memory, "remembers 134.* bytes"),
    "endless prewarm": (lambda model: _prewarm(model, "999999999"), "frames to settle"),
    "odd prewarm": (lambda model: _prewarm(model, "-1e9"), "frames to settle"),
    "no colour": (_colourless, "is no stage network"),
}


@pytest.mark.parametrize("what", STAGES)
def test_another_network_is_refused(slot: Path, what: str) -> None:
    model = stage_model()
    change, sentence = STAGES[what]
    change(model)
    (slot / "stage.onnx").write_bytes(model.SerializeToString())
    why = refusal(slot)
    assert re.search(sentence, why), why


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"not a graph at all", bytes(range(256))])
def test_no_network_at_all(slot: Path, content: bytes) -> None:
    (slot / "stage.onnx").write_bytes(content)
    assert "stage.onnx: " in refusal(slot)


def test_a_network_that_is_too_large(slot: Path) -> None:
    with (slot / "stage.onnx").open("ab") as file:
        file.truncate(STAGE_BYTES + 1)
    assert "has more than the 4194304 bytes" in refusal(slot)


def test_a_network_that_is_cut(slot: Path) -> None:
    content = (slot / "stage.onnx").read_bytes()
    for length in range(0, len(content), len(content) // 12):
        (slot / "stage.onnx").write_bytes(content[:length])
        assert "stage.onnx: " in refusal(slot)


# ---- the studio bundle ---------------------------------------------------------------------------


def _manifest(slot: Path, change: Callable[[dict], object]) -> None:
    file = slot / "studio" / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def _swap_graphs(slot: Path) -> None:
    studio = slot / "studio"
    (studio / "encoder.fp32.onnx").rename(studio / "x")
    (studio / "decoder.fp32.onnx").rename(studio / "encoder.fp32.onnx")
    (studio / "x").rename(studio / "decoder.fp32.onnx")


def _entry(manifest: dict, name: str, key: str, value: object) -> None:
    manifest["files"][name][key] = value


STUDIOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a hash": (
        lambda slot: _manifest(slot, lambda m: _entry(m, "encoder.fp32.onnx", "sha256", "0" * 64)),
        "encoder.fp32.onnx: is not the file that the manifest names",
    ),
    "a size": (
        lambda slot: _manifest(slot, lambda m: _entry(m, "golden.npz", "bytes", 17)),
        "golden.npz: has .* bytes, but the manifest says 17",
    ),
    "a shape": (
        lambda slot: _manifest(
            slot, lambda m: _entry(m, "encoder.int8.onnx", "inputs", {"spectra": [2, 2, 64, 16]})
        ),
        "but its window and channels ask for",
    ),
    "a window": (
        lambda slot: _manifest(slot, lambda m: m.update(window_frames=24)),
        "manifest.json: ",
    ),
    "swapped graphs": (_swap_graphs, "has .* bytes, but the manifest says"),
    "a file more": (
        lambda slot: (slot / "studio" / "x.onnx").write_text("x"),
        "x.onnx: is no part of this bundle",
    ),
    "no manifest": (
        lambda slot: (slot / "studio" / "manifest.json").unlink(),
        "holds no manifest.json",
    ),
    "unknown keys": (
        lambda slot: _manifest(slot, lambda m: m.update(evil=1)),
        "evil is not a key that exists here",
    ),
}


@pytest.mark.parametrize("what", STUDIOS)
def test_a_bundle_that_lies_is_refused(slot: Path, what: str) -> None:
    change, sentence = STUDIOS[what]
    change(slot)
    why = refusal(slot)
    assert re.search(sentence, why), why


def test_a_bundle_with_external_data_is_refused(slot: Path) -> None:
    studio = slot / "studio"
    model = onnx.load(studio / "decoder.fp32.onnx")
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    _replaced(slot, "decoder.fp32.onnx", model.SerializeToString())
    assert "in another file (external data)" in refusal(slot)


def test_a_bundle_with_a_number_that_is_none_is_refused(slot: Path) -> None:
    model = onnx.load(slot / "studio" / "decoder.fp16.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "out":
            weights = onnx.numpy_helper.to_array(tensor).copy()
            weights.flat[7] = np.inf
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "out"))
    _replaced(slot, "decoder.fp16.onnx", model.SerializeToString())
    assert "decoder.fp16.onnx: the stored numbers 'out' hold a NaN" in refusal(slot)


def test_a_bundle_with_lax_limits_is_refused(slot: Path) -> None:
    limits = CERTIFICATE.limits.model_copy(update={"golden_latent_snr_db": -400.0})
    shutil.rmtree(slot / "studio")
    small_bundle(slot / "studio", certificate=CERTIFICATE.model_copy(update={"limits": limits}))
    assert "golden_latent_snr_db -400, laxer than 20" in refusal(slot)


def _replaced(slot: Path, name: str, content: bytes) -> None:
    """A file of the bundle with a manifest that agrees: only its content is wrong."""
    (slot / "studio" / name).write_bytes(content)

    def agree(manifest: dict) -> None:
        _entry(manifest, name, "bytes", len(content))
        _entry(manifest, name, "sha256", hashlib.sha256(content).hexdigest())

    _manifest(slot, agree)


# ---- presets -------------------------------------------------------------------------------------


def _with(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new)


PRESETS: dict[str, tuple[str, str]] = {
    "absolute": (_with('"cab.wav"', '"/etc/passwd"'), r"tone.b.chain\[1\]: the path '/etc/passwd'"),
    "above": (_with('"cab.wav"', '"../stage.onnx"'), "'../stage.onnx' is not plain"),
    "above, hidden": (_with('"cab.wav"', '"x/../../cab.wav"'), "is not plain and relative"),
    "home": (_with('"cab.wav"', '"~/cab.wav"'), "~/cab.wav is not in the release"),
    "not there": (_with('"cab.wav"', '"other.wav"'), "other.wav is not in the release"),
    "unknown key": (_with("path =", "paht ="), "morph.paht is not a key that exists here"),
    "unknown block": (_with('"drive"', '"exec"'), "has block = 'exec'"),
    "absurd level": (_with("drive_db = 6.0", "drive_db = 6e9"), "drive_db is 6000000000.0"),
    "nan": (_with("drive_db = 6.0", "drive_db = nan"), "drive_db is nan"),
    "no sound": (_with('"cab.wav"', '"plain.toml"'), "plain.toml: it cannot be read as sound"),
    "no toml": ("{" * 5000, "is not valid TOML"),
    "recursion": ("a = " + "[" * 100_000, "is not a TOML text file"),
    "endless": (
        PLAIN.replace(
            'chain = [{ block = "low',
            "chain = [" + '{ block = "phaser" }, ' * 40 + '{ block = "low',
        ),
        "should hold 0 to 32",
    ),
    "direction": (
        'format = 1\nname = "D"\n[tone.a]\nchain = []\n[tone.b]\nchain = []\n[morph]\n'
        'engine = "studio"\ndirection = { from = "cab.wav", to = "/dev/zero" }\n',
        "morph.direction.to: the path '/dev/zero'",
    ),
}


@pytest.mark.parametrize("what", PRESETS)
def test_a_preset_that_leads_elsewhere_or_is_none_is_refused(slot: Path, what: str) -> None:
    text, sentence = PRESETS[what]
    preset(slot, text)
    why = refusal(slot)
    assert re.search(sentence, why), why


def test_a_preset_below_plays_what_lies_beside_it(slot: Path) -> None:
    below = slot / "presets" / "more"
    below.mkdir()
    (below / "plain.toml").write_text(PLAIN)
    assert "presets/more/plain.toml: tone.b.chain[1]: cab.wav is not in" in refusal(slot)
    shutil.copy(slot / "presets" / "cab.wav", below)
    assert check_contents(slot, Here())["presets"] == 2.0


def test_absurd_captures_are_refused(slot: Path) -> None:
    preset(slot, _with('"cab", file = "cab.wav"', '"nam", file = "x.nam"'))
    linear = {"receptive_field": 4, "bias": False}
    for capture, sentence in (
        ({"architecture": "WaveNet", "config": {}, "weights": []}, "x.nam"),
        (
            {"version": "0.5.4", "architecture": "Linear", "config": linear, "weights": [1.0] * 9},
            "x.nam",
        ),
        ("[" * 100_000, "x.nam"),
    ):
        text = capture if isinstance(capture, str) else json.dumps(capture)
        (slot / "presets" / "x.nam").write_text(text)
        assert sentence in refusal(slot)
    with (slot / "presets" / "x.nam").open("wb") as file:
        file.truncate(64 << 20)
    assert "x.nam" in refusal(slot)


def test_more_presets_than_a_bank_holds(slot: Path) -> None:
    for index in range(65):
        preset(slot, PLAIN, f"{index}.toml")
    assert "holds 66 presets, but a bank holds 64" in refusal(slot)


def test_graphs_among_the_presets_are_looked_at(slot: Path) -> None:
    model = stage_model()
    file = slot / "presets" / "extra.onnx"
    file.write_bytes(model.SerializeToString())
    check_contents(slot, Here())
    _external(model)
    file.write_bytes(model.SerializeToString())
    assert "presets/extra.onnx: keeps the tensor" in refusal(slot)


def test_arrays_among_the_presets_are_plain_and_finite(slot: Path) -> None:
    file = slot / "presets" / "extra.npz"
    np.savez(file, a=np.ones(3))
    check_contents(slot, Here())
    np.savez(file, a=np.array([1.0, np.nan]))
    assert "presets/extra.npz: holds a NaN" in refusal(slot)
    np.savez(file, a=np.array([object()]))
    assert "presets/extra.npz: is no file of plain arrays" in refusal(slot)
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros(20_000_000, np.float32))
    file.write_bytes(content.getvalue())
    assert "presets/extra.npz: unpacks to 80000" in refusal(slot)
