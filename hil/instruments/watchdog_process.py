"""The watchdog's process: ``watchdog.py`` starts it, and talks to it in lines.

In: what to watch, as JSON, then ``beat``, ``act REASON``, ``safe WHAT``, ``done``. Out: JSON lines
``ready``, ``tripped``, ``unsafe``; what it does for people, on standard error. It ends when it has
made all safe after its bench is gone, or when it is told that everything is safe already.
"""

import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

from hil.clock import RealClock
from hil.errors import InstrumentError
from hil.instruments.bounds import Bounds
from hil.instruments.factory import ChamberTable, SupplyTable, make_chamber, make_supply
from hil.instruments.protocols import Chamber
from hil.instruments.transport import Patience
from hil.instruments.watchdog import Watch
from models.errors import PurgaError

_PATIENCE = Patience(connect_s=2.0, answer_s=2.0, tries=2)
_AGAIN_S = 1.0
_SAY_S = 60.0


class Process:
    """One watch."""

    def __init__(self, plan: dict[str, Any]) -> None:
        """``plan`` as ``Watchdog`` sends it."""
        chamber, supply = plan["chamber"], plan["supply"]
        self._chamber_table = ChamberTable(**chamber) if chamber else None
        self._supply_table = SupplyTable(**supply) if supply else None
        self._guards = {what for what in ("chamber", "supply") if plan[what]}
        self._bounds = Bounds(**plan["bounds"])
        self._watch = Watch(**plan["watch"])
        self._clock = RealClock()
        self._chamber: Chamber | None = None
        self._failed = 0
        self._asked_to_end = False
        self._acted = self._gone = False
        self._left: set[str] = set()
        """What is still to be made safe."""
        self._begin_s = self._tried_s = self._looked_s = -math.inf
        self._said: dict[str, float] = {}

    def run(self) -> int:
        """Until the bench is gone and all is safe; 1 where that could not be done."""
        if self._chamber_table is not None and self._chamber_table.shared:
            self._open()
        _reply(ready=True)
        heard_s = time.monotonic()
        for lines in _lines(min(0.5, self._watch.every_s / 2)):
            now_s = time.monotonic()
            if lines is None or self._asked_to_end:
                self._leave()
            for line in lines or ():
                heard_s = now_s
                self._told(line)
            if not self._gone and now_s - heard_s > self._watch.silent_s and not self._acted:
                self._act(f"the bench has said nothing for {self._watch.silent_s:g} s")
            if self._left:
                self._make_safe()
            elif not self._gone and self._chamber is not None:
                self._look()
            if self._gone and not self._left:
                break
            if self._left and now_s - self._begin_s > self._watch.persist_s:
                return 1
        self._close()
        return 0

    def end(self, number: int, frame: FrameType | None) -> None:
        """Somebody wants it to end: not before all is safe."""
        del number, frame
        self._asked_to_end = True

    # -- watching ---------------------------------------------------------------------------------

    def _told(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "act":
            self._act(rest)
        elif word == "safe":
            # The bench has done it by its own line; a supply may have no other.
            self._left.discard(rest)
            _reply(unsafe=sorted(self._left))
        elif word == "done":
            self._gone = True

    def _leave(self) -> None:
        """The bench is gone without a word, or this process is to end."""
        if not self._gone:
            self._gone = True
            ended = "the watchdog was asked to end" if self._asked_to_end else "the bench has ended"
            self._act(ended)

    def _open(self) -> None:
        assert self._chamber_table is not None
        at = self._chamber_table.second
        self._chamber = make_chamber(
            self._chamber_table, self._clock, address=at, patience=_PATIENCE
        )

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._acted or now_s - self._looked_s < self._watch.every_s:
            return
        self._looked_s = now_s
        assert self._chamber is not None
        try:
            reading = self._chamber.read()
        except InstrumentError as error:
            self._failed += 1
            if self._failed >= self._watch.lost:
                self._act(str(error).rstrip("."))
            return
        self._failed = 0
        # Before the bench starts it, the chamber is as somebody has left it.
        if reading.running and (wrong := self._bounds.wrong_with(reading)):
            self._act(f"{self._chamber.model}: {wrong}")

    # -- acting -----------------------------------------------------------------------------------

    def _act(self, reason: str) -> None:
        """Have both made safe, from now on."""
        if not self._acted:
            _say(f"{reason}; stopping the chamber and switching the output off")
            _reply(tripped=reason)
        self._acted = True
        self._left = set(self._guards)
        self._begin_s, self._tried_s = time.monotonic(), -math.inf

    def _make_safe(self) -> None:
        """Try once what is left, a while after the last time."""
        now_s = time.monotonic()
        if now_s - self._tried_s < _AGAIN_S:
            return
        for what in sorted(self._left):
            try:
                self._stop_chamber() if what == "chamber" else self._switch_off()
            except PurgaError as error:
                if now_s - self._said.get(what, -math.inf) >= _SAY_S:
                    self._said[what] = now_s
                    _say(f"the {what} is NOT SAFE, SWITCH IT OFF BY HAND; trying again ({error})")
            else:
                self._left.discard(what)
                _say(f"the {what} is safe")
        self._tried_s = time.monotonic()
        _reply(unsafe=sorted(self._left))

    def _stop_chamber(self) -> None:
        """By its own line; where there is none, or it has gone, by a new one."""
        if self._chamber is None:
            self._open()
        assert self._chamber is not None
        try:
            self._chamber.stop()
        except PurgaError:
            self._close()
            raise
        if self._chamber_table is not None and not self._chamber_table.shared:
            self._close()

    def _switch_off(self) -> None:
        assert self._supply_table is not None
        # Opened when it is needed: many supplies take one connection only.
        supply = make_supply(self._supply_table, self._clock, _PATIENCE)
        try:
            supply.switch(False)
        finally:
            supply.close()

    def _close(self) -> None:
        if self._chamber is not None:
            self._chamber.close()
            self._chamber = None


def _first_line() -> bytes:
    """Byte by byte: what comes after it is for ``_lines``."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 1)):
        line += more
    return line


def _lines(wait_s: float) -> Iterator[list[str] | None]:
    """Whole lines that came, after a moment's waiting; None again and again once it is closed."""
    data = b""
    while True:
        if not select.select([0], [], [], wait_s)[0]:
            yield []
            continue
        more = os.read(0, 65536)
        if not more:
            break
        *whole, data = (data + more).split(b"\n")
        yield [line.decode(errors="replace") for line in whole]
    while True:
        yield None
        time.sleep(wait_s)


def _reply(**what: object) -> None:
    """To the bench, as long as there is one."""
    with suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


def _say(text: str) -> None:
    """To people: the terminal outlives the bench."""
    with suppress(OSError):
        print(f"watchdog: {text}.", file=sys.stderr, flush=True)


def main() -> int:
    """Read what to watch, and watch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        process = Process(json.loads(_first_line()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        _reply(failed=f"it was told nothing that it can watch ({error})")
        return 2
    signal.signal(signal.SIGTERM, process.end)
    try:
        return process.run()
    except PurgaError as error:
        _reply(failed=str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
