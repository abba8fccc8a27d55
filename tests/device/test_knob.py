"""From raw readings to a position: exact ends, rest, jumps, and what is said of a bad knob."""

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.knob import DEFAULT, END_ZONE, KnobFilter, KnobRange, raw_from_position
from device.knob.filter import HYSTERESIS, RATE_PER_S
from device.knob.health import STUCK_S

POLL_S = 0.002
LSB = 1.0 / 1023.0


def feed(knob: KnobFilter, raw: Callable[[float], float], duration_s: float) -> list[float]:
    return [knob.update(raw(n * POLL_S)) for n in range(round(duration_s / POLL_S))]


def condition(knob: KnobFilter) -> str:
    """Read anew: a type checker would take the last answer for the next."""
    return knob.condition


def at(position: float, ends: KnobRange = DEFAULT) -> KnobFilter:
    knob = KnobFilter(ends)
    knob.update(ends.raw(position))
    return knob


# -- range -----------------------------------------------------------------------------------------


@given(st.floats(0.0, 0.4), st.floats(0.6, 1.0), st.booleans(), st.floats(0.0, 1.0))
def test_a_position_survives_the_way_to_raw_and_back(
    low: float, high: float, reversed_: bool, position: float
) -> None:
    ends = KnobRange(high, low) if reversed_ else KnobRange(low, high)
    assert ends.position(ends.raw(position)) == pytest.approx(position, abs=1e-8)
    assert ends.position(ends.raw(0.0)) == 0.0 and ends.position(ends.raw(1.0)) == 1.0


@given(st.floats(0.0, 0.4), st.floats(0.6, 1.0), st.floats(-0.2, 1.0))
def test_the_end_zones_are_exactly_the_ends(low: float, high: float, beyond: float) -> None:
    ends = KnobRange(low, high)
    span = high - low
    inside = min(END_ZONE, beyond) * span * (1.0 - 1e-6)
    assert ends.position(low + inside) == 0.0 and ends.position(high - inside) == 1.0
    assert 0.0 < ends.position(low + (END_ZONE + 0.001) * span) < 0.01


def test_a_pedal_wired_the_other_way_round_runs_backwards() -> None:
    ends = KnobRange(0.9, 0.1)
    assert [ends.position(raw) for raw in (1.0, 0.9, 0.5, 0.1, 0.0)] == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("low", "high"), [(0.5, 0.55), (-0.1, 1.0), (0.0, 1.1), (math.nan, 1.0), (0.0, math.inf)]
)
def test_ends_that_no_knob_has_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="a knob's ends"):
        KnobRange(low, high)


# -- following -------------------------------------------------------------------------------------


def test_the_first_reading_is_taken_as_it_is() -> None:
    assert KnobFilter(position=0.9).position == 0.9
    assert at(0.7).position == pytest.approx(0.7)


def test_a_jump_over_the_whole_travel_is_heard_after_two_readings_and_complete_after_four() -> None:
    knob = at(0.0)
    feed(knob, lambda _: 0.01, 0.2)
    followed = feed(knob, lambda _: 0.99, 5 * POLL_S)
    assert followed[0] == 0.0 and followed[1] == pytest.approx(RATE_PER_S * POLL_S)
    assert followed[2] < 1.0 and followed[3:] == [1.0, 1.0]
    # The reading before, up to one poll after the hand: 10 ms from the knob hold with a margin.
    assert 4 * POLL_S <= 0.008


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 10.0), st.booleans())
def test_a_turn_is_followed_one_reading_late_and_monotonously(per_s: float, down: bool) -> None:
    knob = at(1.0 if down else 0.0)

    def true(now_s: float) -> float:
        moved = min(per_s * now_s, 1.0)
        return 1.0 - moved if down else moved

    followed = feed(knob, lambda now_s: raw_from_position(true(now_s)), 1.0 / per_s + 0.1)
    for n, position in enumerate(followed[1:], 1):
        late = abs(position - true((n - 1) * POLL_S))
        assert late <= (HYSTERESIS if n * POLL_S * per_s < 0.02 else 0.0) + 1e-9
    assert followed == sorted(followed, reverse=down)
    assert followed[-1] == (0.0 if down else 1.0)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.02, 0.98), st.integers(0, 2**32))
def test_a_resting_knob_does_not_move_for_a_converters_noise(raw: float, seed: int) -> None:
    noise = random.Random(seed)

    def code(_: float) -> float:
        return round((raw + noise.choice((-1, 0, 0, 1)) * LSB) * 1023) / 1023

    knob = KnobFilter()
    feed(knob, code, 0.1)
    assert len(set(feed(knob, code, 1.0))) == 1


def test_a_slow_turn_arrives_everywhere_within_the_hysteresis() -> None:
    knob = at(0.2)
    end = raw_from_position(0.4)
    start = raw_from_position(0.2)
    followed = feed(knob, lambda now_s: min(start + 0.01 * now_s, end), 25.0)
    assert followed == sorted(followed) and abs(followed[-1] - 0.4) <= 1.1 * HYSTERESIS
    assert max(b - a for a, b in pairwise(followed)) < 1.2 * HYSTERESIS


def test_an_end_is_reached_however_slowly_and_not_left_by_noise() -> None:
    knob = at(0.01)
    feed(knob, lambda _: END_ZONE + 0.001, 0.5)
    assert knob.update(END_ZONE - 0.0005) >= 0.0
    feed(knob, lambda _: END_ZONE - 0.0005, 0.02)
    assert knob.position == 0.0
    flicker = feed(knob, lambda now_s: END_ZONE + (0.001 if now_s % 0.008 < 0.004 else 0.0), 0.5)
    assert set(flicker) == {0.0}


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=60))
def test_no_readings_whatever_move_the_position_faster_than_the_limit(raws: list[float]) -> None:
    knob = KnobFilter()
    positions = [knob.update(raw) for raw in raws]
    for before, after in pairwise(positions):
        assert abs(after - before) <= RATE_PER_S * POLL_S + 1e-9 and 0.0 <= after <= 1.0


def test_a_gap_between_readings_is_no_licence_to_jump_back_in_time() -> None:
    knob = KnobFilter()
    knob.update(0.5, 10.0)
    knob.update(0.5, 3.0)  # a clock that jumped
    assert knob.update(0.5, 3.002) == pytest.approx(0.5)
    assert condition(knob) == "good"


def test_a_learnt_range_is_glided_to() -> None:
    knob = KnobFilter()
    feed(knob, lambda _: 0.6, 0.2)
    before = knob.position
    knob.range = KnobRange(0.4, 0.6)
    followed = feed(knob, lambda _: 0.6, 0.5)
    assert followed[0] - before < 0.02 and followed[-1] == 1.0
    assert max(b - a for a, b in pairwise(followed)) < 0.02


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("impossible", [math.nan, -0.1, 1.1, math.inf])
def test_single_impossible_readings_are_counted_and_nothing_else(impossible: float) -> None:
    knob = at(0.3)
    followed = [
        knob.update(impossible if n % 50 == 7 else raw_from_position(0.3)) for n in range(500)
    ]
    assert knob.faults == 10 and condition(knob) == "good"
    assert followed == pytest.approx([0.3] * 500)


def test_a_single_spike_is_not_heard() -> None:
    knob = at(0.3)
    feed(knob, lambda _: raw_from_position(0.3), 0.2)
    for spike in (0.0, 1.0):
        knob.update(spike)
        after = feed(knob, lambda _: raw_from_position(0.3), 0.02)
        assert after == pytest.approx([0.3] * len(after))


def test_an_open_wiper_is_named_in_time_and_its_slide_undone() -> None:
    knob = at(0.6)
    feed(knob, lambda _: raw_from_position(0.6), 0.2)
    # The wiper opens: its node falls to ground with 1 ms, then reads a code no wiper gives.
    slide = [0.6 * math.exp(-n * POLL_S / 0.001) for n in range(3)]
    for raw in slide:
        knob.update(raw)
    feed(knob, lambda _: math.nan, 0.03)
    assert condition(knob) == "open"
    held = feed(knob, lambda _: math.nan, 1.0)
    assert held[-1] == pytest.approx(0.6) and not knob.usable


def test_a_knob_turned_while_open_is_glided_to_when_it_is_back() -> None:
    knob = at(0.2)
    feed(knob, lambda _: raw_from_position(0.2), 0.2)
    feed(knob, lambda _: math.nan, 0.5)
    back = feed(knob, lambda _: raw_from_position(0.9), 1.0)
    steps = [b - a for a, b in pairwise(back)]
    assert min(steps) >= 0.0 and max(steps) < 0.01
    assert back[-1] == pytest.approx(0.9) and condition(knob) == "good"


def test_a_knob_that_opens_in_a_turn_is_found_where_the_turn_ended() -> None:
    knob = at(0.6)
    feed(knob, lambda _: raw_from_position(0.6), 0.2)
    feed(knob, lambda _: raw_from_position(0.3), 0.008)
    feed(knob, lambda _: math.nan, 0.2)
    assert knob.position == pytest.approx(0.6)
    feed(knob, lambda _: raw_from_position(0.3), 1.0)
    assert knob.position == pytest.approx(0.3)


def test_an_intermittent_contact_does_not_flicker_between_conditions() -> None:
    contact = random.Random(3)
    knob = at(0.5)
    seen = []
    for _ in range(5000):
        knob.update(math.nan if contact.random() < 0.2 else raw_from_position(0.5))
        seen.append(knob.condition)
    assert sum(a != b for a, b in pairwise(seen)) == 1 and seen[-1] == "open"


def test_a_dead_bus_holds_and_is_told_from_an_end_and_from_an_open_wiper() -> None:
    knob = at(0.7)
    for _ in range(20):
        assert knob.fail() == pytest.approx(0.7)
    assert condition(knob) == "dead" and knob.faults == 20 and not knob.usable
    feed(knob, lambda _: raw_from_position(0.7), 0.6)
    assert condition(knob) == "good" and knob.usable
    feed(knob, lambda _: 0.0, 0.6)
    assert condition(knob) == "good" and knob.position == 0.0


def test_one_error_of_the_bus_is_only_counted() -> None:
    knob = at(0.7)
    feed(knob, lambda _: raw_from_position(0.7), 0.1)
    knob.fail()
    assert condition(knob) == "good" and knob.faults == 1


def test_a_noisy_wiper_is_named_smoothed_and_forgiven() -> None:
    noise = random.Random(5)

    def worn(_: float) -> float:
        return noise.random() if noise.random() < 0.2 else raw_from_position(0.5)

    knob = at(0.5)
    feed(knob, worn, 1.0)
    assert condition(knob) == "noisy" and knob.usable
    smoothed = feed(knob, worn, 4.0)
    assert max(abs(position - 0.5) for position in smoothed) < 0.02
    feed(knob, lambda _: raw_from_position(0.5), 2.0)
    assert condition(knob) == "good"


def test_a_foot_that_shakes_a_pedal_is_not_noise() -> None:
    knob = at(0.5)
    for n in range(2000):
        knob.update(0.5 + 0.45 * math.sin(2.0 * math.pi * 8.0 * n * POLL_S))
        assert condition(knob) == "good"


def test_a_frozen_code_is_suspicious_only_after_long_and_not_at_an_end() -> None:
    def frozen(raw: float, for_s: float) -> str:
        knob = KnobFilter(poll_s=0.05)
        for _ in range(round(for_s / 0.05)):
            knob.update(raw)
        return knob.condition

    assert frozen(0.5, STUCK_S - 1.0) == "good" and frozen(0.5, STUCK_S + 1.0) == "stuck"
    assert frozen(0.01, STUCK_S + 1.0) == "good"


def test_a_stuck_knob_is_followed_again_at_once() -> None:
    knob = KnobFilter(poll_s=0.05)
    for _ in range(round(STUCK_S / 0.05) + 10):
        knob.update(0.5)
    assert condition(knob) == "stuck" and knob.usable
    for _ in range(3):
        knob.update(0.7)
    assert condition(knob) == "good" and knob.position == pytest.approx(DEFAULT.position(0.7))
