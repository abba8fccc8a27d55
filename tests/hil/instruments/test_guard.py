"""The guard: what it refuses, how it leads setpoints, what trips it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import BenchError, InstrumentError
from hil.instruments.bounds import Bounds, Ramp
from hil.instruments.guard import Guard, GuardedThermocouples
from hil.instruments.protocols import ChamberLimits, ChamberReading, SupplyReading
from tests.hil.instruments.peers import StepClock

BOUNDS = Bounds(lowest_c=-45.0, highest_c=75.0, ramp_k_per_min=2.5, highest_v=20.0, limit_a=5.0)

LIMITS = ChamberLimits(-70.0, 150.0, 3.0, 4.0, humidity=True)
READING = ChamberReading(23.0, 23.0, None, None, False)
NOTHING = SupplyReading(0.0, 0.0, False)


@dataclass
class FakeChamber:
    model: str = "fake"
    limits: ChamberLimits = LIMITS
    reading: ChamberReading = READING
    broken: str = ""
    did: list[object] = field(default_factory=list)

    def read(self) -> ChamberReading:
        self._may("read")
        return self.reading

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        self._may("set")
        self.did.append((round(temperature_c, 6), humidity_percent))
        self.reading = replace(self.reading, setpoint_c=temperature_c)

    def start(self) -> None:
        self._may("start")
        self.did.append("start")
        self.reading = replace(self.reading, running=True)

    def stop(self) -> None:
        self._may("stop")
        self.did.append("stop")
        self.reading = replace(self.reading, running=False)

    def close(self) -> None:
        self.did.append("close")

    def _may(self, what: str) -> None:
        if self.broken in (what, "all"):
            raise InstrumentError(f"fake: {what} does not work.")


@dataclass
class FakeSupply:
    model: str = "fake supply"
    reading: SupplyReading = NOTHING
    broken: bool = False
    did: list[object] = field(default_factory=list)

    def set(self, volts: float, limit_a: float) -> None:
        self.did.append((volts, limit_a))

    def switch(self, on: bool) -> None:
        if self.broken:
            raise InstrumentError("supply: the line is gone.")
        self.did.append(on)

    def read(self) -> SupplyReading:
        if self.broken:
            raise InstrumentError("supply: the line is gone.")
        return self.reading

    def close(self) -> None:
        self.did.append("close")


@dataclass
class FakeWatchdog:
    tripped: str = ""
    asked: list[str] = field(default_factory=list)
    stirred: int = 0
    unsafe: list[str] = field(default_factory=list)
    safe: list[str] = field(default_factory=list)
    closed: bool = False

    def stir(self) -> None:
        self.stirred += 1

    def ask(self, reason: str) -> None:
        self.asked.append(reason)

    def told_safe(self, what: str) -> None:
        self.safe.append(what)

    def wait_safe(self, limit_s: float = 20.0) -> list[str]:
        return self.unsafe

    def close(self) -> None:
        self.closed = True


@dataclass
class Rigged:
    chamber: FakeChamber = field(default_factory=FakeChamber)
    supply: FakeSupply = field(default_factory=FakeSupply)
    watchdog: FakeWatchdog = field(default_factory=FakeWatchdog)
    clock: StepClock = field(default_factory=StepClock)

    def __post_init__(self) -> None:
        self.guard = Guard(BOUNDS, self.clock, self.chamber, self.supply, self.watchdog)  # type: ignore[arg-type]


@pytest.fixture
def rigged() -> Rigged:
    return Rigged()


# -- bounds ---------------------------------------------------------------------------------------


@given(st.floats())
def test_no_setpoint_out_of_bounds_is_ever_sent(celsius: float) -> None:
    rigged = Rigged()
    if -45.0 <= celsius <= 75.0:
        rigged.guard.chamber.set(celsius)
        assert all(-45.0 <= sent[0] <= 75.0 for sent in rigged.chamber.did)  # type: ignore[index]
    else:
        with pytest.raises(BenchError, match=r"outside of -45 to 75 °C.*nothing was set"):
            rigged.guard.chamber.set(celsius)
        assert rigged.chamber.did == []


@pytest.mark.parametrize("percent", [-1.0, 100.5, math.nan])
def test_no_humidity_that_is_none(rigged: Rigged, percent: float) -> None:
    with pytest.raises(BenchError, match="nothing was set"):
        rigged.guard.chamber.set(40.0, percent)
    assert rigged.chamber.did == []


@given(st.floats(), st.floats())
def test_no_voltage_or_current_out_of_bounds(volts: float, limit_a: float) -> None:
    rigged = Rigged()
    if 0.0 <= volts <= 20.0 and 0.0 < limit_a <= 5.0:
        rigged.guard.supply.set(volts, limit_a)
        assert rigged.supply.did == [(volts, limit_a)]
    else:
        with pytest.raises(BenchError, match="nothing was set"):
            rigged.guard.supply.set(volts, limit_a)
        assert rigged.supply.did == []


def test_limits_are_what_is_let_through(rigged: Rigged) -> None:
    limits = rigged.guard.chamber.limits
    assert (limits.lowest_c, limits.highest_c) == (-45.0, 75.0)


def test_nothing_is_started_without_a_setpoint(rigged: Rigged) -> None:
    with pytest.raises(BenchError, match="was given no setpoint"):
        rigged.guard.chamber.start()
    rigged.guard.chamber.set(23.0)
    rigged.guard.chamber.start()
    assert rigged.chamber.did == [(23.0, None), "start"]


# -- the ramp -------------------------------------------------------------------------------------


@given(
    goals=st.lists(st.tuples(st.floats(-45.0, 75.0), st.floats(0.0, 900.0)), min_size=1),
    begin=st.floats(-45.0, 75.0),
)
def test_no_five_minutes_are_faster_than_a_little_above_the_pace(
    goals: list[tuple[float, float]], begin: float
) -> None:
    ramp = Ramp(2.5)
    ramp.begin(begin, 0.0)
    now_s, trail = 0.0, [(0.0, begin)]
    for goal, seconds in goals:
        end_s = now_s + seconds
        while now_s <= end_s:
            trail.append((now_s, ramp.toward(goal, now_s)))
            now_s += 10.0
    for at, (first_s, first_c) in enumerate(trail):
        for later_s, later_c in trail[at:]:
            if later_s - first_s > 300.0:
                break
            assert abs(later_c - first_c) <= 2.5 * (later_s - first_s) / 60.0 + 2.5 + 1e-6


@given(st.floats(-45.0, 75.0), st.floats(-45.0, 75.0))
def test_a_goal_is_reached_exactly_and_in_time(begin: float, goal: float) -> None:
    ramp = Ramp(2.5)
    ramp.begin(begin, 0.0)
    now_s = 0.0
    while ramp.toward(goal, now_s) != goal:
        now_s += 10.0
        assert now_s <= abs(goal - begin) / 2.5 * 60.0 + 20.0


def test_a_far_setpoint_is_led_there_by_reading(rigged: Rigged) -> None:
    chamber = rigged.guard.chamber
    chamber.set(-40.0, None)
    chamber.start()
    assert rigged.chamber.did == [(20.5, None), "start"]
    for _ in range(3):
        rigged.clock.sleep(60.0)
        assert chamber.read().running
    assert rigged.chamber.did[2:] == [(18.0, None), (15.5, None), (13.0, None)]
    rigged.clock.sleep(6.0 * 3600.0)
    chamber.read()
    assert rigged.chamber.did[-1] == (10.5, None)


def test_steps_of_the_suites_go_straight_through(rigged: Rigged) -> None:
    chamber = rigged.guard.chamber
    chamber.set(23.0)
    chamber.start()
    for step in range(1, 20):
        chamber.set(23.0 - step)
        rigged.clock.sleep(30.0)
        assert chamber.read().setpoint_c == 23.0 - step


def test_after_a_stop_it_begins_where_the_air_is(rigged: Rigged) -> None:
    chamber = rigged.guard.chamber
    chamber.set(23.0)
    chamber.start()
    chamber.stop()
    rigged.chamber.reading = replace(rigged.chamber.reading, air_c=-10.0)
    chamber.set(23.0)
    assert rigged.chamber.did[-1] == (-7.5, None)


# -- what trips it --------------------------------------------------------------------------------

SAFE = ["stop"], [False]


def expect_trip(rigged: Rigged, act: Callable[[], object], match: str) -> None:
    with pytest.raises(InstrumentError, match=match) as found:
        act()
    assert "the chamber is stopped and the output is off" in str(found.value)
    assert rigged.chamber.did[-1] == "stop" and rigged.supply.did[-1] is False
    assert rigged.watchdog.safe == ["chamber", "supply"]
    for again in (
        rigged.guard.chamber.read,
        lambda: rigged.guard.chamber.set(23.0),
        lambda: rigged.guard.supply.switch(True),
        lambda: rigged.guard.supply.set(12.0, 5.0),
    ):
        with pytest.raises(InstrumentError, match="the bench was switched off"):
            again()
    rigged.guard.chamber.stop()
    rigged.guard.supply.switch(False)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"alarms": ("over temperature",)}, "alarm: over temperature"),
        ({"door_open": True}, "its door is open"),
        ({"air_c": -50.1}, "the air is at -50.1 °C"),
        ({"air_c": 80.5}, "the air is at 80.5 °C"),
        ({"air_c": math.nan}, "the air is at nan °C"),
    ],
)
def test_a_chamber_that_is_wrong(rigged: Rigged, change: dict, match: str) -> None:
    rigged.chamber.reading = replace(rigged.chamber.reading, **change)
    expect_trip(rigged, rigged.guard.chamber.read, match)
    assert len(rigged.watchdog.asked) == 1


@pytest.mark.parametrize("what", ["read", "set", "start"])
def test_a_chamber_that_does_not_do_it(rigged: Rigged, what: str) -> None:
    chamber = rigged.guard.chamber
    if what == "start":
        chamber.set(23.0)
    rigged.chamber.broken = what
    act = {"read": chamber.read, "set": lambda: chamber.set(23.0), "start": chamber.start}[what]
    expect_trip(rigged, act, f"{what} does not work")


@pytest.mark.parametrize(
    ("reading", "match"),
    [(SupplyReading(22.0, 1.0, True), "22 V"), (SupplyReading(12.0, 6.0, True), "6 A")],
)
def test_a_supply_that_gives_too_much(rigged: Rigged, reading: SupplyReading, match: str) -> None:
    rigged.supply.reading = reading
    expect_trip(rigged, rigged.guard.supply.read, match)


def test_the_watchdogs_word(rigged: Rigged) -> None:
    rigged.watchdog.tripped = "alarm 7"
    expect_trip(rigged, rigged.guard.supply.read, "the watchdog: alarm 7")


def test_our_own_couple_in_the_air(rigged: Rigged) -> None:
    class Couples:
        model = "logger"
        air = 23.0

        def read(self) -> dict[str, float]:
            return {"air": self.air, "module": 120.0}

        def close(self) -> None:
            pass

    couples = Couples()
    guarded = GuardedThermocouples(rigged.guard, couples)
    assert guarded.read()["module"] == 120.0
    couples.air = math.nan
    guarded.read()
    couples.air = -55.0
    expect_trip(rigged, guarded.read, "the couple in the air: the air is at -55 °C")


def test_a_line_that_is_lost_leaves_it_to_the_watchdog(rigged: Rigged) -> None:
    rigged.guard.chamber.set(23.0)
    rigged.guard.chamber.start()
    rigged.chamber.broken = "all"
    with pytest.raises(InstrumentError, match="the chamber is stopped and the output is off"):
        rigged.guard.chamber.read()
    assert rigged.watchdog.asked and rigged.supply.did[-1] is False
    rigged.guard.chamber.stop()


def test_what_nobody_could_switch_off_is_said(rigged: Rigged) -> None:
    rigged.chamber.broken, rigged.supply.broken = "all", True
    rigged.watchdog.unsafe = ["chamber"]
    with pytest.raises(InstrumentError, match="not switched off: chamber; DO IT BY HAND"):
        rigged.guard.chamber.read()
    with pytest.raises(InstrumentError, match="stop does not work"):
        rigged.guard.chamber.stop()


def test_closing_switches_off_first_and_ends_the_watchdog(rigged: Rigged) -> None:
    rigged.guard.chamber.close()
    assert rigged.chamber.did == ["stop", "close"] and not rigged.watchdog.closed
    rigged.guard.supply.close()
    rigged.guard.supply.close()
    assert rigged.supply.did == [False, "close"] and rigged.watchdog.closed


def test_closing_what_does_not_stop_is_said(rigged: Rigged) -> None:
    rigged.chamber.broken, rigged.watchdog.unsafe = "stop", ["chamber"]
    with pytest.raises(InstrumentError, match="the chamber may still be on"):
        rigged.guard.chamber.close()
    assert rigged.chamber.did == ["close"]


def test_the_watchdog_hears_of_every_use(rigged: Rigged) -> None:
    rigged.guard.chamber.read()
    rigged.guard.supply.read()
    assert rigged.watchdog.stirred == 2
