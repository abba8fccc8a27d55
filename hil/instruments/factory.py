"""From the tables of ``bench.toml`` to drivers: for the bench, and again for its watchdog."""

from dataclasses import dataclass
from typing import Annotated, Literal

from device.table import Range, Size
from hil.clock import Clock
from hil.instruments import ascii2, espec_p300, simserv
from hil.instruments.ascii2 import Ascii2
from hil.instruments.espec_p300 import EspecP300
from hil.instruments.f4t import F4T
from hil.instruments.protocols import Chamber, ChamberLimits, Supply
from hil.instruments.scpi_supply import DialectName, ScpiSupply
from hil.instruments.simserv import Simserv
from hil.instruments.transport import PATIENCE, Link, Patience, is_serial

Address = Annotated[str, Size(1, 200)]
Celsius = Annotated[float, Range(-100.0, 250.0)]
Rate = Annotated[float, Range(0.1, 30.0)]
ChamberKind = Literal["espec", "simserv", "ascii2", "f4t"]


@dataclass(frozen=True)
class ChamberTable:
    """``[chamber]``. Range and rates are the data sheet's; the controller's own narrow them."""

    kind: ChamberKind
    address: Address
    """``host:port``, a serial device, or what pyserial calls a URL."""
    lowest_c: Celsius
    highest_c: Celsius
    cooling_k_per_min: Rate
    heating_k_per_min: Rate
    humidity: bool = False
    """Whether it regulates moisture."""
    unit: Annotated[int, Range(0, 255)] | None = None
    """Its number: on a shared serial line (ESPEC), in the protocol (ASCII-2, Modbus)."""
    second: Address | None = None
    """Another line to it, for the watchdog alone; by default it opens one more of the first."""
    baud: Annotated[int, Range(300, 921_600)] = 9600

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a range that is none."""
        if not self.lowest_c < self.highest_c:
            raise ValueError(
                f"lowest_c {self.lowest_c:g} is not below highest_c {self.highest_c:g}"
            )

    @property
    def limits(self) -> ChamberLimits:
        """As the data sheet has them."""
        return ChamberLimits(
            self.lowest_c,
            self.highest_c,
            self.cooling_k_per_min,
            self.heating_k_per_min,
            self.humidity,
        )

    @property
    def shared(self) -> bool:
        """Whether the watchdog may have a line open beside the bench's: not on one serial line."""
        return self.second is not None or not is_serial(self.address)


@dataclass(frozen=True)
class SupplyTable:
    """``[supply]``: its output is the pedal's key."""

    address: Address
    """As the chamber's, or a VISA resource."""
    dialect: DialectName = "scpi"
    output: Annotated[int, Range(1, 8)] | None = None
    """Which, of a supply that has several."""
    baud: Annotated[int, Range(300, 921_600)] = 9600


def make_chamber(
    table: ChamberTable,
    clock: Clock,
    *,
    band_c: tuple[float, float] | None = None,
    address: str | None = None,
    patience: Patience = PATIENCE,
) -> Chamber:
    """The chamber's driver; asks it who it is. Raises ``InstrumentError``.

    ``band_c``: what its own alarm limits are set to, where it has some. ``address`` stands in for
    the table's.
    """
    at = address or table.address
    if table.kind == "f4t":
        return F4T("chamber", at, table.limits, clock, unit=table.unit or 1, patience=patience)

    def link(end: bytes) -> Link:
        return Link("chamber", at, end=end, patience=patience, baud=table.baud)

    if table.kind == "espec":
        return EspecP300(link(espec_p300.END), table.limits, clock, unit=table.unit, band_c=band_c)
    if table.kind == "simserv":
        return Simserv(link(simserv.END), table.limits, clock)
    return Ascii2(link(ascii2.END), table.limits, clock, unit=table.unit or 1)


def make_supply(table: SupplyTable, clock: Clock, patience: Patience = PATIENCE) -> Supply:
    """The supply's driver; asks it who it is. Raises ``InstrumentError``."""
    return ScpiSupply(
        "supply",
        table.address,
        clock,
        output=table.output,
        dialect=table.dialect,
        baud=table.baud,
        patience=patience,
    )
