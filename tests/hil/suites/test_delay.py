"""The estimator finds delays between the samples, says how sure it is, and refuses the rest."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import BenchError
from hil.suites.delay import CHIRP_FRAMES, Signal, chirp, find_delay, shifted

_CHIRP = chirp()
_LENGTH = CHIRP_FRAMES + 2048


def _recorded(frames: float, snr_db: float, seed: int, gain: float = 0.7) -> Signal:
    sound = gain * shifted(_CHIRP, frames, _LENGTH)
    if math.isinf(snr_db):
        return sound
    power = float(sound @ sound) / CHIRP_FRAMES
    noise = np.random.default_rng(seed).standard_normal(_LENGTH)
    return sound + noise * math.sqrt(power) * 10.0 ** (-snr_db / 20.0)


@pytest.mark.parametrize(("snr_db", "most_frames"), [(60.0, 1e-4), (20.0, 2e-3)])
def test_the_error_is_what_is_asked_of_it(snr_db: float, most_frames: float) -> None:
    chosen = np.random.default_rng(1)
    errors = []
    for seed in range(100):
        frames = float(chosen.uniform(0.0, 1500.0))
        errors.append(find_delay(_CHIRP, _recorded(frames, snr_db, seed)).frames - frames)
    rms = float(np.sqrt(np.mean(np.square(errors))))
    print(f"{snr_db:.0f} dB: rms {rms:.2e} frames")
    assert rms <= most_frames
    # No bias, and none that is wild.
    assert abs(float(np.mean(errors))) < most_frames / 2
    assert float(np.max(np.abs(errors))) < 5 * most_frames


@settings(max_examples=40, deadline=None)
@given(
    frames=st.floats(-200.0, 1900.0),
    gain_db=st.floats(-60.0, 6.0),
    inverted=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_delay_level_and_sign(frames: float, gain_db: float, inverted: bool, seed: int) -> None:
    gain = 10.0 ** (gain_db / 20.0)
    found = find_delay(_CHIRP, (-1 if inverted else 1) * _recorded(frames, 40.0, seed, gain))
    assert found.frames == pytest.approx(frames, abs=2e-3)
    assert found.inverted is inverted
    assert found.gain_db == pytest.approx(gain_db, abs=0.1)
    assert found.snr_db == pytest.approx(40.0, abs=1.5)


def test_without_noise_it_is_exact() -> None:
    for frames in (0.0, 0.25, 128.5, 1000.123):
        found = find_delay(_CHIRP, _recorded(frames, math.inf, 0))
        assert found.frames == pytest.approx(frames, abs=1e-6)


def test_what_holds_no_chirp_is_refused() -> None:
    noise = np.random.default_rng(0).standard_normal(_LENGTH)
    with pytest.raises(BenchError, match="not in the recording"):
        find_delay(_CHIRP, noise)
    with pytest.raises(BenchError, match="not in the recording"):
        find_delay(_CHIRP, np.zeros(_LENGTH))
    broken = _recorded(10.0, 40.0, 0)
    broken[5] = np.nan
    with pytest.raises(BenchError, match="no numbers"):
        find_delay(_CHIRP, broken)


def test_the_chirp_is_safe_to_play() -> None:
    sound = chirp(peak=0.5)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 0.5
    assert abs(float(sound[0])) < 1e-3 and abs(float(sound[-1])) < 1e-3
