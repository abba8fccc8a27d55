"""One tone at every drive, and what is read from it: loudness and saturation."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.quality.spectral import HOP_FRAMES, WINDOW_FRAMES, Spectra

Floats = npt.NDArray[np.float64]

DRIVES_DB = np.arange(-36.0, 0.5, 3.0)
"""Levels at which a tone is tried, dB relative to the preset's own, which is the last."""
DRIVES_DB.setflags(write=False)

SILENT_LUFS = -90.0
"""Below it a tone is silence: there is nothing to bring to anybody's level."""

_BLOCK_S, _GATE_LU = 0.4, 10.0  # BS.1770-4, annex 1: blocks overlap by three quarters
_TINY = 1e-20


@dataclass(frozen=True)
class Tone:
    """One tone at every drive: short-time spectra of a probe phrase, ``(drives, times, bins)``.

    ``drives`` are ``DRIVES_DB``; ``times`` and ``bins`` are ``models.quality.spectra``'s. The
    latency is taken out, so that two tones lie in time, and the level is the tone's own.
    """

    spectra: Spectra

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a shape that is not ``(drives, times, bins)``."""
        if self.spectra.ndim != 3 or len(self.spectra) != len(DRIVES_DB):
            raise ValueError(
                f"The spectra have the shape {self.spectra.shape}, expected ({len(DRIVES_DB)} "
                "drives, times, bins)."
            )

    @property
    def finite(self) -> bool:
        """Whether every value is a number."""
        return bool(np.isfinite(self.spectra.view(np.float32)).all())

    def saturation(self) -> Floats:
        """How much of a rise in drive the tone swallows, ``(drives,)``: 0 (clean) … 1.

        Never falls with drive: what does is a gate that opens, not an amp that cleans up.
        """
        level_db = 10.0 * np.log10(np.mean(np.abs(self.spectra) ** 2, axis=(1, 2)) + _TINY)
        swallowed = np.clip(1.0 - np.gradient(level_db, DRIVES_DB), 0.0, 1.0)
        return np.asarray(np.maximum.accumulate(swallowed), np.float64)


def loudness_lufs(spectra: Spectra, rate_hz: int) -> Floats:
    """Loudness of sounds by their short-time spectra ``(…, times, bins)``, shape ``(…)``.

    ITU-R BS.1770-4 with its relative gate; without the absolute one, because what is measured
    is heard at another level. Within 0.3 LU of a meter for a phrase of some seconds.
    """
    power = (np.abs(spectra) ** 2) @ _weights(rate_hz)
    frames = min(power.shape[-1], max(1, round(_BLOCK_S * rate_hz / HOP_FRAMES)))
    blocks = np.lib.stride_tricks.sliding_window_view(power, frames, axis=-1)
    block = blocks[..., :: max(1, frames // 4), :].mean(axis=-1)
    gate = block.mean(axis=-1, keepdims=True) * 10.0 ** (-_GATE_LU / 10.0)
    heard = block >= gate
    mean = np.sum(block * heard, axis=-1) / np.maximum(1, heard.sum(axis=-1))
    return np.asarray(-0.691 + 10.0 * np.log10(mean + _TINY), np.float64)


@functools.lru_cache(maxsize=4)
def _weights(rate_hz: int) -> npt.NDArray[np.float32]:
    """K-weighting of each bin's power, so that the sum over bins is the mean square, ``(1025,)``.

    The two filters of BS.1770 by their analogue parameters, which hold at any rate: De Man,
    Evaluation of implementations of the EBU R128 loudness measurement, AES 2018.
    """
    turn = np.exp(-2j * np.pi * np.arange(WINDOW_FRAMES // 2 + 1) / WINDOW_FRAMES)
    gain = 10.0 ** (3.99984385397 / 20.0)
    bend = gain**0.4996667741545416
    k, q = np.tan(np.pi * 1681.9744509555319 / rate_hz), 0.7071752369554193
    shelf = _biquad(
        turn,
        (gain + bend * k / q + k * k, 2.0 * (k * k - gain), gain - bend * k / q + k * k),
        (1.0 + k / q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k),
    )
    k, q = np.tan(np.pi * 38.13547087613982 / rate_hz), 0.5003270373253953
    highpass = _biquad(
        turn, (1.0, -2.0, 1.0), (1.0 + k / q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k)
    )
    # One-sided spectra hold half the power; a Hann window's mean square is 3/8.
    to_power = 2.0 / (0.375 * WINDOW_FRAMES**2)
    return np.asarray(to_power * np.abs(shelf * highpass) ** 2, np.float32)


def _biquad(
    turn: npt.NDArray[np.complex128],
    above: tuple[float, float, float],
    below: tuple[float, float, float],
) -> npt.NDArray[np.complex128]:
    response: npt.NDArray[np.complex128] = np.polyval(above[::-1], turn) / np.polyval(
        below[::-1], turn
    )
    return response
