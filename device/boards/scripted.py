"""The simulated board's half for the control process: scripts in place of all that is touched.

What a player does (``Script``), what the weather does (``[simulated]``), and the other end of the
audio process's virtual time. It needs no array library: it starts as a real pedal's control does.
"""

import bisect
import os
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from device.errors import LinkError
from device.knob import raw_from_position
from device.script import Script
from device.states import Temperatures

TICK = struct.Struct("<d")
"""What the audio process sends: the time in s."""
PATIENCE_S = 10.0
"""How long virtual time waits for the other process before it goes on without it."""
ROOM_C = 25.0
_KEPT_LEVELS = 4096


class Timed:
    """A clock that says what time it gave last; a part of a board may need to know."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.now_s = 0.0


class FollowingClock(Timed):
    """The other end: the control process lives in the audio process's virtual time."""

    def __init__(self, path: Path) -> None:
        """Connect to the leader, waiting until it listens. Raises ``LinkError``."""
        super().__init__()
        deadline = time.monotonic() + PATIENCE_S
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
            packet = self._leader.recv(TICK.size)
        except OSError:
            return None
        if len(packet) != TICK.size:
            return None
        self._owing = True
        self.now_s = float(TICK.unpack(packet)[0])
        return self.now_s


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


class ScriptedSwitch:
    """A footswitch that is pressed from … to, s."""

    def __init__(self, presses: Sequence[tuple[float, float]], clock: Timed) -> None:
        """Follow ``presses``, times rising, by the time of ``clock``."""
        self._edges = [time_s for press in presses for time_s in press]
        self._clock = clock

    def pressed(self) -> bool:
        """Whether it is pressed at the clock's time."""
        return bisect.bisect_right(self._edges, self._clock.now_s) % 2 == 1


class ScriptedSensors:
    """Module and board at one temperature, which follows straight lines between points."""

    def __init__(
        self, points: Sequence[tuple[float, float]] = (), humidity_percent: float | None = None
    ) -> None:
        """``points`` are (s, °C), times rising; 25 °C where there are none."""
        self._path = Script(points=points or ((0.0, ROOM_C),))
        self._humidity = humidity_percent

    def read(self, now_s: float) -> Temperatures:
        """Return what there is at that time."""
        value_c = self._path.position(now_s)
        air_c = None if self._humidity is None else value_c
        return Temperatures(
            value_c, value_c, value_c, air_c, self._humidity, {"simulated-thermal": value_c}
        )


class SimulatedOutput:
    """A line that remembers what was driven."""

    def __init__(self, clock: Timed) -> None:
        """Begin low."""
        self._clock = clock
        self.on = False
        self.levels: deque[tuple[float, bool]] = deque(maxlen=_KEPT_LEVELS)
        """(s, level) of the latest settings."""

    def set(self, on: bool) -> None:
        """Drive it."""
        self.on = on
        self.levels.append((self._clock.now_s, on))
