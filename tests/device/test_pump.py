"""Relay and heater hold by edges alone: every way of stopping drops them, and in time."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.pump import (
    EDGES_TO_ARM,
    HALF_PERIOD_S,
    HOLD_MAX_S,
    HOLD_MIN_S,
    HOLD_S,
    SHORTEST_LEVEL_S,
    Interval,
    Monostable,
    Pump,
    rising_edges,
)

CIRCUITS = [HOLD_MIN_S, HOLD_S, HOLD_MAX_S]


class Line:
    """A GPIO that keeps its level, as a Jetson's does, and remembers when it changed."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.levels: list[tuple[float, bool]] = [(0.0, False)]
        self.broken = False

    def set(self, on: bool) -> None:
        if self.broken:
            raise OSError("no such line")
        self.levels.append((self.now_s, on))


def pumped(turns_s: list[float], wanted_until_s: float = float("inf")) -> Line:
    """The line after turns of the control loop at these times."""
    line = Line()
    pump = Pump(line)
    for now_s in turns_s:
        line.now_s = now_s
        pump.turn(now_s, now_s < wanted_until_s)
    return line


def even(for_s: float, turn_s: float = 0.002, start_s: float = 0.0) -> list[float]:
    return [start_s + turn * turn_s for turn in range(round(for_s / turn_s))]


def test_a_hundred_edges_a_second() -> None:
    line = Line()
    pump = Pump(line)
    for now_s in even(10.0):
        line.now_s = now_s
        pump.turn(now_s, True)
    assert pump.edges == pytest.approx(1000, abs=2)
    levels = [level for _, level in line.levels]
    assert all(a != b for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("hold_s", CIRCUITS)
def test_a_wanted_contact_stays_without_a_gap(hold_s: float) -> None:
    line = pumped(even(5.0))
    intervals = Monostable(hold_s).energised(rising_edges(line.levels))
    assert len(intervals) == 1
    assert intervals[0].start_s < 0.2
    assert intervals[0].end_s > 5.0


@given(st.integers(0, 2**32 - 1))
def test_a_loop_that_jitters_holds_the_weakest_circuit(seed: int) -> None:
    seeded = random.Random(seed)
    turns, now_s = [], 0.0
    while now_s < 3.0:
        turns.append(now_s)
        now_s += seeded.choice([0.002, 0.002, 0.003, 0.005, 0.011, 0.018])
    line = pumped(turns)
    changes = [time_s for time_s, _ in line.levels[1:]]
    assert all(b - a > SHORTEST_LEVEL_S for a, b in itertools.pairwise(changes))
    assert len(Monostable(HOLD_MIN_S).energised(rising_edges(line.levels))) == 1


def test_lost_time_is_not_caught_up_with_a_burst() -> None:
    line = pumped([*even(1.0), *even(0.1, start_s=3.0)])
    after = [time_s for time_s, _ in line.levels if time_s >= 3.0]
    assert len(after) == pytest.approx(0.1 / HALF_PERIOD_S, abs=1)


@pytest.mark.parametrize("hold_s", CIRCUITS)
@pytest.mark.parametrize("stop_s", [1.0, 1.004, 1.008, 1.012, 1.016])
def test_no_longer_wanted_drops_within_the_hold_time(hold_s: float, stop_s: float) -> None:
    line = pumped(even(2.0), wanted_until_s=stop_s)
    assert all(time_s < stop_s for time_s, _ in line.levels)
    intervals = Monostable(hold_s).energised(rising_edges(line.levels))
    assert len(intervals) == 1
    assert stop_s < intervals[0].end_s <= stop_s + HOLD_MAX_S


@given(st.floats(0.3, 1.0), st.booleans())
def test_a_process_that_dies_drops_it_whatever_the_line_does_then(
    death_s: float, line_falls: bool
) -> None:
    levels = pumped(even(death_s)).levels
    if line_falls and levels[-1][1]:
        levels.append((death_s, False))  # the kernel gives the line back
    [interval] = Monostable(HOLD_MAX_S).energised(rising_edges(levels))
    assert interval.end_s <= death_s + HOLD_MAX_S


@pytest.mark.parametrize("level", [False, True])
def test_a_level_that_stands_still_never_moves_the_contact(level: bool) -> None:
    levels = [(0.0, False), (0.5, level), (1000.0, level)]
    assert Monostable(HOLD_MAX_S).energised(rising_edges(levels)) == []


@pytest.mark.parametrize("edges", range(EDGES_TO_ARM))
def test_stray_edges_never_move_the_contact(edges: int) -> None:
    assert Monostable().energised([0.02 * edge for edge in range(edges)]) == []


def test_the_contact_moves_at_the_eighth_edge_of_an_unbroken_row() -> None:
    broken = [0.00, 0.02, 0.04, 0.06]
    row = [1.0 + 0.02 * edge for edge in range(10)]
    assert Monostable().energised([*broken, *row]) == [
        Interval(pytest.approx(1.14), pytest.approx(1.18 + HOLD_S))  # type: ignore[arg-type]
    ]


def test_slower_than_the_hold_time_is_not_held() -> None:
    assert Monostable().energised([0.085 * edge for edge in range(50)]) == []


def test_a_fast_oscillation_does_not_get_through_the_filter() -> None:
    levels = [(index * 0.0005, index % 2 == 1) for index in range(4000)]
    assert Monostable().energised(rising_edges(levels)) == []


def test_a_gap_makes_two_intervals() -> None:
    edges = [0.02 * edge for edge in range(20)] + [2.0 + 0.02 * edge for edge in range(20)]
    first, second = Monostable().energised(edges)
    assert first.end_s == pytest.approx(0.38 + HOLD_S)
    assert second.start_s == pytest.approx(2.14)


def test_what_it_is_now() -> None:
    edges = [0.02 * edge for edge in range(20)]
    circuit = Monostable()
    assert not circuit.energised_at(edges, 0.13)
    assert circuit.energised_at(edges, 0.15)
    assert circuit.energised_at(edges, 0.45)
    assert not circuit.energised_at(edges, 0.47)


def test_edges_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="ascend"):
        Monostable().energised([1.0, 0.5])


@pytest.mark.parametrize("half_period_s", [0.0, SHORTEST_LEVEL_S, HOLD_MIN_S / 2.0, 1.0])
def test_a_pump_that_could_not_hold_is_refused(half_period_s: float) -> None:
    with pytest.raises(ValueError, match="half period"):
        Pump(Line(), half_period_s)


def test_an_edge_that_failed_is_tried_again() -> None:
    line = Line()
    pump = Pump(line)
    line.broken = True
    with pytest.raises(OSError, match="no such line"):
        pump.turn(0.0, True)
    line.broken = False
    line.now_s = 0.002
    pump.turn(0.002, True)
    assert line.levels[-1] == (0.002, True)
    assert pump.edges == 1
