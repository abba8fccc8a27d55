"""What is wrong with an instrument or its line: neutral by default, to be changed at any time.

What is wrong with the chamber itself (its door, its compressor) is wrong in the plant, and told by
the controller as far as its protocol can tell it; the seeds for that stand here as well, so that
one place names everything that an instrument can do to a bench.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal

Lost = Literal["", "closed", "silent"]
"""A line: as it should be, closed whenever it is opened, or dead without a word."""


@dataclass
class LineFaults:
    """Between the instrument and the bench. Shares are of its answers, 0…1."""

    lost: Lost = ""
    slow_s: float = 0.0
    """Real seconds until it answers."""
    garbage: float = 0.0
    """Answers that come as other bytes, of the same length."""
    broken_off: float = 0.0
    """Answers that end half-way."""


@dataclass
class ChamberFaults:
    """The chamber and its controller."""

    lies: bool = False
    """Shows its setpoint for its air."""
    stuck: bool = False
    """Shows the air as it was when that began."""
    ignores_writes: bool = False
    """Acknowledges them as ever, and does nothing."""
    local: bool = False
    """Its panel has the say: writes are refused in the protocol's own way, which may be silence."""
    runs_ahead: bool = False
    """Takes each step of a setpoint for the begin of a ramp of its own, at 8 K/min."""
    fahrenheit: bool = False
    """Somebody has switched its display over, and its protocol with it."""
    door_open: bool = False
    alarm: str = ""
    """What it says of itself; empty: nothing."""


@dataclass
class SupplyFaults:
    """The supply."""

    ignores_writes: bool = False
    tripped: bool = False
    """Its output goes off and stays off, as after an over-voltage."""


@dataclass
class LoggerFaults:
    """The thermocouples and their logger."""

    open: frozenset[str] = frozenset()
    """Positions whose couple is broken."""
    stuck: bool = False
    fahrenheit: bool = False
    """Ignores ``UNIT:TEMP``."""
    offset_k: float = 0.0
    """A cold junction that is off."""


@dataclass
class ServerFaults:
    """Everything, by instrument; ``seed`` decides which answers are hit."""

    seed: int = 0
    chamber: ChamberFaults = field(default_factory=ChamberFaults)
    supply: SupplyFaults = field(default_factory=SupplyFaults)
    logger: LoggerFaults = field(default_factory=LoggerFaults)
    chamber_line: LineFaults = field(default_factory=LineFaults)
    """Of all the chamber's protocols; a bench uses one."""
    second_line: LineFaults = field(default_factory=LineFaults)
    """Of the chamber's other line: what watches the bench has one of its own."""
    supply_line: LineFaults = field(default_factory=LineFaults)
    logger_line: LineFaults = field(default_factory=LineFaults)
    console_line: LineFaults = field(default_factory=LineFaults)


def seeded(faults: ServerFaults) -> Iterator[str]:
    """What is not as it should be, by name: ``chamber.lies``."""
    for part in fields(faults):
        held = getattr(faults, part.name)
        if part.name == "seed":
            continue
        for each in fields(held):
            if getattr(held, each.name) != each.default:
                yield f"{part.name}.{each.name}"
