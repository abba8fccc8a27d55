"""Adaptive morph: the position follows how hard the guitar is played.

A level detector adds to the knob: below ``from_db`` nothing, from ``to_db`` on all of ``depth``.

    level   L = 20·log10(largest |x| of the last 8 ms) + input gain                        dBFS
    share   s = (L − from_db) / (to_db − from_db), held within −0.1 … 1.1
    smooth  y ← α·y + (1 − α)·s,  α = exp(−block / τ), τ the attack where s > y, else the release
    adds    depth · min(max(y, 0), 1), no faster than a knob may turn

The smoothing is the branching peak detector in the decibel domain of Giannoulis, Massberg and
Reiss, "Digital Dynamic Range Compressor Design", J. Audio Eng. Soc. 60(6), 2012, section 2.3:
τ is the time in which 63 % of a step is gone. Three things are ours: the peak is held for 8 ms,
half a period of the lowest string, so that a steady note gives a steady level; the level is
clamped before it is smoothed, so that the attack is the same from silence as from soft playing;
and it is clamped a tenth of the span beyond both ends, so that the ends are reached exactly and
soon, not for ever nearly.
"""

import math
from collections import deque
from typing import Annotated, Literal

import numpy as np

from device.plain import dataclass
from device.sound.ramp import SLEW_S, Curve
from device.table import Range
from models.units import SILENCE_DB, Audio

BLOCK_S = 1.0 / 3000.0
"""The detector's step: 16 frames at 48 kHz."""

HOLD_S = 0.008
"""How long a peak counts: half a period of 62.5 Hz."""

LEAST_SPAN_DB = 3.0
"""Least distance of the two levels: below it the follow would be a switch."""

_BEYOND = 0.1


@dataclass(frozen=True)
class FollowSettings:
    """``follow`` of a preset's ``[morph]``."""

    source: Literal["dynamics"] = "dynamics"
    attack_ms: Annotated[float, Range(1.0, 2000.0)] = 5.0
    release_ms: Annotated[float, Range(5.0, 10000.0)] = 120.0
    depth: Annotated[float, Range(-1.0, 1.0)] = 0.0
    """What the hardest playing adds to the knob's position; 0 is off, below 0 the other way."""
    from_db: Annotated[float, Range(-90.0, 30.0)] = -30.0
    """Peak level in dBFS, after the input gain, up to which nothing is added."""
    to_db: Annotated[float, Range(-90.0, 30.0)] = -12.0
    """Peak level in dBFS from which on all of ``depth`` is added."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for levels too near each other."""
        if self.to_db - self.from_db < LEAST_SPAN_DB:
            raise ValueError(f"to_db must lie at least {LEAST_SPAN_DB:g} dB above from_db")


class Follow:
    """The detector, and what it adds to a curve of positions.

    It steps in blocks of ``BLOCK_S`` that are anchored to time, not to periods: within a block
    the curve goes straight to what the block before gave, one block late (0.33 ms), so the bits
    are the same whatever the period.
    """

    def __init__(self, settings: FollowSettings, input_db: float = 0.0) -> None:
        """Take a preset's settings and its input gain in dB."""
        self._settings = settings
        self._input_db = input_db

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate for one rate and period, and start from silence."""
        settings = self._settings
        frames = self._block_frames = max(1, round(BLOCK_S * rate_hz))
        block_s = frames / rate_hz
        self._attack = -math.expm1(-1000.0 * block_s / settings.attack_ms)
        self._release = -math.expm1(-1000.0 * block_s / settings.release_ms)
        self._slew = block_s / SLEW_S
        self._recent: deque[float] = deque(maxlen=max(1, round(HOLD_S / block_s)))
        blocks = period_frames // frames + 2
        self._magnitude = np.zeros(period_frames, np.float32)
        self._grid = np.arange(blocks, dtype=np.intp) * frames
        self._starts = np.zeros(blocks, np.intp)
        self._peaks = np.zeros(blocks, np.float32)
        # For every frame, counted from the start of the block in which a period begins: which
        # block it is in, and how far. Broadcasting would say the same, but allocates.
        self._block_of = np.repeat(np.arange(blocks, dtype=np.intp), frames)
        self._way = np.tile(np.arange(1, frames + 1, dtype=np.float32) / frames, blocks)
        self._from = np.zeros(blocks, np.float32)
        self._rise = np.zeros(blocks, np.float32)
        self._curve = np.zeros(period_frames, np.float32)
        self._base = np.zeros(period_frames, np.float32)
        self.start()

    def start(self) -> None:
        """Begin as if silence had come before. Allocates nothing."""
        self._filled = 0
        self._peak = 0.0
        self._recent.clear()
        self._share = -_BEYOND
        self._before = self._now = 0.0
        self.level_dbfs = SILENCE_DB
        """The guitar's level as the detector heard it last."""

    def add(self, source: Audio, positions: Curve) -> None:
        """Add this period's curve to ``positions`` ``(period_frames,)``, not clamped.

        ``source`` is the guitar ``(1, period_frames)`` before the input gain. What is not a
        number counts as silence.
        """
        frames, filled, period = self._block_frames, self._filled, positions.shape[0]
        whole, rest = divmod(filled + period, frames)
        count = whole + (rest > 0)
        starts, peaks = self._starts[:count], self._peaks[:count]
        np.subtract(self._grid[:count], filled, out=starts)
        starts[0] = 0
        np.abs(source[0], out=self._magnitude)
        np.fmax.reduceat(self._magnitude, starts, out=peaks)
        for index, peak in enumerate(peaks.tolist()):
            # Comparisons with NaN are false.
            if peak > self._peak:
                self._peak = peak
            self._from[index] = self._before
            self._rise[index] = self._now - self._before
            if index < whole:
                self._before, self._now = self._now, self._next(self._peak)
                self._peak = 0.0
        self._filled = rest
        curve, base = self._curve, self._base
        block_of = self._block_of[filled : filled + period]
        np.take(self._rise, block_of, out=curve, mode="clip")
        np.multiply(curve, self._way[filled : filled + period], out=curve)
        np.take(self._from, block_of, out=base, mode="clip")
        np.add(curve, base, out=curve)
        np.add(positions, curve, out=positions)

    def _next(self, peak: float) -> float:
        """What is added after one more block, whose largest magnitude was ``peak``."""
        settings = self._settings
        self._recent.append(peak)
        held = max(self._recent)
        self.level_dbfs = 20.0 * math.log10(held) + self._input_db if held > 0.0 else SILENCE_DB
        share = (self.level_dbfs - settings.from_db) / (settings.to_db - settings.from_db)
        share = min(max(share, -_BEYOND), 1.0 + _BEYOND)
        pace = self._attack if share > self._share else self._release
        self._share += pace * (share - self._share)
        wanted = settings.depth * min(max(self._share, 0.0), 1.0)
        return min(max(wanted, self._now - self._slew), self._now + self._slew)
