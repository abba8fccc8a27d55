"""What guest and plant tell each other over the serial port: a line of JSON each way.

The guest leads. It asks with its own time and with what the pedal does; the plant goes on to that
time, and answers with a temperature and with what comes next. Neither goes on without the other.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from device.states.values import STATES
from hil.virtual.errors import VirtualError

PORT = "hil.plant"
"""The port's name: ``/dev/virtio-ports/hil.plant`` in the guest."""
LONGEST_LINE = 4096
"""Bytes of a line, its end not counted."""


@dataclass(frozen=True)
class Question:
    """What the guest says of one moment."""

    number: int
    """Counts from 0."""
    time_s: float
    """Of its clock (``CLOCK_MONOTONIC``)."""
    key: bool
    """Whether the pedal is on; the last question says no."""
    load: float
    """What computing took of the periods since the question before, mean, 0…2."""
    heater: bool
    """Whether edges hold the heater."""
    relay: bool
    """Whether edges hold the relay."""
    gap_s: float
    """Longest time without current in the relay's coil since the question before, s."""
    state: str
    """The control process's state, empty where it says none."""
    plays: bool
    """Whether a preset was played all the time since the question before."""
    xruns: int
    """Lost periods since the pedal was started."""
    zone_c: float | None
    """What the module's thermal zone reads, °C; None before the first answer."""
    read_c: float | None
    """What the control process read there last, °C."""
    applied_s: float | None
    """When the answer before had been applied, on its clock; None before the first."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what no guest says."""
        for name, least, most in (
            ("number", 0, 1e9),
            ("time_s", 0.0, 1e7),
            ("load", 0.0, 2.01),
            ("gap_s", 0.0, 1e4),
            ("xruns", -1, 1e9),
            ("zone_c", -273.0, 1000.0),
            ("read_c", -273.0, 1000.0),
            ("applied_s", 0.0, 1e7),
        ):
            value = getattr(self, name)
            if value is None and name in _MAY_LACK:
                continue
            _number(name, value)
            if not least <= value <= most:
                raise ValueError(f"{name} = {value!r}, expected {least:g} to {most:g}")
        for name in ("key", "heater", "relay", "plays"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} = {getattr(self, name)!r}, expected true or false")
        if self.state not in ("", *STATES):
            raise ValueError(f"state = {self.state!r}, expected one of {', '.join(STATES)}")


_MAY_LACK = frozenset({"zone_c", "read_c", "applied_s"})


@dataclass(frozen=True)
class Answer:
    """What the plant says to one question."""

    number: int
    """Of the question."""
    celsius: float
    """The module's die now: what its thermal zone shall read."""
    done: bool
    """Whether the programme is over."""
    leg: str
    """What the programme is at, for the log."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what no plant says."""
        _number("number", self.number)
        _number("celsius", self.celsius)
        if not isinstance(self.done, bool) or not isinstance(self.leg, str):
            raise ValueError(f"done = {self.done!r}, leg = {self.leg!r}")


def _number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} = {value!r}, expected a finite number")


Message = TypeVar("Message", Question, Answer)


def to_line(message: Question | Answer) -> bytes:
    """One line, its end included."""
    return json.dumps(asdict(message), allow_nan=False).encode() + b"\n"


def from_line(kind: type[Message], line: bytes) -> Message:
    """The same from a line. Raises ``VirtualError`` for anything else."""
    what = kind.__name__.lower()
    try:
        value: Any = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError(f"it is a {type(value).__name__}")
        wanted = {each.name for each in fields(kind)}
        if wrong := sorted(wanted ^ set(value)):
            raise ValueError(f"{wrong[0]} is {'missing' if wrong[0] in wanted else 'unknown'}")
        return kind(**value)
    except (ValueError, RecursionError) as error:
        shown = line[:60].decode(errors="replace").strip()
        raise VirtualError(
            f"a line between guest and plant is no {what} ({error}): {shown!r}; "
            "see the machine's agent.log"
        ) from None
