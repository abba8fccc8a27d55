"""Reaching the instruments that a ``bench.toml`` names, one after the other; nothing moves by it.

Each raises ``InstrumentError`` where it cannot be reached, ``BenchError`` for what cannot be meant.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.bench import Certificate, Operator
from hil.bench_tables import (
    AlsaTable,
    BenchTable,
    ConsoleUnitTable,
    LoggerTable,
    MidiKnobTable,
    VoltageKnobTable,
)
from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.console_unit import ConsoleUnit, Places
from hil.instruments.factory import ChamberTable, SupplyTable, make_chamber, make_supply
from hil.instruments.knob import Knob, MidiKnob, VoltageKnob
from hil.instruments.protocols import AudioLoop, Chamber, Supply, Thermocouples, Unit
from hil.instruments.serial_console import SerialConsole
from hil.instruments.thermocouples import ScpiThermocouples
from hil.instruments.transport import PATIENCE, Patience
from hil.instruments.watchdog import Watch

_BAND_K = 5.0
"""The chamber's own alarm limits lie so far outside of the product's."""


@dataclass
class Stand:
    """What stands in for parts of a bench in tests."""

    clock: Clock | None = None
    operator: Operator | None = None
    audio: AudioLoop | None = None
    unit: Unit | None = None
    patience: Patience = PATIENCE
    watch: Watch | None = None
    places: Places | None = None


@dataclass
class Opening:
    """What has been reached so far."""

    table: BenchTable
    file: Path
    stand: Stand
    clock: Clock
    stack: ExitStack
    plant: Any = None
    """``hil.plant.direct``'s bench, where the plant stands in for something."""
    certificates: list[Certificate] = field(default_factory=list)


def _kept(opening: Opening, instrument: Any) -> Any:
    """Let go of it again where one of the others is refused."""
    opening.stack.callback(_quietly, instrument.close)
    return instrument


def _quietly(close: Callable[[], None]) -> None:
    with suppress(InstrumentError, OSError):
        close()


def reach_chamber(opening: Opening) -> Chamber:
    """The chamber's driver, or the plant's."""
    table, product = opening.table.chamber, opening.table.product
    if not isinstance(table, ChamberTable):
        return opening.plant.chamber
    band_c = (product.storage_lowest_c - _BAND_K, product.storage_highest_c + _BAND_K)
    chamber: Chamber = _kept(
        opening,
        make_chamber(table, opening.clock, band_c=band_c, patience=opening.stand.patience),
    )
    return chamber


def reach_supply(opening: Opening) -> Supply:
    """The supply's driver, or the plant's."""
    table = opening.table.supply
    if not isinstance(table, SupplyTable):
        return opening.plant.supply
    made: Supply = _kept(opening, make_supply(table, opening.clock, opening.stand.patience))
    return made


def reach_couples(opening: Opening) -> Thermocouples:
    """The logger's driver, or the plant's; with each couple's uncertainty."""
    table = opening.table.thermocouples
    if not isinstance(table, LoggerTable):
        return opening.plant.thermocouples
    made: Thermocouples = _kept(
        opening,
        ScpiThermocouples(
            "thermocouples",
            table.address,
            {each.position: each.channel for each in table.couple},
            couple=table.type,
            baud=table.baud,
            patience=opening.stand.patience,
        ),
    )
    opening.certificates += [
        Certificate(f"couple {each.position}", uncertainty=f"± {each.uncertainty_k:g} K")
        for each in table.couple
    ]
    return made


def positions(table: BenchTable) -> dict[str, str]:
    """Where each couple sits, in words."""
    logger = table.thermocouples
    if not isinstance(logger, LoggerTable):
        return {}
    return {each.position: each.where for each in logger.couple}


def reach_console(opening: Opening) -> SerialConsole | None:
    """The pedal's console, where the bench has one."""
    table = opening.table.console
    if table is None:
        return None
    made: SerialConsole = _kept(
        opening,
        SerialConsole(
            "console",
            table.address,
            user=table.user,
            password=table.password,
            baud=table.baud,
            patience=opening.stand.patience,
        ),
    )
    return made


def reach_knob(opening: Opening) -> Knob | None:
    """What turns the knob, where something does."""
    table = opening.table.knob
    knob: Knob | None = None
    if isinstance(table, MidiKnobTable):
        knob = MidiKnob(Path(table.device), table.controller, table.channel)
    elif isinstance(table, VoltageKnobTable):
        supply = SupplyTable(table.address, output=table.output)
        output = make_supply(supply, opening.clock, opening.stand.patience)
        knob = VoltageKnob(output, table.full_v)
    if knob is not None:
        _kept(opening, knob)
    return knob


def reach_audio(opening: Opening) -> AudioLoop:
    """The card's loop, or the plant's; with its own round trip as it was measured."""
    table = opening.table.audio
    if opening.stand.audio is not None:
        return opening.stand.audio
    if not isinstance(table, AlsaTable):
        return opening.plant.audio
    from hil.instruments.alsa_duplex import AlsaDuplex
    from hil.instruments.alsa_loop import AlsaLoop
    from hil.instruments.loopback import read_loopback

    loopback = read_loopback(opening.file.parent / table.loopback)
    duplex = AlsaDuplex(table.card, table.rate_hz, table.period_frames, table.periods, table.inputs)
    made: AudioLoop = _kept(opening, AlsaLoop(duplex, loopback))
    opening.certificates.append(
        Certificate(
            f"audio {table.card}",
            uncertainty=f"own round trip ± {loopback.spread_frames / 2.0:.4f} frames over "
            f"{loopback.starts} starts",
        )
    )
    return made


def reach_unit(opening: Opening, console: SerialConsole | None, knob: Knob | None) -> Unit:
    """The pedal by its console, or the plant's."""
    table = opening.table.unit
    if opening.stand.unit is not None:
        return opening.stand.unit
    if not isinstance(table, ConsoleUnitTable) or console is None:
        return opening.plant.unit
    places = opening.stand.places or Places(card=table.card)
    return ConsoleUnit(console, knob, places, serial=table.serial)
