"""Every stage of the bench in one table: its suite, what it claims, where it must reach, how long.

A stage brings itself to its condition, so that a run which was interrupted goes on with the next.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hil.bench import Bench
from hil.errors import BenchError
from hil.suites import latency, recovery, thermal
from hil.suites.conditions import Soak, check_reach
from hil.suites.functional import Found
from hil.suites.rig import Rig
from hil.suites.trace import Trace
from hil.virtual import suite

Profile = Literal["short", "ci", "full"]
SUITES = ("thermal", "latency", "recovery", "proof", "cold-starts", "virtual")
"""In the order of the report. The last three are simulations on every bench."""

REFERENCE = "thermal-before"
"""The stage by which the others judge delay and level."""


@dataclass(frozen=True)
class Scale:
    """How much of what can be more or less."""

    shots: int
    """Round trips for each engine and period."""
    starts: int
    """Cold starts with faults at random."""
    virtual: suite.Profile
    """Of the virtual pedal's scenarios."""


PROFILES: Mapping[str, Scale] = {
    "short": Scale(shots=100, starts=56, virtual="ci"),
    "ci": Scale(shots=1000, starts=100, virtual="ci"),
    "full": Scale(shots=1000, starts=400, virtual="full"),
}


@dataclass(frozen=True)
class Stage:
    """One part of a run, with a result and raw data of its own."""

    name: str
    suite: str
    claims: str
    run: Callable[[Rig, Found | None, Scale], None] | None = None
    """On the bench; None for what is simulated on every bench."""
    reach: tuple[Soak, ...] = ()
    """Conditions that the chamber and the product must bear."""
    bench_s: float = 0.0
    """On the bench's clock, as found on the simulation; the first guess of a run's length."""
    wall_s: float = 10.0
    """On one core of a laptop, on the simulation."""


_COLD = Soak("", thermal.COLD, 0.0)
_REACH: Mapping[str, tuple[Soak, ...]] = {
    "thermal-before": (Soak("", thermal.ROOM, 0.0),),
    "thermal-storage": (_COLD,),
    "thermal-cold-start": (_COLD,),
    "thermal-cold-operation": (Soak("", thermal.COLD, 0.0, operating=True),),
    "thermal-dew": (_COLD,),
    "thermal-heat": (
        Soak("", thermal.HOT, 0.0),
        Soak("", thermal.HOTTEST, 0.0, operating=True),
    ),
    "thermal-damp-heat": (Soak("", 40.0, 0.0, humidity_percent=93.0, operating=True),),
    "thermal-after": (Soak("", thermal.ROOM, 0.0),),
}
_TOOK: Mapping[str, tuple[float, float]] = {
    "thermal-before": (1080.0, 2.0),
    "thermal-storage": (20700.0, 1.0),
    "thermal-cold-start": (7100.0, 6.0),
    "thermal-cold-operation": (16600.0, 3.0),
    "thermal-dew": (9400.0, 7.0),
    "thermal-heat": (16600.0, 3.0),
    "thermal-damp-heat": (16200.0, 4.0),
    "thermal-after": (4800.0, 2.0),
}


def _thermal(name: str) -> Stage:
    stage = thermal.STAGES[name]
    compared = len(inspect.signature(stage).parameters) > 1

    def run(rig: Rig, reference: Found | None, scale: Scale) -> None:
        if compared and reference is None:
            left_out(rig, "delay and level against room temperature")
        stage(rig, reference) if compared else stage(rig)

    claims = (stage.__doc__ or name).splitlines()[0]
    bench_s, wall_s = _TOOK.get(name, (7200.0, 10.0))
    return Stage(name, "thermal", claims, run, _REACH.get(name, ()), bench_s, wall_s)


def _link(rig: Rig, reference: Found | None, scale: Scale) -> None:
    recovery.link_lost(rig)


BENCH_STAGES: Sequence[Stage] = (
    *(_thermal(name) for name in thermal.STAGES),
    Stage(
        "latency",
        "latency",
        "Round trip of every engine and period, jitter, drift, knob to sound.",
        lambda rig, reference, scale: latency.latency(rig, shots=scale.shots),
        (Soak("", latency.ROOM_C, 0.0),),
        3800.0,
        40.0,
    ),
    Stage(
        "recovery",
        "recovery",
        "Power cuts, dead processes, an unplugged interface: the guitar passes, the pedal is back.",
        lambda rig, reference, scale: recovery.recovery(rig),
        (Soak("", thermal.ROOM, 0.0),),
        290.0,
        2.0,
    ),
    Stage(
        "cold-recovery",
        "recovery",
        "An update at −40 °C, and a heater that stays on.",
        lambda rig, reference, scale: recovery.cold_recovery(rig),
        (_COLD,),
        12000.0,
        4.0,
    ),
    Stage(
        "link-lost",
        "recovery",
        "The chamber's line is cut while it cools: said, and left safe.",
        _link,
        (Soak("", 10.0, 0.0),),
        600.0,
        2.0,
    ),
)

COLD_STARTS = ("cold-starts-1", "cold-starts-2")
"""In two parts, for two cores."""

SIMULATED_STAGES: Sequence[Stage] = (
    Stage("proof", "proof", "Every fault is seeded, and its checks must fail.", wall_s=80.0),
    *(
        Stage(name, "cold-starts", "Cold starts, half of them with a fault.", wall_s=40.0)
        for name in COLD_STARTS
    ),
)


def virtual_stages(scale: Scale) -> list[Stage]:
    """The virtual pedal's scenarios of a profile."""
    return [
        Stage(each.name, "virtual", each.claims, wall_s=200.0)
        for each in suite.scenarios(scale.virtual)
    ]


def every_stage() -> list[Stage]:
    """All that there is, in the order of a run."""
    return [*BENCH_STAGES, *SIMULATED_STAGES, *virtual_stages(PROFILES["full"])]


def choose(
    profile: Profile,
    *,
    only: Sequence[str] = (),
    suites: Sequence[str] = (),
    virtual: bool | None = None,
    measured: bool = False,
    can_lose_link: bool = False,
) -> list[Stage]:
    """The stages of a run, in its order.

    On a real bench (``measured``) what is simulated is left out unless it is named; ``virtual``
    leaves the virtual pedal in or out on any. Without ``only`` and ``suites`` a run is whole.
    Raises ``BenchError`` for names that do not exist.
    """
    stages = every_stage()
    names = {each.name for each in stages}
    if unknown := [name for name in only if name not in names]:
        raise BenchError(
            f"there is no scenario {', '.join(unknown)}; choose from {', '.join(sorted(names))}"
        )
    if unknown := [name for name in suites if name not in SUITES]:
        raise BenchError(f"there is no suite {', '.join(unknown)}; choose from {', '.join(SUITES)}")
    if only:
        stages = [each for each in stages if each.name in only]
    else:
        of_profile = {each.name for each in virtual_stages(PROFILES[profile])}
        stages = [each for each in stages if each.suite != "virtual" or each.name in of_profile]
    if suites:
        stages = [each for each in stages if each.suite in suites]
    if measured and not (only or suites):
        asked_for = {"virtual"} if virtual else set()
        stages = [each for each in stages if each.run is not None or each.suite in asked_for]
    if virtual is False:
        stages = [each for each in stages if each.suite != "virtual"]
    if not can_lose_link and "link-lost" not in only:
        stages = [each for each in stages if each.name != "link-lost"]
    if not stages:
        raise BenchError("nothing is left to run; name other scenarios or suites.")
    return stages


def check_all_reach(bench: Bench, stages: Sequence[Stage]) -> None:
    """Refuse a run before anything moves where a stage asks too much. Raises ``BenchError``."""
    rig = Rig(bench, Trace(), "limits", say=lambda line: None)
    for stage in stages:
        for soak in stage.reach:
            check_reach(rig, replace(soak, at=stage.name))


def left_out(rig: Rig, what: str) -> None:
    """Have the report say that something was not measured."""
    rig.figures["not measured"] = [*rig.figures.get("not measured", []), what]
