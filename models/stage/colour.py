"""What both tones sound like on average, taken out before the network and put back behind it.

A cabinet leaves treble 60 dB below the rest. What a network adds is spread more evenly than
that, so the treble of everything it adds would be wrong. So the network hears both tones
through a filter that evens their common long-term spectrum out, and what it adds goes through
the inverse. Both filters are minimum phase (Oppenheim & Schafer, Discrete-Time Signal
Processing, the real cepstrum): they add no latency.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.minimum_phase import faded, minimum_phase
from models.units import RATE_HZ, Audio

WHITEN_TAPS, SHAPE_TAPS = 256, 512
TRAIT_BANDS, TRAIT_ROWS = 16, 4
_FFT_FRAMES = 4096
_COHERENCE_FRAMES = (1024, 8192)
_MOST_WINDOWS = 2000
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 18_000.0
_RANGE_DB = 70.0  # below this under the loudest band a recording holds noise, not tone
_SMOOTH_BINS = 9  # about 100 Hz at 48 kHz: no single note is taken for the tone's colour

Taps = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Colour:
    """The pair of filters for one pair of tones."""

    whiten: Taps
    """``(WHITEN_TAPS,)``, newest tap first: brings both tones to an even spectrum, RMS about 1."""
    shape: Taps
    """``(SHAPE_TAPS,)``, newest tap first: the inverse."""
    traits: Taps
    """``(TRAIT_ROWS, 2·TRAIT_BANDS)``. Of A, of B and of their difference: how loud each part of
    the evened-out spectrum is on average, and how much that varies, in units of 20 dB: an amp
    that is driven hard varies little. Last, how coherent the two are over 21 and over 171 ms: a
    drive makes partials that the other tone has not, an equaliser none, a reverb is coherent
    only if one waits for it."""

    @classmethod
    def plain(cls) -> "Colour":
        """No colour: both filters pass everything."""
        whiten, shape = np.zeros(WHITEN_TAPS, np.float32), np.zeros(SHAPE_TAPS, np.float32)
        whiten[0] = shape[0] = 1.0
        return cls(whiten, shape, np.zeros((TRAIT_ROWS, 2 * TRAIT_BANDS), np.float32))


def colour_of(a: Audio, b: Audio) -> Colour:
    """The colour of two tones of one performance, ``(1, frames)`` at −20 dBFS RMS."""
    powers = [_powers(tone) for tone in (a, b, a - b)]
    levels = np.mean([_level_db(power.mean(axis=0)) for power in powers[:2]], axis=0)
    levels = np.maximum(levels, levels.max() - _RANGE_DB)
    evened = 10.0 ** (-levels / 10.0)
    return Colour(
        whiten=_taps(-levels, WHITEN_TAPS),
        shape=_taps(levels, SHAPE_TAPS),
        traits=np.array(
            [*(_traits(power * evened) for power in powers), _coherence(a, b)], np.float32
        ),
    )


def _traits(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean and spread of each band's level over time, in units of 20 dB."""
    levels = 0.5 * np.log10(_banded(power, _FFT_FRAMES) + 1e-4)
    # Rests and silence say nothing about the tone.
    playing = levels[power.mean(axis=1) >= 0.03 * power.mean()]
    if not len(playing):
        playing = levels
    return np.concatenate([playing.mean(axis=0), playing.std(axis=0)])


def _coherence(a: Audio, b: Audio) -> npt.NDArray[np.float64]:
    """Magnitude-squared coherence by band (Carter, Knapp & Nuttall 1973), short and long, 0…1."""
    rows = []
    for frames in _COHERENCE_FRAMES:
        first, second = (_short_spectra(tone, frames) for tone in (a, b))
        cross = np.abs(np.mean(first.conj() * second, axis=0)) ** 2
        auto = np.mean(np.abs(first) ** 2, axis=0) * np.mean(np.abs(second) ** 2, axis=0)
        rows.append(_banded((cross / (auto + 1e-12))[None], frames)[0])
    return np.concatenate(rows)


def _banded(values: npt.NDArray[np.float64], fft_frames: int) -> npt.NDArray[np.float64]:
    """Means of ``(times, bins)`` over bands of even width to the ear, ``(times, TRAIT_BANDS)``."""
    hz = even_to_the_ear(_LOWEST_HZ, _HIGHEST_HZ, TRAIT_BANDS + 1)
    bins = np.round(hz * fft_frames / RATE_HZ).astype(int)
    bins = np.maximum(bins, bins[0] + np.arange(bins.size))
    means: npt.NDArray[np.float64] = np.add.reduceat(values, bins, axis=1)[:, :-1] / np.diff(bins)
    return means


def even_to_the_ear(lowest_hz: float, highest_hz: float, count: int) -> npt.NDArray[np.float64]:
    """Frequencies in Hz in even steps of the ear's scale: Glasberg & Moore 1990."""
    low, high = (float(21.4 * np.log10(1.0 + 0.00437 * hz)) for hz in (lowest_hz, highest_hz))
    steps: npt.NDArray[np.float64] = np.linspace(low, high, count)
    return (10.0 ** (steps / 21.4) - 1.0) / 0.00437


def _powers(tone: Audio) -> npt.NDArray[np.float64]:
    """Short-time power ``(times, bins)``, such that white noise of RMS 1 has power 1."""
    power: npt.NDArray[np.float64] = np.abs(_short_spectra(tone, _FFT_FRAMES)) ** 2
    return power


def _short_spectra(tone: Audio, frames: int) -> npt.NDArray[np.complex128]:
    """Hann-windowed spectra ``(times, bins)``, a quarter window apart or more; see ``_powers``."""
    mono = np.asarray(tone[0], np.float64)
    if mono.size < frames:
        mono = np.pad(mono, (0, frames - mono.size))
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frames) / frames)
    # Of a long recording, windows spread over all of it: an hour costs no more than a minute.
    step = max(frames // 4, mono.size // _MOST_WINDOWS)
    pieces = np.lib.stride_tricks.sliding_window_view(mono, frames)[::step]
    made: npt.NDArray[np.complex128] = np.fft.rfft(pieces * window / np.sqrt(np.sum(window**2)))
    return made


def _level_db(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Power in dB, ``(bins,)``, smoothed."""
    around = np.pad(power, _SMOOTH_BINS // 2, mode="reflect")
    smooth = np.convolve(around, np.full(_SMOOTH_BINS, 1.0 / _SMOOTH_BINS), "valid")
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(smooth + 1e-12)
    return levels


def _taps(levels_db: npt.NDArray[np.float64], count: int) -> Taps:
    """The causal filter of least delay with these levels, ``(count,)``."""
    cepstrum = np.fft.irfft(levels_db * (np.log(10.0) / 20.0))
    return faded(minimum_phase(cepstrum)[:count]).astype(np.float32)
