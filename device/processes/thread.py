"""What a thread beside a loop that plays or holds the relay is to the scheduler."""

import contextlib
import os


def go_ordinary(cpus: frozenset[int] | set[int] | None = None) -> None:
    """Take an ordinary priority, and the given processors: a thread is born with its maker's."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if cpus:
        os.sched_setaffinity(0, cpus)


def go_just_above_ordinary() -> None:
    """Take the lowest real-time priority, where the system grants it.

    For a thread that holds Python's lock for moments while a real-time loop may wait for it: it
    must not be made to wait by ordinary work meanwhile. What it starts is ordinary.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
