"""What a simulated run leaves for its report: every period's figures, and what played."""

import numpy as np
import numpy.typing as npt

from device.sound.playable import Playable
from models.path import Way
from models.units import db_from_gain

RECORD_FILE = "record.npz"
PATH_FILE = "path.json"
_WAY_POINTS = 101


class RunLog:
    """Every period's figures of a simulated run."""

    def __init__(self, periods: int) -> None:
        """Allocate for all of them."""
        self.busy_ns: npt.NDArray[np.int64] = np.zeros(periods, np.int64)
        self.positions = np.zeros(periods, np.float64)
        self.knob = np.zeros(periods, np.float64)
        self._next = 0

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        """Store one period: what was played, and where the knob stood."""
        index = self._next
        self.busy_ns[index] = busy_ns
        self.positions[index] = position
        self.knob[index] = knob
        self._next = index + 1


def describe(path: Playable) -> dict[str, object]:
    """What a report says about the preset that played."""
    return {
        "name": path.name,
        "tones": path.tones,
        "latency": path.latency_table(),
        "way": None if path.way is None else _way_by_points(path.way),
    }


def _way_by_points(way: Way) -> dict[str, list[float]]:
    """Drives in dB and blend of a way at even positions of the knob."""
    rows = [way.at(position) for position in np.linspace(0.0, 1.0, _WAY_POINTS).tolist()]
    return {
        "drive_a_db": [round(db_from_gain(row[0]), 2) for row in rows],
        "drive_b_db": [round(db_from_gain(row[1]), 2) for row in rows],
        "blend": [round(row[4], 4) for row in rows],
    }
