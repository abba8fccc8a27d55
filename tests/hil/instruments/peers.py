"""The other side of a line, scripted: what an instrument says to which bytes.

Written from the protocols alone, never from the drivers.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hil.instruments.transport import Patience

QUICK = Patience(connect_s=2.0, answer_s=2.0, tries=2)
"""Enough for a busy machine; what stays silent is given ``SHORT``."""
SHORT = Patience(connect_s=2.0, answer_s=0.05, tries=2)


@dataclass
class StepClock:
    """A clock that only sleeping moves."""

    at_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now_s(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_s += seconds


@dataclass
class Peer:
    """A server on loopback. ``answer`` gives the bytes for a request, None for silence."""

    answer: Callable[[bytes], bytes | None]
    end: bytes = b"\r\n"
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    drops: int = 0
    """Close the connection instead of the next so many answers."""

    def __enter__(self) -> "Peer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close everything: nobody is there any more."""
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Close what is open."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while True:
                while self.end not in data:
                    more = connection.recv(4096)
                    if not more:
                        return
                    data += more
                line, _, data = data.partition(self.end)
                self.heard.append(line)
                reply = self.answer(line)
                if self.drops:
                    self.drops -= 1
                    connection.shutdown(socket.SHUT_RDWR)
                    connection.close()
                    return
                if reply is not None:
                    connection.sendall(reply)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    yield address


# -- instruments ----------------------------------------------------------------------------------


@dataclass
class Espec:
    """By the table of a P300."""

    air_c: float = 23.1
    setpoint_c: float = 23.0
    high_c: float = 160.0
    low_c: float = -75.0
    humidity: float = 45.0
    humidity_setpoint: str = "OFF"
    mode: str = "OFF"
    alarms: tuple[int, ...] = ()
    deaf: bool = False
    lies: bool = False
    stuck: bool = False
    reply_type: str = "T,T,S2,160.0"

    def __call__(self, request: bytes) -> bytes | None:
        if self.deaf:
            return None
        return (self.reply(request.decode()) + "\r\n").encode()

    def reply(self, line: str) -> str:
        if line == "TYPE?":
            return self.reply_type
        if line == "MON?":
            return f"{self.air_c},{self.humidity},{self.mode},{len(self.alarms)}"
        if line == "TEMP?":
            return f"{self.air_c},{self.setpoint_c},{self.high_c},{self.low_c}"
        if line == "HUMI?":
            return f"{self.humidity},{self.humidity_setpoint},100,0"
        if line == "ALARM?":
            return ",".join(map(str, [len(self.alarms), *self.alarms]))
        if line.startswith("TEMP, S"):
            return self._temperature(line)
        if line == "HUMI,SOFF":
            self.humidity_setpoint = "OFF"
        elif line.startswith("HUMI, S"):
            self.humidity_setpoint = str(round(float(line[7:])))
        elif line == "POWER,ON":
            self.mode = "STANDBY"
        elif line.startswith("MODE,"):
            if not self.stuck:
                self.mode = line[5:]
        else:
            return "NA:CMD ERR"
        return f"OK:{line}"

    def _temperature(self, line: str) -> str:
        given = {word[0]: float(word[1:]) for word in line.split()[1:]}
        if not self.low_c <= given["S"] <= self.high_c:
            return "NA:DATA OUT OF RANGE"
        if not self.lies:
            self.setpoint_c = given["S"]
        self.high_c, self.low_c = given.get("H", self.high_c), given.get("L", self.low_c)
        return f"OK:{line}"


@dataclass
class SimservChamber:
    """By the table of SIMSERV; requests come without their carriage return."""

    air_c: float = 24.48
    setpoint_c: float = 25.0
    humidity: float = 40.0
    humidity_setpoint: float = 0.0
    running: bool = False
    alarm: str = ""
    slow_reads: int = 0
    """So many reads still show the old setpoint after a write."""

    def __call__(self, request: bytes) -> bytes:
        fields = request.lstrip(b"\n").split(b"\xb6")
        reply = self.reply([field.decode() for field in fields])
        return b"\xb6".join(each.encode("latin-1") for each in reply) + b"\r\n"

    def reply(self, fields: list[str]) -> list[str]:
        match fields:
            case ["11004", "1", "1"]:
                return ["1", f"{self.air_c}"]
            case ["11004", "1", "2"]:
                return ["1", f"{self.humidity}"]
            case ["11002", "1", "1"]:
                if self.slow_reads:
                    self.slow_reads -= 1
                    return ["1", "25.0"]
                return ["1", f"{self.setpoint_c}"]
            case ["11002", "1", "2"]:
                return ["1", f"{self.humidity_setpoint}"]
            case ["11001", "1", "1", value]:
                self.setpoint_c = float(value)
            case ["11001", "1", "2", value]:
                self.humidity_setpoint = float(value)
            case ["14001", "1", "1", value]:
                self.running = value == "1"
            case ["10012", "1"]:
                return ["1", str(1 + 2 * self.running + 8 * bool(self.alarm))]
            case ["17002", "1"]:
                return ["1", "2"]
            case ["17009", "1", index]:
                return ["1", str(int(index == "2"))]
            case ["17005", "1", _]:
                return ["1", "1"]
            case ["17007", "1", _]:
                return ["1", self.alarm]
            case ["99997", "1", "1"]:
                return ["1", "LabEvent T/210"]
            case _:
                return ["-5"]
        return ["1"]


@dataclass
class VotschChamber:
    """ASCII-2 with its traps."""

    air_c: float = 25.1
    setpoint_c: float = 25.0
    running: bool = False
    extern: bool = True
    values: int = 2
    bits: int = 10
    describes: bytes = b"?\r"

    def __call__(self, request: bytes) -> bytes | None:
        line = request.decode()
        if line == "$01?":
            return self.describes
        if line == "$01I":
            bits = "0" + str(int(self.running)) + 30 * "0"
            return f"{self.setpoint_c:06.1f} {self.air_c:06.1f} 0000.0 {bits}\r".encode()
        if line.startswith("$01E") and self.extern:
            *values, bits = line[5:].split()
            self.setpoint_c = float(values[0])
            if len(values) == self.values and len(bits) == self.bits:
                self.running = bits[1] == "1"
        return None


@dataclass
class Scpi:
    """A supply and a logger in one: what each answers, by its manual."""

    volts: float = 0.0
    limit_a: float = 0.0
    on: bool = False
    ohm: float = 10.0
    couples: str = "+2.310E+01,-4.010E+01,+9.9E+37"
    ignores: str = ""
    error: str = '+0,"No error"'
    model: str = "Keysight Technologies,E36234A,MY1,1.0"

    def __call__(self, request: bytes) -> bytes | None:
        reply = self.reply(request.decode())
        return None if reply is None else (reply + "\n").encode()

    def reply(self, line: str) -> str | None:
        word, _, value = line.partition(" ")
        if self.ignores and word == self.ignores:
            return None
        flows = min(self.limit_a, self.volts / self.ohm) if self.on else 0.0
        match word:
            case "*IDN?":
                return self.model
            case "VOLT":
                self.volts = float(value)
            case "CURR":
                self.limit_a = float(value)
            case "OUTP":
                self.on = value == "ON"
            case "VOLT?":
                return f"{self.volts:.4f}"
            case "CURR?":
                return f"{self.limit_a:.4f}"
            case "OUTP?":
                return str(int(self.on))
            case "MEAS:VOLT?":
                return f"{flows * self.ohm:+.6E}"
            case "MEAS:CURR?":
                return f"{flows:+.6E}"
            case "SYST:ERR?":
                return self.error
            case "READ?":
                return self.couples
        return None
