r"""ESPEC chambers with a P300 or SCP-220 controller: TCP 10001, or RS-232 / RS-485 at 9600 8N1.

``TEMP?\r\n`` → ``23.1,23.0,80.0,-50.0`` (air, setpoint, upper and lower alarm limit). Each request
is answered by a line; ``NA:`` begins a refusal. Source: ESPEC's ChamberConnectLibrary (p300.py).
"""

from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.protocols import ChamberLimits, ChamberReading
from hil.instruments.readback import confirm, confirm_state, number
from hil.instruments.transport import Link

PORT = 10001
BAUD = 9600
END = b"\r\n"
RESOLUTION_C = 0.1
RESOLUTION_PERCENT = 1.0
"""Humidity is whole percents on most of them."""
_RUNS = ("CONSTANT", "RUN")
_MODES = ("OFF", "STANDBY", *_RUNS)
_REFUSALS = {
    "CMD ERR": "it does not know that command",
    "PARA ERR": "it does not take that value",
    "DATA OUT OF RANGE": "the value is out of the range that its controller is set to",
    "CHB NOT READY": "it is not ready for that now",
    "PROTECT ON": "its keys and settings are locked; unlock them at the panel",
    "CONT NOT READY": "its controller cannot do that in this state; see its panel",
}


class EspecP300:
    """See ``hil.instruments.protocols.Chamber``."""

    def __init__(
        self,
        link: Link,
        limits: ChamberLimits,
        clock: Clock,
        *,
        unit: int | None = None,
        band_c: tuple[float, float] | None = None,
    ) -> None:
        """Ask who it is. Raises ``InstrumentError``.

        ``unit`` is its number on a serial line that several share. ``band_c`` becomes its own alarm
        limits, sent with each setpoint: the controller trips by itself when the air leaves them.
        """
        self._link, self._clock = link, clock
        self._prefix = "" if unit is None else f"{unit},"
        self._band_c = band_c
        kind = self._ask("TYPE?").split(",")
        if len(kind) not in (3, 4):
            raise InstrumentError(
                f"{link.name} at {link.address} answers TYPE? with {','.join(kind)!r:.60}, which "
                "is no ESPEC P300 or SCP-220; check kind and address in bench.toml."
            )
        self.model = f"ESPEC {kind[-2].strip()}"
        self._who = f"{link.name} ({self.model} at {link.address})"
        highest_c = min(limits.highest_c, number(self._who, "TYPE?", kind[-1]))
        self.limits = ChamberLimits(
            limits.lowest_c,
            highest_c,
            limits.cooling_k_per_min,
            limits.heating_k_per_min,
            limits.humidity,
        )

    def read(self) -> ChamberReading:
        """See the protocol."""
        air, _, mode, alarms = self._monitor()
        humidity, humidity_setpoint = self._humidity()
        codes = self._numbers("ALARM?")[1:] if alarms else []
        return ChamberReading(
            air_c=air,
            setpoint_c=self._temperatures()[1],
            humidity_percent=humidity,
            humidity_setpoint_percent=humidity_setpoint,
            running=mode in _RUNS,
            alarms=tuple(f"alarm {int(code)}" for code in codes) or ("alarm",) * bool(alarms),
        )

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol."""
        wanted_c = round(temperature_c, 1)
        command = f"TEMP, S{wanted_c:.1f}"
        if self._band_c is not None:
            low_c, high_c = self._band_c
            command += f" H{high_c:.1f} L{low_c:.1f}"
        self._do(command)
        confirm(
            self._clock,
            self._who,
            command,
            wanted_c,
            lambda: self._temperatures()[1],
            RESOLUTION_C,
        )
        if self._band_c is not None:
            for at, limit_c in ((3, self._band_c[0]), (2, self._band_c[1])):
                confirm(
                    self._clock,
                    self._who,
                    command,
                    limit_c,
                    lambda at=at: self._temperatures()[at],  # type: ignore[misc]
                    RESOLUTION_C,
                    "its alarm limits are not what was asked; set them at the panel",
                )
        if self.limits.humidity:
            self._set_humidity(humidity_percent)
        elif humidity_percent is not None:
            raise InstrumentError(f"{self._who} does not regulate humidity.")

    def start(self) -> None:
        """See the protocol."""
        if self._monitor()[2] == "OFF":
            self._do("POWER,ON")
        self._do("MODE,CONSTANT")
        confirm_state(
            self._clock,
            self._who,
            "MODE,CONSTANT",
            lambda: self._monitor()[2] == "CONSTANT",
            "see its panel",
        )

    def stop(self) -> None:
        """See the protocol. Standby: an hour's dew is worse than a display that stays on."""
        if self._monitor()[2] == "OFF":
            return
        self._do("MODE,STANDBY")
        confirm_state(
            self._clock,
            self._who,
            "MODE,STANDBY",
            lambda: self._monitor()[2] not in _RUNS,
            "switch it off at the panel",
        )

    def close(self) -> None:
        """See the protocol."""
        self._link.close()

    # -- inside -----------------------------------------------------------------------------------

    def _set_humidity(self, percent: float | None) -> None:
        command = "HUMI,SOFF" if percent is None else f"HUMI, S{percent:.1f}"
        self._do(command)
        if percent is None:
            confirm_state(
                self._clock,
                self._who,
                command,
                lambda: self._humidity()[1] is None,
                "see its panel",
            )
            return
        confirm(
            self._clock,
            self._who,
            command,
            percent,
            lambda: -1.0 if (now := self._humidity()[1]) is None else now,
            RESOLUTION_PERCENT,
        )

    def _monitor(self) -> tuple[float, float | None, str, int]:
        """Air, humidity, mode, and how many alarms there are."""
        reply = self._ask("MON?")
        fields = [each.strip() for each in reply.split(",")]
        if len(fields) != 4 or fields[2] not in _MODES:
            raise InstrumentError(
                f"{self._who} answers MON? with {reply!r:.60}, where temperature, humidity, mode "
                "and alarms were expected; check kind in bench.toml."
            )
        humidity = number(self._who, "MON?", fields[1]) if fields[1] else None
        alarms = int(number(self._who, "MON?", fields[3]))
        return number(self._who, "MON?", fields[0]), humidity, fields[2], alarms

    def _temperatures(self) -> list[float]:
        """Air, setpoint, upper and lower limit."""
        found = self._numbers("TEMP?")
        if len(found) != 4:
            raise InstrumentError(f"{self._who} answers TEMP? with {len(found)} numbers, not 4.")
        return found

    def _humidity(self) -> tuple[float | None, float | None]:
        """Now and setpoint; None where it has none, or does not regulate it."""
        if not self.limits.humidity:
            return None, None
        fields = [each.strip() for each in self._ask("HUMI?").split(",")]
        if len(fields) < 2:
            raise InstrumentError(f"{self._who} answers HUMI? with {fields}, not with 4 numbers.")
        setpoint = None if fields[1] == "OFF" else number(self._who, "HUMI?", fields[1])
        return number(self._who, "HUMI?", fields[0]), setpoint

    def _numbers(self, command: str) -> list[float]:
        return [number(self._who, command, each) for each in self._ask(command).split(",")]

    def _do(self, command: str) -> None:
        reply = self._ask(command)
        if not reply.startswith("OK"):
            raise InstrumentError(
                f"{self._who}: {command} was answered with {reply!r:.60}, not OK."
            )

    def _ask(self, command: str) -> str:
        reply = self._link.ask(f"{self._prefix}{command}\r\n".encode("ascii")).decode("latin-1")
        if reply.startswith("NA:"):
            code = reply.removeprefix("NA:").strip()
            known = next(
                (why for key, why in _REFUSALS.items() if code.startswith(key)), "see its manual"
            )
            raise InstrumentError(
                f"{self._link.name} at {self._link.address} refuses {command}: {code} ({known})."
            )
        return reply.strip()
