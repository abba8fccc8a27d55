"""``python -m build verify``: what runs here, how near it comes, and what it costs."""

import json
from pathlib import Path

import pytest

from build.__main__ import main
from models.manifest import read_bundle
from models.plan import provide_plan
from models.plans.cache import BuildSettings, PlanCache
from tests.build.bundles import golden_of, graphs, small_bundle
from tests.models.tensorrt_double import Bench, install, uninstall


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder


def _verify(folder: Path, *options: str) -> int:
    return main(["verify", str(folder), "--seconds", "0", *options])


def _told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_bundle_is_within_its_limits_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    precision: str,
) -> None:
    uninstall(monkeypatch)
    assert _verify(folder, "--precision", precision, "--json", "--threads", "1") == 0
    told = _told(capsys)
    assert told["ok"] is True
    assert told["provider"] == "ONNX Runtime CPU"
    # The CPU rounds between int8 convolutions once more than the graph says.
    least_db = 40.0 if precision == "int8" else 80.0
    assert told["against"][precision]["decoded_snr_db"] > least_db
    assert (told["against"]["fp32"]["decoded_snr_db"] < 80.0) == (precision != "fp32")
    assert told["peak_rss_mib"] > 10.0
    assert told["runs"] >= 10


def test_it_says_what_runs_and_why_nothing_faster(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uninstall(monkeypatch)
    assert _verify(folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("not taken: TensorRT is not on this machine")
    assert "int8 on ONNX Runtime CPU" in lines
    assert lines[-1] == "within the limits"


def test_a_named_engine_is_run_alone(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, Bench())
    for kind in ("encoder", "decoder"):
        provide_plan(read_bundle(folder), kind, "int8", PlanCache(tmp_path), BuildSettings())
    options = ("--json", "--cache", str(tmp_path))
    assert _verify(folder, "--provider", "plans", *options) == 0
    assert _told(capsys)["provider"] == "TensorRT 10.3"
    assert _verify(folder, "--provider", "cpu", *options) == 0
    assert _told(capsys)["provider"] == "ONNX Runtime CPU"
    assert _verify(folder, *options) == 0
    assert _told(capsys)["provider"] == "TensorRT 10.3"


def test_an_engine_beyond_the_limits_exits_1_with_its_numbers(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, Bench(gain=1.5))
    for kind in ("encoder", "decoder"):
        provide_plan(read_bundle(folder), kind, "int8", PlanCache(tmp_path), BuildSettings())
    options = ("--cache", str(tmp_path), "--json")
    assert _verify(folder, "--provider", "plans", *options) == 1
    out, err = capsys.readouterr()
    told = json.loads(out.splitlines()[-1])
    assert told["ok"] is False
    # Half as much again: 6 dB SNR, and 20·log10(1.5) / 0.65 dB of level.
    assert told["against"]["int8"]["decoded_snr_db"] == pytest.approx(6.0, abs=0.1)
    assert told["against"]["int8"]["log_spectral_distance_db"] == pytest.approx(5.4, abs=0.2)
    assert "python -m build verify: The " in err


def test_a_golden_pair_that_is_not_the_graphs_exits_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uninstall(monkeypatch)
    golden = golden_of(graphs())
    golden["decoded.int8"] = golden["decoded.int8"][..., ::-1].copy()
    folder = small_bundle(tmp_path / "small", golden=golden).folder
    assert _verify(folder) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "beyond the limits"
    assert "dB SNR from the golden int8 ones" in err


def test_an_engine_that_is_not_here_is_wrong_input(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(folder, "--provider", "cuda") == 2
    assert "has no CUDAExecutionProvider" in capsys.readouterr().err


def test_plans_that_are_not_built_are_failed_work(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, Bench())
    assert _verify(folder, "--provider", "plans", "--cache", str(tmp_path)) == 1
    assert "run `python -m build compile`" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_wrong_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(tmp_path) == 2
    assert capsys.readouterr().err.startswith("python -m build verify: ")


@pytest.mark.parametrize("options", [["--threads", "0"], ["--seconds", "-1"], ["--provider", "x"]])
def test_options_out_of_range_are_wrong_input(folder: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(folder), *options])
    assert ended.value.code == 2
