"""One footswitch, four wishes: bypass, next preset, tuner mute, learn.

| gesture | does |
|---|---|
| press | bypass, or back from it, at once: nobody waits for a gesture to end |
| press again within 350 ms | takes the bypass back, next preset; each quick press, one more |
| hold 0.8 s | takes the bypass back, tuner mute; stays when let go, the next press ends it |
| hold 5 s | learn mode instead of the mute; the next press ends it, else it ends after 60 s |
| hold 10 s | a stuck switch: all that the press did is taken back, it is ignored until let go |

A press that ends mute or learning does nothing else. Ten presses within a second are a broken
wire, not a foot: what they did is taken back, and the switch is ignored until it has been quiet.
"""

from collections import deque
from typing import NamedTuple

from device.plain import dataclass

_CHATTER_PRESSES = 10


@dataclass(frozen=True)
class FootTiming:
    """What is told apart by time."""

    settle_s: float = 0.025
    """After a change the contact may bounce so long; the change itself counts at once."""
    double_s: float = 0.350
    """From a press to the next one that still belongs to it."""
    mute_s: float = 0.8
    learn_s: float = 5.0
    stuck_s: float = 10.0
    """How long a press must be held."""
    learning_s: float = 60.0
    """The longest time of learning: who walks away finds a pedal that plays."""
    chatter_s: float = 1.0
    """Ten presses in this time are none."""
    quiet_s: float = 2.0
    """How long a switch that chattered must be released before it counts again."""
    gap_s: float = 0.1
    """The longest time between two readings that counts as held: nobody looked in between."""


class _Wish(NamedTuple):
    """What was asked for before a press, to go back to."""

    bypass: bool
    mute: bool
    learn: bool
    presets: int


class Gestures:
    """From the switch's level to what is asked for. Reads no clock, so it is repeatable."""

    def __init__(self, bypass: bool = False, timing: FootTiming | None = None) -> None:
        """Begin with a bypass remembered from before; a switch held at the start is ignored."""
        self._timing = timing or FootTiming()
        self.bypass = bypass
        """Whether the dry sound is asked for; may be set from elsewhere (MIDI)."""
        self.mute = False
        """Whether silence is asked for, to tune."""
        self.learn = False
        """Whether the player is turning knobs end to end to have them learnt."""
        self.fault: str | None = None
        """None, "footswitch stuck", "footswitch chatters" or "footswitch unreadable"."""
        self._down: bool | None = None  # None: wait until it is seen released
        self._raw: bool | None = None
        self._now_s = float("-inf")
        self._changed_s = float("-inf")
        self._held_s = 0.0
        self._pressed_s = float("-inf")
        self._spent = False  # the press under way ended mute or learning, or was taken back
        self._learnt_s = 0.0
        self._quiet_s: float | None = None  # counts while a chattering switch is waited for
        self._presets = 0
        self._reported = 0
        self._before = self._wish()
        self._presses: deque[tuple[float, _Wish]] = deque(maxlen=_CHATTER_PRESSES)

    def update(self, pressed: bool | None, now_s: float) -> int:
        """Take one reading, None where it failed; return how many presets to step by.

        Mostly 0, 1 for the next preset, below 0 where steps are taken back. ``now_s`` is a
        monotonic time; call it every few milliseconds.
        """
        passed_s = min(max(now_s - self._now_s, 0.0), self._timing.gap_s)
        self._now_s = now_s
        if self.learn:
            self._learnt_s += passed_s
            if self._learnt_s >= self._timing.learning_s:
                self.learn = False
        if pressed is None:
            self._unreadable()
        elif self._down is None:
            self._wait_for_release(pressed, passed_s)
        else:
            self._follow(pressed, passed_s)
        steps = self._presets - self._reported
        self._reported = self._presets
        return steps

    def end_learning(self) -> None:
        """End learn mode from elsewhere, for example because all was learnt."""
        self.learn = False

    def _follow(self, pressed: bool, passed_s: float) -> None:
        """A switch that works: changes count at once, then not again while it may bounce."""
        if pressed != self._down and self._now_s - self._changed_s >= self._timing.settle_s:
            self._down = pressed
            self._changed_s = self._now_s
            if pressed:
                self._press()
        elif self._down:
            before_s = self._held_s
            self._held_s += passed_s
            self._hold(before_s, self._held_s)

    def _press(self) -> None:
        """The foot comes down."""
        timing = self._timing
        wish = self._wish()
        self._presses.append((self._now_s, wish))
        oldest_s, first = self._presses[0]
        if len(self._presses) == _CHATTER_PRESSES and self._now_s - oldest_s < timing.chatter_s:
            self._go_back(first)
            self._ignore("footswitch chatters")
            return
        again = not self._spent and self._now_s - self._pressed_s <= timing.double_s
        self._pressed_s = self._now_s
        self._held_s = 0.0
        self._spent = False
        if self.mute or self.learn:
            self.mute = self.learn = False
            self._spent = True
            self._before = self._wish()
        elif again:
            self.bypass = self._before.bypass
            self._presets += 1
            self._before = wish._replace(bypass=self.bypass)
        else:
            self._before = wish
            self.bypass = not self.bypass

    def _hold(self, before_s: float, held_s: float) -> None:
        """The foot stays: what it has been held for since the reading before."""
        timing = self._timing
        if before_s < timing.mute_s <= held_s and not self._spent:
            self.bypass = self._before.bypass
            self.mute = True
        if before_s < timing.learn_s <= held_s:
            self.mute = False
            self.learn = True
            self._learnt_s = 0.0
        if held_s >= timing.stuck_s:
            self._go_back(self._before)
            self._ignore("footswitch stuck")

    def _wait_for_release(self, pressed: bool, passed_s: float) -> None:
        """Nothing counts until the switch was seen released, one that chattered for a while."""
        if pressed:
            self._held_s += passed_s
            if self._quiet_s is not None:
                self._quiet_s = 0.0
            if self.fault is None and self._held_s >= self._timing.stuck_s:
                self.fault = "footswitch stuck"
            return
        if self._quiet_s is not None:
            self._quiet_s += passed_s
            if self._quiet_s < self._timing.quiet_s:
                return
            self._quiet_s = None
        self.fault = None
        self._down = False
        self._changed_s = self._now_s
        self._pressed_s = float("-inf")

    def _unreadable(self) -> None:
        """The line is lost: what was asked for stays; its next level is not taken for a press."""
        self._ignore("footswitch unreadable")

    def _ignore(self, fault: str) -> None:
        """Take nothing from the switch until it was seen released."""
        self.fault = fault
        self._down = None
        self._held_s = 0.0
        self._quiet_s = 0.0 if fault == "footswitch chatters" else None

    def _wish(self) -> _Wish:
        """What is asked for now."""
        return _Wish(self.bypass, self.mute, self.learn, self._presets)

    def _go_back(self, wish: _Wish) -> None:
        """Ask for what was asked for then."""
        self.bypass, self.mute, self.learn, self._presets = wish
