"""Supplies and loggers over SCPI, through PyVISA to sockets on loopback."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import BenchError, InstrumentError
from hil.instruments.scpi_supply import ScpiSupply
from hil.instruments.thermocouples import ScpiThermocouples
from hil.instruments.visa import Visa, resource_of
from tests.hil.instruments.peers import QUICK, SHORT, Peer, Scpi, StepClock, nobody

CHANNELS = {"module": 102, "air": 101, "board": 103}


def test_addresses_become_resources() -> None:
    assert resource_of("192.168.0.21:5025") == "TCPIP::192.168.0.21::5025::SOCKET"
    assert resource_of("/dev/ttyUSB1") == "ASRL/dev/ttyUSB1::INSTR"
    assert resource_of("USB0::0x2A8D::1::MY1::INSTR") == "USB0::0x2A8D::1::MY1::INSTR"
    with pytest.raises(BenchError):
        resource_of("supply")


# -- the supply ------------------------------------------------------------------------------------


def test_supply_sets_limit_then_voltage_and_measures(opened, clock: StepClock) -> None:
    says = Scpi()
    with Peer(says, b"\n") as peer:
        supply = opened(ScpiSupply("supply", peer.address, clock, patience=QUICK))
        assert supply.model == "Keysight Technologies E36234A"
        supply.set(12.0, 5.0)
        assert peer.heard[-5:] == [b"CURR 5.000", b"CURR?", b"VOLT 12.000", b"VOLT?", b"SYST:ERR?"]
        assert not supply.read().on
        supply.switch(True)
        reading = supply.read()
        assert (reading.volts, reading.amperes, reading.on) == (12.0, 1.2, True)
        supply.switch(False)
        assert not says.on


def test_supply_with_several_outputs(opened, clock: StepClock) -> None:
    with Peer(Scpi(), b"\n") as peer:
        opened(ScpiSupply("supply", peer.address, clock, output=2, patience=QUICK))
        assert peer.heard[0] == b"INST:NSEL 2"


def test_supply_of_tti(opened, clock: StepClock) -> None:
    now = {"V1": 0.0, "I1": 0.0, "OP1": 0.0}

    def tti(line: bytes) -> bytes | None:
        word, _, value = line.decode().partition(" ")
        if value:
            now[word] = float(value)
            return None
        fixed = {"*IDN?": "THURLBY THANDAR,CPX400DP,1,2", "EER?": "0", "OP1?": f"{now['OP1']:.0f}"}
        name = word.rstrip("?")
        plain = f"{name} {now.get(name, 0.0):.3f}"
        unit = {"V1O?": f"{now['V1']:.2f}V", "I1O?": "0.23A"}
        return (unit.get(word) or fixed.get(word) or plain).encode() + b"\n"

    with Peer(tti, b"\n") as peer:
        supply = opened(ScpiSupply("supply", peer.address, clock, dialect="tti", patience=QUICK))
        supply.set(12.0, 5.0)
        supply.switch(True)
        reading = supply.read()
        assert (reading.volts, reading.amperes, reading.on) == (12.0, 0.23, True)


@given(st.floats(0.0, 30.0), st.floats(0.1, 10.0))
@settings(max_examples=20, deadline=None)
def test_supply_any_setting_comes_back(volts: float, limit_a: float) -> None:
    clock = StepClock()
    says = Scpi()
    with Peer(says, b"\n") as peer:
        supply = ScpiSupply("supply", peer.address, clock, patience=QUICK)
        supply.set(volts, limit_a)
        supply.close()
    assert says.volts == pytest.approx(volts, abs=1e-3) and clock.slept == []


@pytest.mark.parametrize(
    ("ignores", "sentence"),
    [("VOLT", "VOLT 12.000 was sent and 0 came back"), ("OUTP", "OUTP ON was sent and did")],
)
def test_supply_that_ignores(ignores: str, sentence: str, opened, clock: StepClock) -> None:
    with Peer(Scpi(ignores=ignores), b"\n") as peer:
        supply = opened(ScpiSupply("supply", peer.address, clock, patience=QUICK))
        with pytest.raises(InstrumentError, match=sentence):
            supply.set(12.0, 5.0)
            supply.switch(True)


def test_supply_that_complains(opened, clock: StepClock) -> None:
    with Peer(Scpi(error='-222,"Data out of range"'), b"\n") as peer:
        supply = opened(ScpiSupply("supply", peer.address, clock, patience=QUICK))
        with pytest.raises(InstrumentError, match="-222"):
            supply.set(12.0, 5.0)


def test_a_line_that_breaks_is_opened_again_with_what_it_needs(opened) -> None:
    with Peer(Scpi(), b"\n") as peer:
        visa = opened(Visa("supply", peer.address, first=("INST:NSEL 2",), patience=QUICK))
        visa.ask("*IDN?")
        peer.cut()
        visa.ask("*IDN?")
        assert peer.heard.count(b"INST:NSEL 2") == 2


def test_silence_and_absence_are_said(opened, clock: StepClock) -> None:
    with (
        Peer(lambda line: None, b"\n") as peer,
        pytest.raises(InstrumentError, match=r"supply at 127.* does not answer '\*IDN\?'.*2 tries"),
    ):
        ScpiSupply("supply", peer.address, clock, patience=SHORT)
    with nobody() as address, pytest.raises(InstrumentError, match="does not answer"):
        ScpiSupply("supply", address, clock, patience=SHORT)


# -- the logger ------------------------------------------------------------------------------------


def test_logger_scans_in_the_order_of_its_channels(opened) -> None:
    with Peer(Scpi(), b"\n") as peer:
        logger = opened(
            ScpiThermocouples("logger", peer.address, CHANNELS, couple="K", patience=QUICK)
        )
        assert peer.heard[:2] == [b"CONF:TEMP TC,K,(@101,102,103)", b"UNIT:TEMP C,(@101,102,103)"]
        read = logger.read()
    assert (read["air"], read["module"]) == (23.1, -40.1)
    assert math.isnan(read["board"])


@pytest.mark.parametrize(
    ("couples", "sentence"),
    [
        ("+2.310E+01", "3 temperatures were expected"),
        ("a,b,c", "3 temperatures were expected"),
        ("+2.310E+01,+9.000E+02,+1.0E+01", "module reads 900"),
        ("-2.990E+02,1,1", "air reads -299"),
    ],
)
def test_logger_that_cannot_be_right(couples: str, sentence: str, opened) -> None:
    with (
        Peer(Scpi(couples=couples), b"\n") as peer,
        pytest.raises(InstrumentError, match=sentence),
    ):
        ScpiThermocouples("logger", peer.address, CHANNELS, patience=QUICK)
