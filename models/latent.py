"""What lies between two latents, and what is made of three.

A latent is a vector over the second axis from the end: ``(…, channels, times)``. The article
(Chen et al., *Guitar Tone Morphing by Diffusion-based Model*, arXiv 2510.07908) goes from one tone
to the other on the sphere, vector by vector.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Position = float | npt.NDArray[np.floating]
"""0 (first) … 1 (second); an array has one for each vector and broadcasts to ``(…, times)``."""

_CLOSE = 1e-6
"""Length of the sum or difference of two unit vectors below which it has no direction."""


def slerp(a: Array, b: Array, position: Position, out: Array | None = None) -> Array:
    """Spherical interpolation of each vector of ``a`` and ``b``, both ``(…, channels, times)``.

    The direction moves along the great circle at constant angular speed (Shoemake, *Animating
    Rotation with Quaternion Curves*, SIGGRAPH 1985), the norm linearly. At and beyond the ends it
    is ``a`` or ``b`` itself, bit for bit, whatever the other holds. Where no great circle is given:

    - parallel vectors are interpolated linearly, which is the limit;
    - a zero vector takes the direction of the other, so only the norm moves; two zeros give zero;
    - opposite vectors go over the coordinate axis they are most square to, so the norm stays.

    Each is continuous in the position, and swapping ``a`` with ``b`` and p with 1 − p changes
    nothing. Scale-free. ``out`` may be neither ``a`` nor ``b``. ``channels`` is 2 or more.
    """
    place = np.asarray(position, np.float64)
    if place.ndim:
        place = np.expand_dims(np.broadcast_to(place, a.shape[:-2] + a.shape[-1:]), -2)
    norm_a, unit_a = _split(a)
    norm_b, unit_b = _split(b)
    unit_a = np.where(norm_a > 0.0, unit_a, unit_b)
    unit_b = np.where(norm_b > 0.0, unit_b, unit_a)
    # Both units in the basis of their middle and their difference, which are at right angles:
    # well conditioned at every angle, unlike sin((1 − p)·θ) / sin θ.
    along, across = unit_a + unit_b, unit_a - unit_b
    length_along, length_across = _norm(along), _norm(across)
    angle = 2.0 * np.arctan2(length_across, length_along)
    turn = (0.5 - place) * angle
    opposite = length_along < _CLOSE
    middle = np.where(opposite, _square_to(across), along / np.maximum(length_along, _CLOSE))
    # For two zeros middle is some axis, and the norm 0.
    parallel = length_across < _CLOSE
    share = np.where(parallel, 0.5 - place, np.sin(turn) / np.maximum(length_across, _CLOSE))
    result = np.cos(turn) * middle + share * across
    result *= (1.0 - place) * norm_a + place * norm_b
    if out is None:
        out = np.empty_like(a)
    np.copyto(out, result, casting="same_kind")
    np.copyto(out, a, where=place <= 0.0)
    np.copyto(out, b, where=place >= 1.0)
    return out


def arithmetic(b: Array, a: Array, c: Array, out: Array | None = None) -> Array:
    """What ``c`` becomes by the change from ``a`` to ``b``: b − a + c.

    With a clean and a driven take of one phrase as ``a`` and ``b`` it is ``c`` with more drive.
    Shapes broadcast; the result may leave the latents' −1 … 1. ``out`` may be ``c``.
    """
    return np.add(np.subtract(b, a), c, out=out)


def direction(a: Array, b: Array) -> Array:
    """The change from ``a`` to ``b`` as one vector: mean over times, ``(…, channels, 1)``."""
    return np.asarray(np.mean(np.subtract(b, a), axis=-1, keepdims=True, dtype=np.float64), a.dtype)


def _norm(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.sqrt(np.sum(np.square(vectors), axis=-2, keepdims=True)))


def _split(vectors: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Norms ``(…, 1, times)`` and unit vectors; a zero vector stays zero."""
    wide = vectors.astype(np.float64)
    norm = _norm(wide)
    return norm, wide / np.where(norm > 0.0, norm, 1.0)


def _square_to(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unit vectors at right angles to each, the same for a vector and its negative."""
    unit = vectors / np.maximum(_norm(vectors), _CLOSE)
    axis = np.argmin(np.abs(unit), axis=-2, keepdims=True)
    least = np.take_along_axis(unit, axis, axis=-2)
    square = -least * unit
    np.put_along_axis(square, axis, 1.0 - least * least, axis=-2)
    return np.asarray(square / _norm(square))
