"""What a board that lives in real time has besides its interface."""

import time

POLL_S = 0.002
"""How often control reads the knob: well within the 10 ms from knob to sound."""


class RealClock:
    """The machine's monotonic clock."""

    def __init__(self) -> None:
        """Begin now."""
        self._start_s = time.monotonic()
        self._turn = 0
        self.missed = 0
        """Turns that were skipped because the one before took too long."""

    def busy_ns(self) -> int:
        """Wall time: what the music would wait for."""
        return time.perf_counter_ns()

    def wait(self) -> float | None:
        """Sleep until the next turn, on a grid that does not drift, skipping missed turns."""
        now_s = time.monotonic() - self._start_s
        turn = max(self._turn + 1, int(now_s / POLL_S) + 1)
        self.missed += turn - self._turn - 1
        self._turn = turn
        time.sleep(max(0.0, self._turn * POLL_S - now_s))
        return time.monotonic() - self._start_s
