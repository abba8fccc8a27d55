"""The bench's clock: everything that waits, waits by it, so that a simulated day takes seconds."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never jump and never go back."""

    def now_s(self) -> float:
        """Since the bench was opened."""

    def sleep(self, seconds: float) -> None:
        """Wait; on a simulated bench the plant goes on by so much meanwhile."""


class RealClock:
    """The machine's monotonic clock: of a real bench."""

    def __init__(self) -> None:
        """Begin now."""
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        """See ``Clock.now_s``."""
        return time.monotonic() - self._start_s

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        time.sleep(max(0.0, seconds))
