"""What a model is tried on, and how what it makes of it is measured."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from device.probe import probe
from models.path.tone import loudness_lufs
from models.quality import spectra
from models.stage.model import LEVEL_DBFS
from models.units import Audio, gain_from_db, rms_dbfs

WINDOW_S = 0.05
"""Of momentary levels: what an ear hears as one."""
SHORT_S = 1.5
"""Of the riff where its beginning says enough."""
REST_S = 0.3
"""Of silence behind the phrase: what hums or howls by itself does so here."""

_WARM_UP, _BLOCK, _ROUNDS = 20, 50, 3
_TIMED_S, _FEWEST_PERIODS, _MOST_PERIODS = 0.3, 40, 600

Step = Callable[[int], None]
"""Plays the period of that number."""


def guitar(rate_hz: int, seconds: float | None = None) -> Audio:
    """The project's own riff, ``(1, frames)``; the same bits every time.

    3.7 s of it or less, in pieces: picked strings, a chord, palm mutes, a lead.
    """
    phrase = probe(rate_hz)
    return phrase if seconds is None else phrase[:, : round(seconds * rate_hz)]


def driven(rate_hz: int, seconds: float | None = None) -> tuple[Audio, Audio]:
    """The riff, or its beginning, clean and driven, at the stage network's level."""
    clean = _resting(rate_hz, seconds)
    return at_level(clean), at_level(np.tanh(40.0 * clean))


def pairs(rate_hz: int) -> Mapping[str, tuple[Audio, Audio]]:
    """Pairs of tones of the riff's beginning ``(1, frames)``, at the same level, by name.

    Clean against driven; against dull; against its own negative, of which nothing is left half
    way; and against nothing at all.
    """
    clean = _resting(rate_hz, SHORT_S)
    dull = np.convolve(clean, np.hanning(48) / np.hanning(48).sum())[: clean.size]
    first = at_level(clean)
    return {
        "driven": driven(rate_hz, SHORT_S),
        "dull": (first, at_level(dull)),
        "negative": (first, np.ascontiguousarray(-first)),
        "silent": (first, np.zeros_like(first)),
    }


def _resting(rate_hz: int, seconds: float | None) -> Audio:
    """The riff and a rest, ``(frames,)``."""
    return np.pad(guitar(rate_hz, seconds)[0], (0, round(REST_S * rate_hz)))


def at_level(sound: Audio) -> Audio:
    """A sound ``(frames,)`` at the level that the network was trained at, ``(1, frames)``."""
    row = np.asarray(sound, np.float32)[None]
    return row * np.float32(gain_from_db(LEVEL_DBFS - rms_dbfs(row)))


def momentary_dbfs(sound: Audio, rate_hz: int) -> Audio:
    """RMS of each ``WINDOW_S`` of a sound ``(1, frames)``, dBFS, ``(windows,)``."""
    window = round(WINDOW_S * rate_hz)
    count = sound.shape[1] // window
    power = np.mean(np.square(sound[0, : count * window], dtype=np.float64).reshape(count, -1), 1)
    return np.asarray(10.0 * np.log10(power + 1e-20), np.float32)


def excess_db(made: Audio, ends: Sequence[Audio], rate_hz: int, quiet_dbfs: float) -> float:
    """By how much a sound is louder than the louder of the ends, at its worst moment, dB.

    What is quieter than ``quiet_dbfs`` is not loud, whatever the ends are. An end counts for a
    window longer than it sounds: levels follow it with a delay.
    """
    frames = made.shape[1]
    loudest = np.maximum.reduce([momentary_dbfs(end[:, :frames], rate_hz) for end in ends])
    loudest[1:] = np.maximum(loudest[1:], loudest[:-1])
    return float(np.max(momentary_dbfs(made, rate_hz) - np.maximum(loudest, quiet_dbfs)))


def loudness(sound: Audio, rate_hz: int) -> float:
    """Loudness of a sound ``(1, frames)``, LUFS (ITU-R BS.1770-4)."""
    return float(loudness_lufs(spectra(np.nan_to_num(sound)), rate_hz))


def p99_s(steps: Mapping[str, Step]) -> dict[str, float]:
    """What a period takes of a processor at the 99th percentile, s, each step by its name.

    Thread time, which other work on the machine does not lengthen; taken by turns, so that what
    disturbs one disturbs all; the best of three rounds, because disturbances only add. What is
    slow is timed for fewer periods.
    """
    slowest = max(max(_taken_s(step, 0, _WARM_UP)) for step in steps.values())
    periods = int(min(max(_TIMED_S / slowest, _FEWEST_PERIODS), _MOST_PERIODS))
    best: dict[str, float] = {}
    for _ in range(_ROUNDS):
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for start in range(0, periods, _BLOCK):
            for name, step in steps.items():
                taken[name] += _taken_s(step, start, min(start + _BLOCK, periods))
        for name, times in taken.items():
            value = float(np.percentile(times, 99.0))
            best[name] = min(best.get(name, value), value)
    return best


def _taken_s(step: Step, start: int, stop: int) -> list[float]:
    times = []
    for index in range(start, stop):
        begin = time.thread_time_ns()
        step(index)
        times.append(1e-9 * (time.thread_time_ns() - begin))
    return times
