"""What a thread beside a loop that plays or holds the relay is to the scheduler."""

import contextlib
import os

_HIGHEST = -20


def go_ordinary(cpus: frozenset[int] | set[int] | None = None) -> None:
    """Take an ordinary priority, and the given processors: a thread is born with its maker's."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if cpus:
        os.sched_setaffinity(0, cpus)


def go_above_ordinary() -> None:
    """Take the highest ordinary priority, where the system grants it.

    For a thread that holds Python's lock for moments while a real-time loop may wait for it: others
    must not make it wait meanwhile. Not a real-time one: on a kernel with threaded interrupts its
    timers are a thread of the lowest real-time priority (ktimers), and whoever computes at that
    priority for long keeps them from running, and with them an interface that goes by a timer.
    What it starts is ordinary.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _HIGHEST)
