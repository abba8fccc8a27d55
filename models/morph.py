"""The formulas that lie between two tones.

They live here, not in ``device``, so that what is evaluated is what ships.
"""

import numpy as np
import numpy.typing as npt

from models.units import Audio

Positions = npt.NDArray[np.float32]
"""Knob position of every frame, float32 in 0…1, shape ``(frames,)``."""


def crossfade(a: Audio, b: Audio, position: Positions, target: Audio) -> None:
    """Blend ``(1 − p)·a + p·b`` frame by frame into ``target``; ``a`` and ``b`` stay as they are.

    The law is linear in amplitude: both tones come from one performance and are correlated, so
    an equal-power law would swell in the middle. ``target`` must be neither ``a`` nor ``b``.
    The ends are not exact in floating point: call ``select_ends`` after it.
    """
    np.subtract(b, a, out=target)
    np.multiply(target, position, out=target)
    np.add(target, a, out=target)


def select_ends(
    a: Audio,
    b: Audio,
    position: Positions,
    target: Audio,
    scratch: npt.NDArray[np.bool_],
) -> None:
    """Put the tone itself, bit for bit, wherever the position is exactly 0 or exactly 1.

    No arithmetic with the other tone takes part there, so the other may hold NaN.
    ``scratch`` is a boolean array of ``position``'s shape.
    """
    np.less_equal(position, 0.0, out=scratch)
    np.copyto(target, a, where=scratch)
    np.greater_equal(position, 1.0, out=scratch)
    np.copyto(target, b, where=scratch)


def selected_end(position: Positions) -> int | None:
    """0 or 1 when the whole period rests at that end, else None.

    The position may rise and fall within a period (it may follow the playing), so every frame
    counts; a first frame between the ends decides at once.
    """
    first = position[0]
    if first <= 0.0 and position.max() <= 0.0:
        return 0
    if first >= 1.0 and position.min() >= 1.0:
        return 1
    return None
