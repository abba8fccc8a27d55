"""The simulated pins from outside: pulled like a switch, watched like a scope."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PEDAL = Path("/sys/kernel/config/gpio-sim/pedal")
"""Where ``hardware.sh`` made the chips; a bank's folder there names its place in sysfs."""
_BANKS = {"tegra234-gpio": "main", "tegra234-gpio-aon": "aon"}
_TRACING = Path("/sys/kernel/tracing")
MAIN = "tegra234-gpio"
_SET = re.compile(r" (\d+\.\d+): gpio_value: (\d+) set (\d)")


def _line(offset: int, label: str = MAIN) -> Path:
    """The folder of one simulated line."""
    device = (_PEDAL / "dev_name").read_text().strip()
    chip = (_PEDAL / _BANKS[label] / "chip_name").read_text().strip()
    return Path("/sys/devices/platform") / device / chip / f"sim_gpio{offset}"


def pull(offset: int, up: bool) -> None:
    """Pull a line up or down from outside."""
    (_line(offset) / "pull").write_text("pull-up" if up else "pull-down")


def level(offset: int) -> int:
    """The level on a line."""
    return int((_line(offset) / "value").read_text())


def number_of(offset: int, label: str = MAIN) -> int:
    """The kernel's global number of a line, which its trace names."""
    for entry in Path("/sys/class/gpio").glob("gpiochip*"):
        if (entry / "label").read_text().strip() == label:
            return int((entry / "base").read_text()) + offset
    raise LookupError(f"no chip {label}")


@dataclass(frozen=True)
class Edge:
    """A level that the pedal put on a line."""

    time_s: float
    """``CLOCK_MONOTONIC``."""
    value: int


class Scope:
    """Watches every level that is put on any pin, by the kernel's own trace, without polling."""

    def __init__(self) -> None:
        """Begin now."""
        if not (_TRACING / "trace").exists():
            subprocess.run(["mount", "-t", "tracefs", "none", _TRACING], check=True)
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", "8192")
        self._write("trace", "")
        self._write("events/gpio/gpio_value/enable", "1")
        self._write("tracing_on", "1")

    def edges(self, offset: int) -> list[Edge]:
        """What was put on a line so far, level changes only, oldest first."""
        number = number_of(offset)
        pattern = re.compile(rf" (\d+\.\d+): gpio_value: {number} set (\d)")
        found: list[Edge] = []
        for match in pattern.finditer((_TRACING / "trace").read_text()):
            value = int(match[2])
            if not found or found[-1].value != value:
                found.append(Edge(float(match[1]), value))
        return found

    def follow(self) -> "Following":
        """Take what is put on pins from now on out of the trace, bit by bit."""
        return Following()

    def clear(self) -> None:
        """Forget what was seen."""
        self._write("trace", "")

    def close(self) -> None:
        """Stop watching."""
        self._write("events/gpio/gpio_value/enable", "0")

    def _write(self, name: str, text: str) -> None:
        (_TRACING / name).write_text(text)


class Following:
    """Takes edges out of the scope's trace as they come, at a cost that does not grow with time.

    What it has taken, ``Scope.edges`` no longer sees.
    """

    def __init__(self) -> None:
        """Begin with what the trace holds now."""
        self._file = os.open(_TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def take(self) -> list[tuple[int, Edge]]:
        """Levels put on any line since the last call: its number (``number_of``) and the edge."""
        parts = [self._rest]
        while part := self._read():
            parts.append(part)
        whole, _, self._rest = b"".join(parts).rpartition(b"\n")
        return [
            (int(match[2]), Edge(float(match[1]), int(match[3])))
            for match in _SET.finditer(whole.decode(errors="replace"))
        ]

    def close(self) -> None:
        """Stop following."""
        os.close(self._file)

    def _read(self) -> bytes:
        try:
            return os.read(self._file, 1 << 16)
        except BlockingIOError:
            return b""
