"""From temperatures to bands: what can be believed, hysteresis, and the dew point."""

import math
from collections.abc import Callable, Sequence

COLDEST_BELIEVED_C = -90.0
"""No place on earth is colder; −256 (a sensor that is powered down) and −273.15 are no readings.

−40 °C, and −0.001 °C, are readings like any other.
"""
HOTTEST_BELIEVED_C = 150.0
"""Above what the module survives: it shuts down at 104.5 °C."""


def believed(value_c: float | None) -> float | None:
    """Return the temperature, or None for NaN, a sentinel and what cannot be."""
    if value_c is None or not COLDEST_BELIEVED_C <= value_c <= HOTTEST_BELIEVED_C:
        return None
    return value_c


def believed_percent(humidity: float | None) -> float | None:
    """Return the relative humidity, or None for NaN and what cannot be.

    A sensor that is wet itself reads a few percent beyond 100.
    """
    if humidity is None or not 0.0 <= humidity <= 110.0:
        return None
    return humidity


class Ladder:
    """The level of a value on rising thresholds: with hysteresis, and confirmed over time.

    Level k means: at or above threshold k − 1. It rises at a threshold and falls ``hysteresis``
    below it. A value must stand beyond for ``confirm_s`` before the level follows, and it follows
    only as far as all values of that time asked for.
    """

    def __init__(self, thresholds: Sequence[float], hysteresis: float, confirm_s: float) -> None:
        """Take thresholds in rising order; there is no level before the first value."""
        self._thresholds = tuple(thresholds)
        self._hysteresis = hysteresis
        self._confirm_s = confirm_s
        self._asked = 0
        self._since_s: float | None = None
        self.level: int | None = None

    def update(self, now_s: float, value: float) -> int:
        """Take a value and return the level; the first value is believed at once."""
        rising = sum(value >= threshold for threshold in self._thresholds)
        if self.level is None:
            self.level = rising
        falling = sum(value >= threshold - self._hysteresis for threshold in self._thresholds)
        if rising > self.level:
            asked = rising
        elif falling < self.level:
            asked = falling
        else:
            self._since_s = None
            return self.level
        if self._since_s is None or (asked > self.level) != (self._asked > self.level):
            self._since_s = now_s
            self._asked = asked
        elif asked > self.level:
            self._asked = min(asked, self._asked)
        else:
            self._asked = max(asked, self._asked)
        if now_s - self._since_s >= self._confirm_s:
            self.level = self._asked
            self._since_s = None
        return self.level

    def put(self, level: int) -> None:
        """Stand on a level whatever was read; from here values must be confirmed."""
        self.level = level
        self._since_s = None


class Watched:
    """A ladder whose sensor may be lost: the level stays for ``lost_s``, then ``unknown`` holds.

    ``unknown`` takes the level that was last and returns the one to go on with. A sensor that
    comes back must be confirmed like any change, so one that comes and goes changes nothing
    faster than ``lost_s``; one that was not there at the start is unknown from the start.
    """

    def __init__(self, ladder: Ladder, lost_s: float, unknown: Callable[[int], int]) -> None:
        """Wait for the first step."""
        self._ladder = ladder
        self._lost_s = lost_s
        self._unknown = unknown
        self._seen_s = float("-inf")
        self.lost = True
        """Whether the level is no longer what a sensor says."""

    def update(self, now_s: float, value: float | None) -> int:
        """Take a believed value or None, and return the level."""
        if value is not None:
            self._seen_s = now_s
            self.lost = False
            return self._ladder.update(now_s, value)
        if now_s - self._seen_s >= self._lost_s:
            self.lost = True
            self._ladder.put(self._unknown(self._ladder.level or 0))
        return self._ladder.level or 0


def dew_point_c(air_c: float, humidity_percent: float) -> float:
    """Temperature at which the air's water settles: as dew, below zero as frost.

    Magnus' formula with the coefficients that the WMO recommends (Guide to Instruments, No. 8,
    annex 4.B: over water 17.62 and 243.12 °C, over ice 22.46 and 272.62 °C), within 0.2 K from
    −45 to +60 °C. Frost settles before dew would, and humidity sensors read relative to water
    below zero too. Humidity is taken as 1…100 %: sensors read a little beyond.
    """
    share = min(max(humidity_percent, 1.0), 100.0) / 100.0
    exponent = math.log(share) + 17.62 * air_c / (243.12 + air_c)
    dew_c = 243.12 * exponent / (17.62 - exponent)
    if dew_c >= 0.0:
        return dew_c
    return 272.62 * exponent / (22.46 - exponent)
