"""The phrase on which a preset's tones are tried before it is played."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from device.files import read_sound_at
from models.units import Audio

PROBE_FILE = Path(__file__).parent / "probe.flac"
"""Pieces of the riff (``device.tools.material``). It lies here as a file, because to play the riff
takes a fifth of what it takes to prepare a preset."""

PROBE_PERIOD_FRAMES = 4096
"""Nobody waits for a period here, and long ones cost less."""


@functools.lru_cache(maxsize=2)
def probe(rate_hz: int) -> Audio:
    """The phrase on which tones are tried, ``(1, frames)``, read-only.

    Raises ``AudioFileError`` where its file cannot be read.
    """
    phrase = read_sound_at(PROBE_FILE, rate_hz, [])
    phrase.setflags(write=False)
    return phrase


def played(play: Callable[[Audio, Audio], None], phrase: Audio, late: int) -> Audio:
    """All of ``phrase`` ``(rows, frames)`` played by periods, ``late`` frames taken out."""
    frames = phrase.shape[1]
    periods = -(-(frames + late) // PROBE_PERIOD_FRAMES)
    guitar = np.zeros((len(phrase), periods * PROBE_PERIOD_FRAMES), np.float32)
    guitar[:, :frames] = phrase
    heard = np.zeros((1, guitar.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for start in range(0, guitar.shape[1], PROBE_PERIOD_FRAMES):
            piece = slice(start, start + PROBE_PERIOD_FRAMES)
            play(guitar[:, piece], heard[:, piece])
    return heard[:, late : late + frames]
