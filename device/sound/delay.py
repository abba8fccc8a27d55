"""A whole-frame delay, to line up what took different times."""

import numpy as np

from models.units import Audio


class Delay:
    """Delays a mono stream by a fixed number of frames; 0 passes it on untouched."""

    def __init__(self, delay_frames: int, period_frames: int) -> None:
        """Allocate a ring for ``delay_frames`` ≥ 0, silent at first."""
        self._delay_frames = delay_frames
        self._period_frames = period_frames
        # A whole number of periods, so that only reads can wrap round.
        self._ring_frames = period_frames * (2 + delay_frames // period_frames)
        self._ring = np.zeros((1, self._ring_frames), np.float32)
        self._write = 0

    def process(self, source: Audio, target: Audio) -> None:
        """Turn one period of ``source`` into the period that came ``delay_frames`` before.

        ``source`` and ``target`` may be the same array.
        """
        if self._delay_frames == 0:
            if source is not target:
                np.copyto(target, source)
            return
        ring, frames = self._ring, self._period_frames
        np.copyto(ring[:, self._write : self._write + frames], source)
        read = (self._write - self._delay_frames) % self._ring_frames
        first = min(frames, self._ring_frames - read)
        np.copyto(target[:, :first], ring[:, read : read + first])
        if first < frames:
            np.copyto(target[:, first:], ring[:, : frames - first])
        self._write = (self._write + frames) % self._ring_frames

    def reset(self) -> None:
        """Forget the history."""
        self._ring.fill(0.0)
