"""The stage network as it is played: what it promises for any two tones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.morph import crossfade
from models.stage.colour import Colour, colour_of
from models.stage.model import LEVEL_DBFS, STAGE_FILE, StageModel, morph, morph_along, read_stage
from models.stage.shape import BLOCK_FRAMES, MOST_GAIN, PEAK_FRAMES
from models.units import Audio, rms_dbfs

FRAMES = 4000


def tones(seed: int = 1, frames: int = FRAMES) -> tuple[Audio, Audio]:
    """A plucked chord, and the same driven hard, both at the network's level."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 48000.0
    notes = rng.uniform(80.0, 600.0, 3)
    clean = sum(np.sin(2 * np.pi * note * time) for note in notes) * np.exp(-3.0 * time)
    clean = clean + 0.001 * rng.normal(size=frames)
    driven = np.tanh(8.0 * clean + 0.2)

    def level(sound: Audio) -> Audio:
        return np.asarray(sound[None] * (0.1 / np.sqrt(np.mean(sound**2))), np.float32)

    return level(clean), level(driven)


def play(a: Audio, b: Audio, position: Audio, period: int, colour: Colour | None = None) -> Audio:
    model = StageModel(read_stage(), colour or colour_of(a, b), period)
    periods = a.shape[1] // period
    target = np.zeros((1, periods * period), np.float32)
    for start in range(0, periods * period, period):
        piece = slice(start, start + period)
        model.process(a[:, piece], b[:, piece], position[piece], target[:, piece])
    return target


@pytest.mark.parametrize("period", [16, 17, 48, 100, 441, 1000, 4000])
def test_the_same_sound_whatever_the_period(period: int) -> None:
    a, b = tones()
    position = np.linspace(0.1, 0.9, FRAMES, dtype=np.float32)
    reference = play(a, b, position, 64)
    other = play(a, b, position, period)
    frames = min(reference.shape[1], other.shape[1])
    assert frames > 2000
    np.testing.assert_allclose(other[:, :frames], reference[:, :frames], rtol=0, atol=1e-6)


def test_the_same_bits_every_time() -> None:
    a, b = tones()
    position = np.full(FRAMES, 0.4, np.float32)
    assert np.array_equal(play(a, b, position, 64), play(a, b, position, 64))


def test_it_does_something() -> None:
    a, b = tones(frames=16000)
    blend = np.empty_like(a)
    crossfade(a, b, np.full(16000, 0.25, np.float32), blend)
    assert rms_dbfs(morph(read_stage(), a, b, 0.25) - blend) > rms_dbfs(blend) - 40.0


def test_an_impulse_comes_out_where_it_went_in() -> None:
    a = np.zeros((1, 1024), np.float32)
    b = a.copy()
    a[0, 500], b[0, 500] = 0.5, -0.25
    heard = play(a, b, np.full(1024, 0.3, np.float32), 64, Colour.plain())
    assert not heard[0, :500].any()
    assert abs(heard[0, 500]) > 0.05


@settings(deadline=None, max_examples=10)
@given(position=st.floats(0.0, 1.0, width=32), seed=st.integers(0, 1000))
def test_swapping_the_tones_and_turning_the_knob_round_changes_nothing(
    position: float, seed: int
) -> None:
    a, b = tones(seed)
    there = morph(read_stage(), a, b, position)
    back = morph(read_stage(), b, a, float(np.float32(1.0) - np.float32(position)))
    np.testing.assert_allclose(back, there, rtol=0, atol=1e-5)


@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_between_a_tone_and_itself_lies_that_tone(position: float) -> None:
    a, _ = tones()
    assert rms_dbfs(morph(read_stage(), a, a.copy(), position) - a) < rms_dbfs(a) - 60.0


def test_the_ends_are_the_tones_whatever_the_other_holds() -> None:
    a, b = tones()
    broken = np.full_like(a, np.nan)
    model = StageModel(read_stage(), colour_of(a, b), 64)
    model.process(
        a[:, :64], broken[:, :64], np.zeros(64, np.float32), np.empty((1, 64), np.float32)
    )
    assert np.array_equal(morph(read_stage(), a, b, 0.0), a)
    assert np.array_equal(morph(read_stage(), a, b, 1.0), b)
    positions = np.concatenate([np.zeros(2000), np.ones(2000)]).astype(np.float32)
    heard = morph_along(read_stage(), a, b, positions)
    assert np.array_equal(heard[:, :2000], a[:, :2000])
    assert np.array_equal(heard[:, 2000:], b[:, 2000:])


def hostile() -> dict[str, tuple[Audio, Audio]]:
    a, b = tones()
    one = np.ones_like(a)
    square = np.sign(np.sin(np.arange(FRAMES) * 0.05)).astype(np.float32)[None]
    return {
        "silence": (0 * a, 0 * a),
        "silence and a tone": (0 * a, b),
        "direct current": (one, -one),
        "full-scale square waves": (square, -square),
        "denormal numbers": (one * np.float32(1e-40), one * np.float32(-1e-41)),
        "levels far apart": (a * np.float32(1e-4), b * np.float32(5.0)),
        "opposite phase": (a, -a),
        "loud": (a * np.float32(30.0), b * np.float32(30.0)),
    }


@pytest.mark.parametrize("position", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("name", hostile())
def test_whatever_comes_in_the_sound_is_bounded(name: str, position: float) -> None:
    a, b = hostile()[name]
    for colour in (Colour.plain(), colour_of(a, b)):
        heard = play(a, b, np.full(FRAMES, position, np.float32), 64, colour)
        assert np.isfinite(heard).all()
        louder = np.maximum(np.abs(a), np.abs(b))[0, : heard.shape[1]]
        peaks = np.lib.stride_tricks.sliding_window_view(
            np.concatenate([np.zeros(PEAK_FRAMES - 1, np.float32), louder]), PEAK_FRAMES
        ).max(axis=1)
        assert (np.abs(heard[0]) <= MOST_GAIN * peaks * 1.0001).all()
        assert rms_dbfs(heard) <= max(rms_dbfs(a), rms_dbfs(b)) + 3.0


def test_the_knob_turned_fast_does_not_click() -> None:
    """Above 6 kHz, where two 110 Hz tones have nothing, a turn in 10 ms leaves nothing either."""
    time = np.arange(24000) / 48000.0
    a = (0.14 * np.sin(2 * np.pi * 110.0 * time)).astype(np.float32)[None]
    b = (0.10 * np.sin(2 * np.pi * 110.0 * time + 0.4)).astype(np.float32)[None]
    turn = np.clip((time - 0.25) / 0.010, 0.0, 1.0)
    turned = np.asarray(0.1 + 0.8 * (0.5 - 0.5 * np.cos(np.pi * turn)), np.float32)
    heard = morph_along(read_stage(), a, b, turned)[0, 6000:]
    window = np.hanning(heard.size)
    spectrum = np.abs(np.fft.rfft(heard * window)) / window.sum() * 2.0
    above = spectrum[int(6000 * heard.size / 48000) :]
    assert 20.0 * np.log10(above.max()) < -80.0


def test_the_level_moves_on_a_straight_line() -> None:
    a, b = tones(frames=24000)
    quiet = b * np.float32(0.1)
    levels = [rms_dbfs(morph(read_stage(), a, quiet, each)) for each in (0.0, 0.5, 1.0)]
    along = morph_along(read_stage(), a, quiet, np.full(24000, 0.5, np.float32))
    assert rms_dbfs(along) == pytest.approx(levels[1], abs=0.1)
    assert levels[1] == pytest.approx((levels[0] + levels[2]) / 2.0, abs=0.1)


def test_reset_forgets_everything() -> None:
    a, b = tones()
    model = StageModel(read_stage(), colour_of(a, b), 100)
    position = np.full(100, 0.5, np.float32)
    first, second = np.empty((1, 100), np.float32), np.empty((1, 100), np.float32)
    model.process(a[:, :100], b[:, :100], position, first)
    model.process(a[:, 100:200], b[:, 100:200], position, second)
    model.reset()
    model.process(a[:, :100], b[:, :100], position, second)
    assert np.array_equal(first, second)


def test_the_file_that_ships_is_small_and_says_what_it_hears() -> None:
    assert STAGE_FILE.stat().st_size <= 2_000_000
    graph = onnx.load(STAGE_FILE).graph
    assert [each.dim_value for each in graph.input[0].type.tensor_type.shape.dim][:2] == [1, 3]
    assert LEVEL_DBFS == -20.0
    assert BLOCK_FRAMES == 16


@pytest.mark.parametrize("damage", ["empty", "half", "foreign"])
def test_a_damaged_or_foreign_file_is_refused(damage: str, tmp_path: Path) -> None:
    whole = read_stage()
    graph = onnx.load_model_from_string(whole)
    del graph.graph.initializer[:]
    broken = {"empty": b"", "half": whole[: len(whole) // 2], "foreign": graph.SerializeToString()}
    with pytest.raises(ModelError, match=r"train again|make it again"):
        StageModel(broken[damage], Colour.plain(), 64)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx"):
        read_stage(tmp_path / "nowhere.onnx")


def test_colour_evens_a_spectrum_out_and_puts_it_back() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=48000)
    dark = np.zeros(48000)
    state = 0.0
    for index, value in enumerate(noise):
        state = 0.9 * state + 0.1 * value
        dark[index] = state
    tone = np.asarray(dark[None] * 0.1 / dark.std(), np.float32)
    colour = colour_of(tone, tone)
    even = np.convolve(tone[0], colour.whiten)[: tone.shape[1]]
    spectrum = np.abs(np.fft.rfft(even)) ** 2
    bands = [band.mean() for band in np.array_split(spectrum[200:-200], 12)]
    assert 10.0 * np.log10(max(bands) / min(bands)) < 3.0
    back = np.convolve(even, colour.shape)[: tone.shape[1]]
    assert rms_dbfs((back - tone[0])[None, 2000:]) < rms_dbfs(tone) - 30.0
