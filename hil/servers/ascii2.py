r"""Vötsch's ASCII-2 with its traps: nothing says that a write was taken, nor that it was not.

``$01I\r`` → setpoint, air, another value, 32 bits; ``$01E …\r`` sets; ``$01?\r`` describes both,
where the unit does (``tests`` show it). A write with another number of values or bits than the unit
wants moves the setpoint and never starts; unless the panel stands on *extern*, nothing happens at
all. Everything else is met with silence. Assumption: a setpoint outside of the limits is ignored.
"""

import re
from dataclasses import dataclass

from hil.servers.controller import Controller

START = 1
"""Index of the bit that says *runs*, from 0."""
BITS_READ = 32
_VALUE = re.compile(r"[+-]?\d{1,5}(?:\.\d{1,3})?")


@dataclass(frozen=True)
class Form:
    """How many values and bits a unit's strings hold, and whether it tells."""

    humidity: bool
    bits_written: int
    describes: bool
    spare: int = 1
    """Set values beside the control variables, which do nothing here."""
    measured: int = 0
    """Values that are only read."""


PLAIN = Form(humidity=False, bits_written=10, describes=False)
"""Temperature alone, two values and ten bits, and it does not tell."""
CLIMATE = Form(humidity=True, bits_written=26, describes=True, spare=1, measured=2)
"""With humidity, and ``$01?``."""


class Ascii2:
    """See ``hil.servers.line.Dialect``."""

    end = b"\r"

    def __init__(self, controller: Controller, form: Form = CLIMATE, *, unit: int = 1) -> None:
        """``unit`` is its address on the line."""
        self._controller, self._form = controller, form
        self._begin = f"${unit:02d}"
        self._spare = [0.0] * form.spare

    def answer(self, line: bytes) -> bytes:
        """See the protocol."""
        text = line.decode("latin-1").strip("\n ")
        if not text.startswith(self._begin):
            return b""
        what = text[len(self._begin) :]
        if what == "I":
            return self._state().encode("ascii") + b"\r"
        if what == "?" and self._form.describes:
            return self.description().encode("ascii")
        if what.startswith("E"):
            self._write(what[1:].split())
        return b""

    def _state(self) -> str:
        controller = self._controller
        values = [controller.setpoint, controller.air]
        if self._form.humidity:
            values += [controller.humidity_setpoint_percent or 0.0, controller.humidity_percent]
        values += self._spare
        values += [max(0.0, controller.power_percent), 0.0][: self._form.measured]
        bits = ["0"] * BITS_READ
        bits[START] = "1" if controller.running else "0"
        return " ".join([*(f"{value:06.1f}" for value in values), "".join(bits)])

    def _write(self, words: list[str]) -> None:
        controller, form = self._controller, self._form
        if controller.faults.local:
            return
        values = [float(word) for word in words if _VALUE.fullmatch(word) and "." in word]
        bits = "".join(word for word in words if word and not word.strip("01"))
        if len(values) + sum(not word.strip("01") for word in words) != len(words) or not values:
            return  # letters are no framing at all
        if not controller.takes(values[0]):
            return
        controller.set_temperature(values[0])
        if len(values) != 1 + form.humidity + form.spare or len(bits) != form.bits_written:
            return
        if form.humidity and 0.0 <= values[1] <= 98.0:
            controller.set_humidity(values[1] or None)
        if not controller.faults.ignores_writes:
            self._spare = values[1 + form.humidity :]
        if bits[START] == "1":
            controller.start()
        else:
            controller.stop()

    def description(self) -> str:
        """What ``$01?`` prints, wrapped after 80 characters wherever that falls."""
        form, controller = self._form, self._controller
        control = ["CV01", "CV02"][: 1 + form.humidity]
        spare = [f"SV{at + 1:02d}" for at in range(form.spare)]
        measured = [f"MV{at + 1:02d}" for at in range(form.measured)]
        written = "".join(f"DO{at:02d}" for at in range(form.bits_written))
        read = "".join(f"DO{at:02d}" for at in range(BITS_READ))
        twice = [name for name in control for _ in range(2)]
        e_string = " ".join([f"{self._begin}E", *control, *spare, written]) + "<CR>"
        i_string = " ".join([*twice, *spare, *measured, read]) + "<CR>"
        lines = [
            "ASCII-2 PROTOCOL CONFIGURATION",
            "Configuration type: DYNAMIC",
            "",
            "Check Extern mode: enabled",
            "Example of an ASCII E-String:",
            *_wrapped(e_string),
            "",
            "Description:",
            f"CV01  value min: {controller.low_c:7.1f}   value max: {controller.high_c:7.1f}   "
            "Temperature",
        ]
        if form.humidity:
            lines.append("CV02  value min:     0.0   value max:    98.0   Humidity")
        lines += [f"{name}  value min:     0.0   value max:   100.0   Option" for name in spare]
        lines += ["DO00  unused", "DO01  Start"]
        lines += ["-" * 80, "", "Example of  an ASCII I-String:", f"{self._begin}I<CR>"]
        lines += [*_wrapped(i_string), "", "Description:", "CV01  nominal value Temperature"]
        lines += ["CV01  actual value  Temperature", "DO01  Start", ""]
        return "\r\n".join(lines)


def _wrapped(text: str, width: int = 80) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]
