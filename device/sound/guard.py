"""What keeps a NaN, or a value beyond full scale, from being heard."""

import numpy as np

from device.sound.ramp import FADE_S, Fade
from models.units import Audio


def all_finite(audio: Audio) -> bool:
    """Whether no sample is a NaN or an infinity; a sum is the cheapest test for one anywhere."""
    return bool(np.isfinite(audio[0].sum()))


class NanGuard:
    """Replaces periods that hold a NaN or an infinity, in place, without a click.

    The last good sample is led to zero, and the sound comes back on a fade once it is finite.
    """

    def __init__(self, rate_hz: int, period_frames: int) -> None:
        """Allocate for one rate and period."""
        self._return = Fade(rate_hz, period_frames)
        # Led to zero within the period, or within a fade where that is shorter.
        frames = min(period_frames, max(1, round(FADE_S * rate_hz)))
        self._tail = np.zeros((1, period_frames), np.float32)
        self._tail[0, :frames] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, frames + 1) / frames)
        self._last = 0.0
        self.nan_periods = 0
        """Periods replaced so far."""

    def apply(self, audio: Audio, finite: bool) -> None:
        """Mend one period ``(1, period_frames)``; ``finite`` says whether all of it is."""
        if not finite:
            self.nan_periods += 1
            np.multiply(self._tail, self._last, out=audio)
            self._last = 0.0
            self._return.start()
            return
        if self._return.running:
            np.multiply(audio, self._return.advance(), out=audio)
        self._last = float(audio[0, -1])


class OutputGuard:
    """The last thing before the DAC: NaN-guarded and limited hard to ±1, and counted."""

    def __init__(self, rate_hz: int, period_frames: int) -> None:
        """Allocate for one rate and period."""
        self._nan_guard = NanGuard(rate_hz, period_frames)
        self._magnitude = np.empty((1, period_frames), np.float32)
        self.clipped_periods = 0
        """Periods in which at least one sample lay beyond full scale."""
        self.peak = 0.0
        """Largest finite magnitude met so far, before limiting; full scale is 1."""

    @property
    def nan_periods(self) -> int:
        """Periods that held a NaN or an infinity and were replaced."""
        return self._nan_guard.nan_periods

    def apply(self, audio: Audio) -> None:
        """Make one period ``(1, period_frames)`` fit to be played, in place."""
        np.abs(audio, out=self._magnitude)
        # The maximum propagates a NaN and is infinite for an infinity: one test for both.
        peak = float(self._magnitude.max())
        finite = peak < float("inf")
        self._nan_guard.apply(audio, finite)
        if finite and peak > self.peak:
            self.peak = peak
        if finite and peak > 1.0:
            self.clipped_periods += 1
            np.clip(audio, -1.0, 1.0, out=audio)
