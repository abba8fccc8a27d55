"""To the byte, over a socket: supply, logger and the pedal's console."""

import pytest

from hil.plant.plant import Plant
from hil.servers.servers import Servers
from tests.hil.servers.wire import connected, everything, receive, silent, speak


def test_supply(plant: Plant, servers: Servers) -> None:
    speak(
        servers.supply,
        [
            (b"*IDN?\n", b"Simulated,supply 30 V 10 A,0,1.0\n"),
            (b"SYST:ERR?\n", b'+0,"No error"\n'),
            (b"VOLT 12.000\n", b""),
            (b"SOURce:VOLTage:LEVel:IMMediate:AMPLitude?\n", b"+1.20000000E+01\n"),
            (b"CURR 5.000;CURR?\n", b"+5.00000000E+00\n"),
            (b"MEAS:VOLT?;:MEAS:CURR?\n", b"+0.00000000E+00;+0.00000000E+00\n"),
            (b"outp on\n", b""),
            (b"OUTP?\n", b"1\n"),
            (b"VOLT 99\n", b""),
            (b"VOLT hot\n", b""),
            (b"VOLT\n", b""),
            (b"VOLTS 3\n", b""),
            (b"OUTP PERHAPS\n", b""),
            (b"SYST:ERR?\n", b'-222,"Data out of range"\n'),
            (b"SYSTem:ERRor:NEXT?\n", b'-104,"Data type error"\n'),
            (b"SYST:ERR?\n", b'-109,"Missing parameter"\n'),
            (b"SYST:ERR?\n", b'-113,"Undefined header"\n'),
            (b"SYST:ERR?\n", b'-224,"Illegal parameter value"\n'),
            (b"SYST:ERR?\n", b'+0,"No error"\n'),
            (b"VOLT?\n", b"+1.20000000E+01\n"),
        ],
    )
    assert (plant.source.volts, plant.source.limit_a, plant.source.on) == (12.0, 5.0, True)
    plant.sleep(60.0)
    with connected(servers.supply) as line:
        line.sendall(b"MEAS:VOLT?\n")
        volts = float(receive(line, 16))
        line.sendall(b"MEAS:CURR?\n")
        amperes = float(receive(line, 16))
    # At its terminals, before the cable.
    assert volts == pytest.approx(12.0, abs=1e-6) and 0.5 < amperes < 2.0


def test_logger(plant: Plant, servers: Servers) -> None:
    servers.faults.logger.open = frozenset({"die"})
    with connected(servers.logger) as line:
        line.sendall(b"CONF:TEMP TC,T,(@101,104)\nUNIT:TEMP C,(@101,104)\nREAD?\n")
        air, die = receive(line, 32).decode().strip().split(",")
        assert float(air) == pytest.approx(23.0, abs=0.5) and len(air) == 15
        assert die == "+9.90000000E+37"
        line.sendall(b"UNIT:TEMP K,(@101)\nMEAS:TEMP? TC,T,(@101)\n")
        assert float(receive(line, 16)) == pytest.approx(296.15, abs=0.5)
        line.sendall(b"ROUT:SCAN (@101:103);SCAN?\nROUT:SCAN?\n")
        assert receive(line, 15) == b"(@101,102,103)\n"
        assert receive(line, 15) == b"(@101,102,103)\n"
        line.sendall(b"ROUT:SCAN (@101,399)\nSYST:ERR?\n")
        assert receive(line, 25) == b'-222,"Data out of range"\n'
        assert silent(line)


def test_console(plant: Plant, servers: Servers) -> None:
    with connected(servers.console) as line:
        line.sendall(b"\n")
        assert silent(line)  # the pedal is off
        plant.source.on = True
        plant.sleep(10.0)
        assert b"min_chip_limit = -28\r\n" in everything(line)
        plant.sleep(20.0)
        assert everything(line).endswith(b"\r\npurga login: ")
        for said, answered in (
            (b"root\n", b"root\r\nPassword: "),
            (b"wrong\n", b"\r\n\r\nLogin incorrect\r\npurga login: "),
            (b"root\n", b"root\r\nPassword: "),
            (b"purga\n", b"\r\nroot@purga:~# "),
            (b"false; echo $?\n", b"false; echo $?\r\n1\r\nroot@purga:~# "),
            (b"stty -echo; PS1=; PS2=\n", b"stty -echo; PS1=; PS2=\r\n"),
            (b"printf 'a-%s-%d\\n' b 3 && { true\n", b""),
            (b'} 2>&1; echo "$?"\n', b"a-b-3\r\n0\r\n"),
            (b"nonsense || echo so\n", b"-bash: nonsense: command not found\r\nso\r\n"),
            (b"systemctl kill purga-audio\n", b""),
        ):
            line.sendall(said)
            if answered:
                assert receive(line, len(answered)) == answered
            else:
                assert silent(line)
        assert plant.pedal.restarts == 1
        line.sendall(b"/opt/python3 -m device status --json\n")
        assert receive(line, 11) == b'{"periods":'
        plant.source.on = False
        plant.sleep(2.0)
        everything(line)
        line.sendall(b"echo still there\n")
        assert silent(line)
