"""The simulated bench: the real drivers, over real sockets, in front of one plant in virtual time.

What an instrument is asked and answers is to the byte what it is on a rig; sound and the pedal
itself are the plant's. Nothing that is measured here is a pedal: ``Bench.measured`` is False.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from hil.bench import Bench, Certificate
from hil.clock import Clock
from hil.errors import BenchError
from hil.instruments import ascii2, espec_p300, simserv
from hil.instruments.ascii2 import Ascii2
from hil.instruments.espec_p300 import EspecP300
from hil.instruments.f4t import F4T
from hil.instruments.protocols import Chamber, ChamberLimits, ChamberReading
from hil.instruments.scpi_supply import ScpiSupply
from hil.instruments.serial_console import SerialConsole
from hil.instruments.simserv import Simserv
from hil.instruments.thermocouples import ScpiThermocouples
from hil.instruments.transport import Link, Patience
from hil.plant.direct import DirectAudio, DirectUnit, Willing
from hil.plant.plant import Plant
from hil.servers.console import PASSWORD, USER
from hil.servers.faults import Lost, ServerFaults
from hil.servers.servers import Servers, start_servers

Kind = Literal["espec", "simserv", "ascii2", "f4t"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PATIENCE = Patience(connect_s=2.0, answer_s=2.0, tries=3)
"""Real seconds. A server answers in a millisecond; a busy machine may keep it from that."""
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
CERTIFICATE = "the model's reading, its noise of 0.05 K included; no instrument"


def limits_of(plant: Plant, humidity: bool = True) -> ChamberLimits:
    """What a data sheet of the plant's chamber would say."""
    p = plant.parameters
    return ChamberLimits(
        p.chamber_lowest_c,
        p.chamber_highest_c,
        p.chamber_cooling_k_per_min,
        p.chamber_heating_k_per_min,
        humidity=humidity,
    )


def chamber_driver(
    kind: Kind, address: str, limits: ChamberLimits, clock: Clock, patience: Patience = PATIENCE
) -> Chamber:
    """The driver for a chamber that is served; asks it who it is. Raises ``InstrumentError``."""
    if kind == "f4t":
        return F4T("chamber", address, limits, clock, patience=patience)
    end = {"espec": espec_p300.END, "simserv": simserv.END, "ascii2": ascii2.END}[kind]
    link = Link("chamber", address, end=end, patience=patience)
    driver = {"espec": EspecP300, "simserv": Simserv, "ascii2": Ascii2}[kind]
    made: Chamber = driver(link, limits, clock)
    return made


@dataclass
class SimulatedChamber:
    """A chamber whose line can be taken away. See ``hil.instruments.protocols.Chamber``."""

    chamber: Chamber
    servers: Servers

    def __post_init__(self) -> None:
        """What it says of itself is the driver's."""
        self.model, self.limits = self.chamber.model, self.chamber.limits

    def read(self) -> ChamberReading:
        """See the protocol."""
        return self.chamber.read()

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

    def lose_link(self, how: Lost = "closed") -> Callable[[], bool]:
        """Take its line away; gives what tells whether the chamber still regulates."""
        self.servers.lose("chamber", how)
        return lambda: self.servers.plant.chamber.running

    def find_link(self) -> None:
        """Give the line back."""
        self.servers.lose("chamber", "")


@contextmanager
def simulated_bench(
    plant: Plant | None = None,
    chamber: Kind = "espec",
    faults: ServerFaults | None = None,
) -> Iterator[Bench]:
    """A bench whose instruments are served by ``hil/servers``, for as long as the context lasts.

    ``plant`` is the bench's clock; without one, a sound plant at room temperature. ``chamber`` is
    the protocol that its chamber speaks. Raises ``BenchError`` for one that is none.
    """
    if chamber not in KINDS:
        raise BenchError(f"{chamber!r} is no chamber of the simulation; use {', '.join(KINDS)}.")
    plant = plant or Plant()
    with ExitStack() as held:
        servers = held.enter_context(start_servers(plant, faults))
        yield _bench(plant, servers, chamber, held)


def _bench(plant: Plant, servers: Servers, kind: Kind, held: ExitStack) -> Bench:
    """The drivers; ``held`` lets go of them."""
    driver = chamber_driver(kind, getattr(servers, kind), limits_of(plant), plant)
    held.callback(driver.close)
    supply = ScpiSupply("supply", servers.supply, plant, patience=PATIENCE)
    held.callback(supply.close)
    channels = {position: channel for channel, position in servers.positions.items()}
    couples = ScpiThermocouples("logger", servers.logger, channels, patience=PATIENCE)
    held.callback(couples.close)
    console = SerialConsole(
        "console", f"socket://{servers.console}", user=USER, password=PASSWORD, patience=PATIENCE
    )
    held.callback(console.close)
    named = (driver.model, supply.model, couples.model)
    return Bench(
        clock=plant,
        chamber=SimulatedChamber(driver, servers),
        supply=supply,
        thermocouples=couples,
        audio=DirectAudio(plant),
        unit=DirectUnit(plant),
        operator=Willing(),
        console=console,
        certificates=tuple(Certificate(each, uncertainty=CERTIFICATE) for each in named),
        positions=dict(POSITIONS),
    )
