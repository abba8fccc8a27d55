"""A hundred cold starts with faults seeded at random: each fault must be seen, and none imagined.

Every start has a night of its own (temperature, tolerances of the parts, noise); every second one
has a fault of the library that a cold start can show.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from hil.budgets import budget_of
from hil.faults import FAULTS, Fault
from hil.plant.direct import direct_bench
from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters
from hil.suites.functional import Found, key_off, key_on, listen
from hil.suites.rig import Rig
from hil.suites.trace import Trace, column

SHOWN = (
    "hold-off-missing",
    "pre-heater-dead",
    "xruns",
    "xruns-cold",
    "latency-cold",
    "latency-jitter",
    "quiet",
    "clock-off",
    "knob-dead",
    "restarts",
    "relay-lies",
    "current",
    "zone-reads-warm",
    "never-wet",
)
"""Faults that show in a cold start and ten minutes of playing."""

_VARIED = ("_j_per_k", "_to_air", "_to_enclosure", "_to_module", "_to_board", "_w", "_ohm", "_s")
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Start:
    """One start: what was wrong, and what failed."""

    number: int
    celsius: float
    fault: str | None
    failed: tuple[str, ...]

    @property
    def missed(self) -> bool:
        """A fault that no check saw."""
        return self.fault is not None and not self.failed

    @property
    def false(self) -> bool:
        """A check that failed without a fault."""
        return self.fault is None and bool(self.failed)


def cold_starts(count: int, sound: Found, seed: int = 0) -> list[Start]:
    """So many starts; ``sound`` is what a sound pedal sounds like at room temperature."""
    chosen = random.Random(seed)
    library = {fault.id: fault for fault in FAULTS}
    starts = []
    for number in range(count):
        fault = library[SHOWN[number // 2 % len(SHOWN)]] if number % 2 else None
        celsius = chosen.uniform(-40.0, -32.0)
        failed = _start(celsius, fault, sound, chosen)
        starts.append(Start(number, celsius, None if fault is None else fault.id, tuple(failed)))
    return starts


def _start(
    celsius: float, fault: Fault | None, sound: Found, chosen: random.Random
) -> Sequence[str]:
    parameters = _toleranced(chosen)
    faults = PlantFaults()
    if fault is not None:
        parameters = replace(parameters, **dict(fault.parameters))
        faults = PlantFaults(**dict(fault.plant))
    bench, plant = direct_bench(faults, chosen.getrandbits(30), parameters)
    plant.chamber.air_c = plant.chamber.setpoint_c = celsius
    plant.chamber.vapour_pa, plant.chamber.running = 10.0, True
    plant.network.settle(celsius)
    rig = Rig(bench, Trace(), "cold starts", say=lambda line: None)
    key_on(rig, "cold", cold=True)
    control = rig.status().get("control") or {}
    cold = control.get("state") in ("warm-up", "hold") and control.get("engine") is False
    rig.check("cold-state", cold, "cold")
    listen(rig, "cold", sound, seconds=300.0)
    rig.check("current", max(column(rig.trace.rows, "amperes"), default=None), "cold")
    key_off(rig)
    return sorted({budget_of(check.id) for check in rig.checks if not check.ok})


def _toleranced(chosen: random.Random) -> Parameters:
    """Parts as they come: each a few percent off."""
    parameters = Parameters()
    changes = {
        each.name: getattr(parameters, each.name) * chosen.gauss(1.0, _TOLERANCE / 2)
        for each in fields(parameters)
        if each.name.endswith(_VARIED)
    }
    return replace(parameters, **changes)
