"""Running a processor at a sample rate of its own inside the stream, at a constant latency."""

from collections.abc import Callable

import numpy as np

from models.resample import StreamingResampler, drop_first
from models.units import Audio

Process = Callable[[Audio, Audio], None]


class RateBridge:
    """Passes a stream at ``outer_hz`` through a processor at ``inner_hz``, and back.

    Both conversions put their frames on exact times, so the whole is late by a whole number of
    frames: as many as a queue at its end must hold never to run dry. That is found by counting
    once through every phase of the two rates.
    """

    def __init__(self, outer_hz: int, inner_hz: int, period_frames: int, inner_frames: int) -> None:
        """Allocate. The processor is called with exactly ``inner_frames`` at a time."""
        self._period_frames, self._inner_frames = period_frames, inner_frames
        most_inner = period_frames * inner_hz // outer_hz + 2
        most_outer = inner_frames * outer_hz // inner_hz + 2
        self._to_inner = StreamingResampler(outer_hz, inner_hz, period_frames)
        self._to_outer = StreamingResampler(inner_hz, outer_hz, inner_frames)
        self._inner_in = np.zeros((1, inner_frames), np.float32)
        self._inner_out = np.zeros((1, inner_frames), np.float32)
        self._pending = np.zeros(inner_frames + most_inner, np.float32)
        blocks = most_inner // inner_frames + 2
        self._room = blocks * most_outer
        self.latency_frames = 0
        """Frames by which the output trails the input."""
        self._ready = np.zeros(0, np.float32)
        self.latency_frames = self._longest_wait(outer_hz)
        self._ready = np.zeros(self.latency_frames + 2 * period_frames + self._room, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the queue holds the silence that keeps it from running dry."""
        self._to_inner.reset()
        self._to_outer.reset()
        self._pending_frames = 0
        self._ready.fill(0.0)
        self._ready_frames = self.latency_frames

    def process(self, source: Audio, target: Audio, inner: Process) -> None:
        """Pass one period ``(1, period_frames)`` through ``inner``; in place is fine."""
        self._push(source, inner)
        frames, ready = self._period_frames, self._ready
        np.copyto(target[0], ready[:frames])
        self._ready_frames = drop_first(ready, frames, self._ready_frames)

    def _push(self, source: Audio, inner: Process) -> None:
        pending, block = self._pending, self._inner_frames
        self._pending_frames += self._to_inner.push(source[0], pending[self._pending_frames :])
        while self._pending_frames >= block:
            np.copyto(self._inner_in[0], pending[:block])
            self._pending_frames = drop_first(pending, block, self._pending_frames)
            inner(self._inner_in, self._inner_out)
            made = self._to_outer.push(self._inner_out[0], self._ready[self._ready_frames :])
            self._ready_frames += made

    def _longest_wait(self, outer_hz: int) -> int:
        """How far the output falls behind at worst."""
        self._ready = np.zeros(self._room, np.float32)
        self.reset()
        silence = np.zeros((1, self._period_frames), np.float32)
        wait = made = 0
        # The pattern repeats with the two rates' common period, at the latest each second.
        for period in range(1, outer_hz // self._period_frames + 3):
            self._ready_frames = 0
            self._push(silence, lambda *_: None)
            made += self._ready_frames
            wait = max(wait, period * self._period_frames - made)
        return wait
