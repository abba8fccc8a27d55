"""All instruments of a bench, served in front of one plant from one thread.

::

    with start_servers(plant) as servers:
        EspecP300(Link("chamber", servers.espec), limits, plant)
        servers.faults.chamber.lies = True
        servers.lose("chamber")
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from hil.plant.plant import Plant
from hil.servers.ascii2 import CLIMATE, Ascii2, Form
from hil.servers.console import Console, ConsoleProtocol, on_wire
from hil.servers.controller import Controller
from hil.servers.espec import Espec
from hil.servers.f4t import F4T, serve
from hil.servers.faults import Lost, ServerFaults
from hil.servers.line import Dialect, Line, LineProtocol, listen
from hil.servers.logger import POSITIONS, Logger
from hil.servers.simserv import Simserv
from hil.servers.supply import Supply
from hil.servers.turns import Turns

CHAMBERS = ("espec", "simserv", "ascii2", "f4t")
"""What the plant's one chamber is served as."""
_START_S = 20.0
"""Real seconds; a machine that cannot open a dozen sockets by then is broken."""


@dataclass(frozen=True)
class Servers:
    """Running servers. Addresses are ``127.0.0.1:PORT``; all chambers are the plant's one."""

    plant: Plant
    faults: ServerFaults
    """To be changed at any time."""
    positions: Mapping[int, str]
    """The logger's channels."""
    controller: Controller
    _lines: Mapping[str, Line]
    _loop: asyncio.AbstractEventLoop

    @property
    def espec(self) -> str:
        """Address of the chamber as an ESPEC P300."""
        return self._lines["espec"].address

    @property
    def simserv(self) -> str:
        """Address of the chamber as a Weiss or Vötsch with SIMSERV."""
        return self._lines["simserv"].address

    @property
    def ascii2(self) -> str:
        """Address of the chamber as a Vötsch with ASCII-2."""
        return self._lines["ascii2"].address

    @property
    def f4t(self) -> str:
        """Address of the chamber as one with a Watlow F4T."""
        return self._lines["f4t"].address

    def second(self, chamber: str) -> str:
        """Address of the chamber's other line, as ``espec``, ``simserv``, ``ascii2`` or ``f4t``.

        Most have two, a network and a serial one: losing one of them leaves the other.
        """
        return self._lines[f"{chamber} second"].address

    @property
    def supply(self) -> str:
        """Address of the supply."""
        return self._lines["supply"].address

    @property
    def logger(self) -> str:
        """Address of the thermocouples' logger."""
        return self._lines["logger"].address

    @property
    def console(self) -> str:
        """Address of the pedal's console; for pyserial, ``socket://`` and this."""
        return self._lines["console"].address

    def lose(self, what: str = "chamber", how: Lost = "closed") -> None:
        """Take a line away: ``chamber``, ``second``, ``supply``, ``logger`` or ``console``.

        The chamber's is every protocol's at once, and so is its ``second``. ``closed``
        refuses whoever connects; ``silent`` is a cable that was pulled: nothing comes. An empty
        ``how`` gives it back.
        """
        getattr(self.faults, f"{what}_line").lost = how
        if how == "closed":
            for line in self._lines.values():
                if line.faults.lost == "closed":
                    self._loop.call_soon_threadsafe(line.cut)

    def at(self, time_s: float, what: Callable[[], None]) -> None:
        """Do something once, when the plant's clock has come to ``time_s``."""
        watchers = self.plant.watchers

        def watch(now_s: float) -> None:
            if now_s >= time_s:
                # The plant goes through its watchers just now: leave the list that it has.
                self.plant.watchers = [each for each in self.plant.watchers if each is not watch]
                what()

        watchers.append(watch)


@contextmanager
def start_servers(
    plant: Plant,
    faults: ServerFaults | None = None,
    *,
    humidity: bool = True,
    ascii2: Form = CLIMATE,
    positions: Mapping[int, str] = POSITIONS,
) -> Iterator[Servers]:
    """Serve ``plant``, each instrument on a free port of loopback, until the context ends.

    ``humidity``: whether the chamber regulates it; ``ascii2`` is its form in that protocol,
    ``positions`` what is wired to the logger. The plant may be used as ever meanwhile; who makes it
    go on takes turns with the servers.
    """
    faults = faults or ServerFaults()
    turns = Turns()
    loop = asyncio.new_event_loop()
    controller = Controller(plant, faults.chamber)
    dialects: dict[str, Dialect] = {
        "espec": Espec(controller, humidity=humidity),
        "simserv": Simserv(controller, humidity=humidity),
        "ascii2": Ascii2(controller, ascii2),
        "supply": Supply(plant, faults.supply),
        "logger": Logger(plant, faults.logger, positions),
    }
    lines = {
        name: Line(name, held, faults.seed, turns)
        for name, held in (
            *((name, faults.chamber_line) for name in CHAMBERS),
            *((f"{name} second", faults.second_line) for name in CHAMBERS),
            ("supply", faults.supply_line),
            ("logger", faults.logger_line),
            ("console", faults.console_line),
        )
    }
    console = Console(plant, lambda text: _print(loop, lines["console"], text))
    registers = F4T(controller, humidity=humidity)
    close: list[Callable[[], object]] = [line.cut for line in lines.values()]
    thread = threading.Thread(target=_serve, args=(loop, close), name="instruments", daemon=True)
    thread.start()
    try:
        opened = _open(lines, dialects, console, registers, close)
        asyncio.run_coroutine_threadsafe(opened, loop).result(_START_S)
        with turns.at(plant):
            yield Servers(plant, faults, dict(positions), controller, lines, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        with contextlib.suppress(ValueError):
            controller.close()
            console.close()


async def _open(
    lines: Mapping[str, Line],
    dialects: Mapping[str, Dialect],
    console: Console,
    registers: F4T,
    close: list[Callable[[], object]],
) -> None:
    """Listen for all of them; what closes them is put into ``close``."""
    for name, line in lines.items():
        if dialect := dialects.get(name.removesuffix(" second")):
            close.append((await listen(line, partial(LineProtocol, line, dialect))).close)
    typed = lines["console"]
    close.append((await listen(typed, partial(ConsoleProtocol, typed, console))).close)
    for name in ("f4t", "f4t second"):
        close.append((await serve(registers, lines[name])).close)


def _serve(loop: asyncio.AbstractEventLoop, close: list[Callable[[], object]]) -> None:
    """The servers' thread."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_end(close))
        loop.close()


async def _end(close: list[Callable[[], object]]) -> None:
    for each in close:
        each()
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not mine]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # what was cut is told so


def _print(loop: asyncio.AbstractEventLoop, line: Line, text: str) -> None:
    """What the pedal says by itself, to whoever listens; lost where nobody does."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(line.tell, on_wire(text))
