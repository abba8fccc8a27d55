"""The simulated board's half for the audio process: arrays for an interface, and virtual time.

It is what ``make run`` and the tests play on. Faults are part of it: xruns, and an interface that
is unplugged. The control process's half is in ``scripted.py``.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from device.boards.audio_port import PortStatus
from device.boards.board import Follower
from device.boards.scripted import PATIENCE_S, TICK
from device.errors import LinkError
from models.units import Audio

_START_PATIENCE_S = 60.0
"""The same before time begins, while a network may be loading."""


@dataclass(frozen=True)
class PortFaults:
    """Periods (by index) at which the simulated interface fails."""

    capture_xruns: Collection[int] = ()
    playback_xruns: Collection[int] = ()
    absent: Collection[int] = field(default=())


class SimulatedAudio:
    """An ``AudioPort`` over arrays: period k of the input answers period k of the output."""

    def __init__(
        self,
        guitar: Audio,
        rate_hz: int,
        period_frames: int,
        faults: PortFaults | None = None,
        clock: "LeadingClock | None" = None,
    ) -> None:
        """Take the guitar ``(1, frames)``; a last, partial period is filled with silence.

        ``clock`` couples another process to this port's virtual time.
        """
        self.rate_hz = rate_hz
        self.period_frames = period_frames
        self.periods = 2
        self.latency_frames = 0
        self.total_periods = -(-guitar.shape[1] // period_frames)
        frames = self.total_periods * period_frames
        self._guitar = np.zeros((1, frames), np.float32)
        self._guitar[:, : guitar.shape[1]] = guitar
        self.played = np.zeros((1, frames), np.float32)
        """What was written, ``(1, frames)``; silence where a period was lost."""
        self._faults = faults or PortFaults()
        self._clock = clock
        self._period = 0

    def open(self) -> None:
        """Begin at the first period."""
        self._period = 0

    def read(self, target: Audio) -> PortStatus:
        """Give the next period of the guitar."""
        period = self._period
        if period >= self.total_periods:
            return PortStatus.END
        self._period = period + 1
        if self._clock is not None:
            self._clock.advance(period * self.period_frames / self.rate_hz)
        if period in self._faults.absent:
            target.fill(0.0)
            return PortStatus.ABSENT
        if period in self._faults.capture_xruns:
            target.fill(0.0)
            return PortStatus.XRUN
        start = period * self.period_frames
        np.copyto(target, self._guitar[:, start : start + self.period_frames])
        return PortStatus.OK

    def write(self, source: Audio) -> PortStatus:
        """Keep one period."""
        period = self._period - 1
        if period in self._faults.absent:
            return PortStatus.ABSENT
        if period in self._faults.playback_xruns:
            return PortStatus.XRUN
        start = period * self.period_frames
        np.copyto(self.played[:, start : start + self.period_frames], source)
        return PortStatus.OK

    def close(self) -> None:
        """Let the other process see the end of time."""
        if self._clock is not None:
            self._clock.close()


class LeadingClock:
    """Virtual time, led by the audio process: each period waits until control has had its turn.

    So a run is the same every time and goes as fast as the machine can, although several
    processes take part. ``followers`` get their turn too: the engine process computes all that it
    was sent before time goes on. It is the clock that waits, never a period. Should one die, time
    goes on alone.
    """

    def __init__(self, path: Path, followers: Sequence[Follower] = ()) -> None:
        """Listen on ``path`` for the control process. Raises ``LinkError``."""
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(os.fspath(path))
            self._listener.listen(1)
        except OSError as error:
            raise LinkError(f"{path}: cannot listen there ({error.strerror or error})") from None
        self._listener.settimeout(PATIENCE_S)
        self._follower: socket.socket | None = None
        self._waited = False
        self._followers = tuple(followers)
        self._patience_s = _START_PATIENCE_S

    def busy_ns(self) -> int:
        """CPU time of this thread: other work on the machine does not count as processing."""
        return time.thread_time_ns()

    def advance(self, now_s: float) -> None:
        """Let the others live through the time up to ``now_s``."""
        for follower in self._followers:
            # Who was too slow once is not waited for again until it is there.
            caught_up = follower.catch_up(self._patience_s)
            self._patience_s = PATIENCE_S if caught_up else 0.0
        if self._follower is None:
            self._accept()
        if self._follower is None:
            return
        try:
            self._follower.send(TICK.pack(now_s))
            if not self._follower.recv(1):
                raise ConnectionError
        except OSError:
            self._follower.close()
            self._follower = None

    def _accept(self) -> None:
        """Wait for the follower the first time; later only take one that is already there."""
        patience = 0.0 if self._waited else PATIENCE_S
        self._waited = True
        if select.select([self._listener], [], [], patience)[0]:
            self._follower, _ = self._listener.accept()
            self._follower.settimeout(PATIENCE_S)

    def close(self) -> None:
        """End time: the follower sees an end of file."""
        if self._follower is not None:
            self._follower.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
