"""The plant: physics holds in every lump, and the pedal starts, warms and refuses as designed."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant import oscillator
from hil.plant.chamber import ChamberPlant
from hil.plant.electrical import Source, inrush_v, load
from hil.plant.faults import PlantFaults
from hil.plant.moisture import Film, dew_point_c, saturation_pa
from hil.plant.parameters import Parameters, rows
from hil.plant.plant import Plant
from hil.plant.thermal import NODES, Network
from hil.suites.delay import chirp, find_delay

_P = Parameters()


def _cold(seed: int = 0, faults: PlantFaults | None = None, celsius: float = -40.0) -> Plant:
    """A plant that has stood in the cold over night."""
    plant = Plant(seed=seed, faults=faults)
    plant.chamber.running, plant.chamber.setpoint_c = True, celsius
    plant.chamber.air_c = celsius
    plant.network.settle(celsius)
    plant.sleep(60.0)
    return plant


# ---- heat ---------------------------------------------------------------------------------------


@given(
    watts=st.dictionaries(st.sampled_from(NODES), st.floats(0.0, 40.0), max_size=4),
    air_c=st.floats(-60.0, 80.0),
    steps=st.integers(1, 40),
)
@settings(deadline=None, max_examples=40)
def test_a_step_is_exact_whatever_its_length(watts: dict, air_c: float, steps: int) -> None:
    whole, parts = Network(_P, 10.0), Network(_P, 10.0)
    whole.advance(100.0, air_c, watts)
    for _ in range(steps):
        parts.advance(100.0 / steps, air_c, watts)
    for name in NODES:
        assert whole[name] == pytest.approx(parts[name], abs=1e-6)


@given(watts=st.floats(0.0, 40.0), air_c=st.floats(-60.0, 80.0), node=st.sampled_from(NODES))
@settings(deadline=None, max_examples=40)
def test_what_goes_in_comes_out(watts: float, air_c: float, node: str) -> None:
    network = Network(_P, 20.0)
    for _ in range(40):
        network.advance(3600.0, air_c, {node: watts})
    assert network.heat_to_air_w(air_c) == pytest.approx(watts, abs=1e-6)
    assert all(at >= air_c - 1e-6 for at in network.all_c().values())


def test_without_heat_all_becomes_the_air() -> None:
    network = Network(_P, 20.0)
    network.advance(200_000.0, -40.0, {})
    assert max(abs(at + 40.0) for at in network.all_c().values()) < 1e-6


# ---- air and water ------------------------------------------------------------------------------


@given(st.floats(-60.0, 90.0))
def test_dew_point_undoes_saturation(celsius: float) -> None:
    assert dew_point_c(saturation_pa(celsius)) == pytest.approx(celsius, abs=1e-6)


def test_saturation_is_what_tables_say() -> None:
    # Sonntag 1990: Pa over water at 20 and 40 °C, over ice at −40 °C.
    assert saturation_pa(20.0) == pytest.approx(2339, rel=0.005)
    assert saturation_pa(40.0) == pytest.approx(7384, rel=0.01)
    assert saturation_pa(-40.0) == pytest.approx(12.84, rel=0.02)


def test_a_film_forms_on_what_is_colder_and_dries_on_what_is_not() -> None:
    film = Film(_P)
    damp_pa = saturation_pa(25.0) * 0.8
    for _ in range(600):
        film.advance(1.0, 5.0, 25.0, damp_pa)
    assert film.g_per_m2 > 1.0
    assert 0.0 < film.leaks(5.0) <= 1.0
    assert film.leaks(-1.0) == 0.0
    for _ in range(3600):
        film.advance(1.0, 40.0, 25.0, damp_pa)
    assert film.g_per_m2 == 0.0


@pytest.mark.parametrize("step_s", [1.0, 10.0])
def test_the_chamber_goes_there_no_faster_than_it_can(step_s: float) -> None:
    chamber = ChamberPlant(_P, random.Random(0))
    chamber.running, chamber.setpoint_c = True, -40.0
    before = chamber.air_c
    for _ in range(int(7200 / step_s)):
        chamber.advance(step_s)
        assert abs(chamber.air_c - before) <= _P.chamber_heating_k_per_min / 60 * step_s + 1e-9
        before = chamber.air_c
        assert chamber.dew_point_c <= chamber.air_c + 0.2
    assert chamber.air_c == pytest.approx(-40.0, abs=1.0)
    chamber.setpoint_c, chamber.humidity_setpoint_percent = 40.0, 93.0
    for _ in range(int(14400 / step_s)):
        chamber.advance(step_s)
    assert chamber.humidity_percent == pytest.approx(93.0, abs=3.0)
    chamber.door_open = True
    chamber.advance(300.0)
    assert chamber.air_c == pytest.approx(_P.room_c, abs=1.0)


# ---- electricity --------------------------------------------------------------------------------


@given(watts=st.floats(0.1, 60.0), celsius=st.floats(-50.0, 60.0), battery=st.booleans())
def test_the_working_point_is_one(watts: float, celsius: float, battery: bool) -> None:
    source = Source(_P, on=True, battery=battery, limit_a=20.0)
    point = load(source, watts, celsius)
    if watts < source.open_v(celsius) ** 2 / (4.0 * source.ohm(celsius)):
        assert point.volts * point.amperes == pytest.approx(watts, rel=1e-6)
        drop_v = point.amperes * source.ohm(celsius)
        assert point.volts + drop_v == pytest.approx(source.open_v(celsius))


def test_a_battery_is_weaker_in_the_cold_and_an_old_capacitor_helps_less() -> None:
    source = Source(_P, on=True, battery=True)
    assert load(source, 20.0, -35.0).volts < load(source, 20.0, 25.0).volts
    assert inrush_v(source, 20.0, -35.0, -35.0) < inrush_v(source, 20.0, 25.0, 25.0)
    limited = load(Source(_P, volts=12.0, limit_a=1.0, on=True), 20.0, 25.0)
    assert limited.volts == 0.0 and limited.amperes == 1.0


def test_quartzes_run_off_on_both_sides() -> None:
    cold = oscillator.interface_ppm(_P, -40.0)
    room = oscillator.interface_ppm(_P, 25.0)
    assert abs(cold - room) > 5.0
    assert abs(cold) < 100.0


# ---- the start ----------------------------------------------------------------------------------


def test_a_cold_start_is_held_warmed_and_only_then_powered() -> None:
    plant = _cold()
    key_s = plant.now_s()
    plant.source.on = True
    plant.sleep(900.0)
    assert plant.boot.phase == "running"
    assert plant.pedal.heard == "wet"
    assert min(plant.boot.powered_at_c) >= _P.chip_limit_c
    wet_s = next(at for at, heard in plant.pedal.heard_changes if heard == "wet")
    dry_s = next(at for at, heard in plant.pedal.heard_changes if heard == "dry")
    assert key_s + 60.0 < dry_s < wet_s < key_s + 600.0


def test_at_room_temperature_nothing_is_held() -> None:
    plant = Plant()
    plant.source.on = True
    plant.sleep(40.0)
    assert plant.pedal.heard == "wet"
    wet_s = plant.pedal.heard_changes[-1][0]
    assert wet_s == pytest.approx(
        1.0 + _P.firmware_boot_s + _P.linux_boot_s + _P.wet_s + 0.6, abs=1.5
    )


def test_without_its_hold_off_the_boot_chain_refuses() -> None:
    plant = _cold(faults=PlantFaults(hold_off_missing=True))
    plant.source.on = True
    plant.sleep(900.0)
    assert plant.boot.phase == "refused"
    assert plant.pedal.heard == "relay"
    assert plant.boot.powered_at_c[0] < _P.chip_limit_c


def test_without_its_pre_heater_it_stays_held_and_the_guitar_passes() -> None:
    plant = _cold(faults=PlantFaults(pre_heater_dead=True))
    plant.source.on = True
    plant.sleep(3600.0)
    assert plant.boot.phase == "held"
    assert plant.boot.powered_at_c == []
    assert plant.pedal.heard == "relay"


def test_a_weak_supply_browns_out_and_starts_again() -> None:
    plant = Plant()
    plant.source.volts, plant.source.on = 12.0, True
    plant.sleep(60.0)
    plant.source.volts = 8.0
    plant.sleep(1.0)
    plant.source.volts = 12.0
    plant.sleep(60.0)
    assert plant.brownouts >= 1 and plant.boot.boots == 2
    assert plant.pedal.heard == "wet"


def test_in_the_heat_less_is_computed_and_at_last_the_guitar_passes() -> None:
    plant = Plant()
    plant.pedal.engine = "studio"
    plant.source.on = True
    plant.chamber.running, plant.chamber.setpoint_c = True, 40.0
    plant.sleep(4 * 3600.0)
    assert plant.pedal.engine_heard == "studio"
    plant.chamber.setpoint_c = 92.0
    plant.sleep(6 * 3600.0)
    assert plant.pedal.heard == "relay"
    assert plant.network["die"] < _P.shutdown_c
    plant.chamber.setpoint_c = 110.0
    plant.sleep(3600.0)
    assert plant.boot.phase == "shut down"
    assert plant.pedal.heard == "relay"


# ---- sound --------------------------------------------------------------------------------------


def test_what_is_recorded_is_as_late_as_the_pedal() -> None:
    plant = Plant()
    assert find_delay(chirp(), plant.pedal.sound(chirp(), 0.0)).frames == pytest.approx(0, abs=1e-2)
    plant.source.on = True
    plant.sleep(60.0)
    found = find_delay(chirp(), plant.pedal.sound(chirp(), plant.now_s()))
    assert found.frames == pytest.approx(plant.pedal.round_trip_frames, abs=1e-2)


def test_the_same_seed_is_the_same_night() -> None:
    def night(seed: int) -> list[float]:
        plant = _cold(seed)
        plant.source.on = True
        plant.sleep(1000.0)
        return [*plant.thermocouples_c().values(), plant.load.amperes]

    assert night(3) == night(3)
    assert night(3) != night(4)


def test_every_figure_has_a_unit_and_a_source() -> None:
    for name, value, unit, source in rows():
        assert unit and source, name
        assert math.isfinite(value)
    assert len({name for name, *_ in rows()}) > 60
    assert np.isfinite([value for _, value, *_ in rows()]).all()
