"""Scenes: a timeline that moves the position while both hands play.

Each scene moves to its position in a straight line over ``over_s`` seconds, then stays there for
``for_s``. A jump (``over_s = 0``) takes the 5 ms that a knob would need at its fastest, out of
the scene's own time, so the scenes stay in step with the music.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from device.plain import dataclass, replace
from device.sound.ramp import SLEW_S, Curve
from device.table import Range

LONGEST_S = 3600.0
MAXIMUM_SCENES = 64

SHORTEST_LOOP_S = 0.1
"""A loop shorter than this would be a tremolo, and a bound on the work of a period."""


@dataclass(frozen=True)
class SceneSettings:
    """One entry of ``scenes`` in a preset's ``[morph]``."""

    position: Annotated[float, Range(0.0, 1.0)]
    over_s: Annotated[float, Range(0.0, LONGEST_S)] = 0.0
    """How long the position takes to get there."""
    for_s: Annotated[float, Range(0.0, LONGEST_S)] = 0.0
    """How long it stays."""


@dataclass(frozen=True)
class _Line:
    """A straight line of positions that ends at ``stop``, in frames since the timeline began."""

    start: int
    stop: int
    at_start: float
    at_stop: float


class Scenes:
    """The timeline, read period by period; the same bits whatever the period."""

    def __init__(self, settings: Sequence[SceneSettings], loop: bool = False) -> None:
        """Take at least one scene; ``loop`` begins again after the last, else it stays there."""
        self._settings = tuple(settings)
        self._loop = loop

    @property
    def duration_s(self) -> float:
        """How long all scenes last, once."""
        return sum(scene.over_s + scene.for_s for scene in self._settings)

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate for one rate and period."""
        self._steps = np.arange(1, period_frames + 1, dtype=np.float64)
        self._scratch = np.zeros(period_frames, np.float64)
        scenes = self._settings
        first, last = scenes[0].position, scenes[-1].position
        self._once = _lines(scenes, rate_hz, first)
        self._again = _lines(scenes, rate_hz, last)
        self.start(0.0)

    def start(self, position: float) -> None:
        """Begin. A first scene that takes time moves from ``position``; a jump is there at once."""
        self._lines, self._index, self._frame = self._once, 0, 0
        if self._settings[0].over_s > 0.0:
            self._line = replace(self._once[0], at_start=position)
        else:
            self._line = self._once[0]

    def fill(self, positions: Curve) -> None:
        """Put this period's positions ``(period_frames,)``. Allocates nothing."""
        period = positions.shape[0]
        done = 0
        while done < period:
            if self._frame == self._line.stop and not self._step():
                positions[done:] = self._line.at_stop
                return
            count = min(period - done, self._line.stop - self._frame)
            self._draw(positions[done : done + count])
            self._frame += count
            done += count

    def _step(self) -> bool:
        """Go on to the next line; False where the last one has ended for good."""
        self._index += 1
        if self._index == len(self._lines):
            if not self._loop:
                self._index -= 1
                return False
            self._lines, self._index, self._frame = self._again, 0, 0
        self._line = self._lines[self._index]
        return True

    def _draw(self, target: Curve) -> None:
        """The piece of the line that begins with the frame after ``_frame`` have passed."""
        line, count = self._line, target.shape[0]
        if line.at_start == line.at_stop:
            target.fill(line.at_stop)
            return
        scratch = self._scratch[:count]
        np.add(self._steps[:count], self._frame - line.start, out=scratch)
        # Divided, not multiplied by a reciprocal: the last frame is exactly 1.
        np.divide(scratch, line.stop - line.start, out=scratch)
        np.multiply(scratch, line.at_stop - line.at_start, out=scratch)
        np.add(scratch, line.at_start, out=scratch)
        np.copyto(target, scratch, casting="same_kind")


def _lines(scenes: Sequence[SceneSettings], rate_hz: int, position: float) -> tuple[_Line, ...]:
    """All moves and rests of one time through, from ``position``."""
    least = max(1, round(SLEW_S * rate_hz))
    lines: list[_Line] = []
    frame, time_s = 0, 0.0
    for scene in scenes:
        # Rounded from the sum, so that a hundred scenes do not drift.
        time_s += scene.over_s
        arrived = max(frame + least, round(time_s * rate_hz))
        time_s += scene.for_s
        left = max(arrived, round(time_s * rate_hz))
        lines.append(_Line(frame, arrived, position, scene.position))
        if left > arrived:
            lines.append(_Line(arrived, left, scene.position, scene.position))
        position, frame = scene.position, left
    return tuple(lines)


def check_scenes(scenes: Sequence[SceneSettings], loop: bool) -> None:
    """Raise ``ValueError`` with what is wrong with a loop, if anything."""
    duration_s = sum(scene.over_s + scene.for_s for scene in scenes)
    if loop and duration_s < SHORTEST_LOOP_S:
        raise ValueError(
            f"scenes_loop needs scenes that last {SHORTEST_LOOP_S:g} s or longer together, and "
            f"these last {duration_s:g} s"
        )
