"""One tone wherever the knob stands: what is heard of a preset whose tone B has to be computed."""

import numpy as np

from device.sound.morph.engine import MorphEngine
from models.morph import Positions
from models.units import Audio


class HeldTone(MorphEngine):
    """Gives tone A, bit for bit."""

    kind = "held"

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Nothing to allocate."""

    def process(
        self,
        a: Audio,
        b: Audio,
        position: Positions,
        target: Audio,
        knob: Positions | None = None,
    ) -> None:
        """Copy tone A, at every position."""
        np.copyto(target, a)

    def reset(self) -> None:
        """Nothing to forget."""
