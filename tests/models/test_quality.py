"""The measures that everything is judged by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import quality
from models.quality import (
    at_level,
    log_spectral_distance,
    loudness_lufs,
    mel_spectral_distance,
    spectra,
    spectral_convergence,
    straight_line_error_lu,
)
from models.quality.spectral import mel_filters
from models.units import SILENCE_DB, rms_dbfs

DISTANCES = [log_spectral_distance, mel_spectral_distance]


def noise(seed: int, frames: int = 24000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, (1, frames)).astype(np.float32)


def sine(frequency_hz: float, peak: float, frames: int = 144000) -> np.ndarray:
    time_s = np.arange(frames) / 48000.0
    return (peak * np.sin(2.0 * np.pi * frequency_hz * time_s)).astype(np.float32)[None, :]


@pytest.mark.parametrize("distance", [*DISTANCES, spectral_convergence])
def test_distance_of_a_sound_to_itself_is_nothing(distance) -> None:
    assert distance(noise(0), noise(0)) == 0.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance_is_symmetric_and_obeys_the_triangle(distance) -> None:
    a, b, c = noise(0), noise(1) * 0.2, np.tanh(9.0 * noise(2))
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-6)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


@pytest.mark.parametrize("distance", DISTANCES)
@settings(deadline=None)
@given(level_db=st.floats(-20.0, 20.0))
def test_distance_of_a_level_is_that_level(distance, level_db: float) -> None:
    loud = (noise(1) * 10.0 ** (level_db / 20.0)).astype(np.float32)
    assert distance(noise(1), loud) == pytest.approx(abs(level_db), abs=0.05)


@settings(deadline=None)
@given(level_db=st.floats(-40.0, 20.0))
def test_convergence_of_a_level_is_its_factor(level_db: float) -> None:
    gain = 10.0 ** (level_db / 20.0)
    loud = (noise(1) * gain).astype(np.float32)
    assert spectral_convergence(loud, noise(1)) == pytest.approx(
        abs(gain - 1.0), rel=1e-3, abs=1e-5
    )


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


def test_mel_distance_is_the_formula_written_out() -> None:
    a, b = noise(2), noise(3)
    corners = 700.0 * (10.0 ** (np.linspace(0, 2595 * np.log10(1 + 24000 / 700), 66) / 2595) - 1)
    total = []
    window = np.hanning(2049)[:-1]
    for start in range(0, a.shape[1] - 2047, 512):
        powers = [np.abs(np.fft.rfft(x[0, start : start + 2048] * window)) ** 2 for x in (a, b)]
        bins = np.arange(1025) * 48000 / 2048
        levels = [
            [
                20 * np.log10(np.sqrt(p @ np.interp(bins, corners[k : k + 3], [0, 1, 0])) + 1e-3)
                for k in range(64)
            ]
            for p in powers
        ]
        total.append(np.sqrt(np.mean((np.array(levels[0]) - levels[1]) ** 2)))
    assert mel_spectral_distance(a, b) == pytest.approx(np.mean(total), rel=1e-4)


def test_convergence_is_the_formula_written_out() -> None:
    a, b = noise(2, 6000), noise(3, 6000)
    ratios = []
    for size, length, hop in ((512, 240, 50), (1024, 600, 120), (2048, 1200, 240)):
        window = np.hanning(length + 1)[:-1]
        one, true = (
            np.array(
                [
                    np.abs(np.fft.rfft(x[0, start : start + length] * window, size))
                    for start in range(0, x.shape[1] - length + 1, hop)
                ]
            )
            for x in (a, b)
        )
        ratios.append(np.sqrt(np.sum((one - true) ** 2)) / np.sqrt(np.sum(true**2)))
    assert spectral_convergence(a, b) == pytest.approx(np.mean(ratios), rel=1e-4)


def test_every_mel_band_hears_something_and_every_bin_counts_once() -> None:
    filters = mel_filters()
    assert filters.shape == (64, 1025)
    assert (filters.max(axis=1) > 0.0).all()
    # Between the first and the last centre the triangles add up to 1.
    covered = filters.sum(axis=0)[3:960]
    assert covered == pytest.approx(np.ones_like(covered), abs=1e-4)


def test_a_sound_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected equal"):
        log_spectral_distance(noise(0), noise(0, 30000))


@pytest.mark.parametrize("frames", [1, 100, 2047])
def test_short_sounds_have_one_spectrum(frames: int) -> None:
    assert spectra(noise(4, frames)).shape == (1, 1025)
    assert np.isfinite(spectral_convergence(noise(4, frames), noise(5, frames)))


@given(st.floats(-60.0, 0.0))
def test_levels_are_reached(level_db: float) -> None:
    assert rms_dbfs(at_level(noise(5), level_db)) == pytest.approx(level_db, abs=0.01)


def test_silence_stays_silence() -> None:
    silence = np.zeros((1, 24000), np.float32)
    assert not at_level(silence).any()
    assert loudness_lufs(silence) == SILENCE_DB
    assert spectral_convergence(silence, silence) == 0.0
    assert spectral_convergence(noise(0), silence) == np.inf


@pytest.mark.parametrize("peak_dbfs", [-20.0, -30.0])
def test_loudness_of_the_standard_tone(peak_dbfs: float) -> None:
    # BS.1770-4, annex 1: a 997 Hz sine at 0 dBFS in one channel reads −3.01 LKFS; meters may
    # err by 0.1 LU (EBU Tech 3341).
    tone = sine(997.0, 10.0 ** (peak_dbfs / 20.0))
    assert loudness_lufs(tone) == pytest.approx(peak_dbfs - 3.01, abs=0.1)


def test_loudness_weighs_treble_over_bass() -> None:
    # The K curve: about +4 dB of shelf above 2 kHz, a high pass below 100 Hz.
    assert loudness_lufs(sine(6000.0, 0.1)) - loudness_lufs(sine(50.0, 0.1)) > 5.0


def test_loudness_of_too_short_a_sound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.4 s"):
        loudness_lufs(noise(0, 19199))


@given(
    st.floats(-60.0, 0.0),
    st.floats(-60.0, 0.0),
    st.lists(st.floats(0.01, 0.99), max_size=9, unique=True),
    st.floats(-12.0, 12.0),
)
def test_error_is_what_leaves_the_straight_line(
    first: float, last: float, between: list[float], off: float
) -> None:
    positions = [0.0, *sorted(between), 1.0]
    line = [first + p * (last - first) for p in positions]
    assert straight_line_error_lu(positions, line) == pytest.approx(np.zeros(len(line)), abs=1e-9)
    line[1:-1] = [value + off for value in line[1:-1]]
    expected = [0.0, *[off] * len(between), 0.0]
    assert straight_line_error_lu(positions, line) == pytest.approx(expected, abs=1e-9)


def test_the_package_names_what_it_has() -> None:
    assert all(hasattr(quality, name) for name in quality.__all__)
