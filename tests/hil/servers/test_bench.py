"""Suites on the simulated bench: what is wrong with an instrument is seen, and made safe."""

from collections.abc import Callable

import pytest

from hil.budgets import budget_of
from hil.errors import BenchError, InstrumentError
from hil.faults import FAULTS
from hil.instruments.factory import ChamberKind
from hil.instruments.transport import Patience
from hil.plant.plant import Plant
from hil.servers.faults import ServerFaults, seeded
from hil.simulated import KINDS, link_failures, simulated_bench
from hil.suites import thermal
from hil.suites.conditions import Soak, go_to, judge_conditions, soak
from hil.suites.functional import Found, key_off, key_on
from hil.suites.rig import Rig
from hil.suites.trace import Trace

SHORT = Soak("cool", 12.0, 0.2)
HASTY = Patience(connect_s=1.0, answer_s=0.2, tries=2)


def rig_of(bench) -> Rig:
    return Rig(bench, Trace(), "wired", say=lambda line: None)


def short(rig: Rig) -> None:
    """A soak that does not wait until the product is there: minutes."""
    begin_s = rig.now_s()
    go_to(rig, SHORT.celsius)
    soak_s = rig.now_s()
    rig.wait(SHORT.hours * 3600.0)
    judge_conditions(rig, SHORT, begin_s, soak_s)


def missed(rig: Rig) -> set[str]:
    return {budget_of(check.id) for check in rig.checks if not check.ok}


# -- nothing is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_bench_fails_nothing(kind: ChamberKind) -> None:
    plant = Plant(seed=1)
    with simulated_bench(plant, kind, watched="guard") as bench:
        assert not bench.measured
        rig = rig_of(bench)
        short(rig)
        key_on(rig, "cool", cold=False)
        key_off(rig)
        assert missed(rig) == set()
        assert plant.chamber.running
    assert not plant.chamber.running and not plant.source.on


def test_a_stage_with_guard_and_watchdog() -> None:
    with simulated_bench(Plant(seed=1)) as bench:
        rig = rig_of(bench)
        thermal.before(rig)
        assert missed(rig) == set()
        assert rig.figures["reference"]["frames"] is not None


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_thermal_suite(kind: ChamberKind) -> None:
    reference: Found | None = None
    with simulated_bench(Plant(seed=1), kind) as bench:
        for name, stage in thermal.STAGES.items():
            rig = rig_of(bench)
            if name in ("thermal-before", "thermal-storage"):
                stage(rig)
            else:
                stage(rig, reference)
            if name == "thermal-before":
                reference = Found(**rig.figures["reference"])
            assert missed(rig) == set(), name
        assert bench.clock.now_s() > 20 * 3600.0


def test_a_chamber_that_is_none_is_refused() -> None:
    with pytest.raises(BenchError, match="espec, simserv"), simulated_bench(chamber="oven"):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("celsius", [-60.0, 90.0])
def test_what_the_product_does_not_bear_is_refused_before_anything_moves(celsius: float) -> None:
    plant = Plant()
    with simulated_bench(plant, watched="guard") as bench:
        with pytest.raises(BenchError):
            bench.chamber.set(celsius)
        assert (plant.chamber.setpoint_c, plant.chamber.running) == (23.0, False)


# -- instruments that lie --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_chamber_that_shows_its_setpoint_is_found_out(kind: ChamberKind) -> None:
    faults = ServerFaults()
    plant = Plant(seed=1)
    with simulated_bench(plant, kind, faults, watched="guard") as bench:
        faults.chamber.lies = True
        plant.chamber.dead = True
        rig = rig_of(bench)
        short(rig)
    assert {"chamber-honest", "soak-air"} <= missed(rig)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_the_product_is_not_said_to_be_there(kind: ChamberKind) -> None:
    faults = ServerFaults()
    plant = Plant(seed=1)
    with simulated_bench(plant, kind, faults, watched="guard") as bench:
        faults.chamber.lies = True
        plant.chamber.dead = True
        rig = rig_of(bench)
        soak(rig, SHORT)
    assert {"chamber-honest", "soak-air", "stabilised"} <= missed(rig)


@pytest.mark.parametrize(
    ("fault", "caught"),
    [
        ("chamber.stuck", {"chamber-honest"}),
        ("chamber.fahrenheit", {"chamber-honest"}),
        ("chamber.runs_ahead", {"ramp"}),
        ("logger.fahrenheit", {"chamber-honest"}),
        ("logger.stuck", {"chamber-honest"}),
        ("logger.offset_k", {"chamber-honest"}),
    ],
)
def test_what_reads_wrong_is_found_out_by_the_other(fault: str, caught: set[str]) -> None:
    faults = ServerFaults()
    part, _, name = fault.partition(".")
    with simulated_bench(Plant(seed=1), faults=faults, watched="guard") as bench:
        setattr(getattr(faults, part), name, 4.0 if name == "offset_k" else True)
        assert list(seeded(faults)) == [fault]
        rig = rig_of(bench)
        # A fault that a driver or the guard notices by itself is found out just as well.
        try:
            short(rig)
        except InstrumentError:
            return
    assert caught <= missed(rig)


def test_an_open_couple_is_no_reason_to_stop() -> None:
    faults = ServerFaults()
    faults.logger.open = frozenset({"display"})
    with simulated_bench(Plant(seed=1), faults=faults, watched="guard") as bench:
        rig = rig_of(bench)
        short(rig)
    assert missed(rig) == set()


# -- made safe -------------------------------------------------------------------------------------


def _door(faults: ServerFaults) -> None:
    faults.chamber.door_open = True


def _alarm(faults: ServerFaults) -> None:
    faults.chamber.alarm = "Compressor"


def _local(faults: ServerFaults) -> None:
    faults.chamber.local = True


def _ignores(faults: ServerFaults) -> None:
    faults.chamber.ignores_writes = True


def _supply(faults: ServerFaults) -> None:
    faults.supply_line.lost = "closed"


def _logger(faults: ServerFaults) -> None:
    faults.logger_line.lost = "closed"


@pytest.mark.parametrize(
    ("kind", "break_"),
    [
        *((kind, break_) for kind in ("espec", "simserv", "f4t") for break_ in (_door, _alarm)),
        ("espec", _supply),
        ("ascii2", _logger),
    ],
)
def test_what_breaks_on_the_way_leaves_a_chamber_that_stands_still(
    kind: ChamberKind, break_: Callable[[ServerFaults], None]
) -> None:
    faults = ServerFaults()
    plant = Plant(seed=1)
    with simulated_bench(plant, kind, faults, watched="guard", patience=HASTY) as bench:
        rig = rig_of(bench)
        go_to(rig, 20.0)
        bench.supply.set(12.0, 5.0)
        bench.supply.switch(True)
        break_(faults)
        with pytest.raises(InstrumentError):
            rig.wait(60.0)
        assert not plant.chamber.running
        assert not plant.source.on or break_ is _supply
        with pytest.raises(InstrumentError, match="switched off"):
            bench.chamber.start()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("break_", [_local, _ignores])
def test_a_chamber_that_takes_nothing_any_more_is_said(
    kind: ChamberKind, break_: Callable[[ServerFaults], None]
) -> None:
    faults = ServerFaults()
    with simulated_bench(Plant(seed=1), kind, faults, watched="guard") as bench:
        rig = rig_of(bench)
        go_to(rig, 22.0)
        break_(faults)
        # Nor can it be stopped: somebody has to go there.
        with pytest.raises(InstrumentError, match="BY HAND"):
            go_to(rig, 18.0)
        break_(faults)


def test_a_door_that_the_protocol_does_not_tell_of_shows_in_the_air() -> None:
    faults = ServerFaults()
    with simulated_bench(Plant(seed=1), "ascii2", faults, watched="guard") as bench:
        rig = rig_of(bench)
        go_to(rig, SHORT.celsius)
        faults.chamber.door_open = True
        short(rig)
    assert "soak-air" in missed(rig)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chamber_that_runs_away_is_stopped_by_our_own_couple(kind: ChamberKind) -> None:
    faults = ServerFaults()
    plant = Plant(seed=1)
    with simulated_bench(plant, kind, faults, watched="guard") as bench:
        bench.chamber.set(20.0)
        bench.chamber.start()
        faults.chamber.stuck = True
        bench.chamber.read()
        plant.chamber.setpoint_c = plant.chamber.air_c = 95.0
        with pytest.raises(InstrumentError, match="couple in the air"):
            bench.thermocouples.read()
        assert not plant.chamber.running


def test_a_lost_line_is_said_and_the_watchdogs_own_makes_it_safe() -> None:
    assert link_failures("watchdog") == set()


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_line_whatever_the_chamber_speaks(kind: ChamberKind) -> None:
    assert link_failures("watchdog", kind) == set()
    assert link_failures("guard", kind) == {"link-safe"}


def test_the_librarys_fault_of_a_line_is_caught() -> None:
    (fault,) = [fault for fault in FAULTS if fault.stage == "link"]
    assert link_failures("nobody") >= set(fault.caught_by)
