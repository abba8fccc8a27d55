"""Bands with hysteresis, the dew point, and the heater against a small thermal plant."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.states.heater import NO_EFFECT, TOO_FAST, Heater
from device.states.limits import Limits
from device.states.thermal import Ladder, Watched, believed, believed_percent, dew_point_c

LIMITS = Limits()
STEP_S = 0.5


@pytest.mark.parametrize("value_c", [-60.0, -40.0, -0.001, 0.0, 104.5])
def test_temperatures_below_zero_are_readings(value_c: float) -> None:
    assert believed(value_c) == value_c


@pytest.mark.parametrize("value_c", [None, math.nan, math.inf, -math.inf, -256.0, -273.15, 1e9])
def test_sentinels_are_no_readings(value_c: float | None) -> None:
    assert believed(value_c) is None
    assert believed_percent(value_c) is None


def test_ladder_follows_only_what_stood_for_the_whole_time() -> None:
    ladder = Ladder((10.0, 20.0, 30.0), hysteresis=4.0, confirm_s=1.0)
    assert ladder.update(0.0, 5.0) == 0
    assert ladder.update(0.5, 35.0) == 0  # one wild reading
    assert ladder.update(1.0, 5.0) == 0
    assert ladder.update(2.0, 35.0) == 0
    assert ladder.update(2.5, 21.0) == 0
    assert ladder.update(3.0, 35.0) == 2  # all of them were above 20, not all above 30
    assert ladder.update(4.0, 16.5) == 2  # within the hysteresis
    assert ladder.update(5.0, 15.9) == 2
    assert ladder.update(6.0, 15.9) == 1
    assert ladder.update(7.0, -5.0) == 1
    assert ladder.update(7.5, 35.0) == 1
    assert ladder.update(8.0, 25.0) == 1
    assert ladder.update(8.5, 25.0) == 2
    assert ladder.update(9.0, -5.0) == 2
    assert ladder.update(9.5, 9.0) == 2
    assert ladder.update(10.0, -5.0) == 1  # all of them were below 16, not all below 6


def test_ladder_believes_the_first_value_at_once() -> None:
    assert Ladder((10.0, 20.0), 4.0, 1.0).update(0.0, 25.0) == 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(-20.0, 60.0)), min_size=1))
def test_ladder_never_chatters(steps: list[tuple[float, float]]) -> None:
    thresholds, hysteresis, confirm_s = (10.0, 20.0, 30.0), 4.0, 1.0
    ladder = Ladder(thresholds, hysteresis, confirm_s)
    now_s, changed_s = 0.0, 0.0
    level = ladder.update(now_s, steps[0][1])
    for wait_s, value in steps:
        now_s += wait_s
        before, level = level, ladder.update(now_s, value)
        if level == before:
            continue
        # The value that completes a confirmation asks for at least that level itself.
        if level > before:
            assert value >= thresholds[level - 1]
        else:
            assert value < thresholds[level] - hysteresis
        assert now_s - changed_s >= confirm_s - 1e-9
        changed_s = now_s


def test_a_lost_sensor_keeps_its_level_for_a_while_and_must_be_confirmed_again() -> None:
    watched = Watched(Ladder((0.0,), 5.0, 1.0), lost_s=5.0, unknown=lambda level: 1)
    assert watched.update(0.0, -30.0) == 0
    assert watched.update(4.9, None) == 0
    assert not watched.lost
    assert watched.update(5.0, None) == 1
    assert watched.lost
    assert watched.update(6.0, -30.0) == 1
    assert watched.update(7.0, -30.0) == 0


# Saturation vapour pressures over water: 0 °C 6.11, 10 °C 12.27, 20 °C 23.37, 30 °C 42.43 hPa.
@pytest.mark.parametrize(
    ("air_c", "humidity_percent", "expected_c"),
    [
        (20.0, 100.0, 20.0),
        (20.0, 100.0 * 12.27 / 23.37, 10.0),
        (30.0, 100.0 * 23.37 / 42.43, 20.0),
        (20.0, 100.0 * 6.11 / 23.37, 0.0),
        # Over ice at −20 °C: 1.032 hPa (over water 1.254): frost settles before dew would.
        (-20.0, 100.0 * 1.032 / 1.254, -20.0),
        (0.0, 100.0 * 1.032 / 6.11, -20.0),
    ],
)
def test_dew_and_frost_points(air_c: float, humidity_percent: float, expected_c: float) -> None:
    assert dew_point_c(air_c, humidity_percent) == pytest.approx(expected_c, abs=0.15)


@settings(deadline=None)
@given(st.floats(-90.0, 150.0), st.floats(0.0, 110.0))
def test_a_dew_point_is_finite_wherever_a_reading_is_believed(
    air_c: float, humidity: float
) -> None:
    assert math.isfinite(dew_point_c(air_c, humidity))


class Plant:
    """A pedal of one thermal mass: 500 J/K, 1 K/W to the air around it."""

    def __init__(self, air_c: float, heater_w: float = 40.0, module_w: float = 10.0) -> None:
        self.air_c = self.board_c = air_c
        self.heater_w = heater_w
        self.module_w = module_w

    def step(self, heated: bool) -> float:
        power_w = self.module_w + self.heater_w * heated - (self.board_c - self.air_c)
        self.board_c += STEP_S * power_w / 500.0
        return self.board_c


def heat(
    plant: Plant,
    minutes: float,
    read: Callable[[float], float] = lambda board_c: board_c,
    heater: Heater | None = None,
    start_s: float = 0.0,
) -> tuple[Heater, list[bool]]:
    """The heater and when it was on, each step, with a surface sensor that reads as told."""
    heater = heater or Heater(LIMITS)
    on, history = False, []
    for index in range(int(minutes * 60 / STEP_S)):
        board_c = read(plant.step(on))
        on = heater.step(start_s + index * STEP_S, board_c, board_c, board_c)
        history.append(on)
    return heater, history


def test_a_good_heater_warms_a_pedal_from_minus_40_and_then_keeps_it_warm() -> None:
    plant = Plant(air_c=-40.0)
    heater, history = heat(plant, minutes=120)
    assert heater.fault == ""
    assert LIMITS.heater_below_c - 6 < plant.board_c < LIMITS.heater_below_c + 6
    assert history[0]
    assert not all(history)


def test_a_dead_heater_is_found_even_where_the_module_warms_itself() -> None:
    heater, history = heat(Plant(air_c=-20.0, heater_w=0.0), minutes=60)
    assert heater.fault == NO_EFFECT
    assert sum(history[-len(history) // 2 :]) < 0.5 * len(history) / 2


def test_a_cold_that_is_stronger_than_the_heater_is_no_fault_of_the_heater() -> None:
    plant = Plant(air_c=-60.0, heater_w=30.0)
    heater, history = heat(plant, minutes=120)
    assert plant.board_c < LIMITS.heater_below_c
    assert heater.fault == ""
    assert sum(history) > 0.6 * len(history)


def test_the_proof_by_cooling_counts_from_the_warmest_and_waits_for_the_pause() -> None:
    heater = Heater(LIMITS)
    begin_s = LIMITS.heater_window_s
    assert heater.step(0.0, -10.0, -10.0)
    assert not heater.step(begin_s, -10.0, -10.0)
    assert not heater.step(begin_s + 5.0, -9.6, -9.6)  # heat that was still on its way
    assert not heater.step(begin_s + 10.0, -10.7, -10.7)  # proven, but the pause is not over
    assert heater.step(begin_s + LIMITS.heater_pause_s, -10.7, -10.7)


def test_what_is_not_allowed_ends_the_heating_at_once() -> None:
    heater = Heater(LIMITS)
    assert heater.step(0.0, -20.0, -20.0)
    assert not heater.step(0.5, -20.0, -20.0, allowed=False)
    assert not heater.step(1.0, -20.0, -20.0)


def test_a_frozen_sensor_ends_the_heating() -> None:
    heater, history = heat(Plant(air_c=-20.0), minutes=30, read=lambda board_c: -10.0)
    assert heater.fault == NO_EFFECT
    first_off = history.index(False)
    assert first_off * STEP_S <= LIMITS.heater_window_s
    assert sum(history) * STEP_S <= 2 * LIMITS.heater_window_s


def test_a_sensor_that_warms_faster_than_any_heater_ends_the_heating() -> None:
    heater = Heater(LIMITS)
    assert heater.step(0.0, -20.0, -20.0, -20.0)
    assert heater.step(30.0, -12.0, -12.0, -12.0)
    assert not heater.step(45.0, -4.0, -4.0, -4.0)
    assert heater.fault == TOO_FAST
    assert not heater.step(45.0 + LIMITS.heater_retry_s - 1.0, -20.0, -20.0, -20.0)
    assert heater.step(45.0 + LIMITS.heater_retry_s, -20.0, -20.0, -20.0)


def test_a_rise_counts_from_the_dip_before_it() -> None:
    heater = Heater(LIMITS)
    assert heater.step(0.0, -20.0, -20.0, -20.0)
    assert heater.step(10.0, -30.0, -30.0, -30.0)
    assert not heater.step(20.0, -14.0, -14.0, -14.0)
    assert heater.fault == TOO_FAST


def test_a_fault_ends_with_the_first_rise_of_a_later_try() -> None:
    plant = Plant(air_c=-20.0, heater_w=0.0)
    heater, _ = heat(plant, minutes=60)
    assert heater.fault == NO_EFFECT
    plant.heater_w = 40.0
    heat(plant, minutes=20, heater=heater, start_s=3600.0)
    assert heater.fault == ""


def test_the_heater_rests_after_its_longest_time() -> None:
    # Slowly but truly warmer: nothing to suspect, and still no more than the longest time at once.
    plant = Plant(air_c=-90.0, heater_w=60.0)
    _, history = heat(plant, minutes=100)
    longest = max(len(run) for run in "".join("x" if on else " " for on in history).split())
    assert longest * STEP_S == pytest.approx(LIMITS.heater_max_on_s, abs=2 * STEP_S)


def test_the_limit_ends_the_heating_at_once_and_for_the_pause() -> None:
    heater = Heater(LIMITS)
    assert heater.step(0.0, -20.0, 20.0)
    assert not heater.step(0.5, -20.0, LIMITS.heater_max_c + 0.1)
    assert not heater.step(1.0, -20.0, 20.0)
    assert heater.step(0.5 + LIMITS.heater_pause_s, -20.0, 20.0)


def test_dew_asks_for_heat_above_the_thermostat_but_not_above_the_limit() -> None:
    heater = Heater(LIMITS)
    assert not heater.step(0.0, 20.0, 20.0)
    assert heater.step(1.0, 20.0, 20.0, damp=True)
    assert heater.step(1.5, 20.0, 20.0, damp=True)
    assert not heater.step(2.0, 20.0, LIMITS.heater_max_c + 1.0, damp=True)
