"""Watlow F4T controllers, ESPEC's and others' chambers with them: Modbus TCP 502, unit 1.

Holding registers; a float is two of them, the low word first; loop N is 160 registers further for
each. Source: ESPEC's ChamberConnectLibrary (watlowf4t.py).
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.protocols import ChamberLimits, ChamberReading
from hil.instruments.readback import confirm, confirm_state
from hil.instruments.transport import PATIENCE, Patience, parse_tcp

PORT = 502
RESOLUTION_C = 0.1
RESOLUTION_PERCENT = 0.1
MODE, SMALLEST, LARGEST, SETPOINT, POWER = 2730, 2774, 2776, 2782, 2808
ACTIVE_SETPOINT, MODE_NOW, VALUE = 2810, 2814, 2820
LOOP = 160
"""Registers from one loop to the next."""
AUTO, OFF = 10, 62
ALARM, ALARMS, INACTIVE = 1356, 4, (12, 61, 88)
"""State of the first alarm, 100 registers from one to the next."""
PROFILE_STATE, PROFILE_RUNS, PROFILE_CONTROL, TERMINATE = 16568, 149, 16566, 148
_TEMPERATURE, _HUMIDITY = 0, 1


class F4T:
    """See ``hil.instruments.protocols.Chamber``."""

    def __init__(
        self,
        name: str,
        address: str,
        limits: ChamberLimits,
        clock: Clock,
        *,
        unit: int = 1,
        patience: Patience = PATIENCE,
    ) -> None:
        """Connect, and narrow the limits to the controller's own. Raises ``InstrumentError``."""
        host, port = parse_tcp(address)
        # It says in three lines of its own what the error says in one.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._client = ModbusTcpClient(host, port=port, timeout=patience.answer_s, retries=0)
        self._clock, self._unit, self._tries = clock, unit, patience.tries
        self._who = f"{name} (Watlow F4T at {address})"
        self.model = "Watlow F4T"
        self._humid = False
        self.limits = ChamberLimits(
            max(limits.lowest_c, self._float(SMALLEST)),
            min(limits.highest_c, self._float(LARGEST)),
            limits.cooling_k_per_min,
            limits.heating_k_per_min,
            limits.humidity,
        )
        # Alarms that a controller was not given are addresses that it does not have.
        self._alarms = [index for index in range(ALARMS) if self._alarm(index) is not None]

    def read(self) -> ChamberReading:
        """See the protocol."""
        humidity = humidity_setpoint = None
        if self.limits.humidity:
            humidity = self._float(VALUE, _HUMIDITY)
            if self._word(MODE_NOW, _HUMIDITY) != OFF:
                humidity_setpoint = self._float(SETPOINT, _HUMIDITY)
        return ChamberReading(
            air_c=self._float(VALUE),
            setpoint_c=self._float(SETPOINT),
            humidity_percent=humidity,
            humidity_setpoint_percent=humidity_setpoint,
            running=self._word(MODE_NOW) != OFF,
            alarms=tuple(
                f"alarm {index + 1}"
                for index in self._alarms
                if self._alarm(index) not in (*INACTIVE, None)
            ),
            power_percent=self._float(POWER),
        )

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol. A profile that runs is ended: it would move the setpoint again."""
        if self._word(PROFILE_STATE, bare=True) == PROFILE_RUNS:
            self._write(PROFILE_CONTROL, [TERMINATE])
        self._set(SETPOINT, _TEMPERATURE, temperature_c, RESOLUTION_C)
        if self.limits.humidity:
            if humidity_percent is None:
                self._write(MODE + LOOP * _HUMIDITY, [OFF])
            else:
                self._set(SETPOINT, _HUMIDITY, humidity_percent, RESOLUTION_PERCENT)
                if self._word(MODE_NOW) != OFF:
                    self._write(MODE + LOOP * _HUMIDITY, [AUTO])
            self._humid = humidity_percent is not None
        elif humidity_percent is not None:
            raise InstrumentError(f"{self._who} does not regulate humidity.")

    def start(self) -> None:
        """See the protocol."""
        self._mode(_TEMPERATURE, AUTO)
        if self._humid:
            self._mode(_HUMIDITY, AUTO)

    def stop(self) -> None:
        """See the protocol."""
        if self._word(PROFILE_STATE, bare=True) == PROFILE_RUNS:
            self._write(PROFILE_CONTROL, [TERMINATE])
        if self.limits.humidity:
            self._mode(_HUMIDITY, OFF)
        self._mode(_TEMPERATURE, OFF)

    def close(self) -> None:
        """See the protocol."""
        self._client.close()

    # -- inside -----------------------------------------------------------------------------------

    def _mode(self, loop: int, mode: int) -> None:
        self._write(MODE + LOOP * loop, [mode])
        confirm_state(
            self._clock,
            self._who,
            f"mode {mode} of loop {loop + 1} (register {MODE + LOOP * loop})",
            lambda: (self._word(MODE_NOW, loop) == OFF) == (mode == OFF),
            "see its panel, and whether an alarm or an input holds it off",
        )

    def _set(self, register: int, loop: int, value: float, resolution: float) -> None:
        words = self._client.convert_to_registers(
            value, self._client.DATATYPE.FLOAT32, word_order="little"
        )
        at = register + LOOP * loop
        self._write(at, words)
        confirm(
            self._clock,
            self._who,
            f"{value:.1f} to register {at}",
            value,
            lambda: self._float(register, loop),
            resolution,
        )

    def _float(self, register: int, loop: int = _TEMPERATURE) -> float:
        at = register + LOOP * loop
        words = self._read(at, 2)
        value = self._client.convert_from_registers(
            words, self._client.DATATYPE.FLOAT32, word_order="little"
        )
        assert isinstance(value, float)
        if not math.isfinite(value):
            raise InstrumentError(
                f"{self._who}: register {at} holds {value}; a sensor is broken, or it is no F4T."
            )
        return value

    def _word(self, register: int, loop: int = _TEMPERATURE, bare: bool = False) -> int:
        return self._read(register + (0 if bare else LOOP * loop), 1)[0]

    def _alarm(self, index: int) -> int | None:
        """State of an alarm; None where the controller has none of that number."""
        response = self._call(
            lambda: self._client.read_holding_registers(
                ALARM + 100 * index, count=1, device_id=self._unit
            ),
            f"alarm {index + 1}",
        )
        return None if response.isError() else int(response.registers[0])

    def _read(self, register: int, count: int) -> Sequence[int]:
        response = self._call(
            lambda: self._client.read_holding_registers(
                register, count=count, device_id=self._unit
            ),
            f"register {register}",
        )
        if response.isError() or len(response.registers) != count:
            raise InstrumentError(
                f"{self._who} refuses register {register} ({response}); check that it is an F4T "
                "with Modbus on and that the unit number is right."
            )
        registers: Sequence[int] = response.registers
        return registers

    def _write(self, register: int, values: Sequence[int]) -> None:
        response = self._call(
            lambda: self._client.write_registers(register, list(values), device_id=self._unit),
            f"register {register}",
        )
        if response.isError():
            raise InstrumentError(
                f"{self._who} refuses {list(values)} in register {register} ({response}); the "
                "value is out of its limits, or the register is locked."
            )

    def _call(self, request: Callable[[], Any], what: str) -> Any:
        """One request, on a connection that is opened anew where it broke."""
        reason = ""
        for _ in range(self._tries):
            try:
                if self._client.connected or self._client.connect():
                    return request()
                reason = "no connection"
            except (ModbusException, OSError) as error:
                reason = str(error)
            self._client.close()
        raise InstrumentError(
            f"{self._who} does not answer for {what} ({reason:.80}, {self._tries} tries); check "
            "its network and that Modbus is on."
        )
