"""Time on a device that nobody sets the clock of.

Expiry is judged against the later of the clock and a floor: no real moment that this code runs in
lies before the floor. A clock that is behind counts as the floor. A clock that is ahead is
believed: metadata may then look expired, the update is refused, and the pedal plays on.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tuf.api.metadata import Signed

from deploy.firmware.day import built_at

DAYS = "x-purga-days"
"""Signed beside every role by our publisher: for how many days it was signed."""
MOST_DAYS = 3650


class Clock(Protocol):
    """What tells the time and lets it pass; tests bring their own."""

    @property
    def earliest(self) -> datetime:
        """No real moment that this runs in lies before it: when the code was built."""

    def now(self) -> datetime:
        """The calendar's time as the device has it, UTC, perhaps wrong by decades."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""


class SystemClock:
    """The machine's."""

    earliest = built_at()

    def now(self) -> datetime:
        """What the machine believes."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """The machine's counter."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def issued(signed: Signed) -> datetime | None:
    """No later than when ``signed`` was signed: its expiry less the days it was signed for.

    None where the metadata do not say for how long, as other publishers' do not.
    """
    days = signed.unrecognized_fields.get(DAYS)
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        return None
    return signed.expires - timedelta(days=days)


def moment(clock: Clock, floor: datetime | None) -> datetime:
    """What expiry is judged against: the latest of the clock, the floor and the build."""
    return max(clock.now(), clock.earliest, floor or clock.earliest)
