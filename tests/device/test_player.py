"""The whole way of the sound: exact ends, alignment, changes and bypass without a click."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import bundled_presets
from device.preset import read_preset
from device.sound.blocks.effects import EffectBlock
from device.sound.chain import ToneChain
from device.sound.morph import ENGINES
from device.sound.player import Player
from models.morph import crossfade, select_ends
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, play, sine


def prepared(*paths: object, period: int = 64, position: float = 0.0) -> Player:
    player = Player(paths)  # type: ignore[arg-type]
    player.prepare(48000, period, position)
    return player


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_morph_of_a_tone_with_itself_is_the_tone(frames: int, position: float, seed: int) -> None:
    a = np.random.default_rng(seed).normal(size=(1, frames)).astype(np.float32)
    target = np.empty_like(a)
    crossfade(a, a.copy(), np.full(frames, position, np.float32), target)
    assert np.array_equal(target, a)


@given(st.integers(1, 200), st.floats(0, 1, width=32), st.integers(0, 2**32 - 1))
def test_morph_is_symmetrical(frames: int, position: float, seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 1, frames)).astype(np.float32)
    forward, backward = np.empty_like(a), np.empty_like(a)
    crossfade(a, b, np.full(frames, position, np.float32), forward)
    crossfade(b, a, np.full(frames, 1.0 - position, np.float32), backward)
    np.testing.assert_allclose(forward, backward, atol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_ends_are_selected_frame_by_frame(seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(2, 1, 64)).astype(np.float32)
    position = np.clip(np.linspace(-0.5, 1.5, 64), 0.0, 1.0).astype(np.float32)
    target = np.empty_like(a)
    crossfade(a, b, position, target)
    select_ends(a, b, position, target, np.empty(64, bool))
    assert np.array_equal(target[:, position == 0.0], a[:, position == 0.0])
    assert np.array_equal(target[:, position == 1.0], b[:, position == 1.0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_an_end_is_the_tone_whatever_the_other_holds(engine: str, end: float) -> None:
    machine = ENGINES[engine]()
    machine.prepare(48000, 64)
    tone = sine(440.0, 64)
    broken = np.full((1, 64), np.nan, np.float32)
    a, b = (tone, broken) if end == 0.0 else (broken, tone)
    target = np.empty((1, 64), np.float32)
    machine.process(a, b, np.full(64, end, np.float32), target)
    assert np.array_equal(target, tone)


@pytest.mark.parametrize("file", bundled_presets(), ids=lambda file: file.stem)
def test_bundled_presets_play_their_tones_exactly_at_the_ends(file: object, guitar: Audio) -> None:
    preset = read_preset(file)  # type: ignore[arg-type]
    sound = guitar[:, :48000]
    for end, side in ((0.0, "a"), (1.0, "b")):
        way = preset.path()
        way.steering = None  # the knob alone
        whole = play(prepared(way, position=end), sound, 64, end)
        alone = play(prepared(preset.single(side)), sound, 64, 0.0)  # type: ignore[arg-type]
        assert np.array_equal(whole, alone)
        assert np.abs(whole).max() > 0.01


def test_longer_periods_give_the_same_samples(guitar: Audio) -> None:
    preset = read_preset(bundled_presets()[0])
    short, long = (
        play(prepared(preset.path(), period=period, position=0.4), guitar, period, 0.4)
        for period in (64, 1024)
    )
    np.testing.assert_allclose(long, short[:, : long.shape[1]], atol=1e-5)


@pytest.mark.parametrize(("late_a", "late_b"), [(0, 0), (100, 0), (0, 37), (64, 200)])
def test_tones_and_dry_arrive_together(late_a: int, late_b: int, guitar: Audio) -> None:
    player = prepared(path([Scale(0.5, late_a)], [Scale(0.25, late_b)]), position=0.5)
    sound = guitar[:, :19200]
    latency = max(late_a, late_b)
    assert player.latency_frames == latency
    wet = play(player, sound, 64, 0.5)
    expected = 0.375 * sound[:, : wet.shape[1] - latency]
    np.testing.assert_allclose(wet[:, latency:], expected, atol=1e-7)
    player.bypass(True)
    dry = play(player, sound, 64, 0.5)
    assert np.array_equal(dry[:, 6400:], sound[:, 6400 - latency : 19200 - latency])


def test_thirty_preset_changes_leave_no_click_and_run_at_most_two_presets() -> None:
    """A bass sine through presets that differ in level, polarity and drive."""
    scales = [Scale(1.0), Scale(0.3), Scale(-0.8)]
    player = prepared(*(path([scale], [scale]) for scale in scales))
    sound = sine(110.0, 48000 * 2)
    out = np.zeros_like(sound)
    for index in range(1500):
        if index % 48 == 24 and player.preset_changes < 30:
            player.select((player.active + 1) % 3)
        before = sum(scale.period for scale in scales)
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], 0.5, out[:, piece])
        assert sum(scale.period for scale in scales) - before <= 4  # two tones of two presets
    assert player.preset_changes == 30
    assert click_dbfs(out) < -60.0


def test_a_preset_that_was_left_forgets(guitar: Audio) -> None:
    """No echo of an earlier song comes back with a preset."""
    echo = {"delay_seconds": 0.3, "mix": 1.0, "feedback": 0.5}
    effect = path([EffectBlock("delay", echo)], [])
    player = prepared(effect, path([Scale()], [Scale()]))
    play(player, guitar[:, :48000], 64, 0.0)
    silence = np.zeros((1, 19200), np.float32)
    player.select(1)
    play(player, silence, 64, 0.0)
    player.select(0)
    assert np.abs(play(player, silence, 64, 0.0)).max() == 0.0


def test_changes_asked_for_during_a_change_end_at_the_last_one() -> None:
    player = prepared(*(path([Scale(gain)], [Scale(gain)]) for gain in (1.0, 2.0, 3.0)))
    sound = np.ones((1, 64), np.float32)
    out = np.empty_like(sound)
    for index in (1, 2, 1, 2):
        player.select(index)
        player.process(sound, 0.0, out)
    for _ in range(20):
        player.process(sound, 0.0, out)
    np.testing.assert_allclose(out, 3.0, rtol=1e-6)
    with pytest.raises(IndexError):
        player.select(3)


def test_bypass_leaves_no_click_and_is_the_guitar_bit_for_bit() -> None:
    player = prepared(path([Scale(-0.5)], [Scale(-0.5)]))
    sound = sine(110.0, 48000)
    out = np.zeros_like(sound)
    for index in range(750):
        if index % 100 == 50:
            player.bypass(index % 200 == 50)
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], 0.0, out[:, piece])
    assert click_dbfs(out) < -60.0
    assert np.array_equal(out[:, 70 * 64 : 140 * 64], sound[:, 70 * 64 : 140 * 64])


def test_a_fast_knob_leaves_no_click() -> None:
    player = prepared(path([Scale(1.0)], [Scale(-0.5)]))
    sound = sine(110.0, 48000)
    out = np.zeros_like(sound)
    for index in range(750):
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], float(index // 25 % 2), out[:, piece])
    assert click_dbfs(out) < -55.0  # 5 ms end to end is faster than any hand


def test_a_tone_that_turns_to_nan_is_faded_reset_and_comes_back() -> None:
    bad = Scale(1.0, nan_at=200)
    player = prepared(path([bad], [Scale(1.0)]))
    sound = sine(110.0, 48000)
    out = play(player, sound, 64, 0.0)
    assert np.isfinite(out).all() and player.nan_periods == 1 and bad.resets == 1
    assert np.array_equal(out[:, 215 * 64 :], sound[:, 215 * 64 :])
    # The other end never hears of it.
    player = prepared(path([Scale(1.0, nan_at=200)], [Scale(1.0)]), position=1.0)
    assert np.array_equal(play(player, sound, 64, 1.0), sound)


def test_nothing_of_ours_is_allocated_per_period() -> None:
    """Long periods make every array larger than all small Python objects together."""
    frames = 4096
    player = prepared(path([Scale(0.5, 100)], [Scale(0.7)]), path([Scale()], []), period=frames)
    sound = np.zeros((1, frames), np.float32)
    out = np.empty_like(sound)

    def most_allocated(step: object) -> int:
        tracemalloc.start()
        try:
            worst = 0
            for index in range(40):
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                step(index)  # type: ignore[operator]
                worst = max(worst, tracemalloc.get_traced_memory()[1] - before)
            return worst
        finally:
            tracemalloc.stop()

    def step(index: int) -> None:
        if index == 10:
            player.select(1)
        if index == 20:
            player.bypass(True)
        player.process(sound, index / 40, out)

    for index in range(3):
        step(index)
    assert most_allocated(step) < frames * 4 // 2
    # The test can fail: one array put in is seen.

    def wasteful(index: int) -> None:
        step(index)
        np.copyto(out, sound + 1.0)

    assert most_allocated(wasteful) >= frames * 4


def test_an_empty_chain_is_the_guitar(guitar: Audio) -> None:
    chain = ToneChain([])
    chain.prepare(48000, 64)
    out = np.empty((1, 64), np.float32)
    chain.process(guitar[:, :64], out)
    assert np.array_equal(out, guitar[:, :64])
