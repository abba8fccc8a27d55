"""The stage engine: the network that bends the crossfade towards the tone in between."""

from collections.abc import Callable

import numpy as np

from device.engine_kinds import Ceiling
from device.plain import dataclass
from device.sound.guard import all_finite
from device.sound.morph.engine import MorphEngine
from device.sound.networks import stage_network
from device.sound.ramp import Curve, SmoothValue
from device.sound.tables import Tables
from models.morph import Positions, crossfade, select_ends, selected_end
from models.stage.colour import Colour
from models.units import Audio


@dataclass(frozen=True)
class StageFit:
    """What the engine has to know about two tones (``device.fit`` finds it).

    ``into`` and ``out_of`` are tables of amplitudes over the knob's travel, ``(points,)``: what
    brings both tones to the level that the network knows, and its output to where the tone at
    that place is to lie. At both ends their product is 1.
    """

    colour: Colour
    into: Curve
    out_of: Curve

    @classmethod
    def plain(cls) -> "StageFit":
        """Nothing is known: tones as they come, with no colour."""
        one = np.ones(2, np.float32)
        return cls(Colour.plain(), one, one)


class Stage(MorphEngine):
    """No latency, exact ends; the network goes on hearing while the knob rests at one.

    Should the network's output not be finite, which only a tone that is not can bring about, the
    crossfade is heard instead and the network begins anew. Below a ceiling of ``STAGE`` the network
    is faded out and no longer computed; it comes back as a preset does that was not heard before.
    """

    kind = "stage"

    def __init__(
        self, fit: StageFit | None = None, network: Callable[[int], bytes] | None = None
    ) -> None:
        """Take what is known about both tones; without it the network has to guess.

        ``network`` gives the network for a period in frames, by default the one that ships.
        """
        self._fit = fit or StageFit.plain()
        self._network = network or (lambda frames: stage_network())
        self._levels = Tables((self._fit.into, self._fit.out_of))
        self._nan_periods = 0

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Load the network. Raises ``ModelError``."""
        # Here, because a preset without this engine needs no ONNX Runtime.
        from models.stage.model import StageModel

        self._model = StageModel(self._network(period_frames), self._fit.colour, period_frames)
        self._levels.prepare(period_frames)
        self._into, self._out_of = self._levels.curves
        self._a = np.zeros((1, period_frames), np.float32)
        self._b = np.zeros((1, period_frames), np.float32)
        self._blend = np.zeros((1, period_frames), np.float32)
        self._mask = np.empty(period_frames, np.bool_)
        self._share = SmoothValue(1.0, rate_hz, period_frames)
        self._computed = True

    def process(
        self,
        a: Audio,
        b: Audio,
        position: Positions,
        target: Audio,
        knob: Positions | None = None,
    ) -> None:
        """Morph one period; see ``MorphEngine.process``."""
        knob = position if knob is None else knob
        moving = self._share.moving()
        if moving or self._share.value:
            self._bend(a, b, position, knob, target)
            if moving:
                self._fade(a, b, position, target)
        else:
            self._computed = False
            self._cross(a, b, position, target)
        end = selected_end(knob)
        if end is not None:
            np.copyto(target, b if end else a)
            return
        select_ends(a, b, knob, target, self._mask)

    @property
    def nan_periods(self) -> int:
        """Periods in which the network's output was not finite."""
        return self._nan_periods

    def limit(self, ceiling: Ceiling) -> None:
        """Leave the network out below ``STAGE``: the crossfade is heard."""
        self._share.move(1.0 if ceiling >= Ceiling.STAGE else 0.0)

    def reset(self) -> None:
        """Forget all history. Allocates nothing."""
        self._model.reset()
        self._share.settle()

    def _bend(
        self, a: Audio, b: Audio, position: Positions, knob: Positions, target: Audio
    ) -> None:
        """What the network makes of a period; ends are not yet exact."""
        if not self._computed:
            # What it remembers is from before it was left out.
            self._model.reset()
            self._computed = True
        self._levels.follow(knob)
        np.multiply(a, self._into, out=self._a)
        np.multiply(b, self._into, out=self._b)
        self._model.process(self._a, self._b, position, target)
        np.multiply(target, self._out_of, out=target)
        if not all_finite(target):
            self._nan_periods += 1
            self._model.reset()
            self._cross(a, b, position, target)

    def _fade(self, a: Audio, b: Audio, position: Positions, target: Audio) -> None:
        """Lead from the crossfade to what is in ``target``, or back, as far as the ramp has got."""
        blend = self._blend
        self._cross(a, b, position, blend)
        np.subtract(target, blend, out=target)
        np.multiply(target, self._share.advance(), out=target)
        np.add(target, blend, out=target)

    def _cross(self, a: Audio, b: Audio, position: Positions, target: Audio) -> None:
        """The crossfade, whose ends hear nothing of the other tone."""
        crossfade(a, b, position, target)
        select_ends(a, b, position, target, self._mask)
