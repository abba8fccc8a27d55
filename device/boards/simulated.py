"""The simulated board: arrays for a sound interface, a script for a knob, virtual time.

It is what ``make run`` and the tests play on. Faults are part of it: xruns, an interface that
is unplugged, and a knob that fails.
"""

import contextlib
import os
import random
import select
import socket
import struct
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from device.boards.audio_port import PortStatus
from device.boards.board import Follower
from device.errors import LinkError
from device.knob import raw_from_position
from device.script import Script
from models.units import Audio

_TICK = struct.Struct("<d")
_PATIENCE_S = 10.0
"""How long virtual time waits for the other process before it goes on without it."""
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
        self._listener.settimeout(_PATIENCE_S)
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
            self._patience_s = _PATIENCE_S if caught_up else 0.0
        if self._follower is None:
            self._accept()
        if self._follower is None:
            return
        try:
            self._follower.send(_TICK.pack(now_s))
            if not self._follower.recv(1):
                raise ConnectionError
        except OSError:
            self._follower.close()
            self._follower = None

    def _accept(self) -> None:
        """Wait for the follower the first time; later only take one that is already there."""
        patience = 0.0 if self._waited else _PATIENCE_S
        self._waited = True
        if select.select([self._listener], [], [], patience)[0]:
            self._follower, _ = self._listener.accept()
            self._follower.settimeout(_PATIENCE_S)

    def close(self) -> None:
        """End time: the follower sees an end of file."""
        if self._follower is not None:
            self._follower.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


class FollowingClock:
    """The other end: the control process lives in the audio process's virtual time."""

    def __init__(self, path: Path) -> None:
        """Connect to the leader, waiting until it listens. Raises ``LinkError``."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self._leader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self._leader.connect(os.fspath(path))
                break
            except OSError:
                self._leader.close()
                if time.monotonic() > deadline:
                    raise LinkError(f"{path}: no audio process leads the time there") from None
                time.sleep(0.01)
        self._owing = False

    def wait(self) -> float | None:
        """Say that this turn is done and wait for the next; its time in s, None at the end."""
        try:
            if self._owing:
                self._leader.send(b"\0")
            packet = self._leader.recv(_TICK.size)
        except OSError:
            return None
        if len(packet) != _TICK.size:
            return None
        self._owing = True
        return float(_TICK.unpack(packet)[0])


class ScriptedKnob:
    """A potentiometer that does what a script says, faults included. Seeded, so repeatable.

    It also stands in on a real board until that has a potentiometer.
    """

    def __init__(self, script: Script, seed: int = 0) -> None:
        """Follow ``script``, whose positions are what the knob's end zones leave of the travel."""
        self._script = script
        self._random = random.Random(seed)
        self._stuck: float | None = None

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1 at that time. Raises ``OSError`` on a dead bus."""
        position = raw_from_position(self._script.position(now_s))
        fault = self._script.fault(now_s)
        if fault is None:
            self._stuck = None
            return position
        match fault.kind:
            case "stuck":
                if self._stuck is None:
                    self._stuck = position
                return self._stuck
            case "open":
                return float("nan")
            case "noisy":
                return self._random.random() if self._random.random() < 0.2 else position
            case "dead":
                raise OSError("simulated: the knob's bus does not answer")
