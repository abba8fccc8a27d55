"""A thread that computes beside the loop, in the pauses of the loop.

Python has one lock. Whoever wants it back waits until whoever holds it lets go, and the loop lets
go of it a dozen times a period, wherever a library computes. So what runs beside it must not run
through: after ``BURST_S`` of Python it waits until the loop has finished a period, and then has its
lock while the loop waits for the interface.
"""

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BURST_S = 0.0001
"""So much Python at a time; a thirteenth of a period of 64 frames at 48 kHz."""
_NEVER_NS = 1 << 62
_PATIENCE_MS = 20
"""After so long the loop does not play, or plays long periods: the thread goes on."""


class Pace:
    """Between one loop and one thread beside it; neither ever waits for the other for long."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._event, select.POLLIN)
        self._until_ns = 0
        self.waiting = False
        """Whether the thread waits for the end of a period."""

    def period_ended(self) -> None:
        """The loop has done a period's work. To be called while ``waiting``."""
        self.waiting = False
        os.eventfd_write(self._event, 1)

    def rest(self) -> None:
        """Wait for the end of a period. For the thread."""
        self._until_ns = _NEVER_NS  # what is called here is looked at as well
        self.waiting = True
        if self._poll.poll(_PATIENCE_MS):
            os.eventfd_read(self._event)
        self._until_ns = time.perf_counter_ns() + int(BURST_S * 1e9)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Have everything that this thread does meanwhile rest now and then, whatever it is.

        At each call of a function, in Python or C, and at each return, the clock is looked at; a
        call of a C function cannot be divided.
        """
        burst_ns, clock, rest = int(BURST_S * 1e9), time.perf_counter_ns, self.rest
        self._until_ns = clock() + burst_ns

        def look(_frame: FrameType, _event: str, _argument: object) -> None:
            if clock() > self._until_ns:
                rest()

        sys.setprofile(look)
        try:
            yield
        finally:
            sys.setprofile(None)
