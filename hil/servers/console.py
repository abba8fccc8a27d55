"""The pedal's serial console: what the boot chain prints, a login, and a shell.

The line belongs to the pedal: while the module has no power nobody answers. MB1's lines are as its
logs print them (facts on T234); what it prints where it refuses is an assumption.
"""

import asyncio
import json
from collections.abc import Callable

from hil.plant.boot import Phase
from hil.plant.plant import Plant
from hil.servers.line import Line
from hil.servers.shell import Shell

USER, PASSWORD = "root", "purga"
_HOST = "purga"
_LONGEST = 1 << 16
_PROMPT = f"root@{_HOST}:~# "
_BOOT: dict[Phase, str] = {
    "firmware": "[0000.061] I> MB1 (version: simulated)\n"
    "[0000.118] I> SKU specific min_chip_limit = -28\n"
    "[0000.118] I> SKU specific max_chip_limit = 105\n",
    "linux": "[    0.000000] Booting Linux on physical CPU 0x0000000000\n",
}
_REFUSED = "[0000.121] E> Temperature is outside of the chip's limits, boot is stopped\n"
_ISSUE = f"\nSimulated GNU/Linux {_HOST} ttyTCU0\n\n"
_PROCESSES = ("audio", "control", "engine")


class Console:
    """What is typed and printed; the pedal's, not a connection's."""

    def __init__(self, plant: Plant, print_: Callable[[str], None]) -> None:
        """``print_`` is given what comes by itself, in the plant's thread."""
        self._plant, self._print = plant, print_
        self._phase: Phase = plant.boot.phase
        self._typed = ""
        self._user = ""
        self._shell: Shell | None = None
        self._asks_password = False
        plant.watchers.append(self._watch)

    def close(self) -> None:
        """Watch no more."""
        self._plant.watchers.remove(self._watch)

    def type(self, text: str) -> str:
        """What comes back for what is typed."""
        if self._plant.boot.phase != "running":
            self._typed = ""
            return ""
        back = ""
        *lines, rest = (self._typed + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        known = len(self._typed)
        self._typed = rest if len(rest) <= _LONGEST else ""
        for line in lines:
            back += self._echo(line[known:] + "\n") + self._line(line)
            known = 0
        return back + self._echo(rest[known:])

    def _echo(self, text: str) -> str:
        if self._asks_password:
            return "\n" if text.endswith("\n") else ""
        return text if self._shell is None or self._shell.echoes else ""

    def _line(self, line: str) -> str:
        if self._shell is not None:
            printed = self._shell.line(line)
            # A command may have ended the session, or the pedal.
            return printed + (self._shell.prompt if self._shell is not None else "")
        if self._asks_password:
            self._asks_password = False
            if self._user == USER and line == PASSWORD:
                self._shell = Shell(self._run, _PROMPT)
                return _PROMPT
            return f"\nLogin incorrect\n{_HOST} login: "
        self._user = line.strip()
        if not self._user:
            return f"{_HOST} login: "
        self._asks_password = True
        return "Password: "

    # -- commands ---------------------------------------------------------------------------------

    def _run(self, words: list[str]) -> tuple[str, int]:
        name = words[0].rpartition("/")[2]
        if name.startswith("python") and words[1:4] == ["-m", "device", "status"]:
            return self._status(words[4:])
        if name == "systemctl":
            return self._systemctl(words[1:])
        if name in ("dmesg", "bind", "export", "set", "unset", "cd", "sync"):
            return "", 0
        if name == "hostname":
            return f"{_HOST}\n", 0
        if name in ("exit", "logout"):
            self._shell = None
            return f"{_ISSUE}{_HOST} login: ", 0
        if name == "reboot":
            self._plant.boot.reset()
            self._ended()
            return "", 0
        return f"-bash: {words[0]}: command not found\n", 127

    def _status(self, given: list[str]) -> tuple[str, int]:
        pedal = self._plant.pedal
        # The bench's presets are named after their engines: hil/instruments/pedal_files.py.
        bank = {"presets": [{"name": f"bench {pedal.engine}"}]}
        figures = {**pedal.status(), "preset": 0, "bank": bank}
        if "--json" in given:
            return json.dumps(figures) + "\n", 0
        return "".join(f"{name}  {value}\n" for name, value in figures.items()), 0

    def _systemctl(self, given: list[str]) -> tuple[str, int]:
        names = [word.removesuffix(".service") for word in given if not word.startswith("-")]
        what, units = (names[0], names[1:]) if names else ("", [])
        if ("-s" in given and what == "kill") or ("-P" in given and what == "show"):
            units = units[1:]  # a signal, or a property, that stands apart
        processes = [unit.removeprefix("purga-") for unit in units]
        if what not in ("kill", "restart", "is-active", "show") or not processes:
            return "Unknown command verb or too few arguments.\n", 1
        for unit, process in zip(units, processes, strict=True):
            if process not in _PROCESSES or not unit.startswith("purga-"):
                return f"Failed to {what} unit: Unit {unit}.service not loaded.\n", 1
        if what == "is-active":
            return "active\n" * len(units), 0
        if what == "show":
            # What the plant counts, it counts for all of them.
            counts = [self._plant.pedal.status()["control"]["restarts"], 0, 0]
            return "\n\n".join(str(count) for count in counts[: len(units)]) + "\n", 0
        for process in processes:
            self._plant.pedal.kill(self._plant.now_s(), process)
        return "", 0

    # -- the pedal --------------------------------------------------------------------------------

    def _watch(self, now_s: float) -> None:
        """After each of the plant's steps."""
        del now_s
        before, self._phase = self._phase, self._plant.boot.phase
        if before == self._phase:
            return
        self._ended()
        if self._phase == "running":
            self._print(f"{_ISSUE}{_HOST} login: ")
        elif self._phase == "refused":
            self._print(_BOOT["firmware"] + _REFUSED)
        elif text := _BOOT.get(self._phase):
            self._print(text)

    def _ended(self) -> None:
        self._shell, self._asks_password, self._typed, self._user = None, False, "", ""


class ConsoleProtocol(asyncio.Protocol):
    """One connection to the line; several see the same."""

    def __init__(self, line: Line, console: Console) -> None:
        """Not connected yet."""
        self._line, self._console = line, console
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        assert isinstance(transport, asyncio.Transport)
        if self._line.opened(transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._line.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._transport is None or self._line.dead:
            return
        with self._line.turns:
            back = self._console.type(data.decode(errors="replace"))
        self._line.deliver(self._transport.write, on_wire(back))


def on_wire(text: str) -> bytes:
    """As a terminal's line has it."""
    return text.replace("\n", "\r\n").encode()
