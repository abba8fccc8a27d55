"""Equalisers and cabinets as random, linear, minimum-delay pieces of a chain.

Biquads after R. Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from scipy import signal

from models.stage.split import load
from models.units import RATE_HZ, Audio

LONGEST_IR_FRAMES = 8192
"""A cabinet's impulse response is faded out here (0.17 s)."""

_ONSET_DB = -50.0

Sections = npt.NDArray[np.float64]
"""Second-order sections ``(count, 6)``."""

Response = npt.NDArray[np.float32]
"""An impulse response, ``(frames,)``, unit energy, from its onset on."""


@dataclass(frozen=True)
class Band:
    """One band of an equaliser: "low" and "high" shelves (slope by ``q``) or "peak"."""

    kind: str
    frequency_hz: float
    q: float
    gain_db: float

    def section(self) -> npt.NDArray[np.float64]:
        """Its biquad, ``(6,)``."""
        root = 10.0 ** (self.gain_db / 40.0)
        turn = 2.0 * np.pi * self.frequency_hz / RATE_HZ
        cosine, alpha = np.cos(turn), np.sin(turn) / (2.0 * self.q)
        if self.kind == "peak":
            numerator = [1.0 + alpha * root, -2.0 * cosine, 1.0 - alpha * root]
            denominator = [1.0 + alpha / root, -2.0 * cosine, 1.0 - alpha / root]
        else:
            sign = 1.0 if self.kind == "low" else -1.0
            up, down, bend = root + 1.0, root - 1.0, 2.0 * np.sqrt(root) * alpha
            numerator = [
                root * (up - sign * down * cosine + bend),
                sign * 2.0 * root * (down - sign * up * cosine),
                root * (up - sign * down * cosine - bend),
            ]
            denominator = [
                up + sign * down * cosine + bend,
                -sign * 2.0 * (down + sign * up * cosine),
                up + sign * down * cosine - bend,
            ]
        return np.asarray(np.array(numerator + denominator) / denominator[0])


def random_bands(rng: np.random.Generator, most_db: float) -> list[Band]:
    """Low shelf, one or two peaks and a high shelf, each at most ``most_db`` up or down."""

    def gain_db() -> float:
        return float(rng.uniform(-most_db, most_db))

    bands = [Band("low", _log_uniform(rng, 80.0, 400.0), 0.7, gain_db())]
    for _ in range(rng.integers(1, 3)):
        centre_hz, q = _log_uniform(rng, 200.0, 5000.0), _log_uniform(rng, 0.4, 2.5)
        bands.append(Band("peak", centre_hz, q, gain_db()))
    bands.append(Band("high", _log_uniform(rng, 1500.0, 7000.0), 0.7, gain_db()))
    return bands


def sections(bands: list[Band]) -> Sections:
    """An equaliser's sections."""
    return np.stack([band.section() for band in bands])


def low_cut(frequency_hz: float) -> Sections:
    """A first-order high-pass, as between two stages of an amplifier."""
    return np.asarray(signal.butter(1, frequency_hz, "highpass", fs=RATE_HZ, output="sos"))


def random_low_cut(rng: np.random.Generator) -> Sections:
    """What tightens the bass before a drive: 30 to 300 Hz."""
    return low_cut(_log_uniform(rng, 30.0, 300.0))


def filtered(sound: Audio, *stages: Sections) -> Audio:
    """The sound through sections, causal, from rest."""
    return np.asarray(signal.sosfilt(np.concatenate(stages), sound, axis=-1), np.float32)


def read_cabinet(file: Path) -> Response:
    """A cabinet's impulse response at 48 kHz. Raises ``ModelError`` if it cannot be read."""
    response = load(file)[0]
    loud = np.flatnonzero(np.abs(response) > np.abs(response).max() * 10.0 ** (_ONSET_DB / 20.0))
    return _trimmed(response[loud[0] if loud.size else 0 :])


def resized(cabinet: Response, factor: float) -> Response:
    """The same box ``factor`` times as large: every resonance moved down by it."""
    return _trimmed(soxr.resample(cabinet, RATE_HZ, RATE_HZ * factor))


def convolved(sound: Audio, response: Response) -> Audio:
    """The sound through an impulse response, ``(1, frames)`` as before, no delay."""
    whole = signal.oaconvolve(sound[0], response)[: sound.shape[1]]
    return np.asarray(whole[None, :], np.float32)


class Cabinets:
    """The cabinets of one side of the split; for training also in other sizes."""

    def __init__(self, files: list[Path], resize: bool) -> None:
        """Read them all. Raises ``ModelError`` if one cannot be read."""
        self._responses = [(file.stem, read_cabinet(file)) for file in files]
        self._resize = resize

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [name for name, _ in self._responses]

    def named(self, name: str) -> Response:
        """One of them, as it is."""
        return dict(self._responses)[name]

    def draw(self, rng: np.random.Generator) -> tuple[str, Response]:
        """One of them at random."""
        return self._drawn(int(rng.integers(len(self._responses))), rng)

    def _drawn(self, which: int, rng: np.random.Generator) -> tuple[str, Response]:
        name, response = self._responses[which]
        if self._resize and rng.random() < 0.6:
            factor = float(rng.uniform(0.75, 1.33))
            return f"{name} × {factor:.2f}", resized(response, factor)
        return name, response

    def draw_two(self, rng: np.random.Generator) -> list[tuple[str, Response]]:
        """Two different ones in random order. Raises ``ValueError`` if there are fewer."""
        picked = rng.choice(len(self._responses), 2, replace=False)
        return [self._drawn(int(which), rng) for which in picked]

    def draw_or_none(self, rng: np.random.Generator) -> tuple[str, Response | None]:
        """One of them, or a quarter of the time (always, if there is none) the bare sound."""
        if not self._responses or rng.random() < 0.25:
            return "no cabinet", None
        return self.draw(rng)


def through(sound: Audio, cabinet: Response | None) -> Audio:
    """The sound through a cabinet, if there is one."""
    return sound if cabinet is None else convolved(sound, cabinet)


def _trimmed(response: npt.NDArray[np.float32]) -> Response:
    response = np.array(response[:LONGEST_IR_FRAMES], np.float32)
    fade = response.size // 8
    response[response.size - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return np.asarray(response / np.sqrt(np.sum(np.square(response))), np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
