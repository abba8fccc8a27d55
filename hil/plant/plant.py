"""All of it together, in virtual time: whoever sleeps by its clock makes it go on."""

import math
import random
from collections.abc import Callable

from hil.plant import oscillator
from hil.plant.boot import BootChain
from hil.plant.chamber import ChamberPlant
from hil.plant.electrical import Load, Source, inrush_v, load
from hil.plant.faults import PlantFaults
from hil.plant.moisture import Film
from hil.plant.parameters import Parameters
from hil.plant.pedal import FastPedal
from hil.plant.thermal import NODES, Network

STEP_S = 1.0
FINE_STEP_S = 0.05
"""While something happens that is timed: from key-on to wet sound, and where a suite asks."""
_FINE_AFTER_START_S = 12.0


class Plant:
    """Chamber, supply, box and pedal. It is also the bench's clock (``hil.clock.Clock``)."""

    def __init__(
        self,
        parameters: Parameters | None = None,
        faults: PlantFaults | None = None,
        seed: int = 0,
    ) -> None:
        """All at the room's temperature, everything off."""
        self.parameters = p = parameters or Parameters()
        self.faults = faults or PlantFaults()
        self.random = random.Random(seed)
        self.chamber = ChamberPlant(p, self.random)
        self.source = Source(p)
        self.network = Network(p, p.room_c)
        self.boot = BootChain(p, self.faults)
        self.pedal = FastPedal(p, self.faults, self.random)
        self.film = Film(p)
        self.load = Load(0.0, 0.0)
        self.lowest_v = math.inf
        """Lowest voltage since it was asked for last (``take_lowest_v``)."""
        self.brownouts = 0
        self.fine = False
        """Whether small steps are wanted, because something is being timed."""
        self._now_s = 0.0
        self._on = self._module_on = False
        self.watchers: list[Callable[[float], None]] = []
        """Called after each step with the time."""

    # -- the clock --------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Virtual seconds since the plant was made."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Go on for ``seconds``, in steps as small as what is happening asks for."""
        left_s = seconds
        while left_s > 1e-9:
            step_s = min(left_s, self._step_s())
            self._advance(step_s)
            left_s -= step_s

    # -- what instruments see ---------------------------------------------------------------------

    def thermocouples_c(self) -> dict[str, float]:
        """Every node, and the air, as a logger reads them."""
        noise = self.parameters.thermocouple_noise_k
        read = {"air": self.chamber.air_c, **self.network.all_c()}
        return {name: at_c + self.random.gauss(0.0, noise) for name, at_c in read.items()}

    def take_lowest_v(self) -> float:
        """The lowest voltage at the jack since the last call."""
        lowest, self.lowest_v = self.lowest_v, math.inf
        return lowest if math.isfinite(lowest) else self.load.volts

    @property
    def interface_ppm(self) -> float:
        """How much the interface's clock runs off now."""
        at_c = self.network["interface"]
        return oscillator.interface_ppm(self.parameters, at_c) + self.faults.clock_extra_ppm

    # -- a step -----------------------------------------------------------------------------------

    def _step_s(self) -> float:
        starting = self.source.on and (
            self.boot.phase in ("firmware", "linux")
            or (self.boot.phase == "running" and self.boot.running_s < _FINE_AFTER_START_S)
        )
        return FINE_STEP_S if self.fine or starting else STEP_S

    def _advance(self, seconds: float) -> None:
        self._now_s += seconds
        p, network, chamber = self.parameters, self.network, self.chamber
        chamber.advance(seconds)
        heat = self._heat_w()
        network.advance(
            seconds,
            chamber.air_c,
            {node: watts for node, watts in heat.items() if watts},
            blown=chamber.running,
        )
        self._electricity(sum(heat.values()) / p.converter_efficiency if self.source.on else 0.0)
        self.boot.advance(
            seconds,
            self._now_s,
            self.load.volts >= p.brownout_v,
            network["module"],
            network["die"],
        )
        if self.boot.module_on and network["die"] >= p.shutdown_c:
            self.boot.shut_down()
        self.film.advance(seconds, network["board"], chamber.air_c, chamber.vapour_pa)
        self.pedal.advance(
            seconds,
            self._now_s,
            self.boot,
            network.all_c(),
            chamber.air_c,
            chamber.humidity_percent,
            self.interface_ppm,
        )
        for watch in self.watchers:
            watch(self._now_s)

    def _heat_w(self) -> dict[str, float]:
        """What goes into each node, W."""
        p, boot, faults = self.parameters, self.boot, self.faults
        heat = dict.fromkeys(NODES, 0.0)
        if not self.source.on or self.load.volts <= 0.0:
            return heat
        heat["board"] += faults.extra_w
        if boot.pre_heats:
            heat["module"] += p.preheater_w
        if boot.phase == "running":
            heat["die"] += p.module_idle_w + self.pedal.watts
            heat["interface"] += p.interface_w
            heat["display"] += p.display_w
        elif boot.module_on:
            heat["die"] += p.module_refused_w if boot.phase == "refused" else p.module_boot_w
        if faults.heater_stuck or (self.pedal.heater and not faults.heater_dead):
            heat["module"] += p.heater_w
        return heat

    def _electricity(self, watts: float) -> None:
        p, source = self.parameters, self.source
        battery_c = self.network["battery"]
        self.load = load(source, watts, battery_c)
        if source.on and not self._on:
            # Converters that start with nothing charged still need their working voltage.
            self.load = load(source, max(watts, 0.1), battery_c)
        module_on = self.boot.module_on
        if source.on and module_on and not self._module_on:
            bulk_c = -70.0 if self.faults.bulk_dry else self.network["board"]
            dip_v = inrush_v(source, watts, battery_c, bulk_c)
            if self.faults.bulk_dry:
                dip_v = min(dip_v, self.load.volts - p.inrush_a * 2.0)
            self.lowest_v = min(self.lowest_v, dip_v)
            if dip_v < p.brownout_v:
                self._brown_out()
        if source.on:
            self.lowest_v = min(self.lowest_v, self.load.volts)
        if self._on and source.on and 0.0 < self.load.volts < p.brownout_v and module_on:
            self._brown_out()
        self._on, self._module_on = source.on, self.boot.module_on

    def _brown_out(self) -> None:
        self.brownouts += 1
        self.boot.reset()
