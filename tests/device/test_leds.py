"""Two LEDs: every state can be told from every other, and nothing flashes too fast."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.leds import (
    CODES,
    STATES,
    Shown,
    code,
    code_pattern,
    fault_pattern,
    leds,
    status_pattern,
)

STEP_S = 0.01
LONG_S = 10.0

TOLD_APART = {
    "hold": Shown("hold"),
    "warm-up": Shown("warm-up"),
    "ready, presets loading": Shown("ready", loading=True),
    "ready, no interface": Shown("ready"),
    "play": Shown("play"),
    "bypass": Shown("play", bypass=True),
    "mute": Shown("play", mute=True),
    "learn": Shown("play", learn=True),
    "hot": Shown("hot"),
    "fault": Shown("fault"),
    "warning": Shown("play", faults=("knob noisy",)),
}
"""What a player must be able to tell apart."""


def seen(shown: Shown, for_s: float = LONG_S) -> tuple[tuple[bool, bool], ...]:
    return tuple(leds(shown, step * STEP_S) for step in range(round(for_s / STEP_S)))


def test_all_that_matters_looks_different() -> None:
    pictures = {name: seen(shown) for name, shown in TOLD_APART.items()}
    for one, other in itertools.combinations(pictures, 2):
        assert pictures[one] != pictures[other], (one, other)


@pytest.mark.parametrize("name", TOLD_APART)
def test_a_pedal_with_power_is_never_dark_for_longer_than_two_seconds(name: str) -> None:
    dark = 0
    for status, fault in seen(TOLD_APART[name]):
        dark = 0 if status or fault else dark + 1
        assert dark * STEP_S <= 2.0


@given(
    st.builds(
        Shown,
        state=st.sampled_from([*STATES, "unknown"]),
        bypass=st.booleans(),
        mute=st.booleans(),
        learn=st.booleans(),
        loading=st.booleans(),
        faults=st.lists(st.sampled_from([*CODES, "something else"]), max_size=3),
    )
)
def test_nothing_flashes_more_than_three_times_a_second(shown: Shown) -> None:
    for column in zip(*seen(shown, 5.0), strict=True):
        lit_at = [i for i in range(1, len(column)) if column[i] and not column[i - 1]]
        for first, fourth in zip(lit_at, lit_at[3:], strict=False):
            assert (fourth - first) * STEP_S > 0.99


def flashes(pattern: tuple[float, ...]) -> int:
    return len(pattern) // 2


FAULTS = {
    "knob dead": 2,
    "expression missing": 2,
    "midi missing": 2,
    "footswitch stuck": 3,
    "footswitch missing": 3,
    "no temperatures": 4,
    "surface sensor lost": 4,
    "heater has no effect": 4,
    "heater sensor implausible": 4,
    "dew": 4,
    "preset broken: 1 of 8": 5,
    "studio engine absent": 6,
    "disk full": 7,
    "status LED missing": 8,
    "wrong pin: knob: disk": 8,
    "knob of the interface": 1,
}
"""What the control process and the states call what is wrong."""


@pytest.mark.parametrize(("fault", "count"), FAULTS.items())
def test_a_fault_is_counted_by_flashes(fault: str, count: int) -> None:
    assert code(fault) == count
    assert flashes(code_pattern(count)) == count
    lit = [fault_lit for _, fault_lit in seen(Shown("play", faults=(fault,)), 10.0)]
    period = round(sum(code_pattern(count)) / STEP_S)
    rises = sum(lit[i] and not lit[i - 1] for i in range(period, 2 * period))
    assert rises == count


def test_of_several_faults_the_most_urgent_is_counted() -> None:
    shown = Shown("play", faults=("disk full", "knob dead", "preset broken"))
    assert fault_pattern(shown) == code_pattern(2)


def test_a_spark_is_short_and_a_flash_leaves_time_to_count() -> None:
    sparks = [status for status, _ in seen(Shown("play", bypass=True))]
    assert 0 < sum(sparks) < 0.05 * len(sparks)
    flashes_ = [fault for _, fault in seen(Shown("play", faults=("odd",)))]
    assert 0 < sum(flashes_) < 0.4 * len(flashes_)


def test_a_fault_that_stops_the_sound_stands_still() -> None:
    assert all(fault for _, fault in seen(Shown("fault", faults=("knob dead",))))


def test_bypass_and_mute_are_shown_only_where_there_is_sound() -> None:
    for state in ("hold", "fault"):
        assert status_pattern(Shown(state, bypass=True, mute=True)) == STATES[state]
    for state in ("warm-up", "ready", "play", "hot"):
        muted, bypassed = Shown(state, bypass=True, mute=True), Shown(state, bypass=True)
        assert status_pattern(muted) not in (STATES[state], status_pattern(bypassed))
        assert status_pattern(bypassed) != STATES[state]


def test_sound_is_a_steady_green() -> None:
    assert set(seen(Shown("play"))) == {(True, False)}


def test_while_learning_the_leds_take_turns() -> None:
    assert set(seen(Shown("play", learn=True))) == {(True, False), (False, True)}
