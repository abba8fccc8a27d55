"""The self-test: models that are no number, too loud, too faint or too slow are refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import helper

from deploy.trial import sounds, studio_trial
from deploy.trial.child import JOBS, answer
from deploy.trial.limits import Here, Limits
from deploy.trial.stage_trial import check_time
from deploy.trial.verdict import RefusedError
from models.stage.graph import TRAITS
from models.stage.model import STAGE_FILE
from tests.build.bundles import golden_of, graphs, small_bundle
from tests.deploy.trial.slots_made import (
    PLAIN,
    before_target,
    hum_between,
    louder,
    louder_between,
    nan_between,
    preset,
    slower,
    stage_model,
)

LIMITS = Limits(phrase_s=0.8, bundled=0, idle=False)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The riff's first notes; periods and hops are timed, but not for long."""
    riff = sounds.guitar
    monkeypatch.setattr(sounds, "guitar", lambda rate_hz, seconds=0.6: riff(rate_hz, 0.6))
    monkeypatch.setattr(sounds, "_TIMED_S", 0.02)
    monkeypatch.setattr(studio_trial, "SECONDS", 0.02)


def tried(slot: Path, limits: Limits = LIMITS, here: Here | None = None) -> dict:
    return dict(answer(JOBS["test"], slot, limits, here or Here()))


def refusal(slot: Path, limits: Limits = LIMITS, here: Here | None = None) -> str:
    given = tried(slot, limits, here)
    assert given["ok"] is False, given
    assert "\n" not in given["why"] and len(given["why"]) <= 400
    return str(given["why"])


# ---- the stage network ---------------------------------------------------------------------------


def _stage(folder: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    model = stage_model()
    change(model)
    (folder / "stage.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.mark.usefixtures("briefly")
def test_the_network_that_ships_passes(tmp_path: Path) -> None:
    shutil.copy(STAGE_FILE, tmp_path / "stage.onnx")
    given = tried(tmp_path)
    assert given["ok"] is True, given
    figures = given["figures"]
    assert -3.0 < figures["stage_over_fainter_end_db"] < figures["stage_over_louder_end_db"] < 3.0
    assert 0.0 < figures["stage_p99_ms"] < 3.0 * figures["stage_present_p99_ms"]


def _missing_input(model: onnx.ModelProto) -> None:
    before_target(model, helper.make_node("Add", ["made", "nowhere"], ["given"]))


def _deaf_to_its_pair(model: onnx.ModelProto) -> None:
    """Laying it out drops an initializer that no node hears, and the pair's traits with it."""
    fixed = model.graph.initializer.add()
    fixed.CopyFrom(next(each for each in model.graph.initializer if each.name == TRAITS))
    fixed.name = "fixed"
    for node in model.graph.node:
        node.input[:] = ["fixed" if name == TRAITS else name for name in node.input]


NETWORKS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "no number": (nan_between, r"stage.onnx: gives what is no number"),
    "too loud": (lambda m: louder_between(m, 1.5), r"stage.onnx: is too loud, \d+\.\d dB over"),
    "too faint": (lambda m: louder_between(m, -0.98), r"stage.onnx: is too faint, \d+\.\d dB"),
    "not its ends": (lambda m: louder(m, 1.1), r"stage.onnx: is not tone A where the knob"),
    "humming": (lambda m: hum_between(m, 0.00126), r"stage.onnx: sounds by itself, -58\.\d dBFS"),
    "deaf to its pair": (_deaf_to_its_pair, r"it is no stage network: traits"),
    "not loading": (_missing_input, r"The streaming model does not load"),
}


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("what", NETWORKS)
def test_a_network_that_may_not_play_is_refused(tmp_path: Path, what: str) -> None:
    change, sentence = NETWORKS[what]
    why = refusal(_stage(tmp_path, change))
    assert re.search(sentence, why), why


def test_a_network_that_is_slower_than_the_one_that_plays_is_refused(tmp_path: Path) -> None:
    """The same slow network passes where it plays already: the machine is to blame, not it."""
    file = _stage(tmp_path, slower) / "stage.onnx"
    strict = Limits(share=0.01, slower=3.0, idle=False, bundled=0)
    why = refusal(tmp_path, strict)
    sentence = r"stage.onnx: is too slow, \d+\.\d+ ms of a period of 1.33 ms \(p99\), at most \d"
    assert re.search(sentence, why), why
    figures = check_time(file, file, strict, Here())
    assert float(figures["stage_p99_ms"]) > 0.0


def test_a_network_may_take_its_share_of_a_period(tmp_path: Path) -> None:
    file = _stage(tmp_path, slower) / "stage.onnx"
    check_time(file, None, Limits(share=1000.0, slower=0.0), Here())
    with pytest.raises(RefusedError, match="too slow"):
        check_time(file, None, Limits(share=0.001, slower=0.0), Here())


# ---- the studio bundle ---------------------------------------------------------------------------


@pytest.mark.usefixtures("briefly")
def test_a_bundle_gives_its_golden_sound(tmp_path: Path) -> None:
    small_bundle(tmp_path / "studio")
    given = tried(tmp_path)
    assert given["ok"] is True, given
    assert given["figures"]["studio_engine"] == "int8 on ONNX Runtime CPU"


@pytest.mark.usefixtures("briefly")
def test_a_bundle_that_gives_another_sound_is_refused(tmp_path: Path) -> None:
    golden = golden_of(graphs())
    golden["decoded.int8"] = -golden["decoded.int8"]
    small_bundle(tmp_path / "studio", golden=golden)
    assert re.search(
        "studio: does not give its golden sound on ONNX Runtime CPU: .* dB", refusal(tmp_path)
    )


@pytest.mark.usefixtures("briefly")
def test_a_bundle_that_is_too_slow_for_its_hop_is_refused(tmp_path: Path) -> None:
    small_bundle(tmp_path / "studio")
    strict = Limits(idle=False, studio_share_alone=1e-9, studio_share=1e-9, slower=1000.0)
    assert "studio: is too slow" in refusal(tmp_path, strict)
    present = tmp_path / "present"
    present.mkdir()
    shutil.copytree(tmp_path / "studio", present / "studio")
    given = tried(tmp_path, strict, Here(present=present))
    assert given["ok"] is True, given
    assert given["figures"]["studio_present_load"] > 0.0


@pytest.mark.usefixtures("briefly")
def test_a_present_bundle_that_is_broken_is_nothing_to_compare_with(tmp_path: Path) -> None:
    small_bundle(tmp_path / "studio")
    (tmp_path / "present" / "studio").mkdir(parents=True)
    given = tried(tmp_path, LIMITS, Here(present=tmp_path / "present"))
    assert given["ok"] is True, given


# ---- presets -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("briefly")
def test_presets_are_played_at_both_ends_and_between(tmp_path: Path) -> None:
    preset(tmp_path, PLAIN)
    given = tried(tmp_path)
    assert given["ok"] is True, given
    figures = given["figures"]
    assert figures["presets_tried"] == 1.0
    assert -20.0 < figures["presets_faintest_lu"] <= figures["presets_loudest_lu"] < 10.0


LOUD = PLAIN + "[output]\nlevel_db = 36.0\n"
LOUD_NOT_CLIPPING = PLAIN.replace("[tone.b]", "level_db = 21.0\n[tone.b]").replace(
    "drive_db = 6.0 }", "drive_db = 0.0 }"
)
FAINT = PLAIN.replace("[morph]", "level_db = -60.0\n[morph]")
REVERBS = ", ".join(['{ block = "reverb" }'] * 31)
SLOW = f"""format = 1
name = "Slow"
[tone.a]
chain = [{REVERBS}]
[tone.b]
chain = [{{ block = "drive" }}, {REVERBS}]
[morph]
engine = "crossfade"
path = "direct"
"""

PRESETS: dict[str, tuple[str, str]] = {
    "clipping": (LOUD, r"presets/plain.toml: is too loud, \d+\.\d % of its samples"),
    "too loud": (LOUD_NOT_CLIPPING, r"presets/plain.toml: is too loud, \d+\.\d LU over"),
    "too faint": (FAINT, r"presets/plain.toml: is too faint, \d+\.\d LU under the dry"),
}


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("what", PRESETS)
def test_a_preset_that_may_not_play_is_refused(tmp_path: Path, what: str) -> None:
    text, sentence = PRESETS[what]
    preset(tmp_path, text)
    limits = Limits(phrase_s=0.8, idle=False, beyond_full_scale=1.0 if "LU over" in sentence else 0)
    why = refusal(tmp_path, limits)
    assert re.search(sentence, why), why


def test_a_preset_that_is_too_slow_is_refused(tmp_path: Path) -> None:
    preset(tmp_path, SLOW)
    here = Here(period_frames=16)
    limits = Limits(phrase_s=0.8, idle=False, preset_share=0.2)
    why = refusal(tmp_path, limits, here)
    assert re.search(r"presets/plain.toml: is too slow, \d+\.\d+ ms of a period of 0.33 ms", why)


@pytest.mark.usefixtures("briefly")
def test_a_preset_whose_capture_gives_no_number_is_refused(tmp_path: Path) -> None:
    preset(
        tmp_path,
        PLAIN.replace(
            'block = "drive", drive_db = 6.0', 'block = "nam", file = "x.nam", input_db = 36.0'
        ),
    )
    capture = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": 2, "bias": False},
        "weights": [3e38, 3e38],
        "sample_rate": 48000,
    }
    (tmp_path / "presets" / "x.nam").write_text(json.dumps(capture))
    why = refusal(tmp_path)
    assert re.search(r"presets/plain.toml: gives what is no number", why), why


@pytest.mark.soak
def test_a_studio_preset_plays_by_the_slots_own_bundle_or_is_stood_in_for(tmp_path: Path) -> None:
    text = PLAIN.replace('"crossfade"', '"studio"').replace('"direct"', '"direct"\nlaw = "linear"')
    preset(tmp_path, text)
    given = tried(tmp_path)
    assert given["ok"] is True, given
