"""The simulated bench: the real drivers, over real sockets, in front of one plant in virtual time.

What an instrument is asked and answers is to the byte what it is on a rig, and guard and watchdog
are the rig's; sound and the pedal itself are the plant's. Nothing that is measured here is a pedal:
``Bench.measured`` is False.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal, get_args

from hil.bench import Bench, Certificate, Product
from hil.budgets import BUDGETS, budget_of
from hil.errors import BenchError, InstrumentError
from hil.instruments.bounds import Bounds
from hil.instruments.factory import (
    ChamberKind,
    ChamberTable,
    SupplyTable,
    make_chamber,
    make_supply,
)
from hil.instruments.guard import Guard, GuardedThermocouples
from hil.instruments.protocols import Chamber, ChamberReading, Supply, Thermocouples
from hil.instruments.serial_console import SerialConsole
from hil.instruments.thermocouples import ScpiThermocouples
from hil.instruments.transport import Patience
from hil.instruments.watchdog import Watch, Watchdog
from hil.plant.direct import DirectAudio, DirectUnit, Willing
from hil.plant.plant import Plant
from hil.servers.console import PASSWORD, USER
from hil.servers.faults import ServerFaults
from hil.servers.servers import Servers, start_servers
from hil.suites import recovery
from hil.suites.rig import Rig
from hil.suites.trace import Trace

KINDS: tuple[ChamberKind, ...] = get_args(ChamberKind)
Watched = Literal["watchdog", "guard", "nobody"]
"""Guard and watchdog as on a rig; a guard alone, where a second is dear; or neither."""
PATIENCE = Patience(connect_s=2.0, answer_s=2.0, tries=3)
"""Real seconds. A server answers in a millisecond; a busy machine may keep it from that."""
WATCH = Watch(persist_s=10.0)
"""A simulated chamber that cannot be reached may be left alone."""
POSITIONS: Mapping[str, str] = {
    "air": "free in the chamber's air, 10 cm beside the pedal",
    "enclosure": "under the lid, in its middle",
    "module": "on the module's heat sink",
    "die": "the model's own: no couple reaches it on a rig",
    "board": "on the carrier, beside the codec",
    "adc": "on the knob's converter",
    "interface": "on the audio interface's quartz",
    "display": "on the back of the display",
    "battery": "between the cells",
}
CERTIFICATE = "the model's reading; no instrument"
_BURST = 1.2
"""So much faster than its pace the guard may lead within five minutes (``bounds.Ramp``)."""


def tables(
    plant: Plant, servers: Servers, kind: ChamberKind, humidity: bool = True
) -> tuple[ChamberTable, SupplyTable]:
    """What would stand in ``bench.toml``: the plant's chamber by its data sheet, and the supply."""
    p = plant.parameters
    chamber = ChamberTable(
        kind=kind,
        address=getattr(servers, kind),
        lowest_c=p.chamber_lowest_c,
        highest_c=p.chamber_highest_c,
        cooling_k_per_min=p.chamber_cooling_k_per_min,
        heating_k_per_min=p.chamber_heating_k_per_min,
        humidity=humidity,
        second=servers.second(kind),
    )
    return chamber, SupplyTable(address=servers.supply)


def bounds_of(table: ChamberTable, product: Product) -> Bounds:
    """What chamber and product both bear; the pace that keeps the ramp's limit."""
    return Bounds(
        lowest_c=max(table.lowest_c, product.storage_lowest_c),
        highest_c=min(table.highest_c, product.storage_highest_c),
        ramp_k_per_min=BUDGETS["ramp"].limit / _BURST,
        highest_v=product.highest_v,
        limit_a=product.limit_a,
    )


@contextmanager
def simulated_bench(
    plant: Plant | None = None,
    chamber: ChamberKind = "espec",
    faults: ServerFaults | None = None,
    *,
    watched: Watched = "watchdog",
    patience: Patience = PATIENCE,
) -> Iterator[Bench]:
    """A bench whose instruments are served by ``hil/servers``, for as long as the context lasts.

    ``plant`` is the bench's clock; without one, a sound plant at room temperature. ``chamber`` is
    the protocol that its chamber speaks. ``faults`` may be changed meanwhile; ``patience`` is real
    seconds. What is still on at the end is switched off, as far as it can be reached. Raises
    ``BenchError`` for a chamber that is none, ``InstrumentError`` where a fault shows at once.
    """
    if chamber not in KINDS:
        raise BenchError(f"{chamber!r} is no chamber of the simulation; use {', '.join(KINDS)}.")
    plant = plant or Plant()
    with ExitStack() as held:
        servers = held.enter_context(start_servers(plant, faults))
        yield _bench(plant, servers, chamber, watched, patience, held)


def _bench(
    plant: Plant,
    servers: Servers,
    kind: ChamberKind,
    watched: Watched,
    patience: Patience,
    held: ExitStack,
) -> Bench:
    """The drivers, guarded; ``held`` lets go of them."""
    product = Product()
    chamber_table, supply_table = tables(plant, servers, kind)
    raw_chamber = make_chamber(chamber_table, plant, patience=patience)
    held.callback(raw_chamber.close)
    raw_supply = make_supply(supply_table, plant, patience)
    held.callback(raw_supply.close)
    channels = {position: channel for channel, position in servers.positions.items()}
    raw_couples = ScpiThermocouples("logger", servers.logger, channels, patience=patience)
    held.callback(raw_couples.close)
    console = SerialConsole(
        "console", f"socket://{servers.console}", user=USER, password=PASSWORD, patience=patience
    )
    held.callback(console.close)

    def lose_link() -> Callable[[], bool]:
        servers.lose("chamber")
        return lambda: plant.chamber.running

    chamber: Chamber = Careless(raw_chamber, lose_link)
    supply: Supply = raw_supply
    couples: Thermocouples = raw_couples
    if watched != "nobody":
        bounds = bounds_of(chamber_table, product)
        dog = None
        if watched == "watchdog":
            dog = Watchdog(chamber_table, supply_table, bounds, WATCH)
        guard = Guard(bounds, plant, raw_chamber, raw_supply, dog, lose_link=lose_link)
        chamber, supply = guard.chamber, guard.supply
        couples = GuardedThermocouples(guard, raw_couples)
        held.callback(_close, supply)
        held.callback(_close, chamber)
    named = (chamber.model, supply.model, couples.model)
    return Bench(
        clock=plant,
        chamber=chamber,
        supply=supply,
        thermocouples=couples,
        audio=DirectAudio(plant),
        unit=DirectUnit(plant),
        operator=Willing(),
        console=console,
        product=product,
        certificates=tuple(Certificate(each, uncertainty=CERTIFICATE) for each in named),
        positions=dict(POSITIONS),
    )


def _close(instrument: Chamber | Supply) -> None:
    """What cannot be reached any more has been said before; the plant ends with the bench."""
    with suppress(InstrumentError):
        instrument.close()


class Careless:
    """A chamber as a bench without a guard has it: what does not answer is taken for what it was.

    See ``hil.instruments.protocols.Chamber``. For the proof that the guard is needed.
    """

    def __init__(self, chamber: Chamber, lose_link: Callable[[], Callable[[], bool]]) -> None:
        """``lose_link`` cuts its line."""
        self.chamber, self.lose_link = chamber, lose_link
        self.model, self.limits = chamber.model, chamber.limits
        self._last: ChamberReading | None = None

    def read(self) -> ChamberReading:
        """See the protocol."""
        try:
            self._last = self.chamber.read()
        except InstrumentError:
            if self._last is None:
                raise
        return self._last

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol."""
        self.chamber.set(temperature_c, humidity_percent)

    def start(self) -> None:
        """See the protocol."""
        self.chamber.start()

    def stop(self) -> None:
        """See the protocol."""
        self.chamber.stop()

    def close(self) -> None:
        """See the protocol."""
        self.chamber.close()


def link_failures(watched: Watched = "watchdog", chamber: ChamberKind = "espec") -> set[str]:
    """Budgets that the chamber's lost line breaks: none where it is watched over.

    The proof of ``hil/faults.py``'s stage ``link``, whose fault is that nobody does.
    """
    with simulated_bench(chamber=chamber, watched=watched) as bench:
        rig = Rig(bench, Trace(), "link", say=lambda line: None)
        recovery.link_lost(rig)
    return {budget_of(check.id) for check in rig.checks if not check.ok}
