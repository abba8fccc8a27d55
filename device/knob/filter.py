"""From a knob's raw readings to a position that can be trusted.

In this order: impossible readings are held over (and good ones among them, until the knob is
found ``usable`` again), a median takes out single jumps, hysteresis
keeps the converter's last codes from moving a knob that rests, end zones make both ends exact,
and a rate limit makes a step of a ramp.

Delay, in readings (2 ms each on the pedal): a reading is followed when the next one agrees with
it, so 1 for the median; a step of the whole travel then takes ``1 / RATE_PER_S`` = 5 ms, three
readings. With up to one reading between the hand and the converter a movement is published after
4 ms, and a jump over the whole travel is complete after 8 ms. A knob found ``noisy`` is followed
4 readings late, by a median of nine.
"""

from collections import deque

from device.knob.health import Condition, Health
from device.knob.range import DEFAULT, KnobRange

POLL_S = 0.002
"""What readings are apart where no times are given."""
MEDIAN_READINGS, NOISY_READINGS = 3, 9
HYSTERESIS = 0.0025
"""Raw fraction that a resting knob must be left by: 2.5 codes of 10 bit, twice a converter's
noise and error between codes."""
REST_S = 0.05
"""A knob that has not moved by ``HYSTERESIS`` for this long rests. Until then it is followed
exactly, so that a turn has no steps."""
SPIKE = 0.01
"""A reading this far from both its neighbours, on the same side, is no hand's movement: at 8 Hz,
as fast as a foot shakes, turning back takes 0.25 % of the travel in one reading."""
SPIKE_WITHIN_S = 0.01
"""Readings further apart say nothing about spikes."""
RATE_PER_S = 200.0
"""Travel per second that the position moves at most."""
GLIDE_PER_S = 4.0
"""The same on the way to a knob that was turned while it could not be read."""
HOLD_BACK_READINGS = 12
"""An opening wiper is pulled to an end, within a few readings. These many are not trusted in
hindsight: the position held is the one before them."""
_LONGEST_S = 0.05
_NOWHERE = -1.0


class KnobFilter:
    """Median, hysteresis, end zones, rate limit, and the last good position when there is none.

    ``range`` may be replaced at any time; the position then glides to where the knob stands in
    the new one.
    """

    def __init__(
        self, range: KnobRange = DEFAULT, poll_s: float = POLL_S, position: float = 0.0
    ) -> None:
        """Hold ``position`` until the first good reading, which is taken as it is.

        ``poll_s`` is what readings are apart where ``update`` is given no times.
        """
        self._range = range
        self._poll_s = poll_s
        self._recent: deque[float] = deque(maxlen=NOISY_READINGS)
        self._health = Health()
        self._now_s: float | None = None
        self._clock_s = 0.0
        self._anchor = 0.0
        self._moved_s = 0.0
        self._target = position
        self._gliding = False
        self._lost = False
        self._history: deque[float] = deque([position], maxlen=HOLD_BACK_READINGS)
        self.position = position
        """Position 0…1; exactly 0 and 1 in the end zones."""
        self.faults = 0
        """Readings that were impossible, and errors of the bus."""

    @property
    def condition(self) -> Condition:
        """What is wrong with the knob, see ``device.knob.health``."""
        return self._health.condition

    @property
    def range(self) -> KnobRange:
        """Where the knob's ends are."""
        return self._range

    @range.setter
    def range(self, range: KnobRange) -> None:
        self._range = range
        if self.usable and not self._lost:
            self._gliding = True
            self._target = range.position(self._anchor)

    @property
    def usable(self) -> bool:
        """Whether the position is the knob's own: it was read, and is neither open nor dead."""
        return bool(self._recent) and self._health.condition not in ("open", "dead")

    def update(self, raw: float, now_s: float | None = None) -> float:
        """Take one reading, nominally 0…1, and return the position.

        NaN, or a value outside 0…1, is a reading that no position can give. ``now_s`` is the
        time of the reading; None: ``poll_s`` after the last.
        """
        elapsed_s = self._elapsed_s(now_s)
        if not 0.0 <= raw <= 1.0:
            self.faults += 1
            self._health.impossible(elapsed_s)
            if self.condition == "open" and not self._lost:
                self._target = self._history[0]
            return self._hold(elapsed_s)
        if not self._recent:
            self._recent.extend([raw] * NOISY_READINGS)
            self._anchor, self._moved_s = raw, self._clock_s
            self._target = self.position = self._range.position(raw)
        before, previous = self._recent[-2], self._recent[-1]
        out = min(previous - before, previous - raw), min(before - previous, raw - previous)
        spike = elapsed_s <= SPIKE_WITHIN_S and max(out) > SPIKE
        self._recent.append(raw)
        middle = self._middle()
        place = self._range.position(middle)
        at_end = place in (0.0, 1.0)
        self._health.reading(raw, spike, at_end, elapsed_s)
        if not self.usable:
            return self._hold(elapsed_s)
        if self._lost:
            self._lost, self._gliding, self._anchor = False, True, _NOWHERE
        if abs(middle - self._anchor) > HYSTERESIS:
            self._anchor, self._moved_s = middle, self._clock_s
        if at_end or self._clock_s - self._moved_s <= REST_S:
            self._target = place
        limit = GLIDE_PER_S if self._gliding else RATE_PER_S
        self._step(limit * elapsed_s)
        if self.position == self._target:
            self._gliding = False
        self._history.append(self.position)
        return self.position

    def fail(self, now_s: float | None = None) -> float:
        """Take an error of the bus in place of a reading: counted, and the position is held."""
        self.faults += 1
        elapsed_s = self._elapsed_s(now_s)
        self._health.failed(elapsed_s)
        return self._hold(elapsed_s)

    def _hold(self, elapsed_s: float) -> float:
        """Finish the last movement and stay there; once lost, a knob has to be found again."""
        self._lost = self._lost or not self.usable
        return self._step(RATE_PER_S * elapsed_s)

    def _middle(self) -> float:
        """The median of the last readings, of more where the knob is noisy."""
        if self._health.condition == "noisy":
            return sorted(self._recent)[NOISY_READINGS // 2]
        one, two, three = self._recent[-3], self._recent[-2], self._recent[-1]
        return max(min(one, two), min(max(one, two), three))

    def _step(self, most: float) -> float:
        """Move towards the target by ``most``."""
        away = self._target - self.position
        if abs(away) <= most:
            self.position = self._target
        else:
            self.position += most if away > 0.0 else -most
        return self.position

    def _elapsed_s(self, now_s: float | None) -> float:
        """Seconds since the last reading, at most ``_LONGEST_S``: a gap is no licence to jump."""
        if now_s is None or self._now_s is None:
            elapsed_s = self._poll_s
        else:
            elapsed_s = min(max(now_s - self._now_s, 0.0), _LONGEST_S)
        self._now_s = now_s if now_s is not None else self._now_s
        self._clock_s += elapsed_s
        return elapsed_s
