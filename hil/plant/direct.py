"""A bench right on the plant, without wires: for the proof of the checks, and for tests."""

from dataclasses import dataclass, field
from typing import Any

from hil.bench import Bench
from hil.instruments.protocols import ChamberLimits, ChamberReading, SupplyReading
from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters
from hil.plant.plant import Plant
from hil.suites.delay import Signal


@dataclass
class DirectChamber:
    """The plant's chamber. See ``hil.instruments.protocols``."""

    plant: Plant
    model: str = "plant"
    limits: ChamberLimits = field(
        default_factory=lambda: ChamberLimits(-70.0, 150.0, 3.0, 4.0, humidity=True)
    )

    def read(self) -> ChamberReading:
        """See the protocol."""
        chamber = self.plant.chamber
        return ChamberReading(
            air_c=chamber.air_c,
            setpoint_c=chamber.setpoint_c,
            humidity_percent=chamber.humidity_percent,
            humidity_setpoint_percent=chamber.humidity_setpoint_percent,
            running=chamber.running,
            alarms=(chamber.alarm,) if chamber.alarm else (),
            door_open=chamber.door_open,
        )

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol."""
        self.plant.chamber.setpoint_c = temperature_c
        self.plant.chamber.humidity_setpoint_percent = humidity_percent

    def start(self) -> None:
        """See the protocol."""
        self.plant.chamber.running = True

    def stop(self) -> None:
        """See the protocol."""
        self.plant.chamber.running = False

    def close(self) -> None:
        """See the protocol."""


@dataclass
class DirectSupply:
    """The plant's supply. See ``hil.instruments.protocols``."""

    plant: Plant
    model: str = "plant"

    def set(self, volts: float, limit_a: float) -> None:
        """See the protocol."""
        self.plant.source.volts, self.plant.source.limit_a = volts, limit_a

    def switch(self, on: bool) -> None:
        """See the protocol."""
        self.plant.source.on = on

    def read(self) -> SupplyReading:
        """See the protocol."""
        load = self.plant.load
        return SupplyReading(load.volts, load.amperes, self.plant.source.on)

    def close(self) -> None:
        """See the protocol."""


@dataclass
class DirectCouples:
    """Thermocouples on every lump. See ``hil.instruments.protocols``."""

    plant: Plant
    model: str = "plant"

    def read(self) -> dict[str, float]:
        """See the protocol."""
        return self.plant.thermocouples_c()

    def close(self) -> None:
        """See the protocol."""


@dataclass
class DirectAudio:
    """A recorder on the jacks. See ``hil.instruments.protocols``."""

    plant: Plant
    model: str = "plant"
    rate_hz: int = 48_000
    own_frames: float = 0.0

    def shot(self, signal: Signal) -> Signal:
        """See the protocol."""
        heard = self.plant.pedal.sound(signal, self.plant.now_s())
        self.plant.sleep(len(heard) / self.rate_hz)
        return heard

    def close(self) -> None:
        """See the protocol."""


@dataclass
class DirectUnit:
    """The fast pedal. See ``hil.instruments.protocols``."""

    plant: Plant
    serial: str = "plant"
    software: str = "this checkout"

    def status(self) -> dict[str, Any]:
        """See the protocol."""
        running = self.plant.boot.phase == "running"
        return self.plant.pedal.status() if running else {}

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """See the protocol."""
        self.plant.pedal.turn(self.plant.now_s() + after_s, position)

    def choose(self, engine: str) -> None:
        """See the protocol."""
        self.plant.pedal.engine = engine  # type: ignore[assignment]

    def configure(self, period_frames: int, periods: int) -> None:
        """See the protocol."""
        self.plant.pedal.period_frames, self.plant.pedal.periods = period_frames, periods

    def kill(self, process: str) -> None:
        """See the protocol."""
        self.plant.pedal.kill(self.plant.now_s(), process)

    def unplug(self, seconds: float) -> None:
        """See the protocol."""
        self.plant.pedal.unplug(self.plant.now_s() + seconds)

    def inject(self, what: str, on: bool = True) -> bool:
        """See the protocol."""
        self.plant.pedal.inject(what, on, self.plant.now_s())
        return True

    def close(self) -> None:
        """See the protocol."""


@dataclass
class Willing:
    """An operator who always says the same."""

    says: bool | None = True

    def ask(self, what: str) -> bool | None:
        """See ``hil.bench.Operator``."""
        return self.says


def direct_bench(
    faults: PlantFaults | None = None, seed: int = 0, parameters: Parameters | None = None
) -> tuple[Bench, Plant]:
    """A bench on a plant of its own."""
    plant = Plant(parameters, faults, seed)
    bench = Bench(
        clock=plant,
        chamber=DirectChamber(plant),
        supply=DirectSupply(plant),
        thermocouples=DirectCouples(plant),
        audio=DirectAudio(plant),
        unit=DirectUnit(plant),
        operator=Willing(),
    )
    return bench, plant
