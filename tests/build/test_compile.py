"""``python -m build compile``: plans that serve, or one sentence and what runs instead."""

import json
import shutil
from pathlib import Path

import onnxruntime
import pytest

from build.__main__ import main
from build.compile import target_of
from build.timing import Fit, Timing, fit
from models.manifest import read_bundle
from models.plan import open_codec, plan_keys
from models.plans.cache import BuildSettings, Device, PlanCache
from models.plans.codec import TensorRtCodec
from tests.build.bundles import facts, golden_of, graphs, small_bundle
from tests.models.tensorrt_double import Bench, install, uninstall


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    install(monkeypatch, bench)
    return bench


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a few runs, not two seconds of them."""
    monkeypatch.setattr("build.timing.MOST", 10)


def _compile(folder: Path, cache: Path, *options: str) -> int:
    return main(["compile", str(folder), "--cache", str(cache), *options])


def _builds(bench: Bench) -> int:
    return sum(name == "build" for name, *_ in bench.asked)


def test_compiled_plans_are_what_the_engine_then_opens(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, tmp_path) == 0
    said = capsys.readouterr().out
    assert "Orin, compute capability 8.7, TensorRT 10.3.0" in said
    assert "against fp32: latents 35.8 dB SNR" in said
    codec = open_codec(read_bundle(folder, ["int8"]), cache=tmp_path)
    assert isinstance(codec, TensorRtCodec)
    assert _builds(bench) == 2


def test_the_json_line_has_what_was_measured(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, tmp_path, "--json", "--precision", "fp16") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["ready"] is True
    assert told["precision"] == "fp16"
    assert told["device"]["capability"] == "8.7"
    assert told["plans"]["encoder"]["build_s"] > 0.0
    assert told["against"]["fp16"]["latent_snr_db"] == 400.0
    assert 0.0 < told["encode_p50_ms"] <= told["encode_p99_ms"]
    assert told["load"] == pytest.approx(
        (told["encode_p99_ms"] + told["decode_p99_ms"]) / told["hop_ms"]
    )


def test_what_is_in_the_cache_is_not_built_again_unless_asked(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, tmp_path) == 0
    assert _compile(folder, tmp_path) == 0
    assert _builds(bench) == 2
    assert "encoder: 0.0 MB, was there" in capsys.readouterr().out
    assert _compile(folder, tmp_path, "--rebuild") == 0
    assert _builds(bench) == 4


def test_settings_reach_the_builder(bench: Bench, folder: Path, tmp_path: Path) -> None:
    assert _compile(folder, tmp_path, "--workspace-mb", "96", "--level", "1") == 0
    asked = [rest for name, *rest in bench.asked if name == "build"]
    assert [rest[:2] for rest in asked] == [[96 << 20, 1]] * 2


def test_a_cached_plan_that_does_not_load_is_built_anew(
    bench: Bench, folder: Path, tmp_path: Path
) -> None:
    assert _compile(folder, tmp_path) == 0
    keys = plan_keys(read_bundle(folder), "int8")
    PlanCache(tmp_path).write_plan(keys[1], BuildSettings(), b"not a plan", 1.0)
    assert _compile(folder, tmp_path) == 0
    assert _builds(bench) == 4


def test_cached_plans_that_failed_the_golden_pair_are_built_anew_once(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Bench(gain=2.0)
    install(monkeypatch, bench)
    assert _compile(folder, tmp_path) == 1
    assert _builds(bench) == 2
    assert "does not reproduce the golden pair" in capsys.readouterr().err
    assert _compile(folder, tmp_path) == 1
    assert _builds(bench) == 4


@pytest.mark.parametrize("gpus", [None, 0], ids=["no TensorRT", "no GPU"])
def test_without_a_gpu_it_says_so_and_what_runs_instead(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    gpus: int | None,
) -> None:
    if gpus is None:
        uninstall(monkeypatch)
    else:
        install(monkeypatch, Bench(gpus=gpus))
    assert _compile(folder, tmp_path / "plans", "--json") == 1
    out, err = capsys.readouterr()
    assert "Until then the engine runs on ONNX Runtime CPU." in err
    assert err.count("\n") == 1
    told = json.loads(out.splitlines()[-1])
    assert told["ready"] is False
    assert told["instead"] == ["ONNX Runtime CPU"]
    assert not (tmp_path / "plans").exists()


def test_what_runs_instead_is_named_fastest_first(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uninstall(monkeypatch)
    here = ["CPUExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: here)
    assert _compile(folder, tmp_path) == 1
    assert "runs on ONNX Runtime CUDA, else ONNX Runtime CPU." in capsys.readouterr().err


def test_a_bundle_that_is_not_ready_is_not_built(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = golden_of(graphs())
    golden["latents.int8"] = -golden["latents.int8"]
    folder = small_bundle(tmp_path / "small", golden=golden).folder
    assert _compile(folder, tmp_path / "plans") == 1
    err = capsys.readouterr().err
    assert "FAILS" in err
    assert "not ready for TensorRT; nothing was built" in err
    assert _builds(bench) == 0


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other"])
def test_a_folder_that_is_no_bundle_is_wrong_input(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    model = copy / "decoder.int8.onnx"
    if spoil == "missing":
        model.unlink()
    elif spoil == "truncated":
        model.write_bytes(model.read_bytes()[:-1])
    else:
        (copy / "manifest.json").write_text("{}")
    assert _compile(copy, tmp_path / "plans") == 2
    assert capsys.readouterr().err.startswith("python -m build compile: ")
    assert not (tmp_path / "plans").exists()


def test_a_workspace_out_of_range_is_wrong_input(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, tmp_path, "--workspace-mb", "0") == 2
    assert "--workspace-mb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("here", "by"), [("10.3.0", "10.3"), ("10.7.0.23", "10.3"), ("8.6.1", "10.3")]
)
def test_a_bundle_is_checked_by_the_newest_rules_that_are_not_newer(here: str, by: str) -> None:
    assert target_of(Device(here, "Orin", "8.7", 8, "")).tensorrt == by


# ---- what is live -------------------------------------------------------------------------------


def test_a_hop_is_live_up_to_six_tenths_of_it() -> None:
    # 8 frames of 512 samples at 44.1 kHz: 92.88 ms, of which 55.73 may be used.
    just, over = (Timing(1.0, 10.0, 1.0, decode, 10) for decode in (45.7, 45.8))
    assert fit(just, facts()).fits
    late = fit(over, facts())
    assert not late.fits
    assert late.as_text().startswith("not live: 60 % of a hop of 8 frames, 92.9 ms")


@pytest.mark.parametrize("load", [0.01, 0.3, 0.6, 0.61, 1.2, 7.0])
def test_the_smallest_hop_that_would_fit_does_and_one_frame_less_does_not(load: float) -> None:
    one = Fit(8, 92.9, load)
    frames = one.smallest_frames
    assert load * 8 / frames <= 0.6 + 1e-9
    assert frames == 1 or load * 8 / (frames - 1) > 0.6
