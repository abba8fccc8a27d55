"""The tables of ``bench.toml``.

``measured`` says whether what comes of it may be called measured. A table's ``kind`` may be
``"simulated"`` while a bench is being built: the plant stands in for that instrument then, in real
time, and nothing that comes of it is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from device.table import Range, Size
from hil.bench import Certificate, Product
from hil.instruments.factory import Address, ChamberTable, SupplyTable
from hil.instruments.thermocouples import Couple

Channel = Annotated[int, Range(0, 63)]
Name = Annotated[str, Size(1, 100)]
Baud = Annotated[int, Range(300, 921_600)]


@dataclass(frozen=True)
class SimulatedTable:
    """The plant stands in."""

    kind: Literal["simulated"]


@dataclass(frozen=True)
class CoupleTable:
    """``[[thermocouples.couple]]``."""

    channel: Annotated[int, Range(1, 9999)]
    position: Name
    where: Annotated[str, Size(1, 400)]
    """In words, for the report."""
    uncertainty_k: Annotated[float, Range(0.0, 10.0)] = 1.0
    """Couple and logger together; a class 1 type T couple: 0.5 K (IEC 60584-1)."""


@dataclass(frozen=True)
class LoggerTable:
    """``[thermocouples]``."""

    address: Address
    couple: Annotated[tuple[CoupleTable, ...], Size(1, 60)]
    type: Couple = "T"
    baud: Baud = 9600


@dataclass(frozen=True)
class AlsaTable:
    """``[audio]``: the bench's own card."""

    card: Name
    """By a stable name: ``hw:CARD=Bench``."""
    rate_hz: Annotated[int, Range(44_100, 192_000)] = 48_000
    period_frames: Annotated[int, Range(16, 4096)] = 256
    periods: Annotated[int, Range(2, 16)] = 4
    input_channel: Channel = 0
    """Where the pedal's output is plugged in, counted from 0."""
    reference_channel: Channel | None = None
    """Where a cable from the card's own output is plugged in."""
    loopback: Name = "loopback.json"
    """What ``python -m hil loopback`` wrote, relative to this file."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for two cables in one socket."""
        if self.reference_channel == self.input_channel:
            raise ValueError("reference_channel is the pedal's input_channel; give another")

    @property
    def inputs(self) -> tuple[int, ...]:
        """The pedal's first."""
        reference = self.reference_channel
        return (self.input_channel,) if reference is None else (self.input_channel, reference)


@dataclass(frozen=True)
class ConsoleTable:
    """``[console]``: the pedal's serial console."""

    address: Address
    user: Name = "root"
    password: Annotated[str, Size(0, 200)] = ""
    baud: Baud = 115_200


@dataclass(frozen=True)
class ConsoleUnitTable:
    """``[unit]``: the pedal, by its console."""

    kind: Literal["console"] = "console"
    serial: Annotated[str, Size(0, 100)] = ""
    """As it is written on it; empty: the module's own."""
    card: Name = "Pedal"
    """Id of its interface, ``/proc/asound/Pedal``."""


@dataclass(frozen=True)
class MidiKnobTable:
    """``[knob]``: over MIDI."""

    kind: Literal["midi"]
    device: Address
    """The bench's raw MIDI device, ``/dev/snd/midiC2D0``."""
    controller: Annotated[int, Range(0, 127)] = 11
    channel: Annotated[int, Range(1, 16)] = 1


@dataclass(frozen=True)
class VoltageKnobTable:
    """``[knob]``: a supply's output in the potentiometer's place."""

    kind: Literal["voltage"]
    address: Address
    full_v: Annotated[float, Range(0.5, 5.5)]
    """The converter's reference."""
    output: Annotated[int, Range(1, 8)] | None = None


@dataclass(frozen=True)
class GuardTable:
    """``[guard]``. See ``hil/instruments/guard.py`` and ``watchdog.py``."""

    ramp_k_per_min: Annotated[float, Range(0.1, 2.5)] = 2.5
    """Setpoints are led no faster; with what a minute may catch up, 3 K/min in five minutes."""
    beyond_k: Annotated[float, Range(1.0, 20.0)] = 5.0
    silent_s: Annotated[float, Range(2.0, 300.0)] = 10.0
    stuck_s: Annotated[float, Range(60.0, 14_400.0)] = 1800.0


@dataclass(frozen=True)
class OperatorTable:
    """``[operator]``."""

    name: Annotated[str, Size(0, 100)] = ""


# A table that comes in kinds: device.table asks ``choose`` which it is.


@dataclass(frozen=True)
class AnyChamber:
    """``[chamber]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        return _simulated_or(ChamberTable, data)


@dataclass(frozen=True)
class AnySupply:
    """``[supply]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        return _simulated_or(SupplyTable, data)


@dataclass(frozen=True)
class AnyLogger:
    """``[thermocouples]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        return _simulated_or(LoggerTable, data)


@dataclass(frozen=True)
class AnyAudio:
    """``[audio]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        return _simulated_or(AlsaTable, data)


@dataclass(frozen=True)
class AnyUnit:
    """``[unit]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        return _simulated_or(ConsoleUnitTable, data)


@dataclass(frozen=True)
class AnyKnob:
    """``[knob]``."""

    @staticmethod
    def choose(data: Mapping[str, object]) -> type[Any]:
        """By its kind."""
        kinds: dict[object, type[Any]] = {"midi": MidiKnobTable, "voltage": VoltageKnobTable}
        kind = data.get("kind")
        if kind not in kinds:
            raise ValueError(f"kind is {kind!r:.40}, but must be 'midi' or 'voltage'")
        return kinds[kind]


def _simulated_or(real: type[Any], data: Mapping[str, object]) -> type[Any]:
    return SimulatedTable if data.get("kind") == "simulated" else real


@dataclass(frozen=True)
class BenchTable:
    """The whole file."""

    measured: bool
    """Whether what comes of it may be called measured."""
    chamber: AnyChamber
    supply: AnySupply
    thermocouples: AnyLogger
    audio: AnyAudio
    unit: AnyUnit = field(default_factory=ConsoleUnitTable)  # type: ignore[assignment]
    console: ConsoleTable | None = None
    knob: AnyKnob | None = None
    product: Product = field(default_factory=Product)
    guard: GuardTable = field(default_factory=GuardTable)
    operator: OperatorTable = field(default_factory=OperatorTable)
    certificate: tuple[Certificate, ...] = ()
