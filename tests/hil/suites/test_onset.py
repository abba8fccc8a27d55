"""Onsets tell a delay where the phase is gone, and say how sure they are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import BenchError
from hil.suites.delay import Signal
from hil.suites.onset import bursts, find_onset_delay

RATE_HZ = 48_000
_PLAYED = bursts(RATE_HZ)
_TOLERANCE = 0.001 * RATE_HZ


def _late(sound: Signal, frames: int) -> Signal:
    return np.concatenate([np.zeros(frames), sound, np.zeros(16_000 - frames)])


def _driven(sound: Signal) -> Signal:
    return np.tanh(40.0 * sound)


def _other_phase(sound: Signal) -> Signal:
    spectrum = np.fft.rfft(sound)
    # Every partial turned by its own angle, the group delay kept within a millisecond.
    angle = np.cumsum(np.random.default_rng(3).standard_normal(len(spectrum))) * 0.002
    return np.fft.irfft(spectrum * np.exp(1j * angle), len(sound))


def _quiet(sound: Signal) -> Signal:
    return 0.01 * sound + 1e-5 * np.random.default_rng(0).standard_normal(len(sound))


@pytest.mark.parametrize("path", [_driven, _other_phase, _quiet, lambda sound: -sound])
@settings(max_examples=10, deadline=None)
@given(frames=st.integers(0, 12_000))
def test_paths_that_make_another_wave(path, frames: int) -> None:
    found = find_onset_delay(_PLAYED, _late(path(_PLAYED), frames), RATE_HZ)
    assert found.frames == pytest.approx(frames, abs=_TOLERANCE)
    assert 0.0 <= found.tolerance_frames <= 2 * _TOLERANCE


def test_a_delay_of_one_burst_is_no_match_for_none() -> None:
    later = _late(_PLAYED, round(0.33 * RATE_HZ))
    assert find_onset_delay(_PLAYED, later, RATE_HZ).frames > 0.3 * RATE_HZ


def test_what_has_other_onsets_is_refused() -> None:
    noise = np.random.default_rng(0).standard_normal(len(_PLAYED))
    for recorded in (noise, np.zeros(len(_PLAYED))):
        with pytest.raises(BenchError, match="onsets that were played"):
            find_onset_delay(_PLAYED, recorded, RATE_HZ)
    broken = _PLAYED.copy()
    broken[7] = math.nan
    with pytest.raises(BenchError, match="no numbers"):
        find_onset_delay(_PLAYED, broken, RATE_HZ)
