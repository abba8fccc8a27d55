"""ESPEC, SIMSERV and ASCII-2: the bytes of their protocols, and what is refused or not believed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import InstrumentError
from hil.instruments import ascii2, espec_p300, simserv
from hil.instruments.ascii2 import Ascii2
from hil.instruments.ascii2_layout import DEFAULT, read_layout
from hil.instruments.espec_p300 import EspecP300
from hil.instruments.protocols import ChamberLimits
from hil.instruments.simserv import Simserv
from hil.instruments.transport import Link
from tests.hil.instruments.peers import (
    QUICK,
    Espec,
    Peer,
    SimservChamber,
    StepClock,
    VotschChamber,
)

LIMITS = ChamberLimits(-70.0, 180.0, 3.0, 4.0, humidity=True)
DRY = ChamberLimits(-70.0, 180.0, 3.0, 4.0)
DESCRIPTION = Path(__file__).with_name("ascii2-description.txt")


@contextmanager
def espec(says: Espec, clock: StepClock, **options: Any) -> Iterator[tuple[EspecP300, Peer]]:
    with Peer(says, espec_p300.END) as peer:
        link = Link(
            "chamber", peer.address, end=espec_p300.END, patience=options.pop("patience", QUICK)
        )
        chamber = EspecP300(link, options.pop("limits", LIMITS), clock, **options)
        try:
            yield chamber, peer
        finally:
            chamber.close()


@contextmanager
def weiss(says: SimservChamber, clock: StepClock, **options: Any) -> Iterator[tuple[Simserv, Peer]]:
    with Peer(says, b"\r") as peer:
        link = Link(
            "chamber", peer.address, end=simserv.END, patience=options.pop("patience", QUICK)
        )
        chamber = Simserv(link, options.pop("limits", LIMITS), clock, **options)
        try:
            yield chamber, peer
        finally:
            chamber.close()


@contextmanager
def votsch(says: VotschChamber, clock: StepClock, **options: Any) -> Iterator[tuple[Ascii2, Peer]]:
    with Peer(says, b"\r") as peer:
        link = Link(
            "chamber", peer.address, end=ascii2.END, patience=options.pop("patience", QUICK)
        )
        chamber = Ascii2(link, options.pop("limits", LIMITS), clock, **options)
        try:
            yield chamber, peer
        finally:
            chamber.close()


# -- ESPEC ----------------------------------------------------------------------------------------


def test_espec_says_who_it_is_and_how_hot_it_gets(clock: StepClock) -> None:
    with espec(Espec(), clock) as (chamber, _):
        assert chamber.model == "ESPEC S2"
        assert chamber.limits == ChamberLimits(-70.0, 160.0, 3.0, 4.0, humidity=True)


def test_espec_reads(clock: StepClock) -> None:
    says = Espec(air_c=-39.9, setpoint_c=-40.0, mode="CONSTANT", humidity_setpoint="85")
    with espec(says, clock) as (chamber, _):
        reading = chamber.read()
    assert (reading.air_c, reading.setpoint_c, reading.running) == (-39.9, -40.0, True)
    assert (reading.humidity_percent, reading.humidity_setpoint_percent) == (45.0, 85.0)
    assert reading.alarms == () and reading.door_open is None


def test_espec_sets_with_its_own_alarm_limits(clock: StepClock) -> None:
    says = Espec()
    with espec(says, clock, band_c=(-45.0, 80.0)) as (chamber, peer):
        chamber.set(-40.04, 85.0)
        assert b"TEMP, S-40.0 H80.0 L-45.0" in peer.heard
        assert b"HUMI, S85.0" in peer.heard
        chamber.set(-40.0)
        assert peer.heard[-2:] == [b"HUMI,SOFF", b"HUMI?"]
    assert (says.setpoint_c, says.high_c, says.low_c, says.mode) == (-40.0, 80.0, -45.0, "OFF")


def test_espec_starts_from_off_and_stops(clock: StepClock) -> None:
    says = Espec()
    with espec(says, clock) as (chamber, peer):
        chamber.start()
        assert peer.heard[-4:] == [b"MON?", b"POWER,ON", b"MODE,CONSTANT", b"MON?"]
        assert chamber.read().running
        chamber.stop()
        assert says.mode == "STANDBY" and not chamber.read().running


def test_espec_with_a_number_on_a_shared_line(clock: StepClock) -> None:
    says = Espec()

    def shared(line: bytes) -> bytes | None:
        return says(line[2:]) if line.startswith(b"3,") else None

    with Peer(shared) as peer:
        chamber = EspecP300(
            Link("chamber", f"socket://{peer.address}", patience=QUICK), DRY, clock, unit=3
        )
        chamber.set(10.0)
        assert peer.heard == [b"3,TYPE?", b"3,TEMP, S10.0", b"3,TEMP?"]
        chamber.close()


def test_espec_without_humidity_is_never_asked_for_it(clock: StepClock) -> None:
    with espec(Espec(), clock, limits=DRY) as (chamber, peer):
        chamber.read()
        chamber.set(20.0)
        assert not any(b"HUMI" in line for line in peer.heard)
        with pytest.raises(InstrumentError, match="does not regulate humidity"):
            chamber.set(20.0, 50.0)


def test_espec_refuses_in_words(clock: StepClock) -> None:
    with (
        espec(Espec(low_c=-45.0), clock) as (chamber, _),
        pytest.raises(InstrumentError, match=r"refuses TEMP, S-60.0: DATA OUT OF RANGE \(the"),
    ):
        chamber.set(-60.0)


def test_espec_that_says_ok_and_does_nothing(clock: StepClock) -> None:
    with (
        espec(Espec(lies=True), clock) as (chamber, _),
        pytest.raises(InstrumentError, match=r"TEMP, S-40.0 was sent and 23 came back, not -40"),
    ):
        chamber.set(-40.0)
    assert sum(clock.slept) == pytest.approx(3.0)


def test_espec_that_does_not_start(clock: StepClock) -> None:
    with (
        espec(Espec(mode="STANDBY", stuck=True), clock) as (chamber, _),
        pytest.raises(InstrumentError, match="MODE,CONSTANT was sent and did nothing"),
    ):
        chamber.start()


def test_espec_alarms_by_their_codes(clock: StepClock) -> None:
    with espec(Espec(alarms=(2, 17)), clock) as (chamber, _):
        assert chamber.read().alarms == ("alarm 2", "alarm 17")


@pytest.mark.parametrize(
    "reply", ["", "23.1", "hot,,OFF,0", "23.1,,BROKEN,0", "23,,OFF,none", "nan,,OFF,0"]
)
def test_espec_nonsense_is_said(reply: str, clock: StepClock) -> None:
    with espec(Espec(), clock) as (chamber, peer):
        peer.answer = lambda line: f"{reply}\r\n".encode()
        with pytest.raises(InstrumentError, match="MON"):
            chamber.read()


def test_something_else_is_no_espec(clock: StepClock) -> None:
    with Peer(lambda line: b"SSH-2.0-OpenSSH_9\r\n") as peer:
        link = Link("chamber", peer.address, patience=QUICK)
        with pytest.raises(InstrumentError, match="no ESPEC P300"):
            EspecP300(link, DRY, clock)
        link.close()


# -- SIMSERV --------------------------------------------------------------------------------------


def test_simserv_bytes(clock: StepClock) -> None:
    says = SimservChamber()
    with weiss(says, clock, limits=DRY) as (chamber, peer):
        assert chamber.model == "Weiss / Vötsch LabEvent T/210"
        chamber.set(-40.0)
        chamber.start()
        assert [line.lstrip(b"\n") for line in peer.heard[-4:]] == [
            b"11001\xb61\xb61\xb6-40.0",
            b"11002\xb61\xb61",
            b"14001\xb61\xb61\xb61",
            b"10012\xb61",
        ]
        reading = chamber.read()
        assert (reading.air_c, reading.setpoint_c, reading.running) == (24.48, -40.0, True)
        chamber.stop()
        assert not says.running


def test_simserv_humidity_comes_and_goes(clock: StepClock) -> None:
    says = SimservChamber()
    with weiss(says, clock) as (chamber, _):
        chamber.set(40.0, 93.0)
        assert chamber.read().humidity_setpoint_percent == 93.0
        chamber.set(40.0)
        assert chamber.read().humidity_setpoint_percent is None


def test_simserv_shows_a_setpoint_a_moment_later(clock: StepClock) -> None:
    with weiss(SimservChamber(), clock, limits=DRY) as (chamber, peer):
        assert isinstance(peer.answer, SimservChamber)
        peer.answer.slow_reads = 3
        chamber.set(-40.0)
    assert clock.slept == [0.25, 0.25, 0.25]


def test_simserv_alarms_in_words(clock: StepClock) -> None:
    with weiss(SimservChamber(alarm="Door open"), clock) as (chamber, _):
        assert chamber.read().alarms == ("Door open",)


def test_simserv_errors_in_words(clock: StepClock) -> None:
    with (
        Peer(lambda line: b"-5\r\n", b"\r") as peer,
        pytest.raises(InstrumentError, match=r"11004 1 1 with '-5' \(unknown command\)"),
    ):
        link = Link("chamber", peer.address, end=simserv.END, patience=QUICK)
        try:
            Simserv(link, DRY, clock)
        finally:
            link.close()


# -- ASCII-2 --------------------------------------------------------------------------------------


def test_ascii2_bytes(clock: StepClock) -> None:
    says = VotschChamber()
    with votsch(says, clock) as (chamber, peer):
        assert not chamber.limits.humidity
        chamber.set(-40.0)
        assert b"$01E -040.0 0000.0 0000000000" in peer.heard
        chamber.start()
        assert b"$01E -040.0 0000.0 0100000000" in peer.heard
        reading = chamber.read()
        assert (reading.air_c, reading.setpoint_c, reading.running) == (25.1, -40.0, True)
        chamber.set(20.0)
        assert says.running and says.setpoint_c == 20.0
        chamber.stop()
        assert not says.running


def test_ascii2_panel_that_is_not_on_extern(clock: StepClock) -> None:
    with votsch(VotschChamber(extern=False), clock) as (chamber, _):
        with pytest.raises(InstrumentError, match=r"25 came back.*switch its panel to extern"):
            chamber.set(-40.0)
        with pytest.raises(InstrumentError, match="does not start"):
            chamber.start()


def test_ascii2_unit_with_another_number_of_fields(clock: StepClock) -> None:
    says = VotschChamber(values=4)
    with votsch(says, clock) as (chamber, _):
        chamber.set(-40.0)
        with pytest.raises(InstrumentError, match=r"does not start.*number of fields.*\$01\?"):
            chamber.start()
    assert says.setpoint_c == -40.0 and not says.running


def test_ascii2_unit_that_tells_its_fields(clock: StepClock) -> None:
    nominal = {"t": 20.0, "h": 0.0}
    bits = ["0"] * 32

    def unit(line: bytes) -> bytes | None:
        text = line.decode()
        if text == "$01?":
            return DESCRIPTION.read_bytes()
        if text == "$01I":
            values = [nominal["t"], 21.5, nominal["h"], 44.0, 100.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0]
            return (" ".join(f"{v:06.1f}" for v in values) + " " + "".join(bits) + "\r").encode()
        words = text[5:].split()
        assert len(words) == 6 and len(words[5]) == 26
        assert words[2:5] == ["0100.0", "0005.0", "0006.0"]
        nominal.update(t=float(words[0]), h=float(words[1]))
        bits[1] = words[5][1]
        return None

    with Peer(unit, b"\r") as peer:
        chamber = Ascii2(
            Link("chamber", peer.address, end=b"\r", patience=QUICK),
            ChamberLimits(-90.0, 200.0, 3.0, 3.0, humidity=True),
            clock,
        )
        assert (chamber.limits.lowest_c, chamber.limits.highest_c) == (-72.0, 182.0)
        assert chamber.limits.humidity
        chamber.set(40.0, 93.0)
        chamber.start()
        reading = chamber.read()
        chamber.close()
    assert (reading.air_c, reading.humidity_percent, reading.running) == (21.5, 44.0, True)
    assert (reading.setpoint_c, reading.humidity_setpoint_percent) == (40.0, 93.0)


def test_ascii2_description_with_bits_apart() -> None:
    text = DESCRIPTION.read_text()
    apart = text.replace("DO00DO01DO02", "DO00 DO01 DO02")
    assert read_layout(apart).bits_apart and not read_layout(text).bits_apart


@given(st.text())
@settings(max_examples=60)
def test_ascii2_any_description_is_understood_or_left(text: str) -> None:
    layout = read_layout(text)
    assert layout == DEFAULT or layout.bits_written >= 2


def test_ascii2_complaint_before_the_state_is_left_out(clock: StepClock) -> None:
    says = VotschChamber()
    complains = iter([b"?\r"])

    def unit(line: bytes) -> bytes | None:
        reply = says(line)
        return reply if line != b"$01I" else next(complains, b"") + (reply or b"")

    with Peer(unit, b"\r") as peer:
        chamber = Ascii2(Link("chamber", peer.address, end=b"\r", patience=QUICK), DRY, clock)
        assert chamber.read().air_c == 25.1
        chamber.close()


# -- all of them ----------------------------------------------------------------------------------

CHAMBERS: list[tuple[Callable[..., Any], Callable[[], Any]]] = [
    (espec, Espec),
    (weiss, SimservChamber),
    (votsch, VotschChamber),
]


@pytest.mark.parametrize(("way", "says"), CHAMBERS, ids=["espec", "simserv", "ascii2"])
def test_any_setpoint_comes_back_within_its_resolution(way, says) -> None:
    clock = StepClock()
    with way(says(), clock, limits=DRY) as (chamber, _):

        @given(st.floats(-70.0, 150.0))
        @settings(max_examples=25, deadline=None)
        def holds(celsius: float) -> None:
            chamber.set(celsius)
            assert chamber.read().setpoint_c == pytest.approx(celsius, abs=0.05 + 1e-9)

        holds()
    assert clock.slept == []


@pytest.mark.parametrize(("way", "says"), CHAMBERS, ids=["espec", "simserv", "ascii2"])
def test_a_chamber_that_goes_away(way, says) -> None:
    with way(says(), StepClock(), limits=DRY) as (chamber, peer):
        peer.leave()
        for act in (chamber.read, chamber.start, chamber.stop, lambda: chamber.set(1.0)):
            with pytest.raises(InstrumentError, match="does not answer"):
                act()
