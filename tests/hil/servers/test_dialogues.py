"""To the byte, over a socket: what the description of each chamber's protocol says."""

import pytest

from hil.plant.plant import Plant
from hil.servers.ascii2 import PLAIN
from hil.servers.faults import ChamberFaults, ServerFaults
from hil.servers.servers import Servers, start_servers
from tests.hil.servers.wire import (
    Dialogue,
    connected,
    everything,
    modbus,
    speak,
    state,
)


def lines(*pairs: tuple[str, str], end: str = "\r\n") -> Dialogue:
    return [
        ((said + end).encode("latin-1"), (answered + end).encode("latin-1"))
        for said, answered in pairs
    ]


def weiss(*pairs: tuple[str, str]) -> Dialogue:
    return [
        ((said + "\r").encode("latin-1"), (answered + "\r\n").encode("latin-1"))
        for said, answered in pairs
    ]


def test_espec(plant: Plant, servers: Servers) -> None:
    dialogue = lines(
        ("TYPE?", "T,T,S2,160.0"),
        ("TEMP?", "23.0,23.0,160.0,-75.0"),
        ("HUMI?", "45,OFF,100,0"),
        ("MON?", "23.0,45,OFF,0"),
        ("ALARM?", "0"),
        ("%?", "2,0.0,0.0"),
        ("MODE,CONSTANT", "NA:CHB NOT READY"),
        ("POWER,ON", "OK:POWER,ON"),
        ("MODE?", "STANDBY"),
        ("TEMP, S-40.0 H60.0 L-45.0", "OK:TEMP, S-40.0 H60.0 L-45.0"),
        ("TEMP?", "23.0,-40.0,60.0,-45.0"),
        ("HUMI, S95.0", "OK:HUMI, S95.0"),
        ("HUMI?", "45,95,100,0"),
        ("HUMI,SOFF", "OK:HUMI,SOFF"),
        ("MODE,CONSTANT", "OK:MODE,CONSTANT"),
        ("MON?", "23.0,45,CONSTANT,0"),
        ("MODE,STANDBY", "OK:MODE,STANDBY"),
        ("MON?", "23.0,45,STANDBY,0"),
        ("MODE,OFF", "OK:MODE,OFF"),
        ("MON?", "23.0,45,OFF,0"),
    )
    speak(servers.espec, dialogue)
    assert state(plant)[:3] == (-40.0, None, False)


def test_espec_refuses_in_its_own_words(plant: Plant, servers: Servers) -> None:
    before = state(plant)
    dialogue = lines(
        ("TENMP?", "NA:CMD ERR"),
        ("BEEP", "NA:CMD ERR"),
        ("TEMP", "NA:PARA ERR"),
        ("TEMP, S", "NA:PARA ERR"),
        ("TEMP, S-40.0 X3", "NA:PARA ERR"),
        ("TEMP, Scold", "NA:PARA ERR"),
        ("TEMP, S170.0", "NA:DATA OUT OF RANGE"),
        ("TEMP, S-40.0 L-30.0", "NA:DATA OUT OF RANGE"),
        ("TEMP, H200.0", "NA:DATA OUT OF RANGE"),
        ("HUMI, S101.0", "NA:DATA OUT OF RANGE"),
        ("HUMI, Swet", "NA:PARA ERR"),
        ("MODE,RUN 3", "NA:DATA NOT READY"),
        ("MODE,FAST", "NA:PARA ERR"),
        ("POWER,MAYBE", "NA:PARA ERR"),
        ("PRGM MON?", "NA:CONT NOT READY-2"),
        ("PRGM,END,STANDBY", "NA:CONT NOT READY-2"),
        ("RUN PRGM, TEMP20.0", "NA:PARA ERR"),
        ("RUN PRGM, TEMP20.0 TIME1:00 GOTEMP-90.0", "NA:DATA OUT OF RANGE"),
        ("1,TEMP?", "NA:ADDR ERR"),
    )
    speak(servers.espec, dialogue)
    assert state(plant) == before


def test_espec_ramps_by_itself(plant: Plant, servers: Servers) -> None:
    ramp = "RUN PRGM, TEMP20.0 TIME1:00 GOTEMP-40.0"
    speak(servers.espec, lines(("POWER,ON", "OK:POWER,ON"), (ramp, f"OK:{ramp}")))
    plant.sleep(1800.0)
    assert plant.chamber.setpoint_c == pytest.approx(-10.0, abs=0.1)
    speak(servers.espec, lines(("MODE?", "RUN"), ("PRGM MON?", "1,-40.0,,0:30,0,0")))
    plant.sleep(2400.0)
    assert plant.chamber.setpoint_c == -40.0 and plant.chamber.air_c < -38.0
    speak(servers.espec, lines(("PRGM,END,CONST", "OK:PRGM,END,CONST"), ("MODE?", "CONSTANT")))


def test_espec_without_humidity_and_locked(plant: Plant) -> None:
    faults = ServerFaults(chamber=ChamberFaults(local=True))
    with start_servers(plant, faults, humidity=False) as servers:
        speak(
            servers.espec,
            lines(
                ("TYPE?", "T,S2,160.0"),
                ("MON?", "23.0,,OFF,0"),
                ("HUMI?", "NA:CONT NOT READY-1"),
                ("KEYPROTECT?", "ON"),
                ("TEMP, S10.0", "NA:PROTECT ON"),
            ),
        )


def test_simserv(plant: Plant, servers: Servers) -> None:
    dialogue = weiss(
        ("99997¶1¶1", "1¶simulated"),
        ("10012¶1", "1¶1"),
        ("11004¶1¶1", "1¶23.00"),
        ("11002¶1¶1", "1¶23.0"),
        ("11001¶1¶1¶-40.0", "1"),
        ("11002¶1¶1", "1¶-40.0"),
        ("11007¶1¶1", "1¶-70.0"),
        ("11009¶1¶1", "1¶150.0"),
        ("11068¶1¶1¶2.0", "1"),
        ("11072¶1¶1¶1.5", "1"),
        ("11066¶1¶1", "1¶2.0"),
        ("11070¶1¶1", "1¶1.5"),
        ("14001¶1¶1¶1", "1"),
        ("10012¶1", "1¶3"),
        ("14003¶1¶1", "1¶1"),
        ("11001¶1¶2¶85.0", "1"),
        ("11002¶1¶2", "1¶85.0"),
        ("11001¶1¶2¶0.0", "1"),
        ("14001¶1¶1¶0", "1"),
        ("17012¶1", "1"),
    )
    assert dialogue[4][0] == b"11001\xb61\xb61\xb6-40.0\r"
    speak(servers.simserv, dialogue)
    assert state(plant)[:3] == (-40.0, None, False)


def test_simserv_refuses_by_number(plant: Plant, servers: Servers) -> None:
    before = state(plant)
    speak(
        servers.simserv,
        weiss(
            ("¶1", "-1"),
            ("11004", "-2"),
            ("11004¶x¶1", "-3"),
            ("11004¶2¶1", "-4"),
            ("12345¶1", "-5"),
            ("11004¶1", "-6"),
            ("11004¶1¶3", "-8"),
            ("11001¶1¶1¶200.0", "-6"),
            ("11001¶1¶1¶nan", "-6"),
            ("11001¶1¶1¶1e9", "-6"),
            ("14001¶1¶1¶2", "-6"),
            ("11068¶1¶1¶99.0", "-6"),
        ),
    )
    assert state(plant) == before
    servers.faults.chamber.local = True
    speak(servers.simserv, weiss(("11001¶1¶1¶10.0", "-12"), ("11004¶1¶1", "1¶23.00")))


def test_simserv_goes_no_faster_than_its_gradient(plant: Plant, servers: Servers) -> None:
    speak(
        servers.simserv,
        weiss(("11072¶1¶1¶1.0", "1"), ("11001¶1¶1¶-20.0", "1"), ("14001¶1¶1¶1", "1")),
    )
    plant.sleep(600.0)
    assert plant.chamber.air_c == pytest.approx(13.0, abs=0.3)


def test_simserv_names_its_alarms(plant: Plant, servers: Servers) -> None:
    servers.faults.chamber.alarm = "Compressor"
    speak(
        servers.simserv,
        weiss(
            ("10012¶1", "1¶9"),
            ("17002¶1", "1¶3"),
            ("17009¶1¶2", "1¶1"),
            ("17005¶1¶2", "1¶1"),
            ("17007¶1¶2", "1¶Compressor"),
            ("17009¶1¶3", "1¶0"),
        ),
    )


def test_ascii2_says_nothing_and_has_traps(plant: Plant) -> None:
    rest = "0" * 30
    with start_servers(plant, ascii2=PLAIN) as servers:
        dialogue: Dialogue = [
            (b"$01I\r", f"0023.0 0023.0 0000.0 00{rest}\r".encode()),
            (b"$01?\r", b""),
            (b"$01E -040.0 0000.0 0100000000\r", b""),
            (b"$01I\r", f"-040.0 0023.0 0000.0 01{rest}\r".encode()),
            (b"$01E -040.0 0000.0 0000000000\r", b""),
            (b"$01I\r", f"-040.0 0023.0 0000.0 00{rest}\r".encode()),
            # Too few bits, too many values: the setpoint goes, and nothing starts.
            (b"$01E 0010.0 0000.0 01000000\r", b""),
            (b"$01I\r", f"0010.0 0023.0 0000.0 00{rest}\r".encode()),
            (b"$01E 0020.0 0000.0 0000.0 0100000000\r", b""),
            (b"$01I\r", f"0020.0 0023.0 0000.0 00{rest}\r".encode()),
            (b"$01E 0999.0 0000.0 0100000000\r", b""),
            (b"$01E warm 0000.0 0100000000\r", b""),
            (b"$02E 0050.0 0000.0 0100000000\r", b""),
            (b"hello\r", b""),
            (b"$01I\r", f"0020.0 0023.0 0000.0 00{rest}\r".encode()),
        ]
        speak(servers.ascii2, dialogue)
        servers.faults.chamber.local = True
        speak(
            servers.ascii2,
            [
                (b"$01E 0050.0 0000.0 0100000000\r", b""),
                (b"$01I\r", f"0020.0 0023.0 0000.0 00{rest}\r".encode()),
            ],
        )


def test_ascii2_with_humidity_describes_itself(plant: Plant, servers: Servers) -> None:
    speak(
        servers.ascii2,
        [
            (b"$01E 0040.0 0093.0 0000.0 01" + b"0" * 24 + b"\r", b""),
            (
                b"$01I\r",
                b"0040.0 0023.0 0093.0 0045.0 0000.0 0100.0 0000.0 01" + b"0" * 30 + b"\r",
            ),
        ],
    )
    with connected(servers.ascii2) as line:
        line.sendall(b"$01?\r")
        text = everything(line).decode()
    assert text.startswith("ASCII-2 PROTOCOL CONFIGURATION\r\n")
    assert "$01E CV01 CV02 SV01 DO00DO01" in text
    assert "CV01 CV01 CV02 CV02 SV01 MV01 MV02 DO00" in text
    assert max(len(each) for each in text.split("\r\n")) <= 80


def test_f4t_has_the_low_word_first(plant: Plant, servers: Servers) -> None:
    # −40.0 is 0xC2200000: 0x0000 comes first.
    write = modbus(1, 16, bytes.fromhex("0ade 0002 04 0000 c220"))
    dialogue: Dialogue = [
        (write, modbus(1, 16, bytes.fromhex("0ade 0002"))),
        (
            modbus(2, 3, bytes.fromhex("0ade 0002")),
            modbus(2, 3, bytes.fromhex("04 0000 c220")),
        ),
        (
            modbus(3, 3, bytes.fromhex("0afa 0002")),
            modbus(3, 3, bytes.fromhex("04 0000 c220")),
        ),
        # 23.0 is 0x41B80000.
        (
            modbus(4, 3, bytes.fromhex("0b04 0002")),
            modbus(4, 3, bytes.fromhex("04 0000 41b8")),
        ),
        (modbus(5, 6, bytes.fromhex("0aaa 000a")), modbus(5, 6, bytes.fromhex("0aaa 000a"))),
        (modbus(6, 3, bytes.fromhex("0afe 0001")), modbus(6, 3, bytes.fromhex("02 000a"))),
        (modbus(7, 6, bytes.fromhex("0aaa 003e")), modbus(7, 6, bytes.fromhex("0aaa 003e"))),
        (modbus(8, 3, bytes.fromhex("0afe 0001")), modbus(8, 3, bytes.fromhex("02 003e"))),
        # The first alarm is inactive.
        (modbus(9, 3, bytes.fromhex("054c 0001")), modbus(9, 3, bytes.fromhex("02 003d"))),
    ]
    speak(servers.f4t, dialogue)
    assert state(plant)[:3] == (-40.0, None, False)


def test_f4t_refuses_with_exceptions(plant: Plant, servers: Servers) -> None:
    before = state(plant)
    speak(
        servers.f4t,
        [
            # 1000 °C; half of a float; a mode that nobody watches; a register that is none; coils.
            (
                modbus(1, 16, bytes.fromhex("0ade 0002 04 0000 447a")),
                modbus(1, 0x90, b"\x03"),
            ),
            (modbus(2, 6, bytes.fromhex("0ade 0000")), modbus(2, 0x86, b"\x03")),
            (modbus(3, 6, bytes.fromhex("0aaa 0036")), modbus(3, 0x86, b"\x03")),
            (modbus(4, 3, bytes.fromhex("0001 0001")), modbus(4, 0x83, b"\x02")),
            (modbus(5, 6, bytes.fromhex("0b04 0000")), modbus(5, 0x86, b"\x02")),
        ],
    )
    servers.faults.chamber.local = True
    speak(servers.f4t, [(modbus(6, 6, bytes.fromhex("0aaa 000a")), modbus(6, 0x86, b"\x02"))])
    assert state(plant) == before


def test_f4t_runs_its_profile(plant: Plant, servers: Servers) -> None:
    def does(register: int, value: int) -> tuple[bytes, bytes]:
        frame = modbus(1, 6, register.to_bytes(2) + value.to_bytes(2))
        return frame, frame

    def reads(register: int, value: int) -> tuple[bytes, bytes]:
        asked = modbus(2, 3, register.to_bytes(2) + b"\x00\x01")
        return asked, modbus(2, 3, b"\x02" + value.to_bytes(2))

    speak(servers.f4t, [does(16558, 1), does(16562, 1782), reads(16568, 149), reads(16560, 1)])
    plant.sleep(1800.0)
    assert plant.chamber.setpoint_c == pytest.approx(-8.5, abs=0.1)
    speak(servers.f4t, [does(16566, 146), reads(16568, 146)])
    plant.sleep(600.0)
    assert plant.chamber.setpoint_c == pytest.approx(-8.5, abs=0.1)
    speak(servers.f4t, [does(16566, 148), reads(16568, 62)])
