"""The studio sound of recordings that are known as a whole: pieces of them side by side.

A network's layers share two processors badly: two windows at once, each on one, take less time than
two one after another on both. A stream may begin anywhere and
settles to the bits of one that was never interrupted, so a recording is cut into pieces that
threads work on; each begins early enough to have settled where its piece begins.
"""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from device.sound.morph.studio_feed import MOST_REPLY_FRAMES, StudioFeed
from models.morph import Positions
from models.music2latent.codec import Codec
from models.music2latent.spectrum import HOP
from models.music2latent.stream import StreamSettings
from models.units import Audio

PIECE_S = 30.0
"""About how long a piece is: what it takes to settle is little beside it."""

Packet = tuple[int, Audio]
"""Settled sound and the frame that it begins at."""


class AheadPeer:
    """A ``Peer`` that knows what it will be sent: it gives what it has computed already.

    What is sent is not looked at; it must be what was given when this was made.
    """

    def __init__(
        self,
        codecs: Sequence[Codec],
        settings: StreamSettings,
        recordings: tuple[Audio, Audio, Positions],
    ) -> None:
        """Take both tones ``(1, n)`` and the knob ``(n,)``; each codec is one worker's."""
        self._codecs, self._settings = codecs, settings
        self._a, self._b, self._position = recordings
        self.alive = True
        self.lost = self.refused = self.foreign = 0
        self.generation = self.frame = 0
        self.sound = np.zeros((1, MOST_REPLY_FRAMES), np.float32)
        self._packets: Iterator[Packet] = iter(())
        self._held: Packet | None = None
        self._sent = 0

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Begin to compute. Raises ``ModelError``."""
        free = [StudioFeed(codec, self._settings, rate_hz, period_frames) for codec in self._codecs]
        self._latency = free[0].latency_frames
        # Behind the end a pedal goes on for as long as its reserve lasts.
        hop = self._settings.hop_frames * HOP * rate_hz // self._settings.rate_hz
        total = self._position.shape[0] + hop + rate_hz // 10 + period_frames
        rounds = max(1, round(total / rate_hz / PIECE_S / len(free)))
        edges = np.linspace(0, total, len(free) * rounds + 1).astype(int).tolist()

        def computed(start: int, stop: int) -> list[Packet]:
            feed = free.pop()
            try:
                return self._piece(feed, start, stop, period_frames)
            finally:
                free.append(feed)

        pool = ThreadPoolExecutor(len(free))
        pieces: list[Future[list[Packet]]] = [
            pool.submit(computed, *piece)
            for piece in itertools.pairwise(edges)
            if piece[0] < piece[1]
        ]
        pool.shutdown(wait=False)
        self._packets = (packet for piece in pieces for packet in piece.result())

    def _piece(self, feed: StudioFeed, start: int, stop: int, period: int) -> list[Packet]:
        """What the unbroken stream gives for frames ``start`` to ``stop``."""
        # What is pulled while it settles is left out whole.
        pushed = max(0, start - feed.settling_frames - MOST_REPLY_FRAMES)
        pulled = np.zeros((1, MOST_REPLY_FRAMES), np.float32)
        packets = []
        while pushed < stop + feed.latency_frames:
            past = pushed + period
            a, b, position = (self._cut(pushed, past, row) for row in range(3))
            # A generation of its own, so that nothing of another piece is taken for its past.
            feed.push(start, pushed, a[None], b[None], position)
            pushed = past
            while frames := feed.pull(pulled):
                within = slice(max(0, start - feed.frame), min(frames, max(0, stop - feed.frame)))
                if within.start < within.stop:
                    packets.append((feed.frame + within.start, pulled[:, within].copy()))
        return packets

    def _cut(self, start: int, stop: int, row: int) -> Audio:
        """Frames of one signal, behind its end silence, or the knob where it rests."""
        whole = (self._a[0], self._b[0], self._position)[row]
        cut = np.full(stop - start, self._position[-1] if row == 2 else 0.0, np.float32)
        known = whole[start:stop]
        cut[: known.shape[0]] = known  # nothing where all of it lies behind the end
        return cut

    def send(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        """Note how far the pedal is; see the class."""
        self.generation = generation
        self._sent = frame + position.shape[0]

    def receive(self) -> int:
        """Give what is due by now, in pieces; waits for it."""
        if self._held is None:
            self._held = next(self._packets, None)
            if self._held is None:
                return 0
        self.frame, sound = self._held
        frames: int = min(sound.shape[1], self._sent - self._latency - self.frame)
        if frames <= 0:
            return 0
        np.copyto(self.sound[:, :frames], sound[:, :frames])
        rest = sound[:, frames:]
        self._held = (self.frame + frames, rest) if rest.size else None
        return frames

    def behind(self) -> bool:
        """Nothing is ever left to be computed."""
        return False

    def wait(self, patience_s: float) -> bool:
        """There is nothing to wait for."""
        return True
