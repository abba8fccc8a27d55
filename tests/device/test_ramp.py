"""Ramps arrive exactly, never overshoot, and are the same whatever the period."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.sound.ramp import Curve, Fade, Glide, SmoothGain, SmoothValue
from tests.device.signal import click_dbfs, sine

PERIODS = st.sampled_from([16, 37, 64, 128, 1000])


@given(PERIODS, st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_glide_stays_inside_and_is_monotone_within_a_period(
    period: int, start: float, targets: list[float]
) -> None:
    glide = Glide(start, 48000, period)
    last = np.float32(start)
    for target in targets:
        positions = glide.advance(target).copy()
        assert positions.min() >= 0.0 and positions.max() <= 1.0
        steps = np.diff(np.concatenate([[last], positions]))
        assert (steps >= -1e-6).all() or (steps <= 1e-6).all()
        last = positions[-1]


@given(PERIODS, st.sampled_from([0.0, 1.0]), st.floats(0.001, 0.999))
def test_glide_arrives_exactly_at_the_ends(period: int, end: float, start: float) -> None:
    glide = Glide(start, 48000, period)
    for _ in range(480 // period + 2):
        positions = glide.advance(end)
    assert (positions == end).all()


@given(PERIODS, st.floats(0, 1), st.floats(0, 1))
def test_glide_never_turns_faster_than_5_ms_end_to_end(
    period: int, start: float, end: float
) -> None:
    glide = Glide(start, 48000, period)
    positions = np.concatenate([[start], *[glide.advance(end).copy() for _ in range(8)]])
    assert np.abs(np.diff(positions)).max() <= 1.0 / 240.0 + 1e-6


def test_a_straight_sweep_is_the_same_at_every_period() -> None:
    frames = 64000
    curves = []
    for period in (16, 64, 640, 1000):
        glide = Glide(0.0, 48000, period)
        ends = np.arange(period, frames + 1, period) / frames
        curves.append(np.concatenate([glide.advance(end).copy() for end in ends]))
    for curve in curves[1:]:
        np.testing.assert_allclose(curve[:63000], curves[0][:63000], atol=1e-6)


@pytest.mark.parametrize("period", [16, 37, 64, 1000])
def test_fade_rises_to_exactly_one(period: int) -> None:
    fade = Fade(48000, period)
    assert not fade.running and (fade.advance() == 1.0).all()
    fade.start()
    pieces: list[Curve] = []
    while fade.running:
        pieces.append(fade.advance().copy())
    curve = np.concatenate(pieces)
    assert curve[0] < 1e-4 and (np.diff(curve) >= 0).all() and (curve[479:] == 1.0).all()


def test_smooth_value_finishes_one_move_before_the_next() -> None:
    value = SmoothValue(0.0, 48000, 64)
    value.move(1.0)
    assert value.moving()
    first = value.advance().copy()
    value.move(0.0)
    values = [first]
    while value.moving():
        values.append(value.advance().copy())
    whole = np.concatenate(values)
    assert whole.max() == 1.0 and whole[-1] == 0.0 and not value.moving()
    assert np.abs(np.diff(whole)).max() < 2.0 * np.pi / 960


def test_gain_at_rest_is_bit_exact_and_its_move_leaves_no_click() -> None:
    gain = SmoothGain(0.0, 48000, 64)
    sound = sine(110.0, 48000)
    out = sound.copy()
    for index in range(750):
        if index == 300:
            gain.move(-20.0)
        gain.apply(out[:, index * 64 : index * 64 + 64])
    assert np.array_equal(out[:, : 300 * 64], sound[:, : 300 * 64])
    np.testing.assert_allclose(out[:, 320 * 64 :], 0.1 * sound[:, 320 * 64 :], rtol=1e-5)
    assert click_dbfs(out) < -80.0
