"""For how long a process has run."""

import os
import time

_STARTED_FIELD = 22
"""``starttime`` of proc(5), counted from 1: clock ticks from boot to the process's fork."""


def age_ms() -> int:
    """Milliseconds since the kernel made this process, to a tick (10 ms); 0 where it cannot tell.

    A program that was put in its place by exec is as old as what it replaced.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            # The name before may hold spaces and parentheses; the last one ends it.
            fields = file.read().rpartition(b")")[2].split()
        started_s = int(fields[_STARTED_FIELD - 3]) / os.sysconf("SC_CLK_TCK")
        return max(0, round(1000.0 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)))
    except (OSError, ValueError, IndexError):
        return 0
