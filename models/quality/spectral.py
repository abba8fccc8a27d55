"""Distances between the spectra of two sounds of one length.

Sounds are ``(1, frames)`` at 48 kHz, both at the level they are to be compared at (−20 dBFS RMS
by custom: ``at_level``).
"""

import functools

import numpy as np
import numpy.typing as npt

from models.units import RATE_HZ, Audio, gain_from_db

WINDOW_FRAMES, HOP_FRAMES = 2048, 512
FLOOR = 1e-3
"""Added to magnitudes before the logarithm, so that what nobody hears does not count."""

MEL_BANDS = 64
RESOLUTIONS = ((512, 240, 50), (1024, 600, 120), (2048, 1200, 240))
"""FFT, window and hop in frames of the spectral convergence: Yamamoto et al. 2020, table 1."""

Spectra = npt.NDArray[np.complex64]
"""Short-time spectra ``(times, bins)``, or several of them behind more axes."""

Decibels = npt.NDArray[np.float32]
"""Levels in dB of short-time spectra, ``(times, bins or bands)``."""


def spectra(sound: Audio) -> Spectra:
    """Short-time Fourier transform of ``(1, frames)``, Hann 2048, hop 512, ``(times, 1025)``.

    A sound shorter than a window is filled with silence.
    """
    return _transform(sound[0], WINDOW_FRAMES, WINDOW_FRAMES, HOP_FRAMES)


def log_spectrum_db(sound: Audio) -> Decibels:
    """What ``log_spectral_distance`` compares, ``(times, 1025)``: keep it to compare often."""
    return _level_db(np.abs(spectra(sound)))


def mel_spectrum_db(sound: Audio) -> Decibels:
    """What ``mel_spectral_distance`` compares, ``(times, 64)``: keep it to compare often."""
    power = np.square(np.abs(spectra(sound)), dtype=np.float32)
    return _level_db(np.sqrt(power @ mel_filters().T))


def distance_db(one: Decibels, other: Decibels) -> float:
    """Root mean square over bins of the level difference, mean over times.

    Raises ``ValueError`` where the two differ in shape.
    """
    if one.shape != other.shape:
        raise ValueError(f"The sounds have {one.shape} and {other.shape} levels, expected equal.")
    squares = np.square(one - other)
    return float(np.mean(np.sqrt(np.mean(squares, axis=-1, dtype=np.float64))))


def log_spectral_distance(one: Audio, other: Audio) -> float:
    """Root mean square over bins of the level difference in dB, mean over time.

    Gray & Markel, Distance measures for speech processing, 1976.
    """
    return distance_db(log_spectrum_db(one), log_spectrum_db(other))


def mel_spectral_distance(one: Audio, other: Audio) -> float:
    """``log_spectral_distance`` on 64 mel bands: closer to the resolution of hearing, in dB.

    The magnitude of a band is the root of the power summed through its triangle.
    """
    return distance_db(mel_spectrum_db(one), mel_spectrum_db(other))


def spectral_convergence(sound: Audio, truth: Audio) -> float:
    """Multi-resolution spectral convergence of a sound towards the true one; 0 is equal.

    Per resolution the Frobenius norm of the magnitudes' difference over that of the truth's
    magnitudes (Arık et al. 2018), mean over Yamamoto et al. 2020's three resolutions. Not
    symmetric. A silent truth gives 0 for silence and infinity for a sound.
    """
    ratios = []
    for size, window, hop in RESOLUTIONS:
        one, true = (np.abs(_transform(s[0], size, window, hop)) for s in (sound, truth))
        off = float(np.linalg.norm((one - true).ravel()))
        norm = float(np.linalg.norm(true.ravel()))
        ratios.append(off / norm if norm > 0.0 else (np.inf if off > 0.0 else 0.0))
    return float(np.mean(ratios))


@functools.cache
def mel_filters() -> npt.NDArray[np.float32]:
    """Triangles ``(64, 1025)`` of height 1, evenly spaced in mel from 0 Hz to half the rate.

    mel = 2595·log10(1 + f / 700 Hz): O'Shaughnessy, Speech Communication, 1987, the formula of
    HTK (Young et al., The HTK Book, §5.4).
    """
    top = 2595.0 * np.log10(1.0 + RATE_HZ / 2.0 / 700.0)
    corners_hz = 700.0 * (10.0 ** (np.linspace(0.0, top, MEL_BANDS + 2) / 2595.0) - 1.0)
    bins_hz = np.fft.rfftfreq(WINDOW_FRAMES, 1.0 / RATE_HZ)
    low, centre, high = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rise, fall = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
    filters.setflags(write=False)
    return filters


def at_level(sound: Audio, rms_dbfs: float = -20.0) -> Audio:
    """The sound brought to an RMS level; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    if rms < 1e-9:
        return sound
    return np.asarray(sound * (gain_from_db(rms_dbfs) / rms), np.float32)


def _level_db(magnitudes: npt.NDArray[np.float32]) -> Decibels:
    return np.asarray(20.0 * np.log10(magnitudes + np.float32(FLOOR)), np.float32)


def _transform(mono: npt.NDArray[np.float32], size: int, window: int, hop: int) -> Spectra:
    """Hann windows of ``window`` frames every ``hop``, each filled with silence to ``size``."""
    if mono.size < window:
        mono = np.concatenate([mono, np.zeros(window - mono.size, np.float32)])
    pieces = np.lib.stride_tricks.sliding_window_view(mono, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    return np.fft.rfft(pieces * hann.astype(np.float32), size, axis=-1).astype(np.complex64)
