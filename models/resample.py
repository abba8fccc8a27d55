"""Streaming conversion between sample rates, with little latency and no allocation.

Polyphase interpolation by a Kaiser-windowed sinc (Crochiere & Rabiner, Multirate Digital Signal
Processing, 1983; window after Kaiser 1974). Offline work uses libsoxr, whose streams keep about
40 ms; here it is half the filter.
"""

import math

import numpy as np
import numpy.typing as npt

TAPS = 64
"""Input frames that make one output frame when the rate does not fall."""

MOST_PHASES = 4096
"""Largest numerator or denominator of the two rates' ratio; 147:160 between 44.1 and 48 kHz."""

_KAISER_BETA = 8.0  # 80 dB of stop band
_PASS = 0.91  # of the lower Nyquist frequency: flat to 18 kHz between 44.1 and 48 kHz


class StreamingResampler:
    """Turns a stream at one rate into one at another: frame n lies at exactly n / ``to_hz``.

    The output therefore has no delay of its own; it only becomes available later, by
    ``lookahead_frames`` of input.
    """

    def __init__(self, from_hz: int, to_hz: int, most_frames: int) -> None:
        """Allocate for pushes of at most ``most_frames`` input frames.

        Raises ``ValueError`` for rates whose ratio is not one of small whole numbers.
        """
        common = math.gcd(from_hz, to_hz)
        self._step, self._phases = from_hz // common, to_hz // common
        if max(self._step, self._phases) > MOST_PHASES:
            raise ValueError(
                f"the ratio of {from_hz} Hz to {to_hz} Hz is {self._step}:{self._phases}, but "
                f"only whole numbers up to {MOST_PHASES} can be converted while playing"
            )
        # When the rate falls the filter is as much longer as its cut-off is lower.
        stretch = max(1.0, from_hz / to_hz)
        half = math.ceil(TAPS / 2 * stretch)
        self._taps = 2 * half
        self.lookahead_frames = half
        """Input frames behind an output frame's place that its filter needs."""
        self._table = _filters(self._phases, half, _PASS / stretch)
        most_out = most_frames * to_hz // from_hz + 2
        self._history = np.zeros(self._taps + most_frames + self._step + 2, np.float32)
        self._offsets = np.arange(self._taps, dtype=np.int64)
        self._count = np.arange(most_out, dtype=np.int64)
        self._starts = np.empty(most_out, np.int64)
        self._phase = np.empty(most_out, np.int64)
        self._index = np.empty((most_out, self._taps), np.int64)
        self._windows = np.empty((most_out, self._taps), np.float32)
        self._filters = np.empty((most_out, self._taps), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the past: silence came before frame 0."""
        self._history.fill(0.0)
        # Frames in the history; its first one lies half a filter before the next output's.
        self._held = self.lookahead_frames - 1
        self._at = 0  # the next output's place behind that, in 1 / phases of an input frame

    def push(self, source: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> int:
        """Take input ``(frames,)``, write what can be made now into ``target``, return how many.

        ``target`` needs room for ``frames · to / from + 2``. Allocates nothing but views.
        """
        history, taps, phases, step = self._history, self._taps, self._phases, self._step
        frames = source.shape[0]
        np.copyto(history[self._held : self._held + frames], source)
        held = self._held + frames
        # Output k starts at floor((at + k·step) / phases) and must end within the history.
        room = (held - taps + 1) * phases - self._at
        made: int = max(0, -(-room // step))
        if made:
            starts, phase = self._starts[:made], self._phase[:made]
            np.multiply(self._count[:made], step, out=starts)
            np.add(starts, self._at, out=starts)
            np.remainder(starts, phases, out=phase)
            np.floor_divide(starts, phases, out=starts)
            index, windows = self._index[:made], self._windows[:made]
            np.add(starts[:, None], self._offsets, out=index)
            np.take(history, index, out=windows, mode="clip")
            np.take(self._table, phase, axis=0, out=self._filters[:made], mode="clip")
            np.einsum("ij,ij->i", windows, self._filters[:made], out=target[:made])
            self._at += made * step
        used = min(self._at // phases, held)
        self._at -= used * phases
        self._held = drop_first(history, used, held) if used else held
        return made


def drop_first(buffer: npt.NDArray[np.float32], by: int, held: int) -> int:
    """Move what a queue holds behind its first ``by`` > 0 frames to its front; return how many.

    Copied in pieces that do not overlap, so that NumPy needs no temporary.
    """
    rest = held - by
    for start in range(0, rest, by):
        stop = min(start + by, rest)
        np.copyto(buffer[start:stop], buffer[start + by : stop + by])
    return rest


def _filters(phases: int, half: int, cutoff: float) -> npt.NDArray[np.float32]:
    """One filter a phase, ``(phases, 2·half)``; each sums to 1, so that DC is exact."""
    place = np.arange(2 * half)[None, :] - (half - 1) - np.arange(phases)[:, None] / phases
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (place / half) ** 2)))
    table = cutoff * np.sinc(cutoff * place) * window
    table /= table.sum(axis=1, keepdims=True)
    return np.ascontiguousarray(table, dtype=np.float32)
