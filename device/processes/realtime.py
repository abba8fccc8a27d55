"""All real-time matters of a process in one place."""

import ctypes
import gc
import os
import signal
from types import FrameType

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_PR_SET_PDEATHSIG = 1
_NICE = 5


def die_with_parent() -> None:
    """Have the kernel end this process should its supervisor die, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_on_signals() -> None:
    """Let SIGTERM and SIGINT end the process in order, with exit code 0."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def no_garbage_collection() -> None:
    """Keep the collector from stopping the loop: what lives now lives on, the rest is counted."""
    gc.collect()
    gc.freeze()
    gc.disable()


def quiet_arithmetic() -> None:
    """Keep NumPy from printing about NaN and overflow: the guards count them."""
    import numpy as np  # here, because control starts without it

    np.seterr(all="ignore")


def go_background(cpus: frozenset[int]) -> list[str]:
    """Give way to every other process of the pedal; take the given processors (none: any).

    Returns one line for each that the system refused.
    """
    os.nice(_NICE)
    return _bind(cpus)


def go_realtime(priority: int, cpus: frozenset[int]) -> list[str]:
    """Lock memory, take a real-time priority and the given processors (none: leave them).

    What is in memory stays there from now on, and so does what comes; ``lock_whole_memory``
    fetches the rest. Returns one line for each that the system refused: a pedal without
    privileges plays on.
    """
    refused = _lock(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        refused.append(f"no real-time priority ({error.strerror}); raise LimitRTPRIO")
    return refused + _bind(cpus)


def lock_whole_memory() -> list[str]:
    """Fetch and lock all of the process's memory, also what was never touched. Refusals as above.

    Half of what a start costs the kernel, so it is for when there is time.
    """
    return _lock(_MCL_CURRENT | _MCL_FUTURE)


def _lock(flags: int) -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(flags) == 0:
        return []
    reason = os.strerror(ctypes.get_errno())
    return [f"memory is not locked ({reason}); raise LimitMEMLOCK"]


def _bind(cpus: frozenset[int]) -> list[str]:
    if cpus:
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            return [f"not bound to processors {sorted(cpus)} ({error.strerror})"]
    return []
