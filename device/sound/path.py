"""The way through one preset: input gain, both tones, the morph, output level, the dry sound."""

from typing import TYPE_CHECKING

import numpy as np

from device.engine_kinds import Ceiling
from device.sound.block import Resettable
from device.sound.chain import ToneChain
from device.sound.delay import Delay
from device.sound.morph import MorphEngine
from device.sound.ramp import SmoothGain
from device.sound.steering import Steering
from device.sound.trajectory import Trajectory
from device.sound.twin import TwinCapture, join_captures
from models.morph import Positions
from models.units import Audio

if TYPE_CHECKING:
    from models.path import Way


class SoundPath:
    """A preset that has been prepared for playing.

    ``parts`` are all that has a history, one by one, so that forgetting can be spread over
    several periods.

    Both tones and the dry sound arrive together: whatever takes less time is delayed to what
    takes longest, and ``latency_frames`` never changes while playing. Where both tones have a
    capture and the two can, they are played as one network (``device.sound.twin``).
    """

    steering: Steering | None = None
    """What moves the position besides the knob; the player runs it."""

    def __init__(
        self,
        name: str,
        tone_a: ToneChain,
        tone_b: ToneChain,
        morph: MorphEngine,
        input_db: float = 0.0,
        output_db: float = 0.0,
        trajectory: Trajectory | None = None,
    ) -> None:
        """Take unprepared parts; levels in dB. Without ``trajectory`` the position is the blend."""
        self.name = name
        self.tone_a = tone_a
        self.tone_b = tone_b
        self.morph = morph
        self._input_db = input_db
        self._output_db = output_db
        self._trajectory = trajectory

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Prepare all parts and allocate. Raises what the blocks raise."""
        # Both tones lie in one array, because that is what a twin capture plays.
        both = np.zeros((2, period_frames), np.float32)
        self._a, self._b = both[:1], both[1:]
        self._twin: TwinCapture | None = join_captures(self.tone_a, self.tone_b, both, rate_hz)
        for part in (self.tone_a, self.tone_b, self.morph):
            part.prepare(rate_hz, period_frames)
        self.input_level = SmoothGain(self._input_db, rate_hz, period_frames)
        self.output_level = SmoothGain(self._output_db, rate_hz, period_frames)
        self._guitar = np.zeros((1, period_frames), np.float32)
        self._driven = np.zeros((1, period_frames), np.float32)
        if self._trajectory is not None:
            self._trajectory.prepare(period_frames)
        latency_a, latency_b = self.tone_a.latency_frames, self.tone_b.latency_frames
        tones = max(latency_a, latency_b)
        self._delay_a = Delay(tones - latency_a, period_frames)
        self._delay_b = Delay(tones - latency_b, period_frames)
        self._delay_dry = Delay(tones + self.morph.latency_frames, period_frames)
        self.parts: tuple[Resettable, ...] = (
            *self.tone_a.parts,
            *self.tone_b.parts,
            self.morph,
            self._delay_a,
            self._delay_b,
            self._delay_dry,
        )

    @property
    def way(self) -> "Way | None":
        """What the knob does to both tones' drive, if it does."""
        return None if self._trajectory is None else self._trajectory.way

    @property
    def latency_frames(self) -> int:
        """Frames from the guitar to the morphed sound, without the interface's buffers."""
        tones = max(self.tone_a.latency_frames, self.tone_b.latency_frames)
        return tones + self.morph.latency_frames

    @property
    def nan_periods(self) -> int:
        """Periods in which either tone, or the network between, gave a NaN and was reset."""
        return self.tone_a.nan_periods + self.tone_b.nan_periods + self.morph.nan_periods

    @property
    def tones(self) -> dict[str, list[str]]:
        """The labels of each tone's blocks, in order."""
        chains = {"A": self.tone_a, "B": self.tone_b}
        return {side: [block.label for block in chain.blocks] for side, chain in chains.items()}

    def latency_table(self) -> list[tuple[str, str, int]]:
        """Rows of (where, what, frames): every block of both tones, and the morph."""
        rows = [
            (f"tone {side}", block.label, block.latency_frames)
            for side, chain in (("A", self.tone_a), ("B", self.tone_b))
            for block in chain.blocks
        ]
        return [*rows, ("morph", self.morph.kind, self.morph.latency_frames)]

    def limit(self, ceiling: Ceiling) -> None:
        """Play no costlier engine than ``ceiling``, at the same latency and without a click."""
        self.morph.limit(ceiling)

    def process(self, source: Audio, positions: Positions, wet: Audio, dry: Audio) -> None:
        """Play one period of the guitar ``(1, period_frames)``.

        ``wet`` becomes the tone at ``positions`` ``(period_frames,)``, ``dry`` the guitar as it
        came in, delayed to match. ``source`` may be ``dry``, not ``wet``.
        """
        np.copyto(self._guitar, source)
        self._delay_dry.process(source, dry)
        self.input_level.apply(self._guitar)
        way = self._trajectory
        if way is None:
            self.tone_a.begin(self._guitar, self._a)
            self.tone_b.begin(self._guitar, self._b)
        else:
            way.follow(positions)
            for tone, drive, played in (
                (self.tone_a, way.drive_a, self._a),
                (self.tone_b, way.drive_b, self._b),
            ):
                np.multiply(self._guitar, drive, out=self._driven)
                tone.begin(self._driven, played)
        if self._twin is not None:
            self._twin.process()
        self.tone_a.finish(self._a)
        self.tone_b.finish(self._b)
        self._delay_a.process(self._a, self._a)
        self._delay_b.process(self._b, self._b)
        if way is not None:
            np.multiply(self._a, way.level_a, out=self._a)
            np.multiply(self._b, way.level_b, out=self._b)
        blend = positions if way is None else way.blend
        self.morph.process(self._a, self._b, blend, wet, positions)
        self.output_level.apply(wet)

    def reset(self) -> None:
        """Forget all history, as if silence had come before. Allocates nothing."""
        for part in self.parts:
            part.reset()
