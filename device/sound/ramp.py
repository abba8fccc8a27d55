"""Ramps: how a value gets from here to there without a click.

All of them are filled per frame into preallocated arrays, so a curve is the same whatever the
period. Fades use a raised cosine: its slope is continuous, so even a bass note faded in 10 ms
leaves nothing to hear above it, where a straight ramp has two kinks.
"""

import math

import numpy as np
import numpy.typing as npt

from models.units import Audio, gain_from_db

FADE_S = 0.010
"""Length of a fade between two sounds or settings. Peers use 5 ms out and 5 ms in."""

SLEW_S = 0.005
"""Least time in which the knob's position may cross from 0 to 1."""

Curve = npt.NDArray[np.float32]


def raised_cosine(frames: int) -> Curve:
    """Rise from just above 0 to exactly 1 in ``frames`` frames, float32, shape ``(frames,)``."""
    steps = np.arange(1, frames + 1, dtype=np.float64) / frames
    return (0.5 - 0.5 * np.cos(math.pi * steps)).astype(np.float32)


class Fade:
    """A rise from 0 to 1 that is started by hand and read period by period."""

    def __init__(self, rate_hz: int, period_frames: int, duration_s: float = FADE_S) -> None:
        """Allocate for one rate and period. A fade lasts ``duration_s``, rounded to frames."""
        self.frames = max(1, round(duration_s * rate_hz))
        self._period_frames = period_frames
        # Ones behind the rise, so that a slice that runs past its end needs no second case.
        self._curve = np.concatenate(
            [raised_cosine(self.frames), np.ones(period_frames, np.float32)]
        )
        self._at = self.frames

    @property
    def running(self) -> bool:
        """Whether the rise has not yet reached 1."""
        return self._at < self.frames

    def start(self) -> None:
        """Begin again at 0."""
        self._at = 0

    def stop(self) -> None:
        """Be at 1 at once."""
        self._at = self.frames

    def advance(self) -> Curve:
        """Return this period's piece of the rise, a view ``(period_frames,)``, and step on."""
        piece = self._curve[self._at : self._at + self._period_frames]
        self._at = min(self.frames, self._at + self._period_frames)
        return piece


class SmoothValue:
    """A number that goes to each new target on a raised cosine."""

    def __init__(self, value: float, rate_hz: int, period_frames: int) -> None:
        """Start at rest on ``value``."""
        self._fade = Fade(rate_hz, period_frames)
        self._values = np.empty(period_frames, np.float32)
        self._from = self._to = self._target = value

    @property
    def value(self) -> float:
        """Where the value rests, or where the fade that is running ends."""
        return self._to

    def move(self, target: float) -> None:
        """Send the value towards ``target``; a fade that is running ends first."""
        self._target = target

    def settle(self) -> None:
        """Be at the target at once."""
        self._from = self._to = self._target
        self._fade.stop()

    def moving(self) -> bool:
        """Whether this period's values differ; if so ``advance`` must be called for them."""
        if self._fade.running:
            return True
        if self._target == self._to:
            return False
        self._from, self._to = self._to, self._target
        self._fade.start()
        return True

    def advance(self) -> Curve:
        """Return the value of every frame of this period, ``(period_frames,)``."""
        np.multiply(self._fade.advance(), self._to - self._from, out=self._values)
        np.add(self._values, self._from, out=self._values)
        return self._values


class SmoothGain:
    """A level in dB that is moved by a raised cosine in amplitude."""

    def __init__(self, level_db: float, rate_hz: int, period_frames: int) -> None:
        """Start at rest on ``level_db``."""
        self._gain = SmoothValue(gain_from_db(level_db), rate_hz, period_frames)

    def move(self, level_db: float) -> None:
        """Send the level towards ``level_db``; a fade that is running ends first."""
        self._gain.move(gain_from_db(level_db))

    def settle(self) -> None:
        """Be at the target at once."""
        self._gain.settle()

    def apply(self, audio: Audio) -> None:
        """Multiply one period in place; at rest on 0 dB the samples stay bit for bit."""
        if self._gain.moving():
            np.multiply(audio, self._gain.advance(), out=audio)
        elif self._gain.value != 1.0:
            np.multiply(audio, self._gain.value, out=audio)


class Glide:
    """A position in 0…1 that follows its target in straight lines, limited in speed.

    Each period it heads for the target and, unless that is faster than ``SLEW_S`` allows,
    arrives there with the period's last frame, exactly.
    """

    def __init__(self, position: float, rate_hz: int, period_frames: int) -> None:
        """Start at rest on ``position``."""
        self._slew = period_frames / (SLEW_S * rate_hz)
        self._steps = np.arange(1, period_frames + 1, dtype=np.float32) / period_frames
        self._positions = np.full(period_frames, position, np.float32)
        self.position = position

    def jump(self, position: float) -> None:
        """Be at ``position`` at once; only for before the sound starts."""
        self.position = position
        self._positions.fill(position)

    def advance(self, target: float) -> Curve:
        """Return the position of every frame of this period, a view ``(period_frames,)``."""
        start = self.position
        positions = self._positions
        if target == start:
            positions.fill(start)
            return positions
        end = min(max(target, start - self._slew), start + self._slew)
        np.multiply(self._steps, end - start, out=positions)
        np.add(positions, start, out=positions)
        # Rounding must neither miss an end, where the tone is selected, nor overshoot it.
        np.clip(positions, 0.0, 1.0, out=positions)
        positions[-1] = end
        self.position = end
        return positions
