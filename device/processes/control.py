"""The control process: what the player's hands and feet do, told to ``audio``."""

from typing import Protocol

from device.boards.board import Clock, Knob
from device.knob import KnobFilter
from device.processes.link import ControlState, Heartbeat, Link


class Feet(Protocol):
    """What is asked for by foot: which preset, and bypass."""

    def preset(self, now_s: float, first: int) -> int:
        """Index of the preset asked for."""

    def bypassed(self, now_s: float) -> bool:
        """Whether the dry sound is asked for."""


class Connect(Protocol):
    """Tries to reach ``audio``; None at once where it is not there."""

    def __call__(self) -> Link | None:
        """Return a link or None."""


class ControlLoop:
    """Reads the knob, filters it, and publishes the whole state; finds ``audio`` again."""

    def __init__(
        self, knob: Knob, feet: Feet, clock: Clock, connect: Connect, first_preset: int = 0
    ) -> None:
        """Take a board's parts; ``first_preset`` is what plays before anything is asked for."""
        self._knob = knob
        self._feet = feet
        self._clock = clock
        self._connect = connect
        self._first_preset = first_preset
        self._filter = KnobFilter()
        self._link: Link | None = None
        self.heartbeat = Heartbeat()
        """What audio said last."""
        self.state = ControlState(preset=first_preset)
        """What was published last."""

    def run(self) -> None:
        """Go on until time ends (simulated) or for ever."""
        while self.turn():
            pass
        if self._link is not None:
            self._link.close()

    def turn(self) -> bool:
        """One reading and one packet; False when time has ended."""
        now_s = self._clock.wait()
        if now_s is None:
            return False
        self._read_knob(now_s)
        state = self.state
        state.preset = self._feet.preset(now_s, self._first_preset)
        state.bypass = self._feet.bypassed(now_s)
        if self._link is None:
            self._link = self._connect()
        if self._link is not None:
            self._link.send(state.pack())
            self._link.receive(self.heartbeat)
            if not self._link.alive:
                self._link.close()
                self._link = None
        return True

    def _read_knob(self, now_s: float) -> None:
        """Filter one reading; a dead bus is a fault like an impossible value."""
        try:
            raw = self._knob.read(now_s)
        except OSError:
            raw = float("nan")
        self.state.position = self._filter.update(raw)
        self.state.knob_faults = self._filter.faults
