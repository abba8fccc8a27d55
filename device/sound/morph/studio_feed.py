"""The studio stream as both ends need it: whatever comes in, only settled sound goes out."""

import numpy as np
import numpy.typing as npt

from device.sound.morph.studio import StudioTiming
from models.morph import Positions
from models.music2latent.codec import Codec
from models.music2latent.spectrum import HOP
from models.music2latent.stream import StreamSettings, StudioStream
from models.units import Audio

MOST_REPLY_FRAMES = 1024
"""Longest reply: what a hop gives goes in few pieces, the first of them soon."""

Change = npt.NDArray[np.float32]
"""What is added to tone A's latents to make tone B's, ``(channels, 1)``."""


class StudioFeed:
    """A ``StudioStream`` that begins anew by itself where frames are missing.

    Behind a gap nothing is given until the stream has forgotten it: until then its windows hold
    silence that nobody played.
    """

    def __init__(
        self,
        codec: Codec,
        settings: StreamSettings,
        rate_hz: int,
        most_frames: int,
        change: Change | None = None,
    ) -> None:
        """Allocate for pushes of at most ``most_frames``. Raises ``ModelError``."""
        self._stream = StudioStream(codec, settings, rate_hz, most_frames, change)
        self.generation = -1
        """The unbroken stream that is being heard."""
        self.expected = 0
        """Its frame that comes next."""
        self.gaps = 0
        """Times that frames were missing."""
        self.frame = 0
        """First frame of what was pulled last."""
        self._settled = 0

    @property
    def nan_windows(self) -> int:
        """Windows whose decode was not finite; what they spoil is not given."""
        return self._stream.nan_windows

    @property
    def latency_frames(self) -> int:
        """By how many frames what is given trails what is pushed, at most."""
        return self._stream.latency_frames

    @property
    def settling_frames(self) -> int:
        """Frames from a gap until something is given again."""
        return self._stream.settling_frames

    def joins(self, generation: int, frame: int) -> bool:
        """Whether a push that begins at ``frame`` would go on where the last one ended."""
        return generation == self.generation and frame == self.expected

    def push(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        """Take both tones ``(1, n)`` and the knob ``(n,)``; compute the windows that are complete.

        Frame 0 of a generation comes after silence, any other that does not join after a gap.
        Raises ``CodecError``.
        """
        stream = self._stream
        if not self.joins(generation, frame):
            stream.reset(frame)
            self._settled = frame + stream.settling_frames if frame else 0
            self.gaps += frame != 0
            self.generation = generation
        failed = stream.nan_windows
        stream.push(a, b, position)
        self.expected = frame + position.shape[0]
        if stream.nan_windows != failed:
            self._settled = self.expected + stream.settling_frames

    def pull(self, target: Audio) -> int:
        """Write what is ready and settled, at most ``target``'s ``(1, n)``; return how many."""
        stream = self._stream
        while True:
            self.frame = stream.next_frame
            frames = stream.pull(target)
            if frames == 0 or self.frame >= self._settled:
                return frames


class LocalPeer:
    """The studio sound computed at once, in the same process: offline, where nobody waits."""

    def __init__(
        self, codec: Codec, settings: StreamSettings, change: Change | None = None
    ) -> None:
        """Take a codec that is loaded."""
        self._codec, self._settings, self._change = codec, settings, change
        self.alive = True
        self.lost = self.refused = self.foreign = 0
        self.generation = self.frame = 0
        self.sound = np.zeros((1, MOST_REPLY_FRAMES), np.float32)

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate. Raises ``ModelError``."""
        self._feed = StudioFeed(self._codec, self._settings, rate_hz, period_frames, self._change)

    def send(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        """Compute what a period completes."""
        self._feed.push(generation, frame, a, b, position)

    def receive(self) -> int:
        """Give what is ready, in pieces."""
        frames = self._feed.pull(self.sound)
        self.generation, self.frame = self._feed.generation, self._feed.frame
        return frames

    def behind(self) -> bool:
        """Nothing is ever left to be computed."""
        return False

    def wait(self, patience_s: float) -> bool:
        """There is nothing to wait for."""
        return True


class _Unloaded:
    """A codec that only says how long its window is."""

    provider = "none"

    def __init__(self, window_frames: int) -> None:
        self.window_frames = window_frames

    def encode(self, spectra: Audio, target: Audio) -> None:
        raise NotImplementedError

    def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
        raise NotImplementedError


def timing_of(settings: StreamSettings, rate_hz: int) -> StudioTiming:
    """When the sound of a stream is due, without loading its network. Raises ``ModelError``."""
    # Made only to be asked: a stream computes nothing until it is pushed.
    stream = StudioStream(_Unloaded(settings.window_frames), settings, rate_hz, 1)
    hop = -(-settings.hop_frames * HOP * rate_hz // settings.rate_hz)
    return StudioTiming(stream.latency_frames, hop)
