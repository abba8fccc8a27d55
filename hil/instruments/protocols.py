"""What a suite may ask of an instrument, whoever made it.

Every call either does what it says, read back, or raises ``InstrumentError`` with one sentence.
None of them waits longer than its time-out; what takes time (a ramp, a soak) is waited for by the
bench's clock and seen by reading. Temperatures are °C, −40 is a reading like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hil.suites.delay import Signal


@dataclass(frozen=True)
class ChamberLimits:
    """What a chamber can do, by its data sheet and as its own controller is set."""

    lowest_c: float
    highest_c: float
    cooling_k_per_min: float
    heating_k_per_min: float
    humidity: bool = False
    """Whether it regulates moisture, above zero."""


@dataclass(frozen=True)
class ChamberReading:
    """The chamber at one moment."""

    air_c: float
    setpoint_c: float
    humidity_percent: float | None
    humidity_setpoint_percent: float | None
    running: bool
    alarms: tuple[str, ...] = ()
    door_open: bool | None = None
    """None where it does not say."""
    power_percent: float | None = None


class Chamber(Protocol):
    """A thermal chamber."""

    model: str
    """Maker and type, as it says of itself where it does."""
    limits: ChamberLimits

    def read(self) -> ChamberReading:
        """Where it is."""

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """Change the setpoints; without a humidity it is not regulated. Does not start it."""

    def start(self) -> None:
        """Regulate at the setpoints."""

    def stop(self) -> None:
        """Its safe state: nothing is regulated, nothing heats or cools."""

    def close(self) -> None:
        """Let go of the line; the chamber stays as it is."""


@dataclass(frozen=True)
class SupplyReading:
    """A supply's output as it measures it itself."""

    volts: float
    amperes: float
    on: bool


class Supply(Protocol):
    """A switched supply that measures its current. Its output is the pedal's key."""

    model: str

    def set(self, volts: float, limit_a: float) -> None:
        """Voltage and current limit, also while it is on."""

    def switch(self, on: bool) -> None:
        """Its output."""

    def read(self) -> SupplyReading:
        """What it gives."""

    def close(self) -> None:
        """Let go of it; the output stays as it is."""


class Thermocouples(Protocol):
    """A logger of temperatures at named positions."""

    model: str

    def read(self) -> Mapping[str, float]:
        """°C by position; NaN where the couple is open."""

    def close(self) -> None:
        """Let go of it."""


class Console(Protocol):
    """The pedal's serial console."""

    def send(self, line: str) -> None:
        """Send a line."""

    def lines(self) -> list[str]:
        """The lines that came since the last call."""

    def ask(self, line: str, timeout_s: float = 10.0) -> str:
        """Run a command on the pedal and give what it printed."""

    def close(self) -> None:
        """Let go of it."""


class AudioLoop(Protocol):
    """The bench's own interface: out to the pedal's jack, in from the pedal's output."""

    model: str
    rate_hz: int
    own_frames: float
    """Its own round trip, measured with a cable in the pedal's place; the suites take it off."""

    def shot(self, signal: Signal) -> Signal:
        """Play ``signal`` ``(frames,)`` and give what came back until a third of a second after.

        On the same clock, sample 0 of both at the same moment.
        """

    def close(self) -> None:
        """Let go of it."""


INJECTIONS = ("load", "adc dead", "heater stuck", "disk full", "clock jump", "update")
"""What ``Unit.inject`` knows: all processors busy; the knob's converter without power; the heater
on for good; no room on the disk; the wall clock years ahead; an update of the models."""


class Unit(Protocol):
    """The pedal under test: what one does to it besides heat, current and guitar."""

    serial: str
    software: str
    """Hash of what is installed on it."""

    def status(self) -> Mapping[str, Any]:
        """``python -m device status --json``; empty while it does not answer."""

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """Turn the knob, 0…1, ``after_s`` from now. Raises ``InstrumentError`` where it cannot."""

    def choose(self, engine: str) -> None:
        """Play the bench's preset with this engine: ``crossfade``, ``stage``, ``studio``."""

    def configure(self, period_frames: int, periods: int) -> None:
        """Play with other periods from now on; the sound breaks off for that."""

    def kill(self, process: str) -> None:
        """End a process of the pedal, ``audio``, ``control`` or ``engine``, as a crash would."""

    def unplug(self, seconds: float) -> None:
        """Take its audio interface away, and give it back after ``seconds`` of bench time."""

    def inject(self, what: str, on: bool = True) -> bool:
        """Break something of ``INJECTIONS``, or mend it. False where this unit cannot."""

    def close(self) -> None:
        """Let go of it."""
