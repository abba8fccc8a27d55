"""The stage network as it is played: any period, no latency, the same sound."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from models.errors import ModelError
from models.morph import Positions, select_ends
from models.runtime import StreamingModel
from models.stage.colour import Colour, colour_of
from models.stage.graph import coloured
from models.stage.shape import BLOCK_FRAMES
from models.units import Audio, gain_from_db, rms_dbfs

STAGE_FILE = Path(__file__).parent / "stage.onnx"
"""The weights that ship."""

LEVEL_DBFS = -20.0
"""RMS level that the network was trained at."""

QUIETEST_DBFS = -80.0
"""A recording below this is silence."""

_MAKEUP_AT = np.linspace(0.0, 1.0, 9)
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

    The level lies on the straight line in dB between both recordings'.
    """
    return _Recordings(model, a, b, period_frames).at(position)


def morph_along(
    model: bytes, a: Audio, b: Audio, positions: Positions, period_frames: int = 1024
) -> Audio:
    """``morph`` with a position for every frame."""
    return _Recordings(model, a, b, period_frames).along(positions)


class _Recordings:
    """Two recordings and the network that knows their colour."""

    def __init__(self, model: bytes, a: Audio, b: Audio, period_frames: int) -> None:
        self._a, self._b = a, b
        # What is quieter is noise, not a tone to be lifted to the other's level.
        self._levels = [max(rms_dbfs(tone), QUIETEST_DBFS) for tone in (a, b)]
        self._tones = [
            tone * np.float32(gain_from_db(LEVEL_DBFS - level))
            for tone, level in zip((a, b), self._levels, strict=True)
        ]
        self._period_frames = period_frames
        self._stage = StageModel(model, colour_of(*self._tones), period_frames)

    def at(self, position: float) -> Audio:
        positions = np.full(self._a.shape[1], position, np.float32)
        made = self._play(positions)
        return self._finished(made, positions, _makeup_db(made))

    def along(self, positions: Positions) -> Audio:
        inner = _MAKEUP_AT[1:-1]
        made = [self._play(np.full(positions.size, each, np.float32)) for each in inner]
        makeup_db = [0.0, *(_makeup_db(each) for each in made), 0.0]
        return self._finished(
            self._play(positions),
            positions,
            np.interp(positions, _MAKEUP_AT, makeup_db).astype(np.float32),
        )

    def _play(self, positions: Positions) -> Audio:
        """The network's output at its own level."""
        frames, period = positions.size, self._period_frames
        padded = np.zeros((4, -(-frames // period) * period), np.float32)
        padded[0, :frames], padded[1, :frames] = self._tones[0][0], self._tones[1][0]
        padded[2, :frames] = positions
        self._stage.reset()
        for start in range(0, padded.shape[1], period):
            a, b, position, target = padded[:, None, start : start + period]
            self._stage.process(a, b, position[0], target)
        return padded[3:, :frames]

    def _finished(self, made: Audio, positions: Positions, makeup_db: float | Audio) -> Audio:
        first, second = self._levels
        line_db = first + (second - first) * positions - LEVEL_DBFS + makeup_db
        target = made * (10.0 ** (line_db / 20.0)).astype(np.float32)
        select_ends(self._a, self._b, positions, target, np.empty(positions.size, np.bool_))
        return target


def _makeup_db(made: Audio) -> float:
    level = rms_dbfs(made)
    return LEVEL_DBFS - level if level > QUIETEST_DBFS else 0.0
