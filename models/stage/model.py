"""The stage network as it is played: any period, no latency, the same sound."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from models.errors import ModelError
from models.morph import Positions, select_ends
from models.runtime import StreamingModel
from models.stage.colour import RATE_HZ, Colour, colour_of
from models.stage.graph import coloured
from models.stage.shape import BLOCK_FRAMES
from models.units import Audio, gain_from_db, rms_dbfs

STAGE_FILE = Path(__file__).parent / "stage.onnx"
"""The weights that ship."""

LEVEL_DBFS = -20.0
"""RMS level that the network was trained at."""

_ODD_BLOCK_FRAMES = 4 * BLOCK_FRAMES  # played at once where periods are not whole blocks


def read_stage(file: Path | None = None) -> bytes:
    """The network's file, by default the one that ships. Raises ``ModelError``."""
    return _read(file or STAGE_FILE)


@lru_cache(maxsize=4)
def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{file}: the stage network cannot be read ({error.strerror}); restore the file or "
            'choose engine = "crossfade".'
        ) from error


class StageModel:
    """The network for one pair of tones, prepared for one period length.

    The network plays whole blocks. Where a period ends inside a block, the block is played with
    silence behind, without leaving a trace, and again when it is whole: nothing in a block
    depends on what comes later, so the sound is the same, without delay.
    """

    def __init__(self, model: bytes, colour: Colour, period_frames: int) -> None:
        """Load and settle. Raises ``ModelError`` for bytes that are no stage network."""
        whole = period_frames % BLOCK_FRAMES == 0
        self._period_frames = period_frames
        self._frames = period_frames if whole else _ODD_BLOCK_FRAMES
        try:
            ready = coloured(model, colour)
        except Exception as error:  # the library raises many kinds of its own
            raise ModelError(
                f"The stage network does not load ({type(error).__name__}: {error}), expected a "
                "file that python -m models train wrote; restore it or train again."
            ) from error
        self._model = StreamingModel(ready, self._frames)
        if self._model.channels != 3:
            raise ModelError(
                f"The stage network hears {self._model.channels} signals, expected tone A, tone B "
                "and the position; restore the file or train again."
            )
        self._rows = np.zeros((3, self._frames), np.float32)
        self._heard = np.zeros((1, self._frames), np.float32)
        self._filled = 0

    def process(self, a: Audio, b: Audio, position: Positions, target: Audio) -> None:
        """Morph one period ``(1, period_frames)``, tones at ``LEVEL_DBFS``; ends not yet exact.

        ``target`` may be neither tone. Allocates nothing.
        """
        if self._frames == self._period_frames:
            self._rows[0], self._rows[1], self._rows[2] = a[0], b[0], position
            self._model.process(self._rows, target)
            return
        done = 0
        while done < self._period_frames:
            count = min(self._frames - self._filled, self._period_frames - done)
            here, there = slice(self._filled, self._filled + count), slice(done, done + count)
            self._rows[0, here], self._rows[1, here] = a[0, there], b[0, there]
            self._rows[2, here] = position[there]
            self._rows[:, here.stop :] = 0.0
            self._model.process(self._rows, self._heard, keep=here.stop == self._frames)
            target[0, there] = self._heard[0, here]
            self._filled = here.stop % self._frames
            done += count

    def reset(self) -> None:
        """Forget all history, as if silence had come before. Allocates nothing."""
        self._model.reset()
        self._filled = 0


def morph(model: bytes, a: Audio, b: Audio, position: float, period_frames: int = 1024) -> Audio:
    """Morph two whole recordings ``(1, frames)`` of one performance at 48 kHz; exact ends.

    The level moves from the one's to the other's on a straight line in dB.
    """
    positions = np.full(a.shape[1], position, np.float32)
    return morph_along(model, a, b, positions, period_frames)


def morph_along(
    model: bytes, a: Audio, b: Audio, positions: Positions, period_frames: int = 1024
) -> Audio:
    """``morph`` with a position for every frame."""
    frames = a.shape[1]
    levels = [max(rms_dbfs(tone), -80.0) for tone in (a, b)]
    first, second = (
        tone * np.float32(gain_from_db(LEVEL_DBFS - level))
        for tone, level in zip((a, b), levels, strict=True)
    )
    stage = StageModel(model, colour_of(first, second), period_frames)
    periods = -(-frames // period_frames)
    padded = np.zeros((4, periods * period_frames), np.float32)
    padded[0, :frames], padded[1, :frames], padded[2, :frames] = first[0], second[0], positions
    for start in range(0, padded.shape[1], period_frames):
        piece = slice(start, start + period_frames)
        stage.process(padded[:1, piece], padded[1:2, piece], padded[2, piece], padded[3:, piece])
    line_db = levels[0] + (levels[1] - levels[0]) * positions - LEVEL_DBFS
    target = padded[3:, :frames] * (10.0 ** (line_db / 20.0)).astype(np.float32)
    select_ends(a, b, positions, target, np.empty(frames, np.bool_))
    return target


__all__ = [
    "LEVEL_DBFS",
    "RATE_HZ",
    "STAGE_FILE",
    "StageModel",
    "morph",
    "morph_along",
    "read_stage",
]
