"""``python -m models evaluate``: its methods, its sounds, what it writes and how it fails."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.__main__ import main
from models.errors import ModelError
from models.evaluate import methods, perceptual
from models.evaluate.methods import METHODS, blend, find_methods
from models.evaluate.perceptual import find_cdpam
from models.evaluate.sounds import SoundFolder
from models.evaluate.study import Order, Study
from models.quality import at_level
from models.units import Audio, rms_dbfs
from tests.conftest import plucked

GUITAR = plucked(36000, seed=3)


def test_a_new_method_only_needs_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "first", lambda stage: lambda a, b, p: a)
    found, _ = find_methods(None)
    assert next(iter(found)) == "crossfade"
    assert found["first"](GUITAR, GUITAR * 2, 0.5) is GUITAR


def test_a_method_that_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(methods, "STAGE_FILE", tmp_path / "stage.onnx")
    found, missing = find_methods(None)
    assert list(found) == ["crossfade"]
    assert len(missing) == 1 and "stage.onnx" in missing[0]
    assert methods.describe_stage(None) == ("", "")


def test_the_stage_network_of_a_file_takes_part_and_is_named_by_its_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def play(model: bytes, a: Audio, b: Audio, position: float) -> Audio:
        assert model == b"network"
        return a + b

    monkeypatch.setattr(methods, "morph", play)
    monkeypatch.setattr(methods, "StageModel", lambda *arguments: None)
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"network")
    found, missing = find_methods(file)
    assert list(found) == ["crossfade", "stage"] and not missing
    assert np.array_equal(found["stage"](GUITAR, GUITAR, 0.5), GUITAR + GUITAR)
    assert methods.describe_stage(file) == ("mine.onnx", hashlib.sha256(b"network").hexdigest())


def test_a_foreign_stage_network_is_refused_before_anything_is_heard(tmp_path: Path) -> None:
    (tmp_path / "foreign.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="stage network"):
        find_methods(tmp_path / "foreign.onnx")


def test_the_crossfade_is_the_one_that_ships_with_exact_ends() -> None:
    nan = np.full_like(GUITAR, np.nan)
    assert np.array_equal(blend(GUITAR, nan, 0.0), GUITAR)
    assert np.array_equal(blend(nan, GUITAR, 1.0), GUITAR)
    assert blend(GUITAR, GUITAR * 0, 0.25) == pytest.approx(GUITAR * 0.75, abs=1e-6)


def test_sounds_are_written_at_one_level_and_never_clip(tmp_path: Path) -> None:
    folder = SoundFolder()
    click = np.zeros((1, 48000), np.float32)
    click[0, 100] = 1.0
    for _ in range(2):
        folder.add("jc → 5153", "a", "", 0.0, GUITAR)
        folder.add("jc → 5153", "morph", "drive + stage, perceptual", 0.25, click)
    folder.write(tmp_path)
    assert [sound.file for sound in folder.sounds] == [
        "sounds/jc-5153-a.flac",
        "sounds/jc-5153-drive-stage-perceptual-0.25.flac",
    ]
    first, rate_hz = soundfile.read(tmp_path / folder.sounds[0].file, dtype="float32")
    assert rate_hz == 48000 and rms_dbfs(first[None]) == pytest.approx(-20.0, abs=0.01)
    second, _ = soundfile.read(tmp_path / folder.sounds[1].file)
    assert 0.99 < np.abs(second).max() < 1.0


# ---- CDPAM --------------------------------------------------------------------------------------


def test_cdpam_is_left_out_with_a_sentence_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found, why = find_cdpam()
    assert found is None
    assert "torch is not installed" in why and "make evaluate CDPAM=1" in why


def test_cdpam_tells_sounds_apart() -> None:
    pytest.importorskip("torch")
    measure, why = find_cdpam()
    if measure is None:
        pytest.skip(why)
    sound = at_level(GUITAR[:, :12000])
    driven = at_level(np.tanh(sound * 30))
    assert measure.distance(sound, sound) == pytest.approx(0.0, abs=1e-5)
    assert measure.distance(sound, driven) > 0.05
    assert perceptual.EXCERPT_S > 0.25


# ---- the command --------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    return main(["evaluate", *arguments])


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["dance"]) == 2
    assert "evaluate" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("pairs", ["jc", "jc:", "jc:jc", ":"])
def test_what_is_no_pair_is_refused(pairs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--pairs", pairs)
    assert ended.value.code == 2
    assert "is no pair" in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    return said.err


def test_a_folder_without_audio_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    said = refused(capsys, "--audio", str(tmp_path / "none"), "--out", str(out))
    assert "--audio" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--families", "choir"], "There is no family 'choir'"),
        (["--pairs", "jc:marshall"], "There is no tone 'marshall'"),
        (["--pairs", "jc@loud:jc"], "There is no tone 'jc@loud'"),
        (["--pairs", "jc@-90:jc"], "There is no tone 'jc@-90'"),
        (["--cabinet", "shed"], "There is no cabinet 'shed'"),
        (["--stage", "nowhere.onnx"], "nowhere.onnx"),
    ],
)
def test_what_there_is_not_is_refused(
    arguments: list[str], words: str, shared_audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, "--quick", "--audio", str(shared_audio), *arguments)


def test_pairs_are_all_of_them_once_or_there_and_back(shared_audio: Path) -> None:
    once = Study(Order(shared_audio, families=())).pairs
    both = Study(Order(shared_audio, families=(), both_ways=True)).pairs
    between = [pair for pair in once if pair[0].partition("@")[0] != pair[1]]
    assert len(between) == 10 and ("jc@-36", "jc") in once
    assert set(both) == {*once, *(pair[::-1] for pair in between)}


def test_a_file_is_no_folder(
    shared_audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "is no folder" in refused(
        capsys, "--quick", "--audio", str(shared_audio), "--out", str(file)
    )


@pytest.mark.whole
def test_the_same_order_gives_the_same_figures_and_everything_is_written(
    shared_audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--families", "eq", "--pairs", "jc@-36:jc", "--cabinet", "celestion", "--quick"]
    found = []
    for more in (["--out", str(out)], []):
        assert run("--audio", str(shared_audio), *options, "--json", *more) == 0
        lines = capsys.readouterr().out.splitlines()
        found.append(json.loads(lines[-1]))
        assert any(line.startswith("eq ") for line in lines)
        assert any(line.startswith("jc@-36  jc  celestion") for line in lines)
    first, second = found
    assert json.loads((out / "evaluate.json").read_text()) == first
    assert first["sounds"] and not second["sounds"]
    assert all((out / sound["file"]).exists() for sound in first["sounds"])
    assert (out / "index.html").exists()
    assert first["truths"] and first["pairs"]
    for part in ("truths", "pairs", "planes", "summaries"):
        assert first[part] == second[part]
    turned = next(row for row in first["pairs"] if row["path"] == "parameter")
    assert max(turned["truth_db"]["lsd"]) <= 0.1
