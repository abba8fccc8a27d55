"""Memoryless nonlinearities, by name: what clips in pedals and amplifiers.

Each is odd or uneven, goes to about ±1 for large input and has slope near 1 at rest. ``colour``,
0…1, sets what the kind leaves open: hardness, unevenness, bias.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal, special

from models.units import Audio

Wave = npt.NDArray[np.float32]
Shape = Callable[[Wave, float], Any]
"""From a wave and a colour to a wave; ``shaped`` settles the type."""


def _tanh(x: Wave, colour: float) -> Any:
    return np.tanh(x)


def _atan(x: Wave, colour: float) -> Any:
    return np.float32(2.0 / np.pi) * np.arctan(np.float32(np.pi / 2.0) * x)


def _hard(x: Wave, colour: float) -> Any:
    return np.clip(x, -1.0, 1.0)


def _cubic(x: Wave, colour: float) -> Any:
    bound = np.clip(x / 1.5, -1.0, 1.0)
    return 1.5 * (bound - bound * bound * bound / 3.0)


def _diodes(x: Wave, colour: float) -> Any:
    # A diode pair across the signal: logarithmic, never quite flat.
    steep = np.float32(2.0 + 6.0 * colour)
    return np.arcsinh(steep * x) / steep


def _uneven(x: Wave, colour: float) -> Any:
    # Two halves that clip at different heights, as with one diode against two.
    low = np.float32(0.3 + 0.5 * colour)
    return np.where(x > 0.0, np.tanh(x), low * np.tanh(x / low))


def _biased(x: Wave, colour: float) -> Any:
    bias = np.float32(0.2 + 0.6 * colour)
    return np.tanh(x + bias) - np.tanh(bias)


def _fuzz(x: Wave, colour: float) -> Any:
    # Clipped, with the octave of a rectifier mixed in.
    clipped = np.clip(x, -1.0, np.float32(0.5 + 0.4 * colour))
    return clipped + np.float32(0.3 * colour) * np.abs(clipped)


def _knee(x: Wave, colour: float) -> Any:
    # Linear up to a knee, then bent over to the rail.
    knee = np.float32(0.2 + 0.6 * colour)
    over = np.maximum(np.abs(x) - knee, 0.0)
    rest = 1.0 - knee
    return np.clip(x, -knee, knee) + np.sign(x) * rest * np.tanh(over / rest)


def _algebraic(x: Wave, colour: float) -> Any:
    return x / np.sqrt(1.0 + x * x)


def _error_function(x: Wave, colour: float) -> Any:
    return np.asarray(special.erf(np.float32(np.sqrt(np.pi) / 2.0) * x), np.float32)


def _quintic(x: Wave, colour: float) -> Any:
    bound = np.clip(x / 1.875, -1.0, 1.0)
    square = bound * bound
    return bound * (1.875 - square * (1.25 - 0.375 * square))


def _triode(x: Wave, colour: float) -> Any:
    # Cuts off softly on one side, grid current bends the other: exponential halves.
    soft = np.float32(0.4 + 0.5 * colour)
    return np.where(x > 0.0, soft * -np.expm1(-np.abs(x) / soft), np.expm1(-np.abs(x)))


def _softsign(x: Wave, colour: float) -> Any:
    return x / (1.0 + np.abs(x))


SHAPES: dict[str, Shape] = {
    "tanh": _tanh,
    "atan": _atan,
    "hard": _hard,
    "cubic": _cubic,
    "diodes": _diodes,
    "uneven": _uneven,
    "biased": _biased,
    "fuzz": _fuzz,
    "knee": _knee,
    "algebraic": _algebraic,
    "error-function": _error_function,
    "quintic": _quintic,
    "triode": _triode,
    "softsign": _softsign,
}

OVERSAMPLING = 2
_HALF_BAND = signal.firwin(63, 0.47, window=("kaiser", 8.0)).astype(np.float32)


def oversampled(sound: Audio) -> Wave:
    """The sound at 96 kHz, ``(2 · frames,)``, frame n at 2n."""
    up = signal.resample_poly(sound[0], OVERSAMPLING, 1, window=_HALF_BAND)
    return np.asarray(up, np.float32)


def back(wave: Wave) -> Audio:
    """From 96 kHz to ``(1, frames)``, aligned to the sample."""
    down = signal.resample_poly(wave, 1, OVERSAMPLING, window=_HALF_BAND)
    return np.asarray(down[None, :], np.float32)


def shaped(wave: Wave, kind: str, colour: float) -> Wave:
    """A wave through one of ``SHAPES``; raises ``KeyError`` for another name."""
    return np.asarray(SHAPES[kind](wave, colour), np.float32)
