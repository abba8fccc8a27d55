"""Delays are exact; the guards let neither a NaN nor an overload through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.sound.delay import Delay
from device.sound.guard import NanGuard, OutputGuard
from tests.device.signal import click_dbfs, sine


@given(
    st.integers(0, 700), st.sampled_from([1, 16, 37, 64, 128]), st.integers(1, 40), st.booleans()
)
def test_delay_is_exact(delay: int, period: int, periods: int, in_place: bool) -> None:
    sound = np.arange(1, period * periods + 1, dtype=np.float32)[None, :]
    line = Delay(delay, period)
    out = sound.copy() if in_place else np.empty_like(sound)
    for start in range(0, sound.shape[1], period):
        piece = slice(start, start + period)
        line.process(out[:, piece] if in_place else sound[:, piece], out[:, piece])
    expected = np.concatenate([np.zeros((1, delay), np.float32), sound], axis=1)
    assert np.array_equal(out, expected[:, : sound.shape[1]])


def test_delay_forgets() -> None:
    line = Delay(100, 64)
    out = np.empty((1, 64), np.float32)
    for _ in range(4):
        line.process(np.ones((1, 64), np.float32), out)
    line.reset()
    for _ in range(4):
        line.process(np.zeros((1, 64), np.float32), out)
        assert not out.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("period", [16, 64, 1000])
def test_output_guard_replaces_a_bad_period_without_a_click(bad: float, period: int) -> None:
    guard = OutputGuard(48000, period)
    out = sine(110.0, 48000)
    for index, start in enumerate(range(0, 48000 // period * period, period)):
        piece = out[:, start : start + period]
        if index == 24000 // period:
            piece[0, period // 3] = bad
        guard.apply(piece)
    assert np.isfinite(out).all()
    assert guard.nan_periods == 1
    # A short period leaves little time to lead the sound out, yet no step.
    assert np.abs(np.diff(out[0])).max() < 0.1
    if period >= 480:
        # A held sample led to zero has a kink, not a step: −55 dBFS, against 0 dBFS unmended.
        assert click_dbfs(out) < -50.0


@given(st.floats(0.0, 1e6, width=32), st.integers(1, 64))
def test_output_guard_limits_and_counts(peak: float, frames: int) -> None:
    guard = OutputGuard(48000, frames)
    sound = np.zeros((1, frames), np.float32)
    sound[0, frames // 2] = -peak
    guard.apply(sound)
    assert np.abs(sound).max() == min(peak, 1.0)
    assert guard.clipped_periods == (peak > 1.0) and guard.peak == peak


def test_nan_guard_leaves_good_sound_alone() -> None:
    guard = NanGuard(48000, 64)
    sound = sine(440.0, 64)
    before = sound.copy()
    guard.apply(sound, True)
    assert np.array_equal(sound, before) and guard.nan_periods == 0
