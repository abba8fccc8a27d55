"""From the knob's position to what both tones do there, frame by frame."""

from typing import TYPE_CHECKING

from device.sound.ramp import Curve
from device.sound.tables import Tables
from models.morph import Positions

if TYPE_CHECKING:
    from models.path import Way


class Trajectory:
    """Reads a way (``models.path``) at every frame's position.

    After ``follow`` these hold one value per frame, ``(period_frames,)``: ``drive_a`` and
    ``drive_b``, amplitudes before the tones; ``level_a`` and ``level_b`` behind them; ``blend``,
    the position for the morph engine. At 0 and 1 they are the table's ends, exactly.
    """

    drive_a: Curve
    drive_b: Curve
    level_a: Curve
    level_b: Curve
    blend: Curve

    def __init__(self, way: "Way") -> None:
        """Take a way; ``prepare`` before use."""
        self.way = way
        self._tables = Tables(way.tables())

    def prepare(self, period_frames: int) -> None:
        """Allocate for one period."""
        self._tables.prepare(period_frames)
        self.drive_a, self.drive_b, self.level_a, self.level_b, self.blend = self._tables.curves

    def follow(self, positions: Positions) -> None:
        """Read the tables for positions ``(period_frames,)``. Allocates nothing."""
        self._tables.follow(positions)
