"""Bytes of a phone's contract: counted over reboots, never more than was allowed."""

from deploy.client.clock import Clock, moment
from deploy.client.floors import FloorsFile
from deploy.errors import UpdateFailedError

STEP_BYTES = 1 << 20
"""Put down as spent before they are, so that a power cut never makes the count too low."""


class Budget:
    """What a month's runs have received. ``settle`` when a run ends, however it ends."""

    def __init__(self, floors: FloorsFile, most_bytes: int | None, clock: Clock) -> None:
        self._floors = floors
        self._most_bytes = most_bytes
        self._clock = clock
        self._month: str | None = None
        self._spent = self._written = 0
        self.received = 0
        """Bytes received by this object."""

    @property
    def left_bytes(self) -> int | None:
        """What may still be received this month; None for any amount."""
        self._begin()
        return None if self._most_bytes is None else max(0, self._most_bytes - self._spent)

    def spend(self, count: int) -> None:
        """Count bytes as they come. Raises ``UpdateFailedError`` when there are too many."""
        self._begin()
        self._spent += count
        self.received += count
        if self._spent > self._written:
            self._write(self._spent + STEP_BYTES)
        if self._most_bytes is not None and self._spent > self._most_bytes:
            raise UpdateFailedError(
                f"This month's {self._most_bytes / 1e6:g} million bytes for updates are used up; "
                "the update goes on next month, or now with: python -m deploy update."
            )

    def settle(self) -> None:
        """Write the exact count."""
        if self._written != self._spent:
            self._write(self._spent)

    def _begin(self) -> None:
        """Where the month stands; only now, as the lock is held by whoever fetches."""
        if self._month is not None:
            return
        floors = self._floors.now
        self._month = f"{moment(self._clock, floors.time):%Y-%m}"
        # Another month, be it an earlier one: a clock that was in 2099 for once must not leave a
        # count that stays until then.
        self._spent = floors.spent_bytes if floors.month == self._month else 0
        self._written = self._spent

    def _write(self, count: int) -> None:
        self._floors.change(month=self._month, spent_bytes=count)
        self._written = count
