"""A script of what a player does: where the knob goes, when presets change, when bypass."""

import bisect
from collections.abc import Sequence
from typing import Literal

from device.plain import dataclass

FaultKind = Literal["stuck", "open", "noisy", "dead"]


@dataclass(frozen=True)
class KnobFault:
    """A fault of the knob between two times, seconds.

    ``stuck``: it no longer moves; ``open``: the wiper lost contact (reads NaN); ``noisy``:
    single readings jump; ``dead``: the bus gives an error.
    """

    kind: FaultKind
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Script:
    """Pure data and look-ups; a position is interpolated linearly between its points."""

    points: Sequence[tuple[float, float]] = ((0.0, 0.0),)
    """(time in s, position 0…1), times rising."""
    presets: Sequence[tuple[float, int]] = ()
    """(time in s, index of the bank), times rising."""
    bypass: Sequence[tuple[float, bool]] = ()
    """(time in s, on or off), times rising."""
    faults: Sequence[KnobFault] = ()

    def position(self, now_s: float) -> float:
        """Where the knob is; before the first and after the last point it rests there."""
        times = [point[0] for point in self.points]
        index = bisect.bisect_right(times, now_s)
        if index == 0:
            return self.points[0][1]
        if index == len(times):
            return self.points[-1][1]
        (start_s, start), (end_s, end) = self.points[index - 1], self.points[index]
        return start + (end - start) * (now_s - start_s) / (end_s - start_s)

    def preset(self, now_s: float, first: int) -> int:
        """Which preset is asked for; ``first`` until a change is due."""
        return next((index for time_s, index in reversed(self.presets) if time_s <= now_s), first)

    def bypassed(self, now_s: float) -> bool:
        """Whether the dry sound is asked for."""
        return next((on for time_s, on in reversed(self.bypass) if time_s <= now_s), False)

    def fault(self, now_s: float) -> KnobFault | None:
        """The knob's fault at that time, if any."""
        return next((f for f in self.faults if f.from_s <= now_s < f.to_s), None)


def sweep(duration_s: float, rest: float = 0.1) -> Script:
    """From tone A to tone B once, resting on each end for ``rest`` of the time."""
    return Script(points=((rest * duration_s, 0.0), ((1.0 - rest) * duration_s, 1.0)))


def there_and_back(duration_s: float) -> Script:
    """A to B, a while on B, and back: what ``make run`` plays."""
    shape = ((0.12, 0.0), (0.42, 1.0), (0.58, 1.0), (0.88, 0.0))
    return Script(points=tuple((part * duration_s, position) for part, position in shape))
