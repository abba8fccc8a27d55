"""Nothing is believed to be set until it has been read back."""

import math
from collections.abc import Callable

from hil.clock import Clock
from hil.errors import InstrumentError

LIMIT_S = 3.0
"""Some controllers acknowledge a setpoint before they show it: it is looked for that long."""
_EVERY_S = 0.25


def confirm(
    clock: Clock,
    who: str,
    sent: str,
    wanted: float,
    read: Callable[[], float],
    resolution: float,
    why: str = "see that remote control is on and that the value is within its limits",
) -> None:
    """Read until ``wanted`` is there within half of ``resolution``, ``LIMIT_S`` at most.

    Waits by the bench's clock. Raises ``InstrumentError`` that names what was sent and what came.
    """
    begin_s = clock.now_s()
    came = read()
    while not _near(came, wanted, resolution):
        if clock.now_s() - begin_s >= LIMIT_S:
            raise InstrumentError(
                f"{who}: {sent} was sent and {came:g} came back, not {wanted:g}; {why}."
            )
        clock.sleep(_EVERY_S)
        came = read()


def confirm_state(clock: Clock, who: str, sent: str, holds: Callable[[], bool], why: str) -> None:
    """The same for a state: on, off, running. Raises ``InstrumentError``."""
    begin_s = clock.now_s()
    while not holds():
        if clock.now_s() - begin_s >= LIMIT_S:
            raise InstrumentError(f"{who}: {sent} was sent and did nothing; {why}.")
        clock.sleep(_EVERY_S)


def number(who: str, sent: str, came: str) -> float:
    """A number that an instrument gave. Raises ``InstrumentError`` for what is none."""
    try:
        value = float(came)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InstrumentError(
            f"{who}: {sent} was answered with {came!r:.60}, where a number was expected; check "
            "that it is the instrument that bench.toml names."
        )
    return value


def _near(came: float, wanted: float, resolution: float) -> bool:
    return abs(came - wanted) <= 0.5 * resolution + 1e-6 * max(1.0, abs(wanted))
