"""A sound card's two directions, kept running in a thread, and signals exchanged through them."""

import math
import queue
import threading
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hil.errors import InstrumentError
from hil.suites.delay import Signal


class Broken(Exception):  # noqa: N818 - a state that is handled, not an error that escapes
    """The streams have stopped: an xrun. ``start`` starts them anew."""


class Duplex(Protocol):
    """A card: ``AlsaDuplex``."""

    card: str
    rate_hz: int
    period_frames: int
    periods: int
    inputs: int

    def start(self) -> None:
        """Start both directions anew. Raises ``Broken``, ``InstrumentError``."""

    def cycle(self, out: Signal) -> Signal:
        """One period: what came ``(inputs, period_frames)``; then play ``(period_frames,)``.

        Raises ``Broken``, ``InstrumentError``.
        """

    def close(self) -> None:
        """Let go."""


@dataclass
class _Job:
    """A signal to play; None to start anew."""

    signal: "Signal | None"
    frames: int = 0
    came: "Signal | None" = None
    failed: InstrumentError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class DuplexStream:
    """Runs from the first ``restart`` on; silent between signals."""

    def __init__(self, duplex: Duplex) -> None:
        """Nothing runs yet."""
        self.duplex = duplex
        self.starts = 0
        """How often the streams were started: when asked to, and after each xrun."""
        self._silence = np.zeros(duplex.period_frames, dtype=np.float32)
        self._running = False
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="audio loop", daemon=True)
        self._thread.start()

    def restart(self) -> None:
        """Start both directions anew. Raises ``InstrumentError``."""
        self._do(_Job(None))

    def exchange(self, signal: Signal, frames: int) -> "Signal | None":
        """Play ``signal`` and give the ``(inputs, frames)`` that came, from the same moment on.

        None where an xrun spoilt it. Raises ``InstrumentError``.
        """
        return self._do(_Job(signal.astype(np.float32), frames))

    def close(self) -> None:
        """Stop, and let go of the card."""
        self._jobs.put(None)
        self._thread.join(5.0)
        self.duplex.close()

    def _do(self, job: _Job) -> "Signal | None":
        self._jobs.put(job)
        # The signal's own time, and what a card is given to move.
        if not job.done.wait(10.0 + 2.0 * job.frames / self.duplex.rate_hz):
            raise InstrumentError("audio: the bench's card moves nothing; plug it in again.")
        if job.failed is not None:
            raise job.failed
        return job.came

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                # A card that runs is fed, whether there is anything to do or not.
                job = self._jobs.get(block=not self._running)
            except queue.Empty:
                self._idle()
                continue
            if job is None:
                return
            try:
                job.came = self._serve(job)
            except InstrumentError as error:
                self._running, job.failed = False, error
            job.done.set()

    def _serve(self, job: _Job) -> "Signal | None":
        if job.signal is None or not self._running:
            self._start()
        if job.signal is None:
            return None
        size = len(self._silence)
        came: list[Signal] = []
        try:
            for number in range(math.ceil(job.frames / size)):
                piece = job.signal[number * size : (number + 1) * size]
                if len(piece) < size:
                    piece = np.pad(piece, (0, size - len(piece)))
                came.append(self.duplex.cycle(piece))
        except Broken:
            self._start()
            return None
        return np.concatenate(came, axis=1)[:, : job.frames]

    def _idle(self) -> None:
        try:
            self.duplex.cycle(self._silence)
        except Broken:
            try:
                self._start()
            except InstrumentError:
                self._running = False  # whoever asks next is told
        except InstrumentError:
            self._running = False

    def _start(self) -> None:
        self._running = False
        try:
            self.duplex.start()
        except Broken:
            raise InstrumentError(
                "audio: the bench's card does not start; plug it in again."
            ) from None
        self._running = True
        self.starts += 1
