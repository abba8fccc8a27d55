r"""Weiss and Vötsch chambers with SIMPAC: the SIMSERV protocol, TCP 2049.

``11004¶1¶1\r`` → ``1¶23.1\r\n``: command, chamber, arguments, apart by the byte 0xB6; the answer's
first field is 1, or a negative number of what went wrong. Source: the SIMSERV drivers of SengerM
and of IzaakWN, after Weiss' manual 64636625 (2019.05).
"""

import contextlib

from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.protocols import ChamberLimits, ChamberReading
from hil.instruments.readback import confirm, confirm_state, number
from hil.instruments.transport import Link

PORT = 2049
END = b"\r"
"""A line feed may follow; it is no part of the next answer."""
RESOLUTION_C = 0.1
RESOLUTION_PERCENT = 0.1
SEPARATOR = b"\xb6"
_TEMPERATURE, _HUMIDITY = 1, 2
"""Its control variables."""
_SET, _SETPOINT, _ACTUAL, _MANUAL, _STATUS, _IDENTITY = 11001, 11002, 11004, 14001, 10012, 99997
_MESSAGES, _MESSAGE_ACTIVE, _MESSAGE_TYPE, _MESSAGE_TEXT = 17002, 17009, 17005, 17007
_RISE, _RISE_READ, _FALL, _FALL_READ = 11068, 11066, 11072, 11070
_RUNNING, _ALARM = 2, 8
"""Bits of its status: 1 not running, 3 running, +4 warnings, +8 alarms."""
_ERRORS = {
    "-4": "no such chamber",
    "-5": "unknown command",
    "-6": "too few or wrong arguments",
    "-8": "the value could not be read",
}


class Simserv:
    """See ``hil.instruments.protocols.Chamber``."""

    def __init__(
        self,
        link: Link,
        limits: ChamberLimits,
        clock: Clock,
        *,
        gradient_k_per_min: float | None = None,
    ) -> None:
        """Ask who it is, and set its own gradients where one is given.

        Raises ``InstrumentError``.
        """
        self._link, self._clock, self.limits = link, clock, limits
        self._who = f"{link.name} at {link.address}"
        self.model = "Weiss / Vötsch SIMSERV"
        self._value(_ACTUAL, _TEMPERATURE)
        # Older ones do not know who they are.
        with contextlib.suppress(InstrumentError):
            self.model = f"Weiss / Vötsch {self._ask(_IDENTITY, 1)[0]}"
        self._who = f"{link.name} ({self.model} at {link.address})"
        if gradient_k_per_min is not None:
            for command, readback in ((_RISE, _RISE_READ), (_FALL, _FALL_READ)):
                self._set(command, readback, _TEMPERATURE, gradient_k_per_min, RESOLUTION_C)

    def read(self) -> ChamberReading:
        """See the protocol."""
        status = self._status()
        humidity = setpoint = None
        if self.limits.humidity:
            humidity = self._value(_ACTUAL, _HUMIDITY)
            setpoint = self._value(_SETPOINT, _HUMIDITY)
        return ChamberReading(
            air_c=self._value(_ACTUAL, _TEMPERATURE),
            setpoint_c=self._value(_SETPOINT, _TEMPERATURE),
            humidity_percent=humidity,
            # A setpoint of nothing is how it is told not to regulate.
            humidity_setpoint_percent=setpoint if setpoint else None,
            running=bool(status & _RUNNING),
            alarms=self._alarms() if status & _ALARM else (),
        )

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol."""
        self._set(_SET, _SETPOINT, _TEMPERATURE, round(temperature_c, 1), RESOLUTION_C)
        if self.limits.humidity:
            percent = round(humidity_percent or 0.0, 1)
            self._set(_SET, _SETPOINT, _HUMIDITY, percent, RESOLUTION_PERCENT)
        elif humidity_percent is not None:
            raise InstrumentError(f"{self._who} does not regulate humidity.")

    def start(self) -> None:
        """See the protocol."""
        self._ask(_MANUAL, 1, 1)
        self._confirm_running(True, "see its panel, and whether it has an alarm to be quitted")

    def stop(self) -> None:
        """See the protocol."""
        self._ask(_MANUAL, 1, 0)
        self._confirm_running(False, "switch it off at the panel")

    def close(self) -> None:
        """See the protocol."""
        self._link.close()

    # -- inside -----------------------------------------------------------------------------------

    def _confirm_running(self, wanted: bool, why: str) -> None:
        sent = f"{_MANUAL} {int(wanted)}"
        confirm_state(
            self._clock,
            self._who,
            sent,
            lambda: bool(self._status() & _RUNNING) == wanted,
            why,
        )

    def _set(
        self, command: int, readback: int, variable: int, value: float, resolution: float
    ) -> None:
        self._ask(command, variable, f"{value:.1f}")
        confirm(
            self._clock,
            self._who,
            f"{command} {variable} {value:.1f}",
            value,
            lambda: self._value(readback, variable),
            resolution,
        )

    def _status(self) -> int:
        return int(number(self._who, str(_STATUS), self._first(_STATUS)))

    def _value(self, command: int, variable: int) -> float:
        sent = f"{command} {variable}"
        return number(self._who, sent, self._first(command, variable))

    def _alarms(self) -> tuple[str, ...]:
        """Texts of its active alarms; a word where it cannot tell them."""
        found = []
        with contextlib.suppress(InstrumentError):
            for index in range(1, int(self._first(_MESSAGES)) + 1):
                active = self._first(_MESSAGE_ACTIVE, index) == "1"
                if active and self._first(_MESSAGE_TYPE, index) == "1":
                    found.append(self._first(_MESSAGE_TEXT, index))
        return tuple(found) or ("alarm",)

    def _first(self, command: int, *arguments: int) -> str:
        fields = self._ask(command, *arguments)
        if not fields:
            raise InstrumentError(f"{self._who}: {command} was answered without a value.")
        return fields[0].strip()

    def _ask(self, command: int, *arguments: int | str) -> list[str]:
        words = [str(command), "1", *map(str, arguments)]
        request = SEPARATOR.join(word.encode("ascii") for word in words) + b"\r"
        code, *fields = self._link.ask(request).decode("latin-1").strip().split("¶")
        if code != "1":
            why = _ERRORS.get(code, "see its manual")
            raise InstrumentError(
                f"{self._who} answers {' '.join(words)} with {code!r:.40} ({why}); check kind and "
                "address in bench.toml."
            )
        return fields
