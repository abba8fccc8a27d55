"""A real bench from its ``bench.toml``.

``open_bench`` reads the file, reaches every instrument, and looks whether what they say can be
true; whatever is wrong is one sentence, and nothing has moved. Only then the guard and its watchdog
take over, and the pedal is switched on for as long as it takes to ask who it is.
``hil/instruments/README.md`` has the keys.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.bench import Bench, Product
from hil.bench_checks import read_bench, simulated
from hil.bench_reach import (
    Opening,
    Stand,
    positions,
    reach_audio,
    reach_chamber,
    reach_console,
    reach_couples,
    reach_knob,
    reach_supply,
    reach_unit,
)
from hil.bench_tables import AlsaTable, BenchTable
from hil.clock import RealClock
from hil.errors import BenchError, InstrumentError
from hil.instruments.bounds import Bounds
from hil.instruments.console_unit import ConsoleUnit
from hil.instruments.factory import ChamberTable, SupplyTable
from hil.instruments.guard import Guard, GuardedThermocouples
from hil.instruments.loopback import STARTS, Loopback, measure_loopback, write_loopback
from hil.instruments.operator import TerminalOperator
from hil.instruments.protocols import Chamber, Supply, Thermocouples
from hil.instruments.watchdog import Watch, Watchdog

AGREE_K = 5.0
"""Chamber and our own couple, both at rest, may differ by so much; more, and one of them lies."""
BOOT_S = 120.0
ROOM_C = (5.0, 40.0)
"""The pedal is switched on to be asked who it is: only where it starts at once."""


def open_bench(file: Path, stand: Stand | None = None) -> Bench:
    """The bench of ``file``; closing its chamber and its supply switches both off.

    Raises ``BenchError`` for a file or limits that cannot be used, ``InstrumentError`` for an
    instrument that cannot be reached or does not tell the truth; then nothing has moved.
    """
    stand = stand or Stand()
    table = read_bench(file)
    with ExitStack() as stack:
        clock, stand_in = stand.clock or RealClock(), None
        if simulated(table):
            from hil.paced import PacedPlant
            from hil.plant.direct import direct_bench

            stand_in, plant = direct_bench()
            clock = stand.clock or PacedPlant(plant)
        opening = Opening(table, file, stand, clock, stack, stand_in)
        chamber = reach_chamber(opening)
        supply = reach_supply(opening)
        couples = reach_couples(opening)
        console = reach_console(opening)
        knob = reach_knob(opening)
        audio = reach_audio(opening)
        unit = reach_unit(opening, console, knob)
        _check_models(table, chamber, supply, couples)
        _check_chamber(table.product, chamber)
        _check_truth(chamber, supply, couples)
        bench = Bench(
            clock=clock,
            chamber=chamber,
            supply=supply,
            thermocouples=couples,
            audio=audio,
            unit=unit,
            operator=stand.operator or TerminalOperator(table.operator.name),
            console=console,
            measured=table.measured,
            product=table.product,
            certificates=(*table.certificate, *opening.certificates),
            positions=positions(table),
            file=file,
        )
        bench = guarded(bench, table, stand.watch)
        try:
            _identify(bench)
        except BaseException:
            # From here on something moves, so it is switched off before it is let go of.
            with suppress(InstrumentError):
                bench.chamber.close()
            with suppress(InstrumentError):
                bench.supply.close()
            raise
        stack.pop_all()
        return bench


def guarded(
    bench: Bench,
    table: BenchTable,
    watch: Watch | None = None,
    lose_link: Callable[[], Callable[[], bool]] | None = None,
) -> Bench:
    """The bench behind its guard and its watchdog. Raises ``InstrumentError``."""
    limits, product, asked = bench.chamber.limits, bench.product, table.guard
    bounds = Bounds(
        lowest_c=max(limits.lowest_c, product.storage_lowest_c),
        highest_c=min(limits.highest_c, product.storage_highest_c),
        ramp_k_per_min=asked.ramp_k_per_min,
        highest_v=product.highest_v,
        limit_a=product.limit_a,
        beyond_k=asked.beyond_k,
    )
    chamber = table.chamber if isinstance(table.chamber, ChamberTable) else None
    supply = table.supply if isinstance(table.supply, SupplyTable) else None
    watchdog = None
    if chamber is not None or supply is not None:
        watch = watch or Watch(silent_s=asked.silent_s, stuck_s=asked.stuck_s)
        watchdog = Watchdog(chamber, supply, bounds, watch)
    guard = Guard(bounds, bench.clock, bench.chamber, bench.supply, watchdog, lose_link=lose_link)
    return replace(
        bench,
        chamber=guard.chamber,
        supply=guard.supply,
        thermocouples=GuardedThermocouples(guard, bench.thermocouples),
    )


def measure_audio(
    file: Path, starts: int = STARTS, say: Callable[[str], None] = print, library: Any = None
) -> tuple[Loopback, Path]:
    """The card's own round trip, a cable in the pedal's place; and the file that keeps it.

    Needs nothing of the bench but its card. Raises ``BenchError``, ``InstrumentError``.
    """
    from hil.instruments.alsa_duplex import AlsaDuplex
    from hil.instruments.alsa_loop import AlsaLoop

    table = read_bench(file).audio
    if not isinstance(table, AlsaTable):
        raise BenchError(f"{file}: audio is simulated; name the bench's card to measure it.")
    duplex = AlsaDuplex(
        table.card,
        table.rate_hz,
        table.period_frames,
        table.periods,
        table.inputs,
        library=library,
    )
    loop = AlsaLoop(duplex)
    try:
        found = measure_loopback(loop, duplex, starts, say)
    finally:
        loop.close()
    keep = file.parent / table.loopback
    write_loopback(keep, found)
    return found, keep


# -- believing them -------------------------------------------------------------------------------


def _check_models(table: BenchTable, *instruments: Any) -> None:
    """Raise ``BenchError`` where one says of itself that it is simulated, and is to be measured."""
    for each in instruments:
        if table.measured and "simulat" in each.model.casefold():
            raise BenchError(
                f"{each.model} says that it is simulated, and nothing that comes of it is "
                "measured; set measured = false."
            )


def _check_chamber(product: Product, chamber: Chamber) -> None:
    """Raise ``BenchError`` where its controller is set to less than the product's range."""
    limits = chamber.limits
    low_c, high_c = product.storage_lowest_c, product.storage_highest_c
    if limits.lowest_c > low_c or limits.highest_c < high_c:
        raise BenchError(
            f"{chamber.model} is set to {limits.lowest_c:g} to {limits.highest_c:g} °C by its own "
            f"controller, less than the product's {low_c:g} to {high_c:g} °C; set it wider there, "
            "or narrow [product]."
        )


def _check_truth(chamber: Chamber, supply: Supply, couples: Thermocouples) -> None:
    """Raise ``InstrumentError`` for what cannot be so, or is not at rest."""
    air, read, given = chamber.read(), couples.read(), supply.read()
    if air.alarms or air.door_open:
        what = ", ".join(air.alarms) or "its door is open"
        raise InstrumentError(f"{chamber.model}: {what}; mend that first.")
    if air.running:
        raise InstrumentError(f"{chamber.model} is running; stop it at its panel first.")
    if given.on:
        raise InstrumentError(f"{supply.model}: its output is on; switch it off first.")
    own_c = read.get("air", math.nan)
    for position in ("air", "module"):
        if not math.isfinite(read.get(position, math.nan)):
            raise InstrumentError(
                f"{couples.model}: the couple {position} is open; mend its wire or its channel."
            )
    if not abs(air.air_c - own_c) <= AGREE_K:
        raise InstrumentError(
            f"{chamber.model} shows {air.air_c:g} °C and our own couple in the air {own_c:g} °C: "
            "one of them does not tell the truth; check units, channels and where the couple is."
        )


def _identify(bench: Bench) -> None:
    """Have the pedal say who it is; switches it on for that, and off again."""
    unit, product = bench.unit, bench.product
    if not isinstance(unit, ConsoleUnit):
        return
    module_c = bench.thermocouples.read()["module"]
    if not ROOM_C[0] <= module_c <= ROOM_C[1]:
        raise InstrumentError(
            f"the pedal is at {module_c:g} °C, and has to be asked who it is at room temperature "
            f"({ROOM_C[0]:g} to {ROOM_C[1]:g} °C); let it get there first."
        )
    bench.supply.set(product.volts, product.limit_a)
    bench.supply.switch(True)
    end_s = bench.clock.now_s() + BOOT_S
    try:
        while not unit.identify():
            if bench.clock.now_s() >= end_s:
                raise InstrumentError(
                    f"the pedal does not say who it is within {BOOT_S:g} s after it was switched "
                    "on; check its console's line, user and password."
                )
            bench.clock.sleep(1.0)
    finally:
        bench.supply.switch(False)


__all__ = ["Stand", "guarded", "measure_audio", "open_bench"]
