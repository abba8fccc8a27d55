"""A fake of libgpiod's chips and line requests that refuses what the kernel refuses.

It is no gpio-sim: no time passes in it. A debounced line comes to rest when ``settle`` says so.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Bias, Direction, Edge, Value

from device.boards.pin_chip import Chips
from device.boards.pin_tables import AON, MAIN, Line, find_module
from device.boards.pins import JetsonFactory

LINES = {MAIN: 164, AON: 32}
LONGEST_DEBOUNCE_S = 0.255
BUFFER = 16
"""Edges that the kernel keeps for a line; then the oldest goes."""


def oserror(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class FakeLine:
    """One line: what drives it, who holds it."""

    def __init__(self) -> None:
        self.direction = Direction.INPUT
        self.outside = False
        self.value = False
        self.request: FakeRequest | None = None
        self.consumer = ""

    @property
    def level(self) -> bool:
        return self.value if self.direction is Direction.OUTPUT else self.outside


class FakeGpios:
    """The machine's chips behind ``gpiod.Chip``; ``folder`` holds a file for each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.denied: set[str] = set()
        self.opened: list[str] = []
        self.refusal: int | None = None
        self.plug()
        monkeypatch.setattr(gpiod, "Chip", lambda path: FakeChip(self, Path(path).name))
        monkeypatch.setattr(gpiod, "is_gpiochip_device", lambda path: Path(path).name in self.names)

    def plug(self) -> None:
        # Numbers that sort otherwise as text, and something that is no chip at all.
        self.names = {"gpiochip10": MAIN, "gpiochip2": AON, "gpiochip0": "max77620"}
        self.banks = {
            label: [FakeLine() for _ in range(LINES.get(label, 8))] for label in self.names.values()
        }
        for name in (*self.names, "gpiochip-not"):
            (self.folder / name).touch()

    def unplug(self) -> None:
        with self.lock:
            self.names.clear()
            for request in [line.request for bank in self.banks.values() for line in bank]:
                if request is not None:
                    request.hang_up()
        for file in self.folder.iterdir():
            file.unlink()

    def line(self, line: Line) -> FakeLine:
        return self.banks[line.chip][line.offset]


class FakeChip:
    """``gpiod.Chip``."""

    def __init__(self, gpios: FakeGpios, name: str) -> None:
        if name in gpios.denied:
            raise oserror(errno.EACCES)
        gpios.opened.append(name)
        self._gpios = gpios
        self._lines = gpios.banks[gpios.names[name]]
        self._label = gpios.names[name]
        self._name = name

    def get_info(self) -> gpiod.ChipInfo:
        return gpiod.ChipInfo(self._name, self._label, len(self._lines))

    def get_line_info(self, offset: int) -> FakeLine:
        self._check()
        return self._lines[offset]

    def request_lines(self, config: dict, consumer: str) -> "FakeRequest":
        ((offset, settings),) = config.items()
        with self._gpios.lock:
            self._check()
            if self._gpios.refusal is not None:
                raise oserror(self._gpios.refusal)
            if self._lines[offset].request is not None:
                raise oserror(errno.EBUSY)
            return FakeRequest(self._gpios, self._lines[offset], offset, settings, consumer)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self._name not in self._gpios.names or self._gpios.banks[self._label] is not self._lines:
            raise oserror(errno.ENODEV)


class FakeRequest:
    """``gpiod.LineRequest`` of one line; its file is readable while edges wait."""

    def __init__(
        self,
        gpios: FakeGpios,
        line: FakeLine,
        offset: int,
        settings: gpiod.LineSettings,
        consumer: str,
    ) -> None:
        self._gpios, self._line, self._offset = gpios, line, offset
        self._read, self._write = os.pipe()
        self._events: list[gpiod.EdgeEvent] = []
        self._settings = gpiod.LineSettings()
        self._count = 0
        self._settled = line.outside
        self._gone = False
        self._released = False
        line.request, line.consumer = self, consumer
        self._configure(settings)

    def __bool__(self) -> bool:
        return not self._released

    @property
    def fd(self) -> int:
        return self._read

    def reconfigure_lines(self, config: dict) -> None:
        with self._gpios.lock:
            self._check()
            self._configure(config[self._offset])

    def get_value(self, offset: int) -> Value:
        with self._gpios.lock:
            self._check()
            assert offset == self._offset
            return Value.ACTIVE if self._line.level else Value.INACTIVE

    def set_value(self, offset: int, value: Value) -> None:
        with self._gpios.lock:
            self._check()
            assert offset == self._offset
            if self._line.direction is not Direction.OUTPUT:
                raise oserror(errno.EPERM)
            self._line.value = value is Value.ACTIVE

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        with self._gpios.lock:
            self._check()
            assert self._events, "the kernel would block here for ever"
            events, self._events = self._events, []
            os.read(self._read, len(events))
            return events

    def release(self) -> None:
        with self._gpios.lock:
            self._released = True
            self._line.request, self._line.consumer = None, ""
            os.close(self._read)
            with contextlib.suppress(OSError):
                os.close(self._write)

    def hang_up(self) -> None:
        self._gone = True
        os.close(self._write)
        self._write = -1

    def wire(self, level: bool) -> None:
        """The line's wire moved to ``level``."""
        if self._settings.direction is Direction.INPUT and not self._settings.debounce_period:
            self.settle(level)

    def settle(self, level: bool) -> None:
        """The line came to rest at ``level``."""
        if level == self._settled:
            return
        self._settled = level
        wanted = {Edge.BOTH: (0, 1), Edge.RISING: (1,), Edge.FALLING: (0,)}
        if level in wanted.get(self._settings.edge_detection, ()):
            self._count += 1
            kind = gpiod.EdgeEvent.Type.RISING_EDGE if level else gpiod.EdgeEvent.Type.FALLING_EDGE
            self._events.append(
                gpiod.EdgeEvent(
                    kind.value, time.monotonic_ns(), self._offset, self._count, self._count
                )
            )
            if len(self._events) > BUFFER:
                del self._events[0]
            else:
                os.write(self._write, b"!")

    def _configure(self, new: gpiod.LineSettings) -> None:
        if new.direction is not Direction.INPUT and (
            new.edge_detection is not Edge.NONE or new.debounce_period or new.bias is not Bias.AS_IS
        ):
            raise oserror(errno.EINVAL)
        if new.debounce_period.total_seconds() > LONGEST_DEBOUNCE_S:
            raise oserror(errno.EINVAL)
        self._settings = new
        if new.direction is Direction.OUTPUT:
            self._line.value = new.output_value is Value.ACTIVE
        if new.direction is not Direction.AS_IS:
            self._line.direction = new.direction
        if new.bias in (Bias.PULL_UP, Bias.PULL_DOWN):
            self._line.outside = new.bias is Bias.PULL_UP
        self._settled = self._line.level

    def _check(self) -> None:
        if self._released:
            raise gpiod.RequestReleasedError
        if self._gone:
            raise oserror(errno.ENODEV)


class FakeWires:
    """``Wires`` whose other end is the fake."""

    def __init__(self, gpios: FakeGpios, module: str = "orin-nano") -> None:
        self.gpios = gpios
        self._lines = find_module(module).lines
        self.factory = JetsonFactory(module, chips=Chips(gpios.folder))

    def line(self, name: str) -> FakeLine:
        (number,) = {info.number for _, info in self.factory.board_info.find_pin(name)}
        return self.gpios.line(self._lines[number])

    def drive(self, name: str, level: bool) -> None:
        with self.gpios.lock:
            line = self.line(name)
            line.outside = level
            if line.request is not None:
                line.request.wire(level)

    def level(self, name: str) -> bool:
        return self.line(name).level

    def settle(self, bounce_s: float) -> None:
        with self.gpios.lock:
            for bank in self.gpios.banks.values():
                for line in bank:
                    if line.request is not None and line.direction is Direction.INPUT:
                        line.request.settle(line.outside)

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        line = self.line(name)
        request = FakeRequest(self.gpios, line, 0, gpiod.LineSettings(), "somebody")
        yield
        request.release()

    def consumer(self, name: str) -> str | None:
        return self.line(name).consumer or None

    def unplug(self) -> None:
        self.gpios.unplug()

    def plug(self) -> None:
        self.gpios.plug()
