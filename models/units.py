"""Signal units: what an audio array is, and decibels.

Audio is float32, full scale ±1, shape ``(channels, frames)``.
"""

import math

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32]
"""Audio samples, float32, full scale ±1, shape ``(channels, frames)``."""

RATE_HZ = 48_000
"""The rate at which tones are judged and networks trained; the pedal plays at its interface's."""

SILENCE_DB = -200.0
"""What a level of exactly zero is called in dB, so that it prints and compares."""


def gain_from_db(level_db: float) -> float:
    """Amplitude factor of a level: 0 dB is 1, −20 dB is 0.1."""
    return math.pow(10.0, level_db / 20.0)


def db_from_gain(gain: float) -> float:
    """Level in dB of an amplitude factor; zero gives ``SILENCE_DB``."""
    magnitude = abs(gain)
    return 20.0 * math.log10(magnitude) if magnitude > 1e-10 else SILENCE_DB


def rms_dbfs(audio: Audio) -> float:
    """Root-mean-square level, dB relative to full scale (a full-scale square wave is 0 dBFS)."""
    if audio.size == 0:
        return SILENCE_DB
    return db_from_gain(float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))))
