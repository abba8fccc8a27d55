"""What holds for every sequence of readings, faults and audio, however wild."""

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.states import AUDIO, CEILINGS, Decision, Inputs, Limits, States, Temperatures
from device.states.thermal import believed
from device.states.values import Audio

LIMITS = Limits()

WILD = st.one_of(
    st.floats(-60.0, 110.0),
    st.sampled_from([None, math.nan, math.inf, -math.inf, -256.0, -40.0, 0.0, 1e300]),
    st.floats(),
)
READINGS = st.builds(Temperatures, WILD, WILD, WILD, WILD, WILD)
FAULTS = st.frozensets(
    st.sampled_from(["audio frozen", "wrong pin: 99", "knob dead", "disk full"]), max_size=2
)
WAITS_S = st.floats(0.001, 40.0)
ANYTHING = st.lists(
    st.tuples(WAITS_S, READINGS, st.sampled_from(AUDIO), FAULTS), min_size=1, max_size=60
)


def same(zone_c: float) -> Temperatures:
    return Temperatures(coldest_c=zone_c, hottest_c=zone_c)


def outcomes(decision: Decision) -> dict[str, bool]:
    """What a listener or a component would notice changing."""
    return {
        "hold": decision.state == "hold",
        "fault": decision.state == "fault",
        "engine": decision.engine,
        "studio": decision.ceiling == "studio",
        "crossfade": decision.ceiling == "crossfade",
    }


@settings(deadline=None)
@given(ANYTHING)
def test_relay_and_heater_are_safe_whatever_is_read(
    steps: Sequence[tuple[float, Temperatures, Audio, frozenset[str]]],
) -> None:
    states = States(LIMITS)
    now_s, off_s, heated = 0.0, -math.inf, False
    for wait_s, temperatures, audio, faults in steps:
        now_s += wait_s
        decision = states.step(Inputs(now_s, temperatures, audio, faults))
        if decision.state in ("hold", "fault") or audio in ("dead", "absent"):
            assert not decision.relay
        if faults & {"audio frozen", "wrong pin: 99"}:
            assert decision.state == "fault"
        if decision.heater:
            coldest_c = believed(temperatures.coldest_c)
            hottest_c = believed(temperatures.hottest_c)
            assert coldest_c is not None
            assert hottest_c is not None
            others = (believed(temperatures.surface_c), believed(temperatures.air_c))
            warmest_c = max(coldest_c, hottest_c, *(c for c in others if c is not None))
            assert warmest_c <= LIMITS.heater_max_c
            assert decision.state != "fault"
            assert heated or now_s - off_s >= LIMITS.heater_pause_s
        elif heated:
            off_s = now_s
        heated = decision.heater
        if decision.engine:
            assert decision.ceiling != "crossfade"


@pytest.mark.parametrize(
    ("lowest_c", "highest_c", "hysteresis_k"),
    [(-45.0, 30.0, LIMITS.cold_hysteresis_k), (60.0, 105.0, LIMITS.hot_hysteresis_k)],
)
@settings(deadline=None)
@given(data=st.data())
def test_nothing_goes_to_and_fro_without_the_hysteresis_and_the_confirmation(
    lowest_c: float, highest_c: float, hysteresis_k: float, data: st.DataObject
) -> None:
    zones_c = st.floats(lowest_c, highest_c)
    first_c = data.draw(zones_c)
    steps = data.draw(st.lists(st.tuples(st.floats(0.05, 3.0), zones_c), max_size=80))
    states = States(LIMITS)
    last = outcomes(states.step(Inputs(0.0, same(first_c), "playing")))
    read = {name: [first_c] for name in last}
    changed_s = dict.fromkeys(last, -math.inf)
    now_s = 0.0
    for wait_s, zone_c in steps:
        now_s += wait_s
        now = outcomes(states.step(Inputs(now_s, same(zone_c), "playing")))
        for name, value in now.items():
            read[name].append(zone_c)
            if value == last[name]:
                continue
            if changed_s[name] > -math.inf:
                assert max(read[name]) - min(read[name]) >= hysteresis_k
                # A fault is left settle_s after the temperature allows, never entered later.
                assert now_s - changed_s[name] >= LIMITS.confirm_s - LIMITS.settle_s - 1e-9
            changed_s[name] = now_s
            read[name] = [zone_c]
        last = now


@settings(deadline=None)
@given(
    st.floats(-45.0, 104.0),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60),
)
def test_noise_within_the_hysteresis_changes_the_state_once_at_most(
    centre_c: float, noise: Sequence[float]
) -> None:
    states = States(LIMITS)
    band_k = 0.99 * min(LIMITS.cold_hysteresis_k, LIMITS.hot_hysteresis_k)
    names = []
    for index, share in enumerate([0.5, 0.5, 0.5, *noise]):
        decision = states.step(Inputs(index * 2.0, same(centre_c + band_k * share), "playing"))
        names.append((decision.state, decision.ceiling))
    settled = names[2:]
    assert sum(a != b for a, b in itertools.pairwise(settled)) <= 1


@settings(deadline=None)
@given(st.lists(st.floats(LIMITS.warm_from_c, 110.0), min_size=2, max_size=20))
def test_the_ceiling_falls_as_temperature_rises_and_rises_as_it_falls(
    zones_c: Sequence[float],
) -> None:
    for order in (sorted(zones_c), sorted(zones_c, reverse=True)):
        states = States(LIMITS)
        levels = []
        for index, zone_c in enumerate(order):
            for part_s in (0.0, 2.0):
                decision = states.step(Inputs(4.0 * index + part_s, same(zone_c), "playing"))
            levels.append(CEILINGS.index(decision.ceiling))
        assert levels == sorted(levels, reverse=order[0] <= order[-1])


@settings(deadline=None)
@given(st.floats(-60.0, LIMITS.hold_below_c - 0.01), st.integers(1, 100))
def test_every_cold_is_held_and_heated(zone_c: float, turns: int) -> None:
    states = States(LIMITS)
    for turn in range(turns):
        decision = states.step(Inputs(turn * 0.5, same(zone_c), "playing"))
        assert (decision.state, decision.relay, decision.heater) == ("hold", False, True)
