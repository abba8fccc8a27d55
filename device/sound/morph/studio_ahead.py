"""The studio sound of recordings that are known as a whole: pieces of them side by side.

A network's layers share two processors badly: two windows at once, each on one, take less time than
two one after another on both. A stream may begin anywhere and settles to the bits of
one that was never interrupted, so a recording is cut into pieces that threads work on; each begins
early enough to have settled where its piece begins.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from device.sound.morph.studio_feed import MOST_REPLY_FRAMES, Change
from models.morph import Positions
from models.music2latent.codec import Codec
from models.music2latent.spectrum import HOP
from models.music2latent.stream import StreamSettings, StudioStream
from models.units import Audio

PIECE_S = 30.0
"""About how long a piece is: what it takes to settle is little beside it."""

_PUSH_FRAMES = 4096


class AheadPeer:
    """A ``Peer`` that knows what it will be sent: it gives what it has computed already.

    What is sent is not looked at; it must be what was given when this was made.
    """

    def __init__(
        self,
        codecs: Sequence[Codec],
        settings: StreamSettings,
        recordings: tuple[Audio, Audio, Positions],
        change: Change | None = None,
    ) -> None:
        """Take both tones ``(1, n)`` and the knob ``(n,)``; each codec is one worker's."""
        self._codecs = codecs
        self._settings, self._change = settings, change
        self._a, self._b, self._position = recordings
        self.alive = True
        self.lost = self.refused = self.foreign = 0
        self.generation = self.frame = 0
        self.sound = np.zeros((1, MOST_REPLY_FRAMES), np.float32)
        self._pieces: list[tuple[int, Future[Audio]]] = []
        self._given = self._sent = 0

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Begin to compute. Raises ``ModelError``."""
        free = [
            StudioStream(codec, self._settings, rate_hz, _PUSH_FRAMES, self._change)
            for codec in self._codecs
        ]
        self._latency = free[0].latency_frames
        # Behind the end a pedal goes on for as long as its reserve lasts.
        hop = self._settings.hop_frames * HOP * rate_hz // self._settings.rate_hz
        self._total = self._position.shape[0] + hop + rate_hz // 10 + period_frames
        rounds = max(1, round(self._total / rate_hz / PIECE_S / len(free)))
        edges = np.linspace(0, self._total, len(free) * rounds + 1).astype(int).tolist()

        def computed(start: int, stop: int) -> Audio:
            stream = free.pop()
            try:
                return self._piece(stream, start, stop)
            finally:
                free.append(stream)

        pool = ThreadPoolExecutor(len(free))
        pieces = [piece for piece in itertools.pairwise(edges) if piece[0] < piece[1]]
        self._pieces = [(piece[0], pool.submit(computed, *piece)) for piece in pieces]
        pool.shutdown(wait=False)

    def _piece(self, stream: StudioStream, start: int, stop: int) -> Audio:
        """What the unbroken stream gives for frames ``start`` to ``stop``."""
        begin = max(0, start - stream.settling_frames)
        stream.reset(begin)
        made = np.zeros((1, stop - begin), np.float32)
        at, pushed = 0, begin
        while at < made.shape[1]:
            past = pushed + _PUSH_FRAMES
            a, b, position = (self._cut(pushed, past, row) for row in range(3))
            stream.push(a[None], b[None], position)
            pushed = past
            at += stream.pull(made[:, at:])
        return made[:, start - begin :]

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
        due = min(self._total, self._sent - self._latency)
        frames: int = min(MOST_REPLY_FRAMES, due - self._given)
        if frames <= 0:
            return 0
        index = max(at for at, (start, _) in enumerate(self._pieces) if start <= self._given)
        start, piece = self._pieces[index]
        sound = piece.result()
        at = self._given - start
        frames = min(frames, sound.shape[1] - at)
        np.copyto(self.sound[:, :frames], sound[:, at : at + frames])
        self.frame = self._given
        self._given += frames
        return frames

    def behind(self) -> bool:
        """Nothing is ever left to be computed."""
        return False

    def wait(self, patience_s: float) -> bool:
        """There is nothing to wait for."""
        return True
