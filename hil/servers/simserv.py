r"""Weiss' and Vötsch's SIMSERV: fields apart by the byte 0xB6, ``\r``; answers end with ``\r\n``.

TCP 2049. After the SIMSERV drivers of IzaakWN, SengerM and rueck, which follow Weiss' manual
64636625. Assumptions: the code for a setpoint outside of the input limits (−6), that a panel which
has the say refuses with −12 (no rights), the texts of names and messages.
"""

import math
import re
from collections.abc import Callable

from hil.servers.controller import DOOR, Controller

SEPARATOR = b"\xb6"
NO_CHAMBER, BAD_CHAMBER, OTHER_CHAMBER = "-2", "-3", "-4"
EMPTY, UNKNOWN, ARGUMENTS, NO_SUCH, NO_RIGHTS = "-1", "-5", "-6", "-8", "-12"
TEMPERATURE, HUMIDITY = 1, 2
STEEPEST_K_PER_MIN = 20.0
MESSAGES = ("Service due", "Alarm", "Door open")
"""Texts of its messages, from 1; the second is what the plant complains of."""
_ALARM, _WARNING = "1", "2"
_NUMBER = re.compile(r"[+-]?\d{1,4}(?:\.\d{1,3})?")

_Handler = Callable[[list[str]], list[str]]


class Refused(Exception):  # noqa: N818 - what it is: an answer
    """A negative number instead of a value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Simserv:
    """See ``hil.servers.line.Dialect``."""

    end = b"\r"

    def __init__(self, controller: Controller, *, humidity: bool = True) -> None:
        """In front of a controller; ``humidity`` is its second control variable."""
        self._controller = controller
        self._variables = 2 if humidity else 1
        self._percent = 0.0
        self._does: dict[str, tuple[int, _Handler]] = {
            "99997": (1, self._identity),
            "10012": (0, self._status),
            "11018": (0, lambda _: [str(self._variables)]),
            "11026": (1, lambda given: [("Temperature", "Humidity")[self._variable(given) - 1]]),
            "11023": (1, lambda given: [("°C", "%RH")[self._variable(given) - 1]]),
            "11001": (2, self._set),
            "11002": (1, self._setpoint),
            "11004": (1, self._actual),
            "11007": (1, lambda given: [f"{self._limits(given)[0]:.1f}"]),
            "11009": (1, lambda given: [f"{self._limits(given)[1]:.1f}"]),
            "11066": (1, lambda given: [self._gradient(given, rise=True)]),
            "11068": (2, lambda given: self._set_gradient(given, rise=True)),
            "11070": (1, lambda given: [self._gradient(given, rise=False)]),
            "11072": (2, lambda given: self._set_gradient(given, rise=False)),
            "14001": (2, self._switch),
            "14003": (1, self._switched),
            "17002": (0, lambda _: [str(len(MESSAGES))]),
            "17005": (1, lambda given: [_WARNING if self._message(given) == 1 else _ALARM]),
            "17007": (1, self._text),
            "17009": (1, lambda given: [str(int(self._active(self._message(given))))]),
            "17012": (0, self._reset),
            "19210": (0, lambda _: ["0"]),
        }

    def answer(self, line: bytes) -> bytes:
        """See the protocol."""
        line = line.strip(b"\n")
        if not line:
            return b""
        fields = [field.decode("latin-1").strip() for field in line.split(SEPARATOR)]
        try:
            found = ["1", *self._answer(fields)]
        except Refused as refused:
            found = [refused.code]
        return SEPARATOR.join(each.encode("latin-1") for each in found) + b"\r\n"

    def _answer(self, fields: list[str]) -> list[str]:
        command, *rest = fields
        if not command:
            raise Refused(EMPTY)
        if command not in self._does:
            raise Refused(UNKNOWN)
        if not rest:
            raise Refused(NO_CHAMBER)
        chamber, *given = rest
        if not chamber.isascii() or not chamber.isdigit():
            raise Refused(BAD_CHAMBER)
        if chamber != "1":
            raise Refused(OTHER_CHAMBER)
        wanted, handler = self._does[command]
        if len(given) != wanted:
            raise Refused(ARGUMENTS)
        return handler(given)

    # -- reading ----------------------------------------------------------------------------------

    def _identity(self, given: list[str]) -> list[str]:
        return [("simulated", "1.00", "0")[self._index(given[0], 3) - 1]]

    def _status(self, _: list[str]) -> list[str]:
        alarm = 8 if self._controller.alarms else 0
        return [str((3 if self._controller.running else 1) + alarm)]

    def _actual(self, given: list[str]) -> list[str]:
        if self._variable(given) == TEMPERATURE:
            return [f"{self._controller.air:.2f}"]
        return [f"{self._controller.humidity_percent:.2f}"]

    def _setpoint(self, given: list[str]) -> list[str]:
        if self._variable(given) == TEMPERATURE:
            return [f"{self._controller.setpoint:.1f}"]
        return [f"{self._controller.humidity_setpoint_percent or 0.0:.1f}"]

    def _limits(self, given: list[str]) -> tuple[float, float]:
        if self._variable(given) == HUMIDITY:
            return 0.0, 98.0
        controller = self._controller
        return controller.shown(controller.low_c), controller.shown(controller.high_c)

    def _gradient(self, given: list[str], *, rise: bool) -> str:
        self._index(given[0], 1)
        controller = self._controller
        return f"{controller.rise_k_per_min if rise else controller.fall_k_per_min:.1f}"

    def _switched(self, given: list[str]) -> list[str]:
        return [str(int(self._index(given[0], 8) == 1 and self._controller.running))]

    def _message(self, given: list[str]) -> int:
        return self._index(given[0], len(MESSAGES))

    def _text(self, given: list[str]) -> list[str]:
        at = self._message(given)
        other = [alarm for alarm in self._controller.alarms if alarm != DOOR]
        return [", ".join(other) if at == 2 and other else MESSAGES[at - 1]]

    def _active(self, message: int) -> bool:
        alarms = self._controller.alarms
        return {2: any(alarm != DOOR for alarm in alarms), 3: DOOR in alarms}.get(message, False)

    # -- doing ------------------------------------------------------------------------------------

    def _set(self, given: list[str]) -> list[str]:
        value = self._number(given[1])
        low, high = self._limits(given)
        if not low <= value <= high:
            raise Refused(ARGUMENTS)
        self._ours()
        if self._variable(given) == TEMPERATURE:
            self._controller.set_temperature(value)
        else:
            # Nothing is how it is told not to regulate.
            self._controller.set_humidity(value or None)
        return []

    def _set_gradient(self, given: list[str], *, rise: bool) -> list[str]:
        self._index(given[0], 1)
        value = self._number(given[1])
        if not 0.0 <= value <= STEEPEST_K_PER_MIN:
            raise Refused(ARGUMENTS)
        self._ours()
        controller = self._controller
        rises, falls = controller.rise_k_per_min, controller.fall_k_per_min
        controller.set_gradients(*((value, falls) if rise else (rises, value)))
        return []

    def _switch(self, given: list[str]) -> list[str]:
        output = self._index(given[0], 8)
        if given[1] not in ("0", "1"):
            raise Refused(ARGUMENTS)
        self._ours()
        if output == 1:
            (self._controller.start if given[1] == "1" else self._controller.stop)()
        return []

    def _reset(self, _: list[str]) -> list[str]:
        self._ours()
        return []

    # -- inside -----------------------------------------------------------------------------------

    def _ours(self) -> None:
        if self._controller.faults.local:
            raise Refused(NO_RIGHTS)

    def _variable(self, given: list[str]) -> int:
        return self._index(given[0], self._variables)

    @staticmethod
    def _index(text: str, most: int) -> int:
        if not text.isascii() or not text.isdigit():
            raise Refused(ARGUMENTS)
        if not 1 <= int(text[:6]) <= most:
            raise Refused(NO_SUCH)
        return int(text)

    @staticmethod
    def _number(text: str) -> float:
        if not _NUMBER.fullmatch(text):
            raise Refused(ARGUMENTS)
        value = float(text)
        assert math.isfinite(value)
        return value
