"""From the knob's position to what both tones do there, frame by frame."""

import numpy as np
import numpy.typing as npt

from device.sound.ramp import Curve
from models.morph import Positions
from models.path import Way

Curves = npt.NDArray[np.float32]


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

    def __init__(self, way: Way) -> None:
        """Take a way; ``prepare`` before use."""
        self.way = way
        tables = np.stack(way.tables())
        self._steps = np.float32(tables.shape[1] - 1)
        self._rises = np.diff(tables, axis=1, append=tables[:, -1:])
        self._tables = tables

    def prepare(self, period_frames: int) -> None:
        """Allocate for one period."""
        shape = (len(self._tables), period_frames)
        self._place = np.empty(period_frames, np.float32)
        self._whole = np.empty(period_frames, np.float32)
        self._below = np.empty(period_frames, np.intp)
        self._rise = np.empty(shape, np.float32)
        curves: Curves = np.empty(shape, np.float32)
        self._curves = curves
        self.drive_a, self.drive_b, self.level_a, self.level_b, self.blend = curves
        self._resting: float | None = None

    def follow(self, positions: Positions) -> None:
        """Read the tables for positions ``(period_frames,)``, monotone. Allocates nothing."""
        first, last = float(positions[0]), float(positions[-1])
        if first == last == self._resting:
            return
        self._resting = last if first == last else None
        np.multiply(positions, self._steps, out=self._place)
        np.floor(self._place, out=self._whole)
        np.copyto(self._below, self._whole, casting="unsafe")
        np.subtract(self._place, self._whole, out=self._place)
        np.take(self._tables, self._below, axis=1, out=self._curves, mode="clip")
        np.take(self._rises, self._below, axis=1, out=self._rise, mode="clip")
        np.multiply(self._rise, self._place, out=self._rise)
        np.add(self._curves, self._rise, out=self._curves)
