"""A tone chain: blocks in order, a level, and what happens when a block goes wrong."""

from collections.abc import Sequence

import numpy as np

from device.sound.block import Block, Resettable
from device.sound.guard import NanGuard, all_finite
from device.sound.ramp import SmoothGain
from models.units import Audio


class ToneChain:
    """One tone: the guitar through its blocks, in order.

    When a period holds a NaN or an infinity the chain is faded out, reset and faded in again,
    and counted: one bad number in a recursive block would otherwise stay there for ever.
    """

    level: SmoothGain
    """The tone's level, movable; exists after ``prepare``."""

    def __init__(self, blocks: Sequence[Block], level_db: float = 0.0) -> None:
        """Take unprepared blocks; an empty chain is the guitar itself."""
        self.blocks = tuple(blocks)
        self._level_db = level_db
        self.leave(None)

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Prepare every block and allocate. Raises what the blocks raise."""
        for block in self.blocks:
            block.prepare(rate_hz, period_frames)
        self.level = SmoothGain(self._level_db, rate_hz, period_frames)
        self._nan_guard = NanGuard(rate_hz, period_frames)

    @property
    def latency_frames(self) -> int:
        """Sum over the blocks; valid after ``prepare``."""
        return sum(block.latency_frames for block in self.blocks)

    @property
    def parts(self) -> tuple[Resettable, ...]:
        """What has a history, in pieces that are each quick to reset."""
        return tuple(part for block in self.blocks for part in block.parts)

    @property
    def nan_periods(self) -> int:
        """Periods in which the chain gave a NaN or an infinity and was reset."""
        return self._nan_guard.nan_periods

    def leave(self, block: Block | None) -> None:
        """Leave one block to whoever plays it between ``begin`` and ``finish``; ``None``: none."""
        self._whole = block is None
        at = len(self.blocks) if block is None else self.blocks.index(block)
        self._before, self._after = self.blocks[:at], self.blocks[at + 1 :]

    def process(self, source: Audio, target: Audio) -> None:
        """Turn one period of the guitar ``(1, period_frames)`` into one of the tone."""
        assert self._whole, "a block of this chain is played by another"
        self.begin(source, target)
        self.finish(target)

    def begin(self, source: Audio, target: Audio) -> None:
        """The first half of ``process``: the blocks before the one that is left out, or all."""
        np.copyto(target, source)
        for block in self._before:
            block.process(target, target)

    def finish(self, target: Audio) -> None:
        """The second half, in place: the blocks behind it, the level, and the guard."""
        for block in self._after:
            block.process(target, target)
        self.level.apply(target)
        finite = all_finite(target)
        if not finite:
            self.reset()
        self._nan_guard.apply(target, finite)

    def reset(self) -> None:
        """Forget all history, as if silence had come before. Allocates nothing."""
        for block in self.blocks:
            block.reset()
        self.level.settle()
