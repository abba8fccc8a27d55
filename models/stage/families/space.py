"""Family `space`: long echoes and reverbs, mixed in from dry."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import signal

from models.quality import at_level
from models.stage.families.case import Case, Positions, make_case
from models.stage.families.drives import draw_tone
from models.stage.families.filters import Cabinets, Response
from models.stage.split import load
from models.units import RATE_HZ, Audio, gain_from_db

_LONGEST_S = 4.0
_BANDS_HZ = (60.0, 400.0, 2000.0, 8000.0)
_SILENT_DB = -60.0
_MOST_MAKE_UP_DB = 20.0


def noise_space(rng: np.random.Generator) -> Response:
    """A hall: noise that decays in 0.6 to 4 s, the treble sooner, after up to 60 ms."""
    decay_s, wait_s = float(rng.uniform(0.6, 4.0)), float(rng.uniform(0.0, 0.06))
    damping = float(rng.uniform(0.4, 0.9))
    times_s = np.arange(int(_LONGEST_S * RATE_HZ)) / RATE_HZ
    noise = rng.standard_normal(times_s.size)
    hall = np.zeros(times_s.size)
    for number, (low_hz, high_hz) in enumerate(pairwise(_BANDS_HZ)):
        band = signal.butter(1, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos")
        fall = np.power(10.0, _SILENT_DB / 20.0 * times_s / (decay_s * damping**number))
        hall += signal.sosfilt(band, noise) * fall
    wait = np.zeros(int(wait_s * RATE_HZ))
    return np.concatenate([wait, hall]).astype(np.float32)


def echo_space(rng: np.random.Generator) -> Response:
    """A tape echo: repeats 0.12 to 0.7 s apart, each duller and quieter than the one before."""
    step = int(rng.uniform(0.12, 0.7) * RATE_HZ)
    feedback = float(rng.uniform(0.2, 0.7))
    dull = signal.butter(1, (100.0, rng.uniform(1500.0, 6000.0)), "bandpass", fs=RATE_HZ)
    tape = np.zeros(int(_LONGEST_S * RATE_HZ))
    # One repeat's ring-down; it dies well before the next.
    repeat = np.zeros(2048)
    repeat[0] = 1.0
    for at in range(step, tape.size - repeat.size, step):
        repeat = signal.lfilter(*dull, repeat)
        tape[at : at + repeat.size] += repeat
        repeat = repeat * feedback
    return np.asarray(tape, np.float32)


class SpaceFamily:
    """The control is the wet sound's share in the mix, from none to much or all."""

    name = "space"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets, spaces: list[Path]) -> None:
        """``spaces`` are files, or the bare names "noise" and "echo" for what is made on the spot.

        Raises ``ModelError`` if a file cannot be read.
        """
        self._kinds, self._cabinets = kinds, cabinets
        self._spaces = [(space.stem, load(space)[0] if space.suffix else None) for space in spaces]

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random space around a random tone."""
        tone_name, tone = draw_tone(guitar, self._kinds, self._cabinets, rng)
        space_name, response = self._spaces[rng.integers(len(self._spaces))]
        if response is None:
            response = noise_space(rng) if space_name == "noise" else echo_space(rng)
        share = float(rng.uniform(0.3, 1.0))
        wet = _wet(tone, response)

        def tone_at(position: float) -> Audio:
            part = np.float32(share * position)
            return (1 - part) * tone + part * wet

        name = f"{space_name}, mix to {share:.2f}, {tone_name}"
        return make_case(self.name, name, tone_at, positions)


def _wet(tone: Audio, response: Response) -> Audio:
    """The space alone, as loud as the tone unless it has hardly begun to sound."""
    size = np.sqrt(np.sum(np.square(response, dtype=np.float64)))
    wet = signal.oaconvolve(tone[0], response / np.float32(size))[None, : tone.shape[1]]
    found = np.asarray(wet, np.float32)
    most = np.float32(gain_from_db(_MOST_MAKE_UP_DB))
    level = at_level(found)
    return level if np.abs(level).max() <= most * np.abs(found).max() else found * most
