"""Small blocks and paths for tests of what is around them."""

from collections.abc import Mapping

import numpy as np

from device.sound.block import Block, Parameter
from device.sound.chain import ToneChain
from device.sound.morph import Crossfade
from device.sound.path import SoundPath
from models.units import Audio


class Scale(Block):
    """Multiplies; may be late, turn to NaN at a period, or raise there."""

    kind = "scale"

    def __init__(
        self,
        gain: float = 1.0,
        latency_frames: int = 0,
        nan_at: int = -1,
        raise_at: int = -1,
    ) -> None:
        self.gain = np.float32(gain)
        self._latency = latency_frames
        self._nan_at, self._raise_at = nan_at, raise_at
        self.period = 0
        self.resets = 0

    @property
    def label(self) -> str:
        return self.kind

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        return {}

    @property
    def latency_frames(self) -> int:
        return self._latency

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        from device.sound.delay import Delay

        self._delay = Delay(self._latency, period_frames)

    def process(self, source: Audio, target: Audio) -> None:
        period, self.period = self.period, self.period + 1
        if period == self._raise_at:
            raise RuntimeError("a defect")
        np.multiply(source, self.gain, out=target)
        self._delay.process(target, target)
        if period == self._nan_at:
            target[0, 3] = np.nan

    def move(self, name: str, value: float) -> None:
        raise KeyError(name)

    def reset(self) -> None:
        self.resets += 1
        self._delay.reset()


def path(a: list[Block], b: list[Block], name: str = "test") -> SoundPath:
    """An unprepared path with a crossfade."""
    return SoundPath(name, ToneChain(a), ToneChain(b), Crossfade())
