"""The bench's safe state: no current, a chamber that does nothing; and what may interrupt a run."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from hil.bench import Bench

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A hand, the system, and a terminal that goes away in the night."""


class Interrupted(KeyboardInterrupt):
    """Somebody or something asked the run to end."""


def make_safe(bench: Bench) -> list[str]:
    """Take the pedal's current and stop the chamber; a sentence for each that could not be.

    Nothing interrupts it, and the second is tried whatever the first did.
    """
    failed = []
    with _undisturbed():
        for what, act in (
            ("the supply's output may still be on", lambda: bench.supply.switch(False)),
            ("the chamber may still regulate", bench.chamber.stop),
        ):
            try:
                act()
            except Exception as error:
                failed.append(f"{what} ({error}): switch it off by hand.")
    return failed


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have every signal of ``_SIGNALS`` raise ``Interrupted``, once; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        # Once: whoever presses it twice must not interrupt the chamber's being stopped.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(f"{signal.Signals(number).name}")

    before = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals. A mask would not do: another thread may take one for the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
