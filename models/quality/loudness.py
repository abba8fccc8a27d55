"""How loud a sound is, and whether a knob's way keeps to the straight line between its ends."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.units import SILENCE_DB, Audio

BLOCK_S = 0.4
"""The gating block of BS.1770: shorter sounds have no loudness."""


def loudness_lufs(sound: Audio, rate_hz: int = 48_000) -> float:
    """Integrated loudness of ``(1, frames)`` in LUFS: ITU-R BS.1770-4, by pyloudnorm.

    ``SILENCE_DB`` for silence (all below the absolute gate of −70 LUFS). Raises ``ValueError``
    for a sound shorter than 0.4 s.
    """
    # Here and not above: the pedal imports the measures but has no need of this one's library.
    import pyloudnorm

    if sound.shape[1] < BLOCK_S * rate_hz:
        raise ValueError(
            f"The sound lasts {sound.shape[1] / rate_hz:.3f} s, expected at least {BLOCK_S} s."
        )
    meter = pyloudnorm.Meter(rate_hz)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        # It warns of the mean of no block, which is what silence has.
        warnings.simplefilter("ignore", RuntimeWarning)
        loudness = float(meter.integrated_loudness(sound[0].astype(np.float64)))
    return loudness if np.isfinite(loudness) else SILENCE_DB


def straight_line_error_lu(
    positions: Sequence[float], loudness_lufs: Sequence[float]
) -> npt.NDArray[np.float64]:
    """How far each loudness is from the straight line in dB between those of the ends, in LU.

    ``positions`` run from 0 to 1, the ends included. Positive is too loud.
    """
    line = np.interp(positions, (0.0, 1.0), (loudness_lufs[0], loudness_lufs[-1]))
    return np.asarray(loudness_lufs, np.float64) - line
