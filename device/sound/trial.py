"""Another bank on trial: listened to unheard, then heard while the one before is kept.

The audio loop decides with numbers only; what is allocated here was allocated by whoever loaded
the bank.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.sound.playable import Playable

LISTEN_S = 0.25
"""A bank is played unheard for so long, beside the one that sounds, before it fades in."""
KEPT_S = 5.0
"""The bank before is kept for so long, to come back to."""
LATE_PERIODS = 4
"""So many periods beyond their time within ``LISTEN_S`` are no accident."""
OWN_SHARE = 0.7
"""A late period is the bank's doing where it computed for this part of the period itself; else
something else has kept the processor."""


class Why(IntEnum):
    """Why a bank was rejected."""

    NONE = 0
    """It was not."""
    NAN = 1
    """A tone, or the network between them, gave what is no number."""
    ERROR = 2
    """It raised an exception (``Trial.error``)."""
    SLOW = 3
    """Periods took longer than they last."""


class Trial:
    """A prepared bank that is being tried, and afterwards the one that was left."""

    def __init__(
        self,
        bank: "tuple[Playable, ...]",
        rate_hz: int,
        period_frames: int,
        clock: Callable[[], int],
    ) -> None:
        """Take a bank whose presets are prepared; ``clock`` gives the thread's own nanoseconds."""
        self.other = bank
        """The bank that is not the player's: the new one until it is on air, then the old one,
        and the new one again where it was rejected."""
        self.index = 0
        """The preset of it that is listened to."""
        self.on_air = self.returned = self.over = False
        """It has been faded to; the one before has come back; nothing more will happen."""
        self.why = Why.NONE
        self.error: Exception | None = None
        self._clock = clock
        self._period_frames = period_frames
        self._period_ns = period_frames * 1_000_000_000 // rate_hz
        self._listen_periods = max(1, round(LISTEN_S * rate_hz / period_frames))
        self._kept_periods = max(1, round(KEPT_S * rate_hz / period_frames))
        self._periods = self._heard = self._late = self._own_late = self._began_ns = 0
        self._took_ns = 0
        self.heard_enough = False
        """It has been good for long enough to be heard."""

    @property
    def path(self) -> "Playable":
        """What is listened to."""
        return self.other[self.index]

    @property
    def passed(self) -> bool:
        """Whether the one before need not be kept any longer."""
        return self._heard >= self._kept_periods

    def begin(self) -> None:
        """A period of it begins."""
        self._began_ns = self._clock()

    def end(self) -> None:
        """It is computed."""
        self._took_ns = self._clock() - self._began_ns

    def listened(self, finite: bool, nan_periods: int, latency_frames: int) -> None:
        """A period of it has been played unheard."""
        self.end()
        self._periods += 1
        if not finite or nan_periods:
            self.reject(Why.NAN)
        if self._took_ns > self._period_ns:
            self._own_late += 1
            if self._own_late >= LATE_PERIODS:
                self.reject(Why.SLOW)
        if self._periods >= self._listen_periods and self.covers(latency_frames):
            self.heard_enough = True

    def covers(self, latency_frames: int) -> bool:
        """Whether it has been played for longer than its latency."""
        return self._periods * self._period_frames >= latency_frames

    def go_on_air(self) -> None:
        """It fades in from the next period on."""
        self.on_air = True
        self._late = 0

    def watch(self, nan_periods: int) -> None:
        """A period passed while it was on air; ``nan_periods`` is what its preset has counted."""
        self._heard += 1
        if self._heard % self._listen_periods == 0:
            self._late = 0
        if nan_periods and not self.returned:
            self.reject(Why.NAN)

    def miss(self) -> None:
        """A period took longer than it lasts."""
        if self.on_air and self._took_ns < OWN_SHARE * self._period_ns:
            return
        self._late += 1
        if self._late < LATE_PERIODS or self.why != Why.NONE:
            return
        if self.on_air:
            self.reject(Why.SLOW)
        elif self._own_late < LATE_PERIODS // 2:
            # Each is quick enough, but not both at once: no more of that than a fade takes.
            self.heard_enough = True

    def reject(self, why: Why, error: Exception | None = None) -> None:
        """It has failed; the first reason counts."""
        if self.why == Why.NONE:
            self.why, self.error = why, error
