"""The crossfade: the reference that everyone else ships, and the fallback of every engine."""

import numpy as np

from device.sound.morph.engine import MorphEngine
from models.morph import Positions, crossfade, select_ends, selected_end
from models.units import Audio


class Crossfade(MorphEngine):
    """Blends the two tones; no latency, no state, exact ends."""

    kind = "crossfade"

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate one mask."""
        self._mask = np.empty(period_frames, np.bool_)

    def process(
        self,
        a: Audio,
        b: Audio,
        position: Positions,
        target: Audio,
        knob: Positions | None = None,
    ) -> None:
        """Blend, or copy the one tone where the knob rests at an end."""
        end = selected_end(position)
        if end is not None:
            np.copyto(target, b if end else a)
            return
        crossfade(a, b, position, target)
        select_ends(a, b, position, target, self._mask)

    def reset(self) -> None:
        """Nothing to forget."""
