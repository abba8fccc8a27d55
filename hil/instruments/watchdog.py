"""The watchdog as the bench sees it: a process of its own that must hear from the bench.

It has lines of its own to chamber and supply, and makes them safe when the bench ends in whatever
way (its end of the pipe closes with the process), says nothing any more, or asks for it; and when
the chamber itself has an alarm, an open door, air out of bounds, or does not answer. What it does
stands in ``watchdog_process.py``.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.errors import InstrumentError
from hil.instruments.bounds import Bounds
from hil.instruments.factory import ChamberTable, SupplyTable

_ROOT = Path(__file__).parents[2]
_READY_S = 30.0
_END_S = 10.0


@dataclass(frozen=True)
class Watch:
    """When it acts. Real seconds."""

    silent_s: float = 10.0
    """Without a sign of life of the bench's process."""
    stuck_s: float = 1800.0
    """Without any use of chamber, supply or couples: the bench's process lives, and hangs."""
    every_s: float = 2.0
    """It reads the chamber so often."""
    lost: int = 3
    """So many readings in a row may fail."""
    persist_s: float = 3600.0
    """So long it goes on trying to make safe what does not answer."""


class Watchdog:
    """Runs from the moment that it is made."""

    def __init__(
        self,
        chamber: ChamberTable | None,
        supply: SupplyTable | None,
        bounds: Bounds,
        watch: Watch | None = None,
    ) -> None:
        """Start it and wait until it has its lines. Raises ``InstrumentError``.

        None for one that the plant stands in for.
        """
        self._watch = watch or Watch()
        self.tripped = ""
        """Why it acted, or that it has ended; empty while it watches."""
        self._first: queue.Queue[dict[str, Any]] = queue.Queue()
        self._safe = threading.Condition()
        self._unsafe: list[str] | None = []
        """What it has not made safe yet, by its latest word; None: asked, and no word yet."""
        self._ended = threading.Event()
        self._closing = False
        self._stirred_s = time.monotonic()
        self._lock = threading.Lock()
        # A session of its own: a terminal's Ctrl-C is the bench's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hil.instruments.watchdog_process"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name="watchdog", daemon=True).start()
        self._say(
            json.dumps(
                {
                    "chamber": chamber and asdict(chamber),
                    "supply": supply and asdict(supply),
                    "bounds": asdict(bounds),
                    "watch": asdict(self._watch),
                }
            )
        )
        try:
            reply = self._first.get(timeout=_READY_S)
        except queue.Empty:
            reply = {"failed": "it does not come up"}
        if "ready" not in reply:
            self.close()
            raise InstrumentError(f"the watchdog cannot watch: {reply.get('failed', reply)}")
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def stir(self) -> None:
        """The bench does something: it does not hang."""
        self._stirred_s = time.monotonic()

    def ask(self, reason: str) -> None:
        """Have it make both safe."""
        with self._safe:
            self._unsafe = None
        self._say(f"act {' '.join(reason.split())}")

    def told_safe(self, what: str) -> None:
        """The bench has made ``chamber`` or ``supply`` safe itself."""
        self._say(f"safe {what}")

    def wait_safe(self, limit_s: float = 20.0) -> list[str]:
        """What is not safe yet: ``chamber``, ``supply``; empty once both are."""
        with self._safe:
            self._safe.wait_for(lambda: self._unsafe == [] or self._ended.is_set(), limit_s)
            return ["chamber", "supply"] if self._unsafe is None else list(self._unsafe)

    def close(self) -> None:
        """End it: the bench has made everything safe itself.

        One that is still trying to make something safe is left alone to go on.
        """
        self._closing = True
        self._say("done")
        with self._lock, suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            if self._unsafe == []:
                self._process.kill()
                self._process.wait()

    # -- inside -----------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        """A pipe that is broken shows where its replies are read."""
        with self._lock, suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _beat(self) -> None:
        while not self._ended.wait(min(1.0, self._watch.silent_s / 5.0)):
            if time.monotonic() - self._stirred_s < self._watch.stuck_s:
                self._say("beat")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            for line in replies:
                self._heard(json.loads(line))
        if not self._closing:
            self.tripped = self.tripped or "it has ended, and nothing watches over the bench"
        self._first.put({"failed": "it has ended"})
        with self._safe:
            self._ended.set()
            self._safe.notify_all()

    def _heard(self, reply: dict[str, Any]) -> None:
        if "tripped" in reply:
            self.tripped = self.tripped or str(reply["tripped"])
        elif "unsafe" in reply:
            with self._safe:
                self._unsafe = [str(each) for each in reply["unsafe"]]
                self._safe.notify_all()
        else:
            self._first.put(reply)
