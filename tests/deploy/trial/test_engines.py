"""Engines made on the device: what is built, what is named, and how it is found again."""

import json
from pathlib import Path

import onnx
import pytest

from deploy.trial.child import JOBS, answer
from deploy.trial.engines import built_engines
from deploy.trial.files import check_files
from deploy.trial.limits import Here, Limits
from device.tools.bench import standard_capture
from models.manifest import read_bundle
from models.plan import open_plans
from models.plans.cache import PlanCache
from tests.build.bundles import golden_of, graphs, small_bundle
from tests.deploy.trial.slots_made import PLAIN, preset, release_of, whole_slot
from tests.models.tensorrt_double import Bench, install, uninstall


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    return whole_slot(tmp_path / "slot", presets=False)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    install(monkeypatch, bench)
    return bench


def test_without_tensorrt_nothing_is_built(slot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch)
    release = release_of(slot)
    engines = built_engines(slot, Here())
    check_files(slot, release)
    assert not (slot / "plans").exists()
    assert [name.split(" on ONNX Runtime ")[0] for name in engines] == [
        "stage.onnx",
        "studio/encoder.int8.onnx",
        "studio/decoder.int8.onnx",
    ]
    assert engines == built_engines(slot, Here())


def test_another_period_is_another_engine(slot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch)
    one, other = (built_engines(slot, Here(period_frames=frames)) for frames in (64, 128))
    stage = {value for name, value in {**one, **other}.items() if name.startswith("stage")}
    assert len(stage) == 2


def test_plans_are_built_into_the_slot_and_judged(slot: Path, bench: Bench) -> None:
    release = release_of(slot)
    engines = built_engines(slot, Here())
    names = [name for name in engines if name.startswith("studio")]
    where = "int8.onnx on TensorRT 10.3.0"
    assert names == [f"studio/{kind}.{where}" for kind in ("encoder", "decoder")]
    check_files(slot, release)
    # What plays finds them there with their verdict, and has nothing to write.
    before = sorted(file.name for file in (slot / "plans").iterdir())
    bundle = read_bundle(slot / "studio")
    open_plans(bundle, "int8", PlanCache(slot / "plans")).close()
    assert sorted(file.name for file in (slot / "plans").iterdir()) == before
    # After an interruption what is there is taken.
    assert built_engines(slot, Here()) == engines
    # The self-test plays them and nothing else.
    stage = slot / "stage.onnx"
    stage.unlink()
    given = answer(JOBS["test"], slot, Limits(bundled=0), Here())
    assert given["ok"] is True, given
    assert given["figures"]["studio_engine"] == "int8 on TensorRT 10.3"  # type: ignore[index]


def test_plans_that_give_another_sound_are_refused(slot: Path, bench: Bench) -> None:
    bench.gain = 0.5
    given = answer(JOBS["build"], slot, Limits(), Here())
    assert given["ok"] is False and given["failed"] is False
    assert "studio: does not give its golden sound on TensorRT" in str(given["why"])


def test_plans_that_cannot_be_built_now_may_be_built_later(slot: Path, bench: Bench) -> None:
    bench.out_of_memory = True
    given = answer(JOBS["build"], slot, Limits(), Here())
    assert given["ok"] is False and given["failed"] is True
    bench.out_of_memory = False
    assert answer(JOBS["build"], slot, Limits(), Here())["ok"] is True


def test_a_graph_that_tensorrt_does_not_read_is_tried_again_but_not_for_ever(
    slot: Path, bench: Bench
) -> None:
    """Whether its next version does nobody knows; ``deploy.trial.tries`` counts."""
    model = onnx.load(slot / "studio" / "encoder.int8.onnx")
    bench.refuse = (model.graph.node[0].op_type,)
    given = answer(JOBS["build"], slot, Limits(), Here())
    assert given["ok"] is False and given["failed"] is True
    assert "does not read the graph" in str(given["why"])


def test_captures_are_named_and_two_of_one_kind_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch)
    first = PLAIN.replace('"lowpass", cutoff_frequency_hz = 6000.0', '"nam", file = "1.nam"')
    second = '"nam", file = "2.nam"'
    preset(tmp_path, first.replace('"cab", file = "cab.wav"', second))
    for seed in (1, 2):
        text = json.dumps(standard_capture(seed))
        (tmp_path / "presets" / f"{seed}.nam").write_text(text)
    engines = built_engines(tmp_path, Here())
    assert [name.split(" on ")[0] for name in engines] == [
        "presets/plain.toml tone.a.chain[0]",
        "presets/plain.toml tone.b.chain[1]",
        "presets/plain.toml tone.a.chain[0] and tone.b.chain[1]",
    ]
    assert len(set(engines.values())) == 3


def test_a_bundle_that_changes_gives_other_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch)
    small_bundle(tmp_path / "a" / "studio")
    (tmp_path / "b").mkdir()
    models = graphs()
    for model in models.values():
        for tensor in model.graph.initializer:
            if tensor.name in ("rough", "rough.int8"):
                weights = onnx.numpy_helper.to_array(tensor)
                half = (weights / 2).astype(weights.dtype)
                tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    small_bundle(tmp_path / "b" / "studio", models=models, golden=golden_of(models))
    one, other = (built_engines(tmp_path / name, Here()) for name in "ab")
    changed = [name.split(".")[0] for name in one if one[name] != other[name]]
    assert changed == ["studio/decoder"]
