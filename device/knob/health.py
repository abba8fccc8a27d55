"""What is wrong with a potentiometer, told from its readings alone.

| condition | what was seen | what it means | what the sound does |
|---|---|---|---|
| ``dead`` | the bus gave errors | converter, cable or driver | holds |
| ``open`` | impossible readings (codes 0, 1023) | wiper or wire open or shorted | holds |
| ``noisy`` | single readings leave both neighbours | worn, cold or wet track | follows, smoothed |
| ``stuck`` | not one code of change in ten minutes | suspicious only, see below | follows |
| ``good`` | | | follows |

Each of the first three is a share of recent readings with hysteresis, so that one bad reading
changes nothing and an intermittent contact does not flicker between two conditions.

``stuck`` cannot be proved from readings: a knob nobody touches does not move either. But a real
converter never gives the same code for ten minutes: with noise of only 0.12 LSB rms, and the
wiper's voltage in the middle of a code, one of the 300,000 readings falls outside with near
certainty. So a frozen code is a hint at a frozen converter or a driver that repeats itself, and
no more than a hint: it is shown and stops nothing. The end zones are left out, where a wiper
rests on the end resistor. A wiper that sticks mechanically while the converter works cannot be
told from one at rest.
"""

from typing import Literal

Condition = Literal["good", "open", "noisy", "stuck", "dead"]

FAIL_MEMORY_S = 0.1
"""Impossible readings and bus errors are remembered with this time constant."""
FAIL_ENTER, FAIL_LEAVE = 0.2, 0.02
"""Shares: nothing but failures is a condition after 22 ms, and gone 0.4 s after the last one."""
NOISE_MEMORY_S = 0.5
NOISE_ENTER, NOISE_LEAVE = 0.05, 0.01
"""Shares of readings that leave both neighbours: 0.8 s after the last of many it is good again."""
STUCK_S = 600.0
"""This long without a single code of change is suspicious."""


class _Share:
    """A leaky share of readings that have a property, and whether it is high, with hysteresis."""

    def __init__(self, memory_s: float, enter: float, leave: float) -> None:
        self._memory_s, self._enter, self._leave = memory_s, enter, leave
        self._share = 0.0
        self.high = False

    def update(self, has: bool, elapsed_s: float) -> None:
        self._share += (has - self._share) * min(elapsed_s / self._memory_s, 0.5)
        self.high = self._share > (self._leave if self.high else self._enter)


class Health:
    """The condition of one potentiometer, reading by reading. Times are seconds since the last."""

    def __init__(self) -> None:
        """Begin good."""
        self._dead = _Share(FAIL_MEMORY_S, FAIL_ENTER, FAIL_LEAVE)
        self._open = _Share(FAIL_MEMORY_S, FAIL_ENTER, FAIL_LEAVE)
        self._noisy = _Share(NOISE_MEMORY_S, NOISE_ENTER, NOISE_LEAVE)
        self._frozen_s = 0.0
        self._last = -1.0
        self.condition: Condition = "good"

    def reading(self, raw: float, spike: bool, at_end: bool, elapsed_s: float) -> None:
        """Take a possible reading; ``spike``: the one before left both its neighbours."""
        self._dead.update(False, elapsed_s)
        self._open.update(False, elapsed_s)
        self._noisy.update(spike, elapsed_s)
        self._frozen_s = self._frozen_s + elapsed_s if raw == self._last and not at_end else 0.0
        self._last = raw
        self._decide()

    def impossible(self, elapsed_s: float) -> None:
        """Take a reading that no position can give: the bus answers, the wiper does not."""
        self._dead.update(False, elapsed_s)
        self._open.update(True, elapsed_s)
        self._decide()

    def failed(self, elapsed_s: float) -> None:
        """Take an error of the bus, which says nothing about the wiper."""
        self._dead.update(True, elapsed_s)
        self._decide()

    def _decide(self) -> None:
        if self._dead.high:
            self.condition = "dead"
        elif self._open.high:
            self.condition = "open"
        elif self._noisy.high:
            self.condition = "noisy"
        else:
            self.condition = "stuck" if self._frozen_s >= STUCK_S else "good"
