"""How far two tones are apart: the measures that everything is judged by."""

import numpy as np
import numpy.typing as npt

from models.units import Audio, gain_from_db

WINDOW_FRAMES, HOP_FRAMES = 2048, 512
FLOOR = 1e-3
"""Added to magnitudes before the logarithm, so that what nobody hears does not count."""

Spectra = npt.NDArray[np.complex64]
"""Short-time spectra ``(times, bins)``, or several of them behind more axes."""


def spectra(sound: Audio) -> Spectra:
    """Short-time Fourier transform of ``(1, frames)``, Hann 2048, hop 512, ``(times, 1025)``.

    A sound shorter than a window is filled with silence.
    """
    mono = sound[0]
    if mono.size < WINDOW_FRAMES:
        mono = np.concatenate([mono, np.zeros(WINDOW_FRAMES - mono.size, np.float32)])
    pieces = np.lib.stride_tricks.sliding_window_view(mono, WINDOW_FRAMES)[::HOP_FRAMES]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW_FRAMES) / WINDOW_FRAMES)
    return np.fft.rfft(pieces * window.astype(np.float32), axis=-1).astype(np.complex64)


def log_spectral_distance(one: Audio, other: Audio) -> float:
    """Root mean square over bins of the level difference in dB, mean over time.

    Both ``(1, frames)`` at the level they are to be compared at (−20 dBFS RMS by custom).
    Gray & Markel, Distance measures for speech processing, 1976.
    """
    first, second = (20.0 * np.log10(np.abs(spectra(sound)) + FLOOR) for sound in (one, other))
    return float(np.mean(np.sqrt(np.mean(np.square(first - second), axis=-1))))


def at_level(sound: Audio, rms_dbfs: float = -20.0) -> Audio:
    """The sound brought to an RMS level; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    if rms < 1e-9:
        return sound
    return np.asarray(sound * (gain_from_db(rms_dbfs) / rms), np.float32)
