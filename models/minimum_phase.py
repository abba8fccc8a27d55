"""Filters of least delay: from how loud each frequency is to be, to the taps that make it so."""

import numpy as np
import numpy.typing as npt

Taps = npt.NDArray[np.float64]


def minimum_phase(cepstrum: Taps) -> Taps:
    """The causal response of least delay whose log magnitude has this real cepstrum, as long as it.

    The cepstrum folded onto positive time: Oppenheim & Schafer, Discrete-Time Signal Processing,
    1989, 12.7. ``(frames,)``, an even number of them.
    """
    folded, half = cepstrum.copy(), cepstrum.size // 2
    folded[1:half] *= 2.0
    folded[half + 1 :] = 0.0
    return np.fft.irfft(np.exp(np.fft.rfft(folded)))


def faded(taps: Taps) -> Taps:
    """The last quarter faded out, so that cutting a response off does not ring."""
    quarter = taps.size // 4
    taps = taps.copy()
    taps[-quarter:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(quarter) / quarter)
    return taps
