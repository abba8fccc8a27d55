"""From the device's rate to the network's and back, with exact counts.

Frame n of either rate lies at n / rate seconds. Where the rates are equal nothing is done and
nothing is late.
"""

import math

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.resample import StreamingResampler

Array = npt.NDArray[np.float32]


class RateWay:
    """One direction of the conversion, for one or more channels of absolute frames."""

    def __init__(self, from_hz: int, to_hz: int, channels: int, most_frames: int) -> None:
        """Allocate for pushes of at most ``most_frames``. Raises ``ModelError``.

        That is for rates between which ``models.resample`` cannot convert.
        """
        if min(from_hz, to_hz) <= 0:
            raise ModelError(f"The rates are {from_hz} and {to_hz} Hz, expected above 0 Hz.")
        common = math.gcd(from_hz, to_hz)
        self.step, self.phases = from_hz // common, to_hz // common
        """``phases`` output frames last as long as ``step`` input frames."""
        self.lookahead_frames = 0
        """Input frames behind an output frame's place that it needs."""
        self._most_frames = most_frames
        self._resamplers: list[StreamingResampler] = []
        if from_hz != to_hz:
            try:
                self._resamplers = [
                    StreamingResampler(from_hz, to_hz, most_frames) for _ in range(channels)
                ]
            except ValueError as error:
                raise ModelError(
                    f"The device plays at {max(from_hz, to_hz)} and the network at "
                    f"{min(from_hz, to_hz)} Hz or the other way round, but {error}."
                ) from error
            self.lookahead_frames = self._resamplers[0].lookahead_frames
        self._silence = np.zeros((channels, max(self.step, 1)), np.float32)
        self._dropped = np.zeros((channels, self.most_out(self.step)), np.float32)

    def most_out(self, frames: int) -> int:
        """Frames for which the target of a push of ``frames`` needs room."""
        return frames * self.phases // self.step + 2

    def made(self, pushed: int) -> int:
        """Output frames that exist once input frames before ``pushed`` have come."""
        return -(-(pushed - self.lookahead_frames) * self.phases // self.step)

    def needed(self, made: int) -> int:
        """The fewest input frames after which ``made`` output frames exist."""
        return (made - 1) * self.step // self.phases + self.lookahead_frames + 1

    def reset(self, frame: int = 0) -> int:
        """Forget the past; the next input frame is ``frame``. Return the next output's index."""
        whole, lead = divmod(frame, self.step)
        following = whole * self.phases
        if not self._resamplers:
            return frame
        for resampler in self._resamplers:
            resampler.reset()
        # Resamplers begin where a frame of both rates falls on one time: silence up to ``frame``.
        for start in range(0, lead, self._most_frames):
            silence = self._silence[:, start : min(lead, start + self._most_frames)]
            following += self.push(silence, self._dropped)
        return following

    def push(self, source: Array, target: Array) -> int:
        """Take ``(channels, n)``, write what can be made now to ``target``, return how many."""
        if not self._resamplers:
            np.copyto(target[:, : source.shape[1]], source)
            return int(source.shape[1])
        made = 0
        for resampler, one, other in zip(self._resamplers, source, target, strict=True):
            made = resampler.push(one, other)
        return made
