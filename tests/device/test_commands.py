"""The commands as a player types them: figures, exit codes, one clear sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.__main__ import COMMANDS, main
from device.config import bundled_presets
from device.processes.meters import read_meters
from device.sound.morph import ENGINES
from models.stage.model import STAGE_FILE
from models.units import Audio, rms_dbfs
from tests.conftest import ROOT
from tests.device.test_nam_block import linear
from tests.models.nam_reference import make

PRESET = str(bundled_presets()[0])


@pytest.fixture
def phrase(tmp_path: Path, guitar: Audio) -> Path:
    file = tmp_path / "phrase.wav"
    soundfile.write(file, guitar[0], 48000, subtype="FLOAT")
    return file


@pytest.fixture
def recordings(tmp_path: Path, guitar: Audio) -> tuple[Path, Path]:
    """A second of one performance, clean and driven."""
    files = tmp_path / "a.wav", tmp_path / "b.wav"
    clean = guitar[0, :48000]
    for file, sound in zip(files, (0.5 * clean, 0.6 * np.tanh(20.0 * clean)), strict=True):
        soundfile.write(file, sound.astype(np.float32), 48000, subtype="FLOAT")
    return files


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], *([name, "--help"] for name in COMMANDS)):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert len(capsys.readouterr().out) > 100


def test_render_and_tone_agree_byte_for_byte_at_the_ends(
    tmp_path: Path, phrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for position, side in (("0", "a"), ("1", "b")):
        whole, alone = tmp_path / f"{side}1.wav", tmp_path / f"{side}2.wav"
        common = ["--preset", PRESET, "--json"]
        assert main(["render", str(phrase), str(whole), "--position", position, *common]) == 0
        assert figures(capsys)["frames"] == 96000
        assert main(["tone", str(phrase), str(alone), "--side", side, *common]) == 0
        assert whole.read_bytes() == alone.read_bytes()


def test_sweep_goes_from_one_tone_to_the_other(tmp_path: Path, phrase: Path) -> None:
    for name, options in (
        ("sweep", ["--sweep"]),
        ("a", ["--position", "0"]),
        ("b", ["--position", "1"]),
    ):
        target = str(tmp_path / f"{name}.wav")
        assert main(["render", str(phrase), target, "--preset", PRESET, *options]) == 0
    sweep, a, b = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("sweep", "a", "b"))
    assert np.array_equal(sweep[:9000], a[:9000])
    # On its way there tone B was driven less; what its blocks remember of that fades.
    np.testing.assert_allclose(sweep[-8000:], b[-8000:], atol=1e-4)
    assert np.abs(sweep[48000:57600] - a[48000:57600]).max() > 0.01


def test_morph_of_two_recordings(
    tmp_path: Path, phrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, target = tmp_path / "other.wav", tmp_path / "out.flac"
    sound, _ = soundfile.read(phrase, dtype="float32")
    soundfile.write(other, -0.5 * sound[:90000], 48000, subtype="FLOAT")
    arguments = ["morph", str(phrase), str(other), str(target), "--position", "0.5"]
    assert main([*arguments, "--engine", "crossfade", "--json"]) == 0
    result = figures(capsys)
    assert result["frames"] == 90000 and "cut" in str(result["notes"])
    back, _ = soundfile.read(target, dtype="float32")
    np.testing.assert_allclose(back, 0.25 * sound[:90000], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_morph_s_ends_are_the_recordings_and_a_sweep_joins_them(
    engine: str, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    heard = {}
    for name, options in (
        ("a", ["--position", "0"]),
        ("b", ["--position", "1"]),
        ("middle", []),
        ("sweep", ["--sweep"]),
    ):
        target = tmp_path / f"at {name}.wav"
        files = [str(file) for file in (*recordings, target)]
        assert main(["morph", *files, "--engine", engine, *options]) == 0
        heard[name] = soundfile.read(target, dtype="float32")[0]
    a, b = (soundfile.read(file, dtype="float32")[0] for file in recordings)
    assert np.array_equal(heard["a"], a) and np.array_equal(heard["b"], b)
    assert np.array_equal(heard["sweep"][:4800], a[:4800])
    assert np.array_equal(heard["sweep"][-4800:], b[-4800:])
    between = sorted(rms_dbfs(each[None]) for each in (a, b))
    assert between[0] < rms_dbfs(heard["middle"][None]) < between[1]


def test_morph_is_the_stage_network_s_unless_told_otherwise(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    sounds = {}
    for name, options in (("default", []), *((kind, ["--engine", kind]) for kind in ENGINES)):
        files = [str(file) for file in (*recordings, tmp_path / f"{name}.wav")]
        assert main(["morph", *files, *options]) == 0
        sounds[name] = (tmp_path / f"{name}.wav").read_bytes()
    assert sounds["default"] == sounds["stage"] != sounds["crossfade"]


def test_morph_says_what_it_had_to_change(
    recordings: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stereo, another rate, a little too long: played all the same, and said so."""
    a, b = recordings
    sound = soundfile.read(b, dtype="float32")[0]
    both = np.stack([sound, 0.5 * sound], axis=1)
    soundfile.write(tmp_path / "stereo.wav", both, 44100, subtype="FLOAT")
    files = [str(a), str(tmp_path / "stereo.wav"), str(tmp_path / "out.wav")]
    assert main(["morph", *files]) == 0
    said = capsys.readouterr().err
    assert "stereo was averaged" in said and "resampled from 44100 to 48000 Hz" in said
    assert "the longer recording was cut to 1.000 s" in said
    out, rate_hz = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate_hz == 48000 and out.shape == (48000,) and np.isfinite(out).all()


def test_morph_with_silence_is_finite_and_no_louder(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    silence, out = tmp_path / "silence.wav", tmp_path / "out.wav"
    tone = soundfile.read(recordings[1], dtype="float32")[0]
    soundfile.write(silence, np.zeros(48000, np.float32), 48000, subtype="FLOAT")
    for files in ((silence, recordings[1]), (recordings[1], silence), (silence, silence)):
        assert main(["morph", *map(str, files), str(out)]) == 0
        heard = soundfile.read(out, dtype="float32")[0]
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1.42 * np.abs(tone).max()


@pytest.mark.parametrize(
    ("name", "words"),
    [("nan.wav", "not a number"), ("long.wav", "one performance"), ("a.wav", "also the input")],
)
def test_morph_refuses_what_is_no_second_recording(
    name: str,
    words: str,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = np.zeros(48000, np.float32)
    sound[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "long.wav", np.zeros(120000, np.float32), 48000, subtype="FLOAT")
    target = recordings[0] if name == "a.wav" else tmp_path / "out.wav"
    other = recordings[1] if name == "a.wav" else tmp_path / name
    before = recordings[0].read_bytes()
    assert main(["morph", str(recordings[0]), str(other), str(target)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "out.wav").exists()
    assert recordings[0].read_bytes() == before


@pytest.mark.parametrize("harm", ["missing", "damaged", "foreign"])
@pytest.mark.parametrize("command", ["morph", "render"])
def test_a_stage_network_that_cannot_be_played_is_one_sentence(
    command: str,
    harm: str,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, out = tmp_path / "stage.onnx", str(tmp_path / "out.wav")
    if harm != "missing":
        file.write_bytes({"damaged": STAGE_FILE.read_bytes()[:5000], "foreign": b"no"}[harm])
    monkeypatch.setattr("models.stage.model.STAGE_FILE", file)
    a, b = map(str, recordings)
    rest = {"morph": [a, b, out], "render": [a, out, "--preset", PRESET, "--position", "0.5"]}
    assert main([command, *rest[command]]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "stage" in error and not Path(out).exists()


def test_a_calibrated_capture_takes_the_interface_s_level_from_the_configuration(
    tmp_path: Path, phrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linear(tmp_path, metadata={"input_level_dbu": 10.0, "output_level_dbu": 4.0})
    preset, config = tmp_path / "p.toml", tmp_path / "pedal.toml"
    chain = '[{ block = "nam", file = "linear.nam", normalise = "calibrated" }]'
    preset.write_text(f'format = 1\nname = "x"\n[tone.a]\nchain = {chain}\n[tone.b]\nchain = []\n')
    config.write_text("[audio]\ninterface_dbu = 18.0\n")
    common = [str(phrase), str(tmp_path / "out.wav"), "--preset", str(preset)]
    for command in (["render", *common, "--position", "0"], ["tone", *common, "--side", "a"]):
        assert main(command) == 2 and "interface_dbu" in capsys.readouterr().err
        assert main([*command, "--config", str(config)]) == 0
        out = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
        sound = soundfile.read(phrase, dtype="float32")[0]
        np.testing.assert_allclose(out, sound * 10 ** (-6 / 20), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["render", "none.wav", "out.wav", "--preset", PRESET, "--sweep"], "does not exist"),
        (["render", "{phrase}", "out.mp3", "--preset", PRESET, "--sweep"], ".mp3"),
        (["render", "{phrase}", "out.wav", "--preset", "none.toml", "--sweep"], "none.toml"),
        (["render", "{phrase}", "out.wav", "--preset", PRESET, "--position", "1.5"], "0 to 1"),
        (["render", "{phrase}", "out.wav", "--preset", PRESET, "--position", "nan"], "0 to 1"),
        (["tone", "{phrase}", "out.wav", "--preset", PRESET, "--side", "c"], "'c'"),
        (["morph", "{phrase}", "{phrase}", "out.wav", "--engine", "magic"], "magic"),
        (["bench", "--seconds", "0"], "--seconds"),
        (["run", "--config", "none.toml"], "none.toml"),
        (["run", "--input", "none.wav"], "none.wav"),
        (["run", "--preset", "none.toml"], "none.toml"),
        (["run", "--board", "jetson", "--input", "{phrase}"], "simulated"),
        (["run", "--board", "spaceship"], "spaceship"),
        ([], "COMMAND"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    phrase: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    try:
        code = main([argument.format(phrase=phrase) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    error = capsys.readouterr().err
    assert code == 2 and words in error and "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_plays_two_processes_and_writes_sound_and_report(
    tmp_path: Path, phrase: Path
) -> None:
    out = tmp_path / "a folder" / "run"
    command = [sys.executable, "-m", "device", "run", "--input", str(phrase), "--preset", PRESET]
    first = subprocess.run(
        [*command, "--out", str(out), "--json"], cwd=ROOT, capture_output=True, text=True
    )
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout.splitlines()[-1])
    assert summary["simulated"] is True
    sound, rate_hz = soundfile.read(out / "run.wav", dtype="float32")
    assert rate_hz == 48000 and len(sound) == 96000
    assert "<html" in (out / "report.html").read_text() and (out / "report.json").exists()
    # The knob begins on tone A. The offline periods are longer, and so are the convolution's.
    tone = tmp_path / "tone.wav"
    assert main(["tone", str(phrase), str(tone), "--preset", PRESET, "--side", "a"]) == 0
    alone, _ = soundfile.read(tone, dtype="float32")
    np.testing.assert_allclose(sound[:11000], alone[:11000], atol=1e-6)
    # Virtual time makes two processes repeatable.
    before = (out / "run.wav").read_bytes()
    again = subprocess.run([*command, "--out", str(out)], cwd=ROOT, capture_output=True)
    assert again.returncode == 0 and (out / "run.wav").read_bytes() == before


def test_a_run_by_configuration_with_faults_and_changes(tmp_path: Path, phrase: Path) -> None:
    config = tmp_path / "pedal.toml"
    bank = ", ".join(f'"{file}"' for file in bundled_presets()[:3])
    config.write_text(
        f"[audio]\nperiod_frames = 128\n[bank]\npresets = [{bank}]\n"
        "[knob]\npoints = [[0.0, 0.0], [2.0, 1.0]]\npresets = [[0.5, 1], [1.0, 2]]\n"
        "bypass = [[1.5, true]]\nfaults = [{ kind = 'dead', from_s = 0.2, to_s = 0.3 }]\n"
        "[simulated]\ncapture_xruns = [100]\n"
    )
    runtime = tmp_path / "rt"
    command = [sys.executable, "-m", "device", "run", "--config", str(config), "--json"]
    command += ["--input", str(phrase), "--runtime", str(runtime)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counters = json.loads(done.stdout.splitlines()[-1])["counters"]
    assert counters["xruns"] == 1 and counters["preset_changes"] == 2
    assert 30 < counters["knob_faults"] < 45
    status = subprocess.run(
        [sys.executable, "-m", "device", "status", "--runtime", str(runtime), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert json.loads(status.stdout)["preset"] == 2


def test_control_killed_while_playing_is_restarted_and_the_music_goes_on(
    tmp_path: Path,
) -> None:
    """The processes as they are, one of them ended by SIGKILL in the middle."""
    sound = tmp_path / "long.wav"
    soundfile.write(sound, np.zeros(48000 * 20, np.float32), 48000)
    runtime = tmp_path / "rt"
    command = [sys.executable, "-m", "device", "run", "--input", str(sound), "--preset", PRESET]
    with subprocess.Popen(
        [*command, "--runtime", str(runtime), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            control, meters = _child(run.pid, "control"), runtime / "meters"
            if control and meters.exists() and read_meters(meters).values["periods"] > 100:
                break
            time.sleep(0.01)
        os.kill(control, signal.SIGKILL)
        out, error = run.communicate(timeout=100)
    assert run.returncode == 0, error
    counters = json.loads(out.splitlines()[-1])["counters"]
    assert counters["control_lost"] >= 1 and counters["periods"] == 15000
    assert "control ended with -9; starting it again" in error


def _child(parent: int, name: str) -> int:
    """The process of that name which the supervisor started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in children:
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if name.encode() in words:
            return int(child)
    return 0


def small_capture(seed: int) -> dict[str, object]:
    layer = {"input_size": 1, "condition_size": 1, "channels": 2, "head_size": 1, "kernel_size": 3}
    more = {"dilations": [1, 2], "activation": "Tanh", "gated": False, "head_bias": True}
    config = {"layers": [layer | more], "head": None, "head_scale": 0.5}
    return {**make("WaveNet", config, seed), "sample_rate": 48000}


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_bench_gives_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On small captures: between two standard ones the search for a way takes most of the time."""
    monkeypatch.setattr("device.tools.bench.standard_capture", small_capture)
    file = tmp_path / "bench.json"
    assert main(["bench", "--seconds", "0.1", "--json-file", str(file)]) == 0
    assert "p99" in capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    assert {row["period_frames"] for row in rows} == {16, 32, 64, 128}
    assert {f"morph {engine}" for engine in ENGINES} <= {row["name"] for row in rows}
    assert all(0 < row["cpu_p50_us"] <= row["cpu_p99_us"] <= row["cpu_max_us"] for row in rows)
