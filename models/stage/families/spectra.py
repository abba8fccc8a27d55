"""Families `eq` and `cabinet`: one sound, two linear colours, the spectrum between them in dB."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import fft

from models.minimum_phase import minimum_phase
from models.stage.families.case import Case, Positions, between, make_case
from models.stage.families.drives import draw_tone
from models.stage.families.filters import (
    LONGEST_IR_FRAMES,
    Cabinets,
    Response,
    convolved,
    filtered,
    random_bands,
    sections,
)
from models.units import Audio

_SPECTRUM_FRAMES = 4 * LONGEST_IR_FRAMES
_FLOOR = 1e-4
"""A cabinet's response is held at or above −80 dB of its strongest frequency."""

Cepstrum = npt.NDArray[np.float64]
"""Real cepstrum of a log-magnitude spectrum, ``(_SPECTRUM_FRAMES,)``."""


def cepstrum(response: Response) -> Cepstrum:
    """The cepstrum of a response's magnitude: linear in its decibels."""
    magnitude = np.abs(fft.rfft(response.astype(np.float64), _SPECTRUM_FRAMES))
    return np.asarray(fft.irfft(np.log(np.maximum(magnitude, _FLOOR * magnitude.max()))))


def least_delay(of: Cepstrum) -> Response:
    """The causal response of least delay with that magnitude, ``(LONGEST_IR_FRAMES,)``."""
    return np.asarray(minimum_phase(of)[:LONGEST_IR_FRAMES], np.float32)


class EqFamily:
    """The control is every band's gain in dB, from one setting to another."""

    name = "eq"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets) -> None:
        self._kinds, self._cabinets = kinds, cabinets

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """Random bands on a random tone."""
        tone_name, tone = draw_tone(guitar, self._kinds, self._cabinets, rng)
        low = random_bands(rng, 12.0)
        high = [replace(band, gain_db=float(rng.uniform(-12.0, 12.0))) for band in low]

        def tone_at(position: float) -> Audio:
            bands = [
                replace(one, gain_db=between(one.gain_db, other.gain_db, position))
                for one, other in zip(low, high, strict=True)
            ]
            return filtered(tone, sections(bands))

        return make_case(self.name, f"{len(low)} bands, {tone_name}", tone_at, positions)


class CabinetFamily:
    """One tone through two cabinets, both of minimum phase so that they are aligned.

    Between them lies the cabinet whose magnitude is linear in dB, of minimum phase too.
    """

    name = "cabinet"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets, without: Cabinets) -> None:
        """``without`` holds no cabinet: what the tone itself goes through."""
        self._kinds, self._cabinets, self._without = kinds, cabinets, without

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """Two different cabinets on a random tone."""
        tone_name, tone = draw_tone(guitar, self._kinds, self._without, rng)
        (one_name, one), (other_name, other) = self._cabinets.draw_two(rng)
        from_one, to_other = cepstrum(one), cepstrum(other)

        def tone_at(position: float) -> Audio:
            folded = (1.0 - position) * from_one + position * to_other
            return convolved(tone, least_delay(folded))

        return make_case(self.name, f"{one_name} → {other_name}, {tone_name}", tone_at, positions)
