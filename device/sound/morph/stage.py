"""The stage engine: the network that bends the crossfade towards the tone in between."""

import numpy as np

from device.sound.guard import all_finite
from device.sound.morph.engine import MorphEngine
from models.morph import Positions, crossfade, select_ends, selected_end
from models.stage.colour import Colour
from models.stage.model import StageModel, read_stage
from models.units import Audio


class Stage(MorphEngine):
    """No latency, exact ends; the network goes on hearing while the knob rests at one.

    Both tones come at the level that the network knows (``models.stage.model.LEVEL_DBFS``).
    Should the network's output not be finite, which only a tone that is not can bring about, the
    crossfade is heard instead and the network begins anew.
    """

    kind = "stage"

    def __init__(self, colour: Colour | None = None) -> None:
        """Take what both tones sound like on average; without it the network has to guess."""
        self._colour = colour if colour is not None else Colour.plain()

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Load the network. Raises ``ModelError``."""
        self._model = StageModel(read_stage(), self._colour, period_frames)
        self._mask = np.empty(period_frames, np.bool_)

    def process(self, a: Audio, b: Audio, position: Positions, target: Audio) -> None:
        """Morph one period; see ``MorphEngine.process``."""
        self._model.process(a, b, position, target)
        if not all_finite(target):
            self._model.reset()
            crossfade(a, b, position, target)
        end = selected_end(position)
        if end is not None:
            np.copyto(target, b if end else a)
            return
        select_ends(a, b, position, target, self._mask)

    def reset(self) -> None:
        """Forget all history. Allocates nothing."""
        self._model.reset()
