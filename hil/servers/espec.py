r"""ESPEC's P300 and SCP-220: lines of ASCII, ``\r\n``, TCP 10001 or a serial line.

After ESPEC's ChamberConnectLibrary (p300.py) and the error table of the SCP-220's communication
manual. What a refused command leaves behind is nothing. Assumptions: the order in which arguments
are judged, that a remote programme holds its last setpoint in mode ``RUN``, and alarm numbers.
"""

import re
from collections.abc import Callable

from hil.servers.controller import DOOR, OUT_OF_LIMITS, Controller, Programme, Segment

HIGHEST_C, LOWEST_C = 160.0, -75.0
"""Of what its alarm limits can be set to."""
CODES = {OUT_OF_LIMITS: 0, DOOR: 14}
"""Numbers of alarms: assumptions. Any other complaint of the plant is number 5."""
_OTHER_ALARM = 5
_NUMBER = r"([+-]?\d{1,4}(?:\.\d{1,3})?)"
_TEMP = re.compile(r"([SHL])" + _NUMBER)
_RUN = {
    name: re.compile(rf"(?:^| ){name}{_NUMBER}(?= |$)")
    for name in ("TEMP", "GOTEMP", "HUMI", "GOHUMI")
}
_TIME = re.compile(r"(?:^| )TIME(\d{1,3}):([0-5]?\d)(?= |$)")
_END = {"STANDBY", "OFF", "HOLD", "CONST"}

CMD, PARA, RANGE = "NA:CMD ERR", "NA:PARA ERR", "NA:DATA OUT OF RANGE"
NO_HUMIDITY, NO_PROGRAMME = "NA:CONT NOT READY-1", "NA:CONT NOT READY-2"
NOT_READY, PROTECTED, NO_DATA = "NA:CHB NOT READY", "NA:PROTECT ON", "NA:DATA NOT READY"
ADDRESS = "NA:ADDR ERR"


class Espec:
    """See ``hil.servers.line.Dialect``."""

    end = b"\r\n"

    def __init__(
        self, controller: Controller, *, humidity: bool = True, unit: int | None = None
    ) -> None:
        """``unit`` is its address on a serial line that several share; none on TCP."""
        self._controller, self._humidity, self._unit = controller, humidity, unit
        self._powered = controller.running
        controller.band_c = (LOWEST_C, HIGHEST_C)
        self._reads: dict[str, Callable[[], str]] = {
            "TEMP?": self._temp,
            "HUMI?": self._humi,
            "MON?": self._mon,
            "MODE?": lambda: self._mode,
            "ALARM?": self._alarm,
            "TYPE?": lambda: f"T,T,S2,{HIGHEST_C}" if humidity else f"T,S2,{HIGHEST_C}",
            "ROM?": lambda: "P3SIM1.00",
            "KEYPROTECT?": lambda: "ON" if controller.faults.local else "OFF",
            "%?": self._outputs,
            "CONSTANT SET?,TEMP": lambda: f"{controller.setpoint:.1f},ON",
            "PRGM MON?": self._programme,
        }

    def answer(self, line: bytes) -> bytes:
        """See the protocol."""
        try:
            text = line.decode("ascii").strip(" ")
        except UnicodeDecodeError:
            return CMD.encode() + self.end
        if not text:
            return b""
        if self._unit is not None:
            # Several listen on a shared line: only the one that is meant answers.
            address, comma, text = text.partition(",")
            if not comma or address.strip() != str(self._unit):
                return b""
        elif re.match(r"\d+,", text):
            return ADDRESS.encode() + self.end
        return self._answer(text.strip()).encode("ascii") + self.end

    def _answer(self, text: str) -> str:
        if read := self._reads.get(text):
            return read()
        if text.endswith("?"):
            return CMD
        refusal = self._do(text)
        return refusal or f"OK:{text}"

    # -- reading ----------------------------------------------------------------------------------

    @property
    def _mode(self) -> str:
        if self._controller.running:
            self._powered = True
            return "CONSTANT" if self._controller.programme is None else "RUN"
        return "STANDBY" if self._powered else "OFF"

    def _temp(self) -> str:
        shows = self._controller
        low, high = (shows.shown(limit_c) for limit_c in shows.band_c)
        return f"{shows.air:.1f},{shows.setpoint:.1f},{high:.1f},{low:.1f}"

    def _humi(self) -> str:
        if not self._humidity:
            return NO_HUMIDITY
        told = self._controller.humidity_setpoint_percent
        setpoint = "OFF" if told is None else f"{told:.0f}"
        return f"{self._controller.humidity_percent:.0f},{setpoint},100,0"

    def _mon(self) -> str:
        humidity = f"{self._controller.humidity_percent:.0f}" if self._humidity else ""
        alarms = len(self._controller.alarms)
        return f"{self._controller.air:.1f},{humidity},{self._mode},{alarms}"

    def _alarm(self) -> str:
        codes = [CODES.get(alarm, _OTHER_ALARM) for alarm in self._controller.alarms]
        return ",".join(map(str, [len(codes), *codes]))

    def _outputs(self) -> str:
        heats = max(0.0, self._controller.power_percent)
        return f"2,{heats:.1f},0.0" if self._humidity else f"1,{heats:.1f}"

    def _programme(self) -> str:
        programme = self._controller.programme
        if programme is None or not self._controller.running:
            return NO_PROGRAMME
        segment = programme.segments[min(programme.at, len(programme.segments) - 1)]
        left_s = 0.0 if programme.over else segment.seconds - programme.for_s
        hours, minutes = divmod(round(left_s / 60.0), 60)
        humidity = "" if segment.humidity_percent is None else f"{segment.humidity_percent:.0f}"
        return f"1,{segment.celsius:.1f},{humidity},{hours}:{minutes:02d},0,0"

    # -- doing ------------------------------------------------------------------------------------

    def _do(self, text: str) -> str:
        """Why not; empty where it has been done."""
        command, comma, rest = text.partition(",")
        do = {
            "TEMP": self._set_temp,
            "HUMI": self._set_humi,
            "MODE": self._set_mode,
            "POWER": self._set_power,
            "RUN PRGM": self._run,
            "PRGM": self._end,
        }.get(command.strip())
        if do is None:
            return CMD
        if self._controller.faults.local:
            return PROTECTED
        return do(rest.strip()) if comma else PARA

    def _set_temp(self, text: str) -> str:
        controller = self._controller
        found = _TEMP.findall(text)
        if not found or "".join(f"{key}{value}" for key, value in found) != text.replace(" ", ""):
            return PARA
        given = {key: float(value) for key, value in found}
        low_c, high_c = controller.band_c
        low_c = controller.meant(given["L"]) if "L" in given else low_c
        high_c = controller.meant(given["H"]) if "H" in given else high_c
        told_c = controller.meant(given.get("S", controller.setpoint))
        if not LOWEST_C <= low_c <= high_c <= HIGHEST_C or not low_c <= told_c <= high_c:
            return RANGE
        if "S" in given and not controller.takes(given["S"]):
            return RANGE
        if not controller.faults.ignores_writes:
            controller.band_c = (low_c, high_c)
        if "S" in given:
            controller.set_temperature(given["S"])
        return ""

    def _set_humi(self, text: str) -> str:
        if not self._humidity:
            return NO_HUMIDITY
        if text.replace(" ", "") == "SOFF":
            self._controller.set_humidity(None)
            return ""
        found = re.fullmatch(r"S *" + _NUMBER, text)
        if found is None:
            return PARA
        percent = float(found[1])
        if not 0.0 <= percent <= 100.0:
            return RANGE
        self._controller.set_humidity(percent)
        return ""

    def _set_mode(self, text: str) -> str:
        if text not in ("CONSTANT", "STANDBY", "OFF"):
            return NO_DATA if re.fullmatch(r"RUN ?\d{1,2}", text) else PARA
        if text != "CONSTANT":
            self._controller.stop()
            if not self._controller.faults.ignores_writes:
                self._powered = text == "STANDBY"
            return ""
        if self._mode == "OFF":
            return NOT_READY
        if not self._controller.faults.ignores_writes:
            self._controller.programme = None
        self._controller.start()
        return ""

    def _set_power(self, text: str) -> str:
        if text not in ("ON", "OFF"):
            return PARA
        if text == "OFF":
            self._controller.stop()
        if not self._controller.faults.ignores_writes:
            self._powered = text == "ON"
        return ""

    def _run(self, text: str) -> str:
        """One ramp, given from afar."""
        text = " ".join(text.split())
        time = _TIME.search(text)
        given = {
            name: float(found[1]) for name, form in _RUN.items() if (found := form.search(text))
        }
        left = _TIME.sub("", text)
        for form in _RUN.values():
            left = form.sub("", left)
        if time is None or "TEMP" not in given or left.strip():
            return PARA
        goal = given.get("GOTEMP", given["TEMP"])
        percent = given.get("GOHUMI", given.get("HUMI"))
        if percent is not None and not self._humidity:
            return NO_HUMIDITY
        if not (self._controller.takes(given["TEMP"]) and self._controller.takes(goal)):
            return RANGE
        if percent is not None and not 0.0 <= percent <= 100.0:
            return RANGE
        if self._mode == "OFF":
            return NOT_READY
        seconds = 3600.0 * int(time[1]) + 60.0 * int(time[2])
        meant = self._controller.meant
        self._controller.set_temperature(given["TEMP"])
        if "HUMI" in given:
            self._controller.set_humidity(given["HUMI"])
        self._controller.run(Programme([Segment(meant(goal), seconds, percent)]))
        return ""

    def _end(self, text: str) -> str:
        """A programme's end: ``PRGM,END,CONST`` and alike."""
        words = [word.strip() for word in text.split(",")]
        if len(words) != 2 or words[0] != "END" or words[1] not in _END:
            return PARA
        if self._controller.programme is None:
            return NO_PROGRAMME
        if words[1] in ("STANDBY", "OFF"):
            return self._set_mode(words[1])
        self._controller.programme = None
        return ""
