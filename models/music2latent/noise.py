"""The noise a decode starts from: a function of the seed and the frame's index, of nothing else.

The network's own decoder draws new noise each time and is therefore never twice the same. Here
frame k has one noise for ever, so that windows that overlap see the same noise for the same frame,
however the stream was started or cut, and the same input gives the same sound.

Philox4x64-10 (Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011) is counted,
not iterated: its key is (seed, 0), its counter starts at (0, k mod 2^64, 0, 0). Word j gives bin j:
its upper half u and lower half v give radius √(−2·ln((u + 1) / 2³²)) and angle 2π·v / 2³², whose
cosine and sine are the real and the imaginary part (Box & Muller 1958). Only raw words are taken
from NumPy: those are promised never to change, its normal variates are not.
"""

import numpy as np
import numpy.typing as npt

from models.music2latent.frames import FrameRing
from models.music2latent.spectrum import BINS

Array = npt.NDArray[np.float32]

_WORD = 2**64
_HALF_BITS = np.uint64(32)
_LOWER = np.uint64(2**32 - 1)


def frame_noise(seed: int, frame: int) -> Array:
    """Standard normal noise of a frame, ``(2, 1024)``; seed 0 … 2^64 − 1, any frame."""
    # As arrays: NumPy would take lists of such numbers through double precision.
    key = np.array([seed, 0], np.uint64)
    counter = np.array([0, frame % _WORD, 0, 0], np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(BINS)
    radius = np.sqrt(-2.0 * np.log(((words >> _HALF_BITS) + 1.0) * 2.0**-32))
    angle = (words & _LOWER) * (2.0 * np.pi * 2.0**-32)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)


class WindowNoise:
    """The noise of sliding windows; each frame is drawn once while it stays in the window."""

    def __init__(self, seed: int, frames: int) -> None:
        """Allocate for windows of ``frames`` frames."""
        self._seed, self._frames = seed, frames
        self._ring = FrameRing(frames, (2, BINS))
        self._held: list[int | None] = [None] * frames

    def window(self, first: int, target: Array) -> None:
        """Write the noise of the frames from ``first`` on to ``target`` ``(2, 1024, frames)``."""
        for frame in range(first, first + self._frames):
            place = frame % self._frames
            if self._held[place] != frame:
                np.copyto(self._ring.slot(frame), frame_noise(self._seed, frame))
                self._held[place] = frame
        self._ring.window(first, target)
