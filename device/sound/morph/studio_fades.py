"""When the studio sound is heard and when its stand-in: two weights, neither of which jumps."""

import numpy as np

from device.sound.ramp import FADE_S, Curve, raised_cosine
from models.morph import Positions

END_ZONE = 0.03
"""Part of the knob's travel at each end in which the decoded tone gives way to the tone itself."""


class Reserve:
    """Fades the studio sound out while there is still some left, and in once it is steady.

    The weight never rises further than the sound that is held lets it fall again. So a gap is
    heard as a fade, whenever it comes.
    """

    def __init__(self, rate_hz: int, period_frames: int, steady_frames: int) -> None:
        """Allocate; steady is what was not short of frames for ``steady_frames``."""
        self.fade_frames = round(FADE_S * rate_hz)
        self._period_frames, self._steady_frames = period_frames, steady_frames
        curve = np.concatenate([np.zeros(1, np.float32), raised_cosine(self.fade_frames)])
        # Longer than the fade by a period, so that a slice may run past its end.
        self._up = np.concatenate([curve, np.ones(period_frames, np.float32)])
        self._down = np.concatenate([curve[::-1], np.zeros(period_frames, np.float32)])
        self.crossfades = 0
        """Fades from the studio sound to its stand-in so far."""
        self.reset()

    def reset(self) -> None:
        """Begin with the studio sound: what comes before a start is silence, and that is held."""
        self._at = self.fade_frames
        self._falling = False
        self._steady = 0

    @property
    def heard(self) -> bool:
        """Whether the last period ended with any of the studio sound."""
        return self._at > 0

    @property
    def full(self) -> bool:
        """Whether the last period ended with the studio sound alone."""
        return self._at == self.fade_frames

    def advance(self, ahead: int) -> Curve:
        """Weights of a period ``(period_frames,)``; ``ahead`` frames are held at its start."""
        period, fade, at = self._period_frames, self.fade_frames, self._at
        if at == 0:
            # Enough to come in by a period, and to go out again.
            self._steady = self._steady + period if ahead >= period + fade else 0
            if self._steady <= self._steady_frames:
                return self._down[fade + 1 :]
        if self._falling or ahead - period < min(fade, at + period):
            self.crossfades += not self._falling
            self._at = max(0, at - period)
            self._falling = self._at > 0
            self._steady = 0
            start = fade - at + 1
            return self._down[start : start + period]
        self._at = min(fade, at + period)
        return self._up[at + 1 : at + 1 + period]


class EndFade:
    """Leads to the stand-in, which is exact there, before the knob arrives at an end.

    The sound is late, the knob is not: it is known where the knob will be. So the weight is 0 in
    each period in which the knob touches an end, follows the end zone where the knob is slow, and
    is never steeper than a fade where it is quick.
    """

    def __init__(
        self, rate_hz: int, period_frames: int, delay_periods: int, both: bool = True
    ) -> None:
        """Allocate; the sound is ``delay_periods`` late, which is more than a fade.

        Without ``both`` only the end at 0 counts.
        """
        self._both = both
        self._steps = np.arange(1, period_frames + 1, dtype=np.float32) / period_frames
        self._curve = np.zeros(period_frames, np.float32)
        self._slope = period_frames / round(FADE_S * rate_hz)
        """Most that the weight may change within a period."""
        self._looks = min(int(np.ceil(1.0 / self._slope)) + 1, delay_periods)
        self._delay_periods = delay_periods
        self._places = [1.0] * (delay_periods + 1)
        self.reset()

    def reset(self) -> None:
        """Forget where the knob was: before a start there is silence, wherever it is."""
        for index in range(len(self._places)):
            self._places[index] = 1.0
        self._write = 0
        self._weight = 1.0

    def advance(self, knob: Positions) -> Curve | float:
        """Take the knob's way ``(period_frames,)`` of the period that came in.

        Returns the weight of the period that goes out: one number where it rests.
        """
        places = self._places
        distance = float(knob.min())
        if self._both:
            distance = min(distance, 1.0 - float(knob.max()))
        places[self._write] = _zone(distance)
        self._write = (self._write + 1) % len(places)
        start = self._weight
        end = min(1.0, start + self._slope)
        # The oldest place is that of the period that goes out.
        for ahead in range(self._looks + 1):
            place = places[(self._write + ahead) % len(places)]
            end = min(end, place + max(0, ahead - 1) * self._slope)
        self._weight = end
        if start == end:
            return end
        np.multiply(self._steps, end - start, out=self._curve)
        np.add(self._curve, start, out=self._curve)
        self._curve[-1] = end
        return self._curve


def _zone(distance: float) -> float:
    """Weight at a distance from the nearer end: a smooth step over the end zone."""
    place = min(max(distance / END_ZONE, 0.0), 1.0)
    return place * place * (3.0 - 2.0 * place)
