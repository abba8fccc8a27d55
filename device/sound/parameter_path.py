"""The way between two tones of one shape: one chain runs, and the knob turns its own controls.

Where both tones of a preset are the same blocks with the same files, there is a true tone in
between: the same chain at settings in between. No two sounds are heard at once, and it costs
half as much.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from device.engine_kinds import Ceiling
from device.plain import dataclass
from device.sound.block import Parameter, Resettable
from device.sound.chain import ToneChain
from device.sound.delay import Delay
from device.sound.ramp import Curve, SmoothGain
from device.sound.steering import Steering
from models.morph import Positions
from models.units import Audio

if TYPE_CHECKING:
    from models.path import Way


@dataclass(frozen=True)
class Control:
    """One control that differs between the tones: which block's, and where it goes."""

    block: int
    parameter: Parameter
    at_a: float
    at_b: float

    def value(self, position: float) -> float:
        """The setting at a position 0…1, in the parameter's natural scale; the ends exactly."""
        if position <= 0.0:
            return self.at_a
        if position >= 1.0:
            return self.at_b
        if self.parameter.scale == "log":
            return float(self.at_a * (self.at_b / self.at_a) ** position)
        return self.at_a + (self.at_b - self.at_a) * position


class ParameterPath:
    """A preset whose tones have one shape, prepared for playing.

    To a player it is the same as a ``SoundPath``. Controls are moved at most once a period, and
    arrive on their ramps.
    """

    steering: Steering | None = None
    """What moves the position besides the knob; the player runs it."""

    def __init__(
        self,
        name: str,
        chain: ToneChain,
        controls: Sequence[Control],
        levels_db: tuple[float, float],
        input_db: float = 0.0,
        output_db: float = 0.0,
        law: Curve | None = None,
    ) -> None:
        """Take tone A's chain, unprepared, and both tones' levels in dB.

        ``law`` is a table from even places of the knob to positions, from 0 to 1; without it the
        knob is the position.
        """
        self.name = name
        self.chain = chain
        self.controls = tuple(controls)
        self._levels_db = levels_db
        self._input_db = input_db
        self._output_db = output_db
        self._law = law
        self._places = None if law is None else np.linspace(0.0, 1.0, len(law))
        self._position: float | None = None

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Prepare all parts and allocate. Raises what the blocks raise."""
        self.chain.prepare(rate_hz, period_frames)
        self.input_level = SmoothGain(self._input_db, rate_hz, period_frames)
        self.output_level = SmoothGain(self._output_db, rate_hz, period_frames)
        self._guitar = np.zeros((1, period_frames), np.float32)
        self._delay_dry = Delay(self.chain.latency_frames, period_frames)
        self.parts: tuple[Resettable, ...] = (*self.chain.parts, self._delay_dry, self)
        self._position = None

    @property
    def way(self) -> "Way | None":
        """None: the knob turns the chain's own controls."""
        return None

    @property
    def latency_frames(self) -> int:
        """Frames from the guitar to the sound, without the interface's buffers."""
        return self.chain.latency_frames

    @property
    def nan_periods(self) -> int:
        """Periods in which the chain gave a NaN and was reset."""
        return self.chain.nan_periods

    @property
    def tones(self) -> dict[str, list[str]]:
        """The blocks of each tone, by label: the same for both, with what differs."""
        tones: dict[str, list[str]] = {}
        for side, position in (("A", 0.0), ("B", 1.0)):
            labels = [block.label for block in self.chain.blocks]
            for control in self.controls:
                labels[control.block] += f" {control.parameter.name} {control.value(position):g}"
            tones[side] = labels
        return tones

    def latency_table(self) -> list[tuple[str, str, int]]:
        """Rows of (where, what, frames): every block of the one chain, and the morph."""
        rows = [("both tones", block.label, block.latency_frames) for block in self.chain.blocks]
        return [*rows, ("morph", "parameters", 0)]

    def limit(self, ceiling: Ceiling) -> None:
        """There is no engine to leave out."""

    def process(self, source: Audio, positions: Positions, wet: Audio, dry: Audio) -> None:
        """Play one period ``(1, period_frames)``; see ``SoundPath.process``."""
        position = float(positions[-1])
        if position != self._position:
            self._turn_to(position)
        np.copyto(self._guitar, source)
        self._delay_dry.process(source, dry)
        self.input_level.apply(self._guitar)
        self.chain.process(self._guitar, wet)
        self.output_level.apply(wet)

    def _turn_to(self, position: float) -> None:
        """Send every control to its place; from silence there is nothing to ramp from."""
        from_silence = self._position is None
        self._position = position
        if self._law is not None and self._places is not None:
            position = float(np.interp(position, self._places, self._law))
        blocks = self.chain.blocks
        for control in self.controls:
            blocks[control.block].move(control.parameter.name, control.value(position))
        at_a, at_b = self._levels_db
        if position <= 0.0 or position >= 1.0:
            level_db = at_a if position <= 0.0 else at_b
        else:
            level_db = at_a + (at_b - at_a) * position
        self.chain.level.move(level_db)
        if from_silence:
            self.chain.reset()

    def reset(self) -> None:
        """Forget where the knob was: the next sound begins from silence."""
        self._position = None
