"""The F4T over Modbus: registers, the order of words, loops, profiles, alarms."""

import asyncio
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hil.errors import InstrumentError
from hil.instruments.f4t import F4T
from hil.instruments.protocols import ChamberLimits
from hil.instruments.transport import Patience
from tests.hil.instruments.peers import StepClock, nobody

LIMITS = ChamberLimits(-70.0, 180.0, 3.0, 4.0, humidity=True)
FLOATS = {2774: -60.0, 2776: 175.0, 2782: 23.0, 2808: 12.5, 2810: 23.0, 2820: 23.4}
WORDS = {2730: 62, 2814: 62, 16566: 0, 16568: 0, 1356: 12, 1456: 61, 1556: 88}


def low_word_first(value: float) -> list[int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [low, high]


class Registers:
    """A controller's registers, two loops of them; there is no fourth alarm."""

    def __init__(self) -> None:
        self.words: dict[int, int] = dict(WORDS)
        for at, value in FLOATS.items():
            self.put(at, value)
        for at in (2730, 2814):
            self.words[at + 160] = 62
        for at, value in ((2782, 50.0), (2820, 44.0)):
            self.put(at + 160, value)
        self.written: list[tuple[int, list[int]]] = []
        self.locked = self.deaf = False

    def put(self, at: int, value: float) -> None:
        low, high = low_word_first(value)
        self.words[at], self.words[at + 1] = low, high

    def get(self, at: int) -> float:
        return struct.unpack(">f", struct.pack(">HH", self.words[at + 1], self.words[at]))[0]

    async def act(self, function, start, address, count, current, values):
        """Pymodbus' hook: every read and write goes through it."""
        if any(at not in self.words for at in range(address, address + count)):
            return ExcCodes.ILLEGAL_ADDRESS
        if values is None:
            for at in range(address, address + count):
                current[at - start] = self.words[at]
            return None
        if self.locked:
            return ExcCodes.ILLEGAL_VALUE
        self.written.append((address, list(values)))
        if self.deaf:
            return None
        for offset, value in enumerate(values):
            self.words[address + offset] = value
            if address in (2730, 2890):
                self.words[address + 84] = value  # the mode is followed
        if address == 16566:
            self.words[16568] = 0
        return None


@pytest.fixture
def registers() -> Registers:
    return Registers()


@pytest.fixture
def address(registers: Registers) -> Iterator[str]:
    """A Modbus server on loopback, in a thread of its own."""
    found: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        device = SimDevice(
            1,
            SimData(0, count=20_000, values=0, datatype=DataType.REGISTERS),
            action=registers.act,
        )
        server: Any = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        port = server.transport.sockets[0].getsockname()[1]
        found.append(f"127.0.0.1:{port}")
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.01)
        await server.shutdown()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10.0)
    yield found[0]
    done.set()
    thread.join(5.0)


@pytest.fixture
def chamber(address: str, clock: StepClock) -> Iterator[F4T]:
    made = F4T("chamber", address, LIMITS, clock, patience=Patience(2.0, 2.0, 2))
    yield made
    made.close()


def test_limits_are_the_controllers_own(chamber: F4T) -> None:
    assert chamber.limits == ChamberLimits(-60.0, 175.0, 3.0, 4.0, humidity=True)


def test_reads(chamber: F4T) -> None:
    reading = chamber.read()
    assert reading.air_c == pytest.approx(23.4, abs=1e-5)
    assert (reading.setpoint_c, reading.power_percent, reading.running) == (23.0, 12.5, False)
    assert (reading.humidity_percent, reading.humidity_setpoint_percent) == (44.0, None)
    assert reading.alarms == ()


def test_sets_the_low_word_first(chamber: F4T, registers: Registers) -> None:
    chamber.set(-40.0, 93.0)
    assert (2782, [0x0000, 0xC220]) in registers.written
    assert registers.get(2782) == -40.0 and registers.get(2942) == 93.0
    assert registers.words[2814] == 62


def test_starts_and_stops_both_loops(chamber: F4T, registers: Registers) -> None:
    chamber.set(40.0, 93.0)
    chamber.start()
    assert chamber.read().running and chamber.read().humidity_setpoint_percent == 93.0
    chamber.set(40.0)
    assert chamber.read().humidity_setpoint_percent is None
    chamber.stop()
    assert (registers.words[2730], registers.words[2890]) == (62, 62)
    assert not chamber.read().running


def test_a_profile_that_runs_is_ended_first(chamber: F4T, registers: Registers) -> None:
    registers.words[16568] = 149
    chamber.set(10.0)
    assert registers.written[0] == (16566, [148])


def test_alarms(chamber: F4T, registers: Registers) -> None:
    registers.words[1456] = 5
    assert chamber.read().alarms == ("alarm 2",)


def test_a_setpoint_that_does_not_take(chamber: F4T, registers: Registers) -> None:
    registers.deaf = True
    with pytest.raises(InstrumentError, match=r"-40.0 to register 2782.*23 came back"):
        chamber.set(-40.0)


def test_a_register_that_is_locked(chamber: F4T, registers: Registers) -> None:
    registers.locked = True
    with pytest.raises(InstrumentError, match="refuses"):
        chamber.set(-40.0)


def test_a_broken_sensor(chamber: F4T, registers: Registers) -> None:
    registers.put(2820, float("nan"))
    with pytest.raises(InstrumentError, match="register 2820 holds nan"):
        chamber.read()


def test_nobody_there(clock: StepClock) -> None:
    with nobody() as address, pytest.raises(InstrumentError, match="does not answer"):
        F4T("chamber", address, LIMITS, clock, patience=Patience(0.5, 0.5, 2))
