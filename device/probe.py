"""The phrase on which a preset's tones are tried before it is played."""

import functools
from collections.abc import Callable

import numpy as np

from device.files import resampled
from device.tools.riff import riff
from models.units import Audio

PROBE_PERIOD_FRAMES = 1024

_RIFF_HZ = 48000
_FADE_S = 0.010

PROBE_S = ((0.2, 1.2), (2.0, 2.7), (9.0, 10.0), (14.5, 15.5))
"""Pieces of the riff that are tried: picked strings, a chord that rings, palm mutes, a lead."""


@functools.lru_cache(maxsize=2)
def probe(rate_hz: int) -> Audio:
    """The phrase on which tones are tried, ``(1, frames)``: pieces of the riff, read-only."""
    phrase = resampled(_pieces(), _RIFF_HZ, rate_hz)
    phrase.setflags(write=False)
    return phrase


@functools.cache
def _pieces() -> Audio:
    whole = riff(_RIFF_HZ)
    ramp = np.linspace(0.0, 1.0, round(_FADE_S * _RIFF_HZ), dtype=np.float32)
    pieces = []
    for start_s, stop_s in PROBE_S:
        piece = whole[0, round(start_s * _RIFF_HZ) : round(stop_s * _RIFF_HZ)].copy()
        piece[: ramp.size] *= ramp
        piece[-ramp.size :] *= ramp[::-1]
        pieces.append(piece)
    return np.concatenate(pieces)[None, :]


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
