"""Watlow's F4T over Modbus TCP, unit 1: holding registers, floats with the low word first.

Registers after ESPEC's ChamberConnectLibrary (watlowf4t.py); loop 2, 160 registers further, is
humidity. pymodbus serves the frames, this decides what the registers hold. Assumptions: a locked
panel answers with exception 2, half of a float is no value, and numbers of alarm states that act.
"""

import asyncio
import logging
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from hil.servers.controller import Controller, Programme, Segment
from hil.servers.line import HOST, Line, address_of

UNIT = 1
LOOP = 160
MODE, LOWEST, HIGHEST, SETPOINT, POWER = 2730, 2774, 2776, 2782, 2808
ACTIVE_SETPOINT, MODE_NOW, VALUE = 2810, 2814, 2820
AUTO, OFF, MANUAL = 10, 62, 54
ALARM, ALARMS = 1356, 2
NO_ALARM, ALARM_ACTS = 61, 37
PROFILE, PROFILE_STEP, PROFILE_START, PROFILE_CONTROL, PROFILE_STATE = (
    16558,
    16560,
    16562,
    16566,
    16568,
)
START, PAUSE, TERMINATE, RUNS, RUNS_NOT = 1782, 146, 148, 149, 62
MOST_PERCENT = 98.0
PROFILES: Mapping[int, Sequence[Segment]] = {
    1: (Segment(-40.0, 3600.0), Segment(-40.0, 4 * 3600.0), Segment(23.0, 3600.0)),
}
"""What is stored in the controller: to −40 °C, four hours there, and back."""
_READS, _WRITES = (3, 4), (6, 16)

Getter = Callable[[], float]


class F4T:
    """The registers, in front of a controller."""

    def __init__(self, controller: Controller, *, humidity: bool = True) -> None:
        """``humidity`` gives it a second loop."""
        self._controller = controller
        self._percent = controller.humidity_setpoint_percent or 0.0
        self._profile = 1
        shown = controller.shown
        self._floats: dict[int, Getter] = {
            LOWEST: lambda: shown(controller.low_c),
            HIGHEST: lambda: shown(controller.high_c),
            SETPOINT: lambda: controller.setpoint,
            POWER: lambda: controller.power_percent,
            ACTIVE_SETPOINT: lambda: controller.setpoint,
            VALUE: lambda: controller.air,
        }
        self._words: dict[int, Callable[[], int]] = {
            MODE: lambda: AUTO if controller.running else OFF,
            MODE_NOW: lambda: AUTO if controller.running else OFF,
            PROFILE: lambda: self._profile,
            PROFILE_STEP: lambda: (
                0 if controller.programme is None else controller.programme.at + 1
            ),
            PROFILE_START: lambda: 0,
            PROFILE_CONTROL: lambda: 0,
            PROFILE_STATE: self._state,
        }
        self._sets: dict[int, Callable[[float], ExcCodes | None]] = {
            SETPOINT: self._set_temperature,
            MODE: self._set_mode,
            PROFILE: self._choose,
            PROFILE_START: self._start,
            PROFILE_CONTROL: self._control,
        }
        for index in range(ALARMS):
            self._words[ALARM + 100 * index] = lambda index=index: (  # type: ignore[misc]
                ALARM_ACTS if index < len(controller.alarms) else NO_ALARM
            )
        if humidity:
            self._second_loop()

    def device(self, line: Line) -> SimDevice:
        """What pymodbus serves."""

        async def act(
            function: int,
            first: int,
            address: int,
            count: int,
            registers: list[int],
            values: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            if function not in (*_READS, *_WRITES):
                return ExcCodes.ILLEGAL_FUNCTION
            with line.turns:
                if values is not None:
                    return self.write(address, [int(value) for value in values])
                if function in _READS:
                    # A single write is answered with what was written, which stands there now.
                    for at in range(address, address + count):
                        registers[at - first] = self.read(at)
            return None

        floats = [
            SimData(at, count=2, values=0, datatype=DataType.REGISTERS) for at in self._floats
        ]
        words = [SimData(at, values=0, datatype=DataType.REGISTERS) for at in self._words]
        return SimDevice(UNIT, [*floats, *words], action=act)

    def read(self, address: int) -> int:
        """A register."""
        if word := self._words.get(address):
            return word()
        if number := self._floats.get(address):
            return _words_of(number())[0]
        return _words_of(self._floats[address - 1]())[1]

    def write(self, address: int, values: Sequence[int]) -> ExcCodes | None:
        """Registers from ``address`` on: one setting, whole."""
        do = self._sets.get(address)
        if do is None or self._controller.faults.local:
            return ExcCodes.ILLEGAL_ADDRESS
        whole = 2 if address in self._floats else 1
        if len(values) != whole:
            return ExcCodes.ILLEGAL_VALUE
        return do(float(values[0]) if whole == 1 else _float_of(values))

    # -- inside -----------------------------------------------------------------------------------

    def _second_loop(self) -> None:
        controller = self._controller

        def mode() -> int:
            return OFF if controller.humidity_setpoint_percent is None else AUTO

        def setpoint() -> float:
            told = controller.humidity_setpoint_percent
            return self._percent if told is None else told

        self._floats |= {
            LOWEST + LOOP: lambda: 0.0,
            HIGHEST + LOOP: lambda: MOST_PERCENT,
            SETPOINT + LOOP: setpoint,
            POWER + LOOP: lambda: 0.0,
            ACTIVE_SETPOINT + LOOP: setpoint,
            VALUE + LOOP: lambda: controller.humidity_percent,
        }
        self._words |= {MODE + LOOP: mode, MODE_NOW + LOOP: mode}
        self._sets |= {SETPOINT + LOOP: self._set_percent, MODE + LOOP: self._set_humidity}

    def _set_temperature(self, value: float) -> ExcCodes | None:
        if not self._controller.takes(value):
            return ExcCodes.ILLEGAL_VALUE
        self._controller.set_temperature(value)
        return None

    def _set_mode(self, value: float) -> ExcCodes | None:
        if value not in (AUTO, OFF):
            return ExcCodes.ILLEGAL_VALUE  # by hand, nobody watches what it heats to
        (self._controller.start if value == AUTO else self._controller.stop)()
        return None

    def _set_percent(self, value: float) -> ExcCodes | None:
        if not 0.0 <= value <= MOST_PERCENT:
            return ExcCodes.ILLEGAL_VALUE
        if self._controller.faults.ignores_writes:
            return None
        self._percent = value
        if self._controller.humidity_setpoint_percent is not None:
            self._controller.set_humidity(value)
        return None

    def _set_humidity(self, value: float) -> ExcCodes | None:
        if value not in (AUTO, OFF):
            return ExcCodes.ILLEGAL_VALUE
        self._controller.set_humidity(self._percent if value == AUTO else None)
        return None

    # -- profiles ---------------------------------------------------------------------------------

    def _state(self) -> int:
        programme = self._controller.programme
        if programme is None or programme.over:
            return RUNS_NOT
        return PAUSE if programme.paused else RUNS

    def _choose(self, value: float) -> ExcCodes | None:
        if int(value) not in PROFILES:
            return ExcCodes.ILLEGAL_VALUE
        self._profile = int(value)
        return None

    def _start(self, value: float) -> ExcCodes | None:
        if value != START:
            return ExcCodes.ILLEGAL_VALUE
        self._controller.run(Programme(PROFILES[self._profile], self._profile))
        return None

    def _control(self, value: float) -> ExcCodes | None:
        programme = self._controller.programme
        if value not in (PAUSE, TERMINATE) or programme is None:
            return ExcCodes.ILLEGAL_VALUE
        if not self._controller.faults.ignores_writes:
            if value == PAUSE:
                programme.paused = True
            else:
                self._controller.programme = None
        return None


class _Connection(ServerRequestHandler):
    """pymodbus' own, on a line that may be faulty."""

    def __init__(self, server: ModbusTcpServer, line: Line) -> None:
        self._line = line
        super().__init__(server, None, None, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._line.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.closed(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._line.dead:
            return
        try:
            super().data_received(data)
        except Exception:
            # What no frame can be made of ends the connection, not the instrument.
            self.close()

    def send(self, data: bytes, addr: tuple | None = None) -> None:
        self._line.deliver(lambda sent: ServerRequestHandler.send(self, sent, addr), data)


class _Server(ModbusTcpServer):
    def __init__(self, device: SimDevice, line: Line) -> None:
        super().__init__(device, address=(HOST, 0))
        self._line = line

    def callback_new_connection(self) -> Any:
        return _Connection(self, self._line)


async def serve(registers: F4T, line: Line) -> ModbusTcpServer:
    """Take connections on a free port of loopback, and keep the address."""
    # Garbage is what it is tested with; it says so in three lines each time.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    server = _Server(registers.device(line), line)
    await server.serve_forever(background=True)
    transport: Any = server.transport
    line.address = address_of(transport)
    return server


def _words_of(value: float) -> tuple[int, int]:
    """A float's two registers, the low word first."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return low, high


def _float_of(words: Sequence[int]) -> float:
    value: float = struct.unpack(">f", struct.pack(">HH", words[1], words[0]))[0]
    return value if math.isfinite(value) else math.inf
