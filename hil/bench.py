"""The bench: the instruments that a suite is given, and what it must know of the product."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hil.clock import Clock
from hil.instruments.protocols import AudioLoop, Chamber, Console, Supply, Thermocouples, Unit


class Operator(Protocol):
    """The person at the bench."""

    def ask(self, what: str) -> bool | None:
        """Have something done or looked at: yes, no, or None where nobody is there."""


@dataclass(frozen=True)
class Product:
    """The pedal's own limits; what a bench may never exceed."""

    storage_lowest_c: float = -45.0
    storage_highest_c: float = 75.0
    operation_lowest_c: float = -40.0
    operation_highest_c: float = 75.0
    volts: float = 12.0
    lowest_v: float = 9.0
    highest_v: float = 20.0
    limit_a: float = 5.0
    """Current limit of the supply: the pedal's fuse."""
    pre_heater_a: float = 2.3
    """What the pre-heater takes alone: another current means that the module has power."""


@dataclass(frozen=True)
class Certificate:
    """An instrument's calibration, as it stands in the report."""

    instrument: str
    serial: str = ""
    calibrated: str = ""
    """Date and number of the certificate."""
    uncertainty: str = ""


@dataclass(frozen=True)
class Bench:
    """All of it. ``measured`` is False for a simulated one, and the report says so everywhere."""

    clock: Clock
    chamber: Chamber
    supply: Supply
    thermocouples: Thermocouples
    audio: AudioLoop
    unit: Unit
    operator: Operator
    console: Console | None = None
    measured: bool = False
    product: Product = field(default_factory=Product)
    certificates: tuple[Certificate, ...] = ()
    positions: dict[str, str] = field(default_factory=dict)
    """Where each thermocouple sits, in words."""
    file: Path | None = None
    """The ``bench.toml`` that it was read from."""
