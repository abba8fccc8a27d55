"""Tables over the knob's travel, read at every frame's position."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from device.sound.ramp import Curve
from models.morph import Positions

Curves = npt.NDArray[np.float32]


class Tables:
    """Several tables of one length, from position 0 to 1 in even steps, straight lines between.

    After ``follow`` ``curves`` hold one value per frame each, ``(tables, period_frames)``. At 0
    and 1 they are the tables' ends, exactly.
    """

    curves: Curves

    def __init__(self, tables: Sequence[Curve]) -> None:
        """Take tables ``(points,)``; ``prepare`` before use."""
        self._tables = np.stack(tables)
        self._steps = np.float32(self._tables.shape[1] - 1)
        self._rises = np.diff(self._tables, axis=1, append=self._tables[:, -1:])

    def prepare(self, period_frames: int) -> None:
        """Allocate for one period."""
        shape = (len(self._tables), period_frames)
        self._place = np.empty(period_frames, np.float32)
        self._whole = np.empty(period_frames, np.float32)
        self._below = np.empty(period_frames, np.intp)
        self._rise = np.empty(shape, np.float32)
        self.curves = np.empty(shape, np.float32)
        self._resting: float | None = None

    def follow(self, positions: Positions) -> None:
        """Read the tables for positions ``(period_frames,)`` in 0…1. Allocates nothing."""
        first = float(positions[0])
        rests = first == positions[-1] and first == positions.min() and first == positions.max()
        if rests and first == self._resting:
            return
        self._resting = first if rests else None
        np.multiply(positions, self._steps, out=self._place)
        np.floor(self._place, out=self._whole)
        np.copyto(self._below, self._whole, casting="unsafe")
        np.subtract(self._place, self._whole, out=self._place)
        np.take(self._tables, self._below, axis=1, out=self.curves, mode="clip")
        np.take(self._rises, self._below, axis=1, out=self._rise, mode="clip")
        np.multiply(self._rise, self._place, out=self._rise)
        np.add(self.curves, self._rise, out=self.curves)
