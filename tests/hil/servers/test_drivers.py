"""Each driver of the bench against its server: what it sets is what the plant is told."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from hil.errors import InstrumentError
from hil.instruments.console_unit import ConsoleUnit
from hil.instruments.factory import ChamberKind, SupplyTable, make_chamber, make_supply
from hil.instruments.protocols import Chamber
from hil.instruments.serial_console import SerialConsole
from hil.instruments.thermocouples import ScpiThermocouples
from hil.instruments.transport import Patience
from hil.plant.plant import Plant
from hil.servers.ascii2 import PLAIN
from hil.servers.console import PASSWORD
from hil.servers.servers import Servers, start_servers
from hil.simulated import KINDS, tables

PATIENT = Patience(connect_s=2.0, answer_s=2.0, tries=2)
HASTY = Patience(connect_s=1.0, answer_s=0.15, tries=2)
Open = Callable[..., Chamber]


@pytest.fixture
def opened(plant: Plant, servers: Servers, request: pytest.FixtureRequest) -> Open:
    def make(kind: ChamberKind, patience: Patience = PATIENT, humidity: bool = True) -> Chamber:
        table, _ = tables(plant, servers, kind, humidity)
        chamber = make_chamber(table, plant, patience=patience)
        request.addfinalizer(chamber.close)
        return chamber

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_chamber_is_set_started_read_and_stopped(
    kind: ChamberKind, plant: Plant, opened: Open
) -> None:
    chamber = opened(kind)
    assert chamber.limits.lowest_c == -70.0 and chamber.limits.humidity
    chamber.set(-40.0)
    assert (plant.chamber.setpoint_c, plant.chamber.running) == (-40.0, False)
    chamber.start()
    plant.sleep(1800.0)
    reading = chamber.read()
    assert reading.air_c == pytest.approx(plant.chamber.air_c, abs=0.051)
    assert reading.setpoint_c == -40.0 and reading.running and reading.alarms == ()
    assert reading.humidity_setpoint_percent is None
    chamber.set(40.0, 93.0)
    plant.sleep(7200.0)
    reading = chamber.read()
    assert plant.chamber.humidity_setpoint_percent == 93.0
    assert reading.humidity_setpoint_percent == 93.0
    assert reading.humidity_percent == pytest.approx(plant.chamber.humidity_percent, abs=0.51)
    chamber.stop()
    assert not plant.chamber.running and not chamber.read().running


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_chamber_does_not_take_is_an_error(
    kind: ChamberKind, plant: Plant, opened: Open
) -> None:
    chamber = opened(kind)
    with pytest.raises(InstrumentError):
        chamber.set(190.0)
    assert plant.chamber.setpoint_c == 23.0


def _damage(name: str) -> Callable[[Servers], None]:
    return lambda servers: setattr(servers.faults.chamber, name, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ignores_writes", "local"])
def test_a_write_that_does_nothing_is_an_error(
    kind: ChamberKind, name: str, plant: Plant, servers: Servers, opened: Open
) -> None:
    chamber = opened(kind)
    _damage(name)(servers)
    with pytest.raises(InstrumentError):
        chamber.set(-40.0)
    with pytest.raises(InstrumentError):
        chamber.start()
    assert (plant.chamber.setpoint_c, plant.chamber.running) == (23.0, False)


def test_ascii2_says_that_it_is_not_on_extern(servers: Servers, opened: Open) -> None:
    chamber = opened("ascii2")
    servers.faults.chamber.local = True
    with pytest.raises(InstrumentError, match="extern"):
        chamber.set(-40.0)


def test_ascii2_of_another_form_than_it_tells_is_never_started(plant: Plant) -> None:
    # Two values and ten bits are what is written where a unit does not tell; this one wants more.
    silent_climate = type(PLAIN)(humidity=True, bits_written=16, describes=False)
    with start_servers(plant, ascii2=silent_climate) as servers:
        table, _ = tables(plant, servers, "ascii2", humidity=False)
        chamber = make_chamber(table, plant, patience=HASTY)
        with pytest.raises(InstrumentError, match="start"):
            chamber.set(-40.0)
            chamber.start()
        chamber.close()
    assert not plant.chamber.running


def test_ascii2_without_humidity(plant: Plant) -> None:
    with start_servers(plant, humidity=False, ascii2=PLAIN) as servers:
        table, _ = tables(plant, servers, "ascii2", humidity=False)
        chamber = make_chamber(table, plant, patience=HASTY)
        chamber.set(10.0)
        chamber.start()
        assert plant.chamber.running and chamber.read().humidity_percent is None
        chamber.close()


@pytest.mark.parametrize("kind", ["espec", "simserv", "f4t"])
@pytest.mark.parametrize("what", ["alarm", "door_open"])
def test_alarm_and_door_are_read(
    kind: ChamberKind, what: str, plant: Plant, servers: Servers, opened: Open
) -> None:
    chamber = opened(kind)
    setattr(servers.faults.chamber, what, "Compressor" if what == "alarm" else True)
    assert len(chamber.read().alarms) == 1
    plant.chamber.alarm = "Sensor"
    assert len(chamber.read().alarms) in (1, 2)


def test_simserv_tells_alarms_in_words(servers: Servers, opened: Open) -> None:
    chamber = opened("simserv")
    servers.faults.chamber.alarm = "Compressor"
    servers.faults.chamber.door_open = True
    assert chamber.read().alarms == ("Compressor", "Door open")


def test_espec_stops_by_itself_where_its_limits_are_left(
    plant: Plant, servers: Servers, request: pytest.FixtureRequest
) -> None:
    table, _ = tables(plant, servers, "espec")
    chamber = make_chamber(table, plant, band_c=(-45.0, 60.0), patience=PATIENT)
    request.addfinalizer(chamber.close)
    chamber.set(30.0)
    chamber.start()
    plant.chamber.air_c = 61.0
    plant.sleep(2.0)
    assert not plant.chamber.running
    assert chamber.read().alarms == ("alarm 0",)
    chamber.start()
    plant.chamber.air_c = 30.0
    assert chamber.read().alarms == ()


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["closed", "silent"])
def test_a_lost_line_is_an_error_and_comes_back(
    kind: ChamberKind, how: Any, servers: Servers, opened: Open
) -> None:
    chamber = opened(kind, HASTY)
    servers.lose("chamber", how)
    with pytest.raises(InstrumentError, match="2 tries"):
        chamber.read()
    servers.lose("chamber", "")
    assert chamber.read().setpoint_c == 23.0


@pytest.mark.parametrize("kind", KINDS)
def test_slow_answers_are_waited_for(kind: ChamberKind, servers: Servers, opened: Open) -> None:
    chamber = opened(kind)
    servers.faults.chamber_line.slow_s = 0.03
    assert chamber.read().air_c == pytest.approx(23.0, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["garbage", "broken_off"])
def test_bytes_that_are_hit_are_never_taken_for_a_reading(
    kind: ChamberKind, fault: str, servers: Servers, opened: Open
) -> None:
    chamber = opened(kind, Patience(connect_s=1.0, answer_s=0.02, tries=2))
    setattr(servers.faults.chamber_line, fault, 0.25)
    for _ in range(8):
        with suppress(InstrumentError):
            reading = chamber.read()
            assert reading.air_c == pytest.approx(23.0, abs=0.1) and reading.setpoint_c == 23.0
    setattr(servers.faults.chamber_line, fault, 1.0)
    with pytest.raises(InstrumentError):
        chamber.read()


# -- supply, logger, console --------------------------------------------------------------------


def test_supply(plant: Plant, servers: Servers, request: pytest.FixtureRequest) -> None:
    supply = make_supply(SupplyTable(address=servers.supply), plant, PATIENT)
    request.addfinalizer(supply.close)
    supply.set(12.0, 5.0)
    supply.switch(True)
    plant.sleep(60.0)
    reading = supply.read()
    assert reading.on and reading.volts == pytest.approx(12.0, abs=0.01)
    assert reading.amperes == pytest.approx(plant.load.amperes, abs=1e-3)
    with pytest.raises(InstrumentError):
        supply.set(99.0, 5.0)
    servers.faults.supply.tripped = True
    assert not supply.read().on
    with pytest.raises(InstrumentError, match="trip"):
        supply.switch(True)
    servers.faults.supply.tripped = False
    servers.faults.supply.ignores_writes = True
    for act in (lambda: supply.set(11.0, 4.0), lambda: supply.switch(True)):
        with pytest.raises(InstrumentError):
            act()
    servers.lose("supply", "closed")
    with pytest.raises(InstrumentError):
        supply.read()


def test_logger(plant: Plant, servers: Servers, request: pytest.FixtureRequest) -> None:
    channels = {position: channel for channel, position in servers.positions.items()}
    couples = ScpiThermocouples("logger", servers.logger, channels, patience=PATIENT)
    request.addfinalizer(couples.close)
    plant.network.settle(-40.0)
    plant.chamber.air_c = -41.0
    read = couples.read()
    assert list(read) == ["air", *list(plant.network.all_c())]
    assert read["module"] == pytest.approx(-40.0, abs=0.5)
    assert read["air"] == pytest.approx(-41.0, abs=0.5)
    servers.faults.logger.open = frozenset({"module"})
    assert math.isnan(couples.read()["module"])
    servers.faults.logger.stuck = True
    stuck = couples.read()
    plant.chamber.air_c = 20.0
    assert couples.read()["air"] == stuck["air"]


def test_console(plant: Plant, servers: Servers, request: pytest.FixtureRequest) -> None:
    console = SerialConsole(
        "console", f"socket://{servers.console}", password=PASSWORD, patience=PATIENT
    )
    request.addfinalizer(console.close)
    with pytest.raises(InstrumentError, match="off"):
        console.ask("hostname", 0.3)
    plant.source.on = True
    plant.sleep(40.0)
    assert console.ask("hostname") == "purga"
    assert console.run("systemctl kill -s KILL purga-audio.service") == ("", 0)
    assert plant.pedal.restarts == 1
    assert console.run("nonsense")[1] == 127
    unit = ConsoleUnit(console)
    status = unit.status()
    assert status["control"]["restarts"] == 1 and status["engine_asked"] == "stage"
    assert any("min_chip_limit = -28" in line for line in console.lines())
    plant.source.on = False
    plant.sleep(2.0)
    assert unit.status() == {}
