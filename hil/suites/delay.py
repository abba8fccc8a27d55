"""By how many frames what was recorded is later than what was played.

Where the path keeps the phase (dry, a linear chain): a chirp, matched against itself, and the peak
of their correlation between the samples. Where it does not (a driven amplifier, the studio
engine): the onsets of bursts, by the rise of the envelope.

The estimate is the maximum-likelihood one for a delay in white noise: the correlation's peak,
interpolated without error because both are band-limited (Knapp and Carter, "The generalized
correlation method for estimation of time delay", IEEE Trans. ASSP 24(4), 1976).
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hil.errors import BenchError

Signal: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"
"""One channel ``(frames,)``, full scale ±1."""

CHIRP_FRAMES = 8192
LOWEST_FRACTION, HIGHEST_FRACTION = 0.01, 0.9
"""Of half the sample rate: what an interface's filters let through."""
_FADE_FRAMES = 256
_OVERSAMPLED = 16
_NEWTON_STEPS = 8
LEAST_SNR_DB = 0.0
"""Below this a peak may be another one's."""


@dataclass(frozen=True)
class Delay:
    """What was found of one shot."""

    frames: float
    """Later by so much; negative: earlier, which is a defect of the set-up."""
    gain_db: float
    """Level of the recorded chirp over the one played."""
    snr_db: float
    """Of the recorded chirp over everything else that was recorded while it lasted."""
    inverted: bool
    """Whether the path turns the sign round."""


def chirp(frames: int = CHIRP_FRAMES, peak: float = 0.5) -> Signal:
    """An exponential sweep ``(frames,)`` float32 with faded ends; ``peak`` of full scale."""
    if frames < 4 * _FADE_FRAMES:
        raise ValueError(f"a chirp of {frames} frames; expected {4 * _FADE_FRAMES} at least")
    # Linear in frequency: all of the band counts alike, which is what sharpens the peak.
    turn = np.arange(frames) / frames
    low, high = LOWEST_FRACTION * math.pi, HIGHEST_FRACTION * math.pi
    signal = np.sin(frames * (low * turn + 0.5 * (high - low) * turn**2))
    fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_FADE_FRAMES) + 0.5) / _FADE_FRAMES)
    signal[:_FADE_FRAMES] *= fade
    signal[-_FADE_FRAMES:] *= fade[::-1]
    return (peak * signal).astype(np.float32)


def find_delay(played: Signal, recorded: Signal) -> Delay:
    """Find ``played`` ``(n,)`` in ``recorded`` ``(m,)``, both from the same moment on, m ≥ n.

    Raises ``BenchError`` where nothing like it was recorded, or a NaN was.
    """
    if played.ndim != 1 or recorded.ndim != 1 or len(recorded) < len(played):
        raise ValueError(f"{played.shape} in {recorded.shape}: expected one channel, no shorter")
    if not np.isfinite(recorded).all():
        raise BenchError("the recording holds values that are no numbers; look at the interface.")
    sent, heard = played.astype(np.float64), recorded.astype(np.float64)
    # So long that no delay, earlier or later, wraps round.
    size = 1 << (len(sent) + len(heard) - 1).bit_length()
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    correlation = np.fft.irfft(cross, size)
    whole = int(np.argmax(np.abs(correlation)))
    inverted = bool(correlation[whole] < 0.0)
    lag = _peak(-cross if inverted else cross, whole if whole < size // 2 else whole - size, size)
    return _described(sent, heard, lag, inverted)


def _peak(cross: "np.ndarray[tuple[int], np.dtype[np.complex128]]", near: int, size: int) -> float:
    """The correlation's maximum within a frame of ``near``, by Newton's method.

    The correlation between the samples is the sum of its own spectrum, so nothing is interpolated.
    """
    omega = 2.0 * np.pi * np.arange(len(cross)) / size
    wave = 2.0 * cross
    wave[0] = cross[0]
    wave[-1] = cross[-1]
    start = _newton(omega, wave, float(near))
    if start is not None and abs(start - near) <= 1.0:
        return start
    # Noise has bent the top: climb from the best point of a fine grid.
    grid = near + np.arange(-_OVERSAMPLED, _OVERSAMPLED + 1) / _OVERSAMPLED
    best = float(grid[int(np.argmax([np.real(np.exp(1j * omega * at) @ wave) for at in grid]))])
    found = _newton(omega, wave, best)
    return best if found is None else found


def _newton(omega: Signal, wave: "np.ndarray[Any, Any]", lag: float) -> float | None:
    """Climb to the top; None where it is no top."""
    for _ in range(_NEWTON_STEPS):
        turned = wave * np.exp(1j * omega * lag)
        along = omega * turned
        slope = -float(np.imag(along).sum())
        bend = -float(np.real(omega @ along))
        if bend >= 0.0:
            return None
        step = max(-0.5, min(0.5, -slope / bend))
        lag += step
        if abs(step) < 1e-9:
            break
    return lag


def _described(sent: Signal, heard: Signal, lag: float, inverted: bool) -> Delay:
    """Level and noise of the chirp that was found at ``lag``."""
    start = math.floor(lag)
    first, last = max(0, start), min(len(heard), start + len(sent) + 1)
    if last - first < len(sent) // 2:
        raise BenchError(
            f"the chirp was found {lag:.1f} frames late, where the recording of {len(heard)} "
            "frames does not hold it; record for longer."
        )
    reference = shifted(sent, lag, len(heard))[first:last]
    piece = heard[first:last]
    power = float(reference @ reference)
    gain = float(reference @ piece) / power if power > 0.0 else 0.0
    rest = piece - gain * reference
    signal, noise = gain * gain * power, float(rest @ rest)
    snr_db = 10.0 * math.log10(signal / noise) if signal > 0.0 and noise > 0.0 else math.inf
    if signal == 0.0 or snr_db < LEAST_SNR_DB:
        level = -math.inf if signal == 0.0 else snr_db
        raise BenchError(
            f"the chirp is not in the recording (it stands {level:.0f} dB above the rest, expected "
            f"{LEAST_SNR_DB:.0f} at least); check the cable, the levels and that the tone keeps "
            "the phase."
        )
    return Delay(lag, 20.0 * math.log10(abs(gain)), snr_db, inverted)


def shifted(signal: Signal, frames: float, length: int) -> Signal:
    """``signal`` later by ``frames``, also between samples, in ``length`` frames of silence."""
    size = 1 << (len(signal) + length + abs(math.ceil(frames)) + 1).bit_length()
    spectrum = np.fft.rfft(signal.astype(np.float64), size)
    spectrum *= np.exp(-2j * np.pi * np.arange(len(spectrum)) * frames / size)
    return np.fft.irfft(spectrum, size)[:length]
