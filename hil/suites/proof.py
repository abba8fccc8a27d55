"""Proof of the checks: every fault of the library is seeded, and its checks must fail.

On the simulated bench without wires, where a night takes seconds. The stages are those of the
suites, begun nearer to their conditions. A fault that its checks do not catch, and a check that
fails without a fault, are both defects of the bench.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hil.budgets import BUDGETS, budget_of
from hil.faults import FAULTS, Fault
from hil.instruments.protocols import ChamberReading
from hil.plant.direct import DirectAudio, DirectChamber, Willing, direct_bench
from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters
from hil.plant.plant import Plant
from hil.suites import latency, recovery, thermal
from hil.suites.delay import Signal
from hil.suites.functional import Found, key_off, key_on, listen
from hil.suites.rig import Rig
from hil.suites.trace import Trace, column

WIRED = frozenset({"link"})
"""Stages that need instruments on a line; proven where those are."""


@dataclass(frozen=True)
class Caught:
    """What one fault did."""

    fault: str
    what: str
    failed: tuple[str, ...]
    """Budgets whose checks failed."""
    escaped: tuple[str, ...]
    """Those that should have, and did not."""


def reference(seed: int = 0) -> Found:
    """What a sound pedal sounds like at room temperature."""
    bench, _ = direct_bench(seed=seed)
    rig = _rig(Rig, bench, "reference")
    key_on(rig, "reference", cold=False)
    return listen(rig, "reference", seconds=60.0)


def prove(fault: Fault, sound: Found, seed: int = 0) -> Caught:
    """Seed one fault and run its stage."""
    failed = failures(fault.stage, sound, seed, fault)
    missed = tuple(budget for budget in fault.caught_by if budget not in failed)
    return Caught(fault.id, fault.what, tuple(sorted(failed)), missed)


def failures(stage: str, sound: Found, seed: int = 0, fault: Fault | None = None) -> set[str]:
    """Budgets that a stage misses, with one fault or without."""
    faults = PlantFaults(**dict(fault.plant)) if fault else PlantFaults()
    parameters = replace(Parameters(), **dict(fault.parameters)) if fault else Parameters()
    bench, plant = direct_bench(faults, seed, parameters)
    kind: type[Rig] = Rig
    wrong = fault.bench if fault else ""
    if wrong == "short soak":
        kind = _Hurried
    elif wrong == "cracked":
        bench = replace(bench, operator=Willing(False))
    elif wrong == "deaf":
        bench = replace(bench, audio=_Deaf(plant))
    elif wrong == "fast chamber":
        bench = replace(bench, chamber=_Fast(plant))
        plant.chamber.parameters = replace(parameters, chamber_cooling_k_per_min=8.0)
    elif wrong == "lying chamber":
        bench = replace(bench, chamber=_Lying(plant))
        plant.chamber.dead = True
    rig = _rig(kind, bench, stage)
    STAGES[stage](rig, plant, sound)
    return {budget_of(check.id) for check in rig.checks if not check.ok}


def _cold(rig: Rig, plant: Plant, sound: Found) -> None:
    _stand(plant, -10.0)
    thermal.cold_start(rig, sound)


def _room(rig: Rig, plant: Plant, sound: Found) -> None:
    del plant
    key_on(rig, "room", cold=False)
    listen(rig, "room", sound)
    rig.check("current", max(column(rig.trace.rows, "amperes"), default=None), "room")
    rig.check("intact", rig.bench.operator.ask("Is it whole?"), "room")
    key_off(rig)


def _dew(rig: Rig, plant: Plant, sound: Found) -> None:
    _stand(plant, -39.0)
    thermal.dew(rig, sound)


def _heat(rig: Rig, plant: Plant, sound: Found) -> None:
    _stand(plant, 54.0)
    thermal.heat(rig, sound)


def _damp(rig: Rig, plant: Plant, sound: Found) -> None:
    thermal.damp_heat(rig, sound)


def _latency(rig: Rig, plant: Plant, sound: Found) -> None:
    latency.latency(rig, shots=20)


def _recovery(rig: Rig, plant: Plant, sound: Found) -> None:
    recovery.recovery(rig)


def _cold_recovery(rig: Rig, plant: Plant, sound: Found) -> None:
    _stand(plant, -39.0)
    recovery.cold_recovery(rig)


STAGES: Mapping[str, Callable[[Rig, Plant, Found], None]] = {
    "cold": _cold,
    "room": _room,
    "dew": _dew,
    "heat": _heat,
    "damp": _damp,
    "latency": _latency,
    "recovery": _recovery,
    "cold recovery": _cold_recovery,
}


def unproven() -> set[str]:
    """Budgets that no fault of the library is said to break: each is a defect."""
    return set(BUDGETS) - {budget for fault in FAULTS for budget in fault.caught_by}


def _stand(plant: Plant, celsius: float) -> None:
    """Have everything stand at a temperature since last night."""
    plant.chamber.air_c = plant.chamber.setpoint_c = celsius
    plant.chamber.vapour_pa = min(plant.chamber.vapour_pa, 50.0)
    plant.chamber.running = True
    plant.network.settle(celsius)


def _rig(kind: type[Rig], bench, name: str) -> Rig:
    return kind(bench, Trace(), name, say=lambda line: None)


class _Hurried(Rig):
    """Somebody who stops each soak half-way."""

    def wait(self, seconds: float) -> None:
        super().wait(seconds / 2 if seconds > 1200.0 else seconds)


class _Fast(DirectChamber):
    """A controller that goes for the end at once."""

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        super().set(-40.0 if temperature_c < -12.0 else temperature_c, humidity_percent)


class _Lying(DirectChamber):
    """A display that shows what it was asked for."""

    def read(self) -> ChamberReading:
        return replace(super().read(), air_c=self.plant.chamber.setpoint_c)


@dataclass
class _Deaf(DirectAudio):
    """A recorder with a loose plug."""

    shots: int = 0

    def shot(self, signal: Signal) -> Signal:
        self.shots += 1
        heard = super().shot(signal)
        return heard * 0.0 if self.shots % 5 == 0 else heard


__all__ = ["STAGES", "WIRED", "Caught", "failures", "prove", "reference", "unproven"]
