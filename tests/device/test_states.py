"""The table of states, row by row, and what happens between the rows."""

from pathlib import Path
from typing import Any

import pytest

from device.errors import ConfigError
from device.plain import replace
from device.states import Decision, Inputs, Limits, States, Temperatures
from device.states.table import markdown
from device.states.values import Audio

LIMITS = Limits()
TURN_S = 0.1


def module(zone_c: float, **others: Any) -> Temperatures:
    """A module whose zones all read the same, and what other sensors read."""
    zones = Temperatures(coldest_c=zone_c, hottest_c=zone_c, zones={"tj-thermal": zone_c})
    return replace(zones, **others)


class Run:
    """States over time: each call goes on for some seconds in steps of a tenth."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.states = States(limits)
        self.now_s = 100.0

    def __call__(
        self,
        seconds: float,
        temperatures: Temperatures,
        audio: Audio = "playing",
        *faults: str,
    ) -> Decision:
        for _ in range(round(seconds / TURN_S)):
            self.now_s += TURN_S
            decision = self.states.step(Inputs(self.now_s, temperatures, audio, frozenset(faults)))
        return decision


def test_the_readme_shows_the_table_that_decides() -> None:
    readme = Path(__file__).parents[2] / "device/states/README.md"
    assert markdown() in readme.read_text("utf-8")


def test_a_warm_start_waits_for_audio_then_plays() -> None:
    run = Run()
    assert run(5, module(30), "dead").state == "hold"
    loading = run(1, module(30), "loading")
    assert (loading.state, loading.relay, loading.engine) == ("ready", True, True)
    playing = run(1, module(30))
    assert (playing.state, playing.relay, playing.ceiling) == ("play", True, "studio")
    assert [change.after for change in run.states.drain()] == ["hold", "ready", "play"]
    assert run.states.drain() == []


def test_minus_40_is_heated_in_bypass_then_warmed_up_then_played() -> None:
    run = Run()
    cold = run(5, module(-40))
    assert (cold.state, cold.relay, cold.heater, cold.engine) == ("hold", False, True, False)
    assert "-40.0" in cold.cause
    assert run(3, module(-21)).state == "hold"  # hysteresis
    warming = run(3, module(-19))
    assert (warming.state, warming.relay, warming.ceiling) == ("warm-up", True, "stage")
    assert warming.heater
    assert not warming.engine
    warm = run(3, module(1))
    assert (warm.state, warm.ceiling, warm.engine) == ("play", "studio", True)
    assert run(3, module(-4)).state == "play"
    assert run(3, module(-6)).state == "warm-up"


def test_a_cold_start_never_closes_the_relay_first() -> None:
    run = Run()
    assert not any(run(TURN_S, module(-40)).relay for _ in range(100))


def test_heat_takes_studio_then_stage_and_still_plays_then_bypasses() -> None:
    run = Run()
    assert run(2, module(87.9)).ceiling == "studio"
    stage = run(2, module(88))
    assert (stage.state, stage.ceiling, stage.relay, stage.engine) == ("hot", "stage", True, True)
    assert "tj-thermal" in stage.cause
    crossfade = run(2, module(92))
    assert (crossfade.state, crossfade.ceiling, crossfade.relay) == ("hot", "crossfade", True)
    assert not crossfade.engine
    critical = run(2, module(99))
    assert (critical.state, critical.relay, critical.heater) == ("fault", False, False)
    assert run(2, module(95.1)).state == "fault"
    assert run(2, module(94.9)).state == "hot"
    assert run(2, module(87)).ceiling == "stage"
    assert run(2, module(83)).state == "play"


def test_one_wild_reading_changes_nothing() -> None:
    run = Run()
    before = run(5, module(40))
    assert run(0.5, module(127)).state == "play"
    assert run(0.5, module(-80)).state == "play"
    assert run(5, module(40)) == before


@pytest.mark.parametrize("lost", [Temperatures(), module(float("nan")), module(-256.0)])
def test_lost_sensors_are_no_cold(lost: Temperatures) -> None:
    run = Run()
    run(3, module(-10))
    decision = run(0.1, lost)
    assert (decision.state, decision.heater) == ("warm-up", False)
    decision = run(10, lost)
    assert (decision.state, decision.relay, decision.ceiling) == ("play", True, "studio")
    assert "no temperatures" in decision.warnings
    assert not decision.heater
    assert run(3, module(20)).warnings == ()


def test_a_pedal_without_any_sensor_plays() -> None:
    decision = Run()(1, Temperatures())
    assert (decision.state, decision.relay, decision.engine) == ("play", True, True)
    assert decision.warnings == ("no temperatures",)


def test_sensors_lost_in_the_heat_keep_the_throttle_but_end_the_bypass() -> None:
    run = Run()
    assert run(2, module(99.5)).state == "fault"
    decision = run(10, Temperatures())
    assert (decision.state, decision.relay, decision.ceiling) == ("hot", True, "crossfade")


def test_a_lost_surface_sensor_ends_the_heating_though_zones_are_read() -> None:
    run = Run()
    assert run(2, module(-5, surface_c=-10.0)).heater
    decision = run(60, module(-5))
    assert not decision.heater
    assert "surface sensor lost" in decision.warnings


def test_hot_air_inside_ends_the_heating() -> None:
    run = Run()
    assert run(1, module(-10, air_c=20.0)).heater
    assert not run(TURN_S, module(-10, air_c=LIMITS.heater_max_c + 1.0)).heater


def test_zones_count_as_warmer_than_the_board_by_their_own_heat() -> None:
    zone_c = LIMITS.heater_below_c + LIMITS.self_heating_k - 1.0
    assert Run()(2, module(zone_c)).heater
    assert not Run()(2, module(zone_c, surface_c=zone_c)).heater


def test_audio_that_dies_is_a_fault_until_it_has_settled() -> None:
    run = Run()
    run(5, module(30))
    dead = run(TURN_S, module(30), "dead")
    assert (dead.state, dead.relay, dead.engine) == ("fault", False, True)
    back = run(TURN_S, module(30), "loading")
    assert (back.state, back.relay) == ("fault", False)
    settled = run(LIMITS.settle_s, module(30), "loading")
    assert (settled.state, settled.relay) == ("ready", True)


@pytest.mark.parametrize(("audio", "faults"), [("dead", ()), ("playing", ("audio frozen",))])
def test_the_very_next_turn_drops_the_relay(audio: Audio, faults: tuple[str, ...]) -> None:
    run = Run()
    same = module(30)
    assert run(5, same).relay
    told = Inputs(run.now_s + 0.002, same, audio, frozenset(faults))
    assert not run.states.step(told).relay


def test_audio_that_never_comes_is_a_fault() -> None:
    run = Run()
    assert run(LIMITS.start_s - 1, module(30), "dead").state == "hold"
    assert run(2, module(30), "dead").state == "fault"
    assert run(1, module(30)).state == "play"


def test_without_an_interface_the_guitar_goes_round_the_pedal() -> None:
    run = Run()
    run(5, module(30))
    absent = run(TURN_S, module(30), "absent")
    assert (absent.state, absent.relay) == ("ready", False)
    assert "interface" in absent.cause
    assert run(LIMITS.settle_s, module(30)).relay is False
    assert run(TURN_S, module(30)).relay is True


def test_a_dead_audio_process_that_returns_without_its_interface_is_no_fault() -> None:
    run = Run()
    run(5, module(30))
    run(1, module(30), "dead")
    assert run(1, module(30), "absent").state == "ready"


def test_faults_stop_or_warn_by_their_name() -> None:
    run = Run()
    warned = run(2, module(30), "playing", "knob dead", "disk full: 0 bytes left")
    assert (warned.state, warned.relay) == ("play", True)
    assert warned.warnings == ("disk full: 0 bytes left", "knob dead")
    stopped = run(TURN_S, module(30), "playing", "wrong pin: relay on 99", "knob dead")
    assert (stopped.state, stopped.relay, stopped.heater) == ("fault", False, False)
    assert stopped.cause.startswith("wrong pin: relay on 99")
    assert stopped.warnings == ("knob dead",)
    assert run(1, module(30), "playing").state == "play"


def test_dew_holds_before_anything_is_played_and_only_warns_after() -> None:
    wet = module(10, surface_c=5.0, air_c=20.0, humidity_percent=60.0)  # dew point 12 °C
    dry = module(15, surface_c=15.0, air_c=20.0, humidity_percent=60.0)
    run = Run()
    held = run(5, wet)
    assert (held.state, held.relay, held.heater) == ("hold", False, True)
    assert "dew point 12.0" in held.cause
    assert run(3, dry).state == "play"
    again = run(60, wet)
    assert (again.state, again.relay, again.warnings) == ("play", True, ("dew",))
    assert again.heater


def test_the_dew_guard_gives_up() -> None:
    wet = module(10, surface_c=5.0, air_c=20.0, humidity_percent=100.0)
    run = Run(Limits(dew_max_s=30.0))
    assert run(29, wet).state == "hold"
    assert run(2, wet).state == "play"


def test_what_comes_back_from_the_cold_is_guarded_again() -> None:
    wet = module(10, surface_c=5.0, air_c=20.0, humidity_percent=60.0)
    run = Run()
    assert run(2, module(20)).state == "play"
    assert run(2, module(-30)).state == "hold"
    assert run(2, wet).state == "hold"


def test_a_decision_stays_the_same_object_while_nothing_changes() -> None:
    run = Run()
    first = run(5, module(30.0))
    assert run(5, module(31.0)) is first
    assert len(run.states.transitions) == 1


def test_transitions_are_bounded_and_say_why() -> None:
    run = Run()
    for _ in range(400):
        run(0.5, module(30), "absent")
        run(0.5, module(30))
    assert len(run.states.transitions) == 256
    assert len(run.states.drain()) == 256
    last = run.states.transitions[-1]
    assert (last.before, last.after) == ("ready", "play")
    assert last.cause == "playing; module 30.0 to 30.0 °C"


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"hold_below_c": 5.0}, "warm_from_c"),
        ({"stage_from_c": 93.0}, "crossfade_from_c"),
        ({"bypass_from_c": 90.0}, "bypass_from_c"),
        ({"heater_below_c": 48.0}, "heater_max_c"),
        ({"bypass_from_c": 104.5}, "bypass_from_c"),
        ({"heater_max_c": 71.0}, "heater_max_c"),
        ({"hot_hysteresis_k": 0.0}, "hot_hysteresis_k"),
        ({"confirm_s": -1.0}, "confirm_s"),
        ({"warm_from_c": float("nan")}, "warm_from_c"),
        ({"warm_from_c": "warm"}, "warm_from_c"),
        ({"heater_trial_s": 10.0}, "heater_trial_s"),
    ],
)
def test_limits_that_contradict_each_other_are_named(wrong: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        replace(LIMITS, **wrong)
