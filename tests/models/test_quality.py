"""The measures that everything is judged by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quality import at_level, log_spectral_distance, spectra
from models.units import rms_dbfs


def noise(seed: int, frames: int = 24000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, (1, frames)).astype(np.float32)


def test_distance_of_a_sound_to_itself_is_nothing() -> None:
    assert log_spectral_distance(noise(0), noise(0)) == 0.0


@given(st.floats(-20.0, 20.0))
def test_distance_of_a_level_is_that_level(level_db: float) -> None:
    loud = (noise(1) * 10.0 ** (level_db / 20.0)).astype(np.float32)
    assert log_spectral_distance(noise(1), loud) == pytest.approx(abs(level_db), abs=0.05)


def test_distance_is_the_formula_written_out() -> None:
    a, b = noise(2), noise(3)
    total = []
    window = np.hanning(2049)[:-1]
    for start in range(0, a.shape[1] - 2047, 512):
        levels = [
            20 * np.log10(np.abs(np.fft.rfft(x[0, start : start + 2048] * window)) + 1e-3)
            for x in (a, b)
        ]
        total.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    assert log_spectral_distance(a, b) == pytest.approx(np.mean(total), rel=1e-4)


@pytest.mark.parametrize("frames", [1, 100, 2047])
def test_short_sounds_have_one_spectrum(frames: int) -> None:
    assert spectra(noise(4, frames)).shape == (1, 1025)


@given(st.floats(-60.0, 0.0))
def test_levels_are_reached(level_db: float) -> None:
    assert rms_dbfs(at_level(noise(5), level_db)) == pytest.approx(level_db, abs=0.01)


def test_silence_stays_silence() -> None:
    assert not at_level(np.zeros((1, 10), np.float32)).any()
