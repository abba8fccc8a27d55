"""The stage engine as it is played: through paths and players, along the knob's own way."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import tracemalloc_domain

import device.fit as fit_module
from device.config import bundled_presets
from device.fit import found_fit
from device.prepare import playable
from device.preset import Preset, read_preset
from device.probe import probe
from device.sound.chain import ToneChain
from device.sound.morph import Stage, StageFit
from device.sound.path import SoundPath
from device.sound.player import Player
from device.ways import found_path
from models.quality import loudness_lufs, straight_line_error_lu
from models.units import Audio
from tests.device.parts import Scale
from tests.device.signal import click_dbfs, play, sine

PRESETS = [file for file in bundled_presets() if read_preset(file).needs_way]
TWO_TONES = PRESETS[0]


def prepared(preset: Preset, position: float, period: int = 64) -> Player:
    path = playable(preset, 48000)
    assert isinstance(path, SoundPath) and isinstance(path.morph, Stage)
    path.steering = None  # the knob alone
    player = Player([path])
    player.prepare(48000, period, position)
    return player


def real(folder: Path, shared_audio: Path) -> Preset:
    """Two real captures, each with a real cabinet."""
    file = folder / "real.toml"
    tones = "".join(
        f'[tone.{side}]\nchain = [{{ block = "nam", file = "{shared_audio}/nam/{capture}.nam" }}, '
        f'{{ block = "cab", file = "{shared_audio}/ir/{cabinet}.flac" }}]\n'
        for side, capture, cabinet in (("a", "deluxe", "celestion"), ("b", "5153", "ampeg"))
    )
    file.write_text(f'format = 1\nname = "x"\n{tones}')
    return read_preset(file)


def spoil(player: Player, other: str) -> None:
    """Let one tone give nothing but NaN, past the chain's own guard."""
    path = player.bank[0]
    assert isinstance(path, SoundPath)
    chain = path.tone_a if other == "a" else path.tone_b
    chain.finish = lambda target: target.fill(np.nan)  # type: ignore[method-assign]


def assert_exact_ends(preset: Preset, guitar: Audio) -> None:
    for position, side, other in ((0.0, "a", "b"), (1.0, "b", "a")):
        alone = Player([preset.single(side)])  # type: ignore[arg-type]
        alone.prepare(48000, 64)
        expected = play(alone, guitar, 64, 0.0)
        player = prepared(preset, position)
        spoil(player, other)
        with np.errstate(invalid="ignore"):
            assert np.array_equal(play(player, guitar, 64, position), expected)
        assert player.latency_frames == alone.latency_frames


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_an_end_is_the_tone_bit_for_bit_though_the_other_is_no_number(
    file: Path, guitar: Audio
) -> None:
    assert_exact_ends(read_preset(file), guitar[:, :24000])


@pytest.mark.whole
def test_real_captures_keep_their_ends(tmp_path: Path, shared_audio: Path, guitar: Audio) -> None:
    assert_exact_ends(real(tmp_path, shared_audio), guitar[:, :24000])


def test_between_the_ends_the_network_is_heard(guitar: Audio) -> None:
    sound = guitar[:, :24000]
    stage = play(prepared(read_preset(TWO_TONES), 0.5), sound, 64, 0.5)
    player = prepared(read_preset(TWO_TONES), 0.5)
    path = player.bank[0]
    assert isinstance(path, SoundPath)
    plain = Stage(StageFit.plain())
    plain.prepare(48000, 64)
    path.morph = plain
    other = play(player, sound, 64, 0.5)
    assert np.abs(stage - other).max() > 1e-3 * np.abs(stage).max()


@pytest.mark.parametrize("period", [16, 100, 1000])
def test_the_sound_does_not_depend_on_the_period(period: int, guitar: Audio) -> None:
    one, other = (
        play(prepared(read_preset(TWO_TONES), 0.4, frames), guitar[:, :48000], frames, 0.4)
        for frames in (64, period)
    )
    frames = min(one.shape[1], other.shape[1])
    assert frames > 40000
    peak = max(1.0, float(np.abs(one).max()))
    np.testing.assert_allclose(other[:, :frames], one[:, :frames], rtol=0.0, atol=1e-5 * peak)


def test_a_knob_thrown_from_end_to_end_leaves_no_click() -> None:
    """110 Hz through two tones that leave it a sine: above 6 kHz there is nothing but clicks."""
    sound = sine(110.0, 48000)
    path = SoundPath("x", ToneChain([Scale(1.0)]), ToneChain([Scale(-0.5)]), Stage())
    player = Player([path])
    player.prepare(48000, 64, 0.0)
    out = np.zeros_like(sound)
    for index in range(750):
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], float(index // 25 % 2), out[:, piece])
    assert click_dbfs(out) < -50.0  # 5 ms end to end is faster than any hand


def test_a_broken_period_of_one_tone_never_reaches_the_sound() -> None:
    """The chain fades it out and in again; the network hears that and nothing else."""
    bad = Scale(1.0, nan_at=200)
    player = Player([SoundPath("x", ToneChain([bad]), ToneChain([Scale(0.5)]), Stage())])
    player.prepare(48000, 64, 0.5)
    heard = play(player, sine(110.0, 48000), 64, 0.5)
    assert np.isfinite(heard).all() and player.nan_periods == 1 and bad.resets == 1
    assert np.abs(heard[:, 215 * 64 :]).max() > 0.2


def test_a_tone_that_is_no_number_for_a_while_leaves_a_sound_and_passes(guitar: Audio) -> None:
    sound = guitar[:, :48000]
    a, b = np.float32(0.5) * sound, np.tanh(np.float32(10.0) * sound)
    engine = Stage()
    engine.prepare(48000, 64)
    positions = np.full(64, 0.4, np.float32)
    heard, undisturbed = np.zeros_like(sound), np.zeros_like(sound)
    with np.errstate(invalid="ignore"):
        for out, bad in ((undisturbed, range(0)), (heard, range(100, 110))):
            engine.reset()
            for index in range(750):
                piece = slice(index * 64, index * 64 + 64)
                tone = np.full((1, 64), np.nan, np.float32) if index in bad else a[:, piece]
                engine.process(tone, b[:, piece], positions, out[:, piece])
    assert np.array_equal(heard[:, : 100 * 64], undisturbed[:, : 100 * 64])
    assert np.isfinite(heard[:, 110 * 64 :]).all() and np.isfinite(undisturbed).all()
    # Its longest memory is half a second; then nothing is left of what happened.
    np.testing.assert_allclose(heard[:, -6400:], undisturbed[:, -6400:], atol=1e-4)


def test_nothing_of_ours_is_allocated_per_period(guitar: Audio) -> None:
    engine = Stage()
    engine.prepare(48000, 64)
    positions = np.full(64, 0.4, np.float32)
    knob = positions.copy()
    out = np.zeros((1, 64), np.float32)
    a, b = guitar[:, 6400:6464].copy(), np.tanh(guitar[:, 6400:6464])
    engine.process(a, b, positions, out, knob)
    tracemalloc.start()
    try:
        for shift in range(50):
            knob += np.float32(1e-4 * (shift + 1))
            engine.process(a, b, positions, out, knob)
            taken = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.DomainFilter(True, tracemalloc_domain)]
            )
            assert sum(trace.size for trace in taken.traces) <= 4 * 64
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_loudness_moves_on_a_straight_line(file: Path) -> None:
    preset = read_preset(file)
    knob = np.linspace(0.0, 1.0, 5)
    loudness = []
    for position in knob.tolist():
        player = prepared(preset, position, 1024)
        sound = np.concatenate([probe(48000), np.zeros((1, 1024), np.float32)], axis=1)
        loudness.append(loudness_lufs(play(player, sound, 1024, position)))
    assert np.abs(straight_line_error_lu(knob.tolist(), loudness)).max() <= 0.5


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put a quick answer in place of the trial, and count how often it is asked."""
    trials: list[int] = []

    class Trial:
        def __init__(self, *_about: object) -> None:
            trials.append(1)

        def fit(self) -> StageFit:
            return StageFit.plain()

    monkeypatch.setattr(fit_module, "_Trial", Trial)
    return trials


def test_a_fit_is_found_once_and_then_kept_by_what_it_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = counted(monkeypatch)
    preset = read_preset(TWO_TONES)
    path = found_path(preset, 48000)
    for _ in range(2):
        found_fit(preset, path, 48000, cache=tmp_path)
    assert len(trials) == 1
    found_fit(preset, path, 44100, cache=tmp_path)
    network = tmp_path / "stage.onnx"
    network.write_bytes(b"another network")
    monkeypatch.setattr("models.stage.model.STAGE_FILE", network)
    found_fit(preset, path, 48000, cache=tmp_path)
    assert len(trials) == 3


@pytest.mark.parametrize("harm", ["cut", "noise", "empty", "other arrays", "another preset's"])
def test_a_damaged_or_foreign_fit_is_named_and_found_anew(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = counted(monkeypatch)
    preset = read_preset(TWO_TONES)
    path = found_path(preset, 48000)
    found_fit(preset, path, 48000, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    if harm == "another preset's":
        found_fit(preset, path, 44100, cache=tmp_path)
        (other,) = (each for each in tmp_path.iterdir() if each != file)
        other.replace(file)
    elif harm == "other arrays":
        with np.load(file) as kept:
            np.savez(file, **{**kept, "whiten": np.zeros(3)})
    else:
        harmed = {"cut": whole[: len(whole) // 2], "noise": bytes(range(256)) * 20, "empty": b""}
        file.write_bytes(harmed[harm])
    trials.clear()
    found_fit(preset, path, 48000, cache=tmp_path)
    error = capsys.readouterr().err
    assert len(trials) == 1 and str(file) in error and error.count("\n") == 1
    found_fit(preset, path, 48000, cache=tmp_path)
    assert len(trials) == 1 and not capsys.readouterr().err


def test_silence_on_a_side_asks_for_no_fit(tmp_path: Path) -> None:
    """A tone of nothing has no colour and no level to be brought to."""
    file = tmp_path / "p.toml"
    file.write_text(
        'format = 1\nname = "x"\n[tone.a]\nchain = []\n[tone.b]\nlevel_db = -60.0\n'
        'chain = [{ block = "gain", gain_db = -60.0 }, { block = "drive", drive_db = 0.0 }]\n'
    )
    preset = read_preset(file)
    out = play(prepared(preset, 0.5), np.zeros((1, 6400), np.float32), 64, 0.5)
    assert not out.any()


def test_the_network_adds_no_latency() -> None:
    engine = Stage()
    engine.prepare(48000, 64)
    assert engine.latency_frames == 0
    impulse = np.zeros((1, 64), np.float32)
    impulse[0, 20] = 0.5
    out = np.zeros((1, 64), np.float32)
    engine.process(impulse, impulse, np.full(64, 0.5, np.float32), out)
    assert not out[0, :20].any() and out[0, 20] == pytest.approx(0.5, rel=0.05)
