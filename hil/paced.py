"""A plant beside real instruments: it goes on with real time."""

from hil.clock import RealClock
from hil.plant.plant import Plant


class PacedPlant:
    """The bench's clock where the plant stands in for some of its instruments."""

    def __init__(self, plant: Plant) -> None:
        """Begin now."""
        self._plant, self._clock = plant, RealClock()
        self._ahead_s = plant.now_s()

    def now_s(self) -> float:
        """See ``Clock.now_s``."""
        return self._clock.now_s()

    def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``. The plant catches up with what has passed otherwise, too."""
        self._clock.sleep(seconds)
        behind_s = self._clock.now_s() + self._ahead_s - self._plant.now_s()
        if behind_s > 0.0:
            self._plant.sleep(behind_s)
