"""How the steps between two stretches of the same length are written, so that zstd can pack them.

Weights that were trained a little further, then quantised again, have mostly moved by no step or
one. Left one to a byte, zstd's Huffman code cannot spend less than a bit on each; so several steps
share a byte here, and a step that is too large for its digit follows behind. Floating point is
compared as whole numbers in order of size, and its bytes go by rank: the upper ones are mostly
zero then, the lower ones noise.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Coded(Protocol):
    """One way to write what makes ``newer`` out of ``older``, both of the same length."""

    def encode(self, older: bytes, newer: bytes) -> bytes | None:
        """The payload; None where this way does not fit."""

    def decode(self, older: bytes, payload: bytes) -> bytes:
        """The newer stretch. Raises ``ValueError`` where ``payload`` is no such thing."""


class Steps:
    """A byte for each byte: newer − older, modulo 256."""

    def encode(self, older: bytes, newer: bytes) -> bytes:
        """The differences."""
        return (_array(newer) - _array(older)).tobytes()

    def decode(self, older: bytes, payload: bytes) -> bytes:
        """Add them."""
        if len(payload) != len(older):
            raise ValueError("a stretch has another length than it says")
        return (_array(older) + _array(payload)).tobytes()


class Digits:
    """Several steps to a byte, each a digit below ``radix``: 0, +1, −1, +2, …, "see behind".

    The payload is ``ceil(n / count)`` bytes of digits, first one lowest, then the steps that found
    no digit, a byte each.
    """

    def __init__(self, radix: int, count: int) -> None:
        self._radix, self._count = radix, count
        ranks = np.arange(radix - 1)
        steps = np.where(ranks % 2 == 1, (ranks + 1) // 2, -(ranks // 2))
        self._digit_of = np.full(256, radix - 1, np.uint8)
        self._digit_of[steps % 256] = ranks
        self._step_of = np.append(steps % 256, 0).astype(np.uint8)
        self._weights = (radix ** np.arange(count)).astype(np.uint16)
        # Bytes above the largest make digits too, so no payload is out of range.
        self._digits = (np.arange(256)[:, None] // self._weights % radix).astype(np.uint8)

    def encode(self, older: bytes, newer: bytes) -> bytes:
        """Digits, then what is too large for one."""
        steps = _array(newer) - _array(older)
        digits = self._digit_of[steps]
        behind = steps[digits == self._radix - 1]
        padded = np.pad(digits, (0, -len(digits) % self._count)).reshape(-1, self._count)
        return (padded @ self._weights).astype(np.uint8).tobytes() + behind.tobytes()

    def decode(self, older: bytes, payload: bytes) -> bytes:
        """Digits to steps, and add them."""
        packed = _array(payload)
        length = -(-len(older) // self._count)
        digits = self._digits[packed[:length]].reshape(-1)[: len(older)]
        behind = packed[length:]
        escaped = digits == self._radix - 1
        if len(packed) < length or np.count_nonzero(escaped) != len(behind):
            raise ValueError("a stretch's digits and what follows them do not agree")
        steps = self._step_of[digits]
        steps[escaped] = behind
        return (_array(older) + steps).tobytes()


class Ranks:
    """Numbers of 2 or 4 bytes in floating point, little-endian: differences of their ranks.

    A float's rank is its place among all floats in order. Differences are written without a sign
    (0, −1, +1, −2, …), those of the smallest older floats first, by exponent, because the same
    change is many ranks to a small one and few to a large one; and all their lowest bytes before
    the next.
    """

    def __init__(self, width: int, exponent_bit: int) -> None:
        self._width, self._exponent_bit = width, exponent_bit
        self._kind = np.dtype(f"<u{width}")
        self._top = self._kind.type(1 << (8 * width - 1))

    def encode(self, older: bytes, newer: bytes) -> bytes | None:
        """Planes of differences; None where the length is no multiple of the width."""
        if len(newer) % self._width:
            return None
        difference = self._rank(self._bits(newer)) - self._rank(self._bits(older))
        sign = self._kind.type(0) - (difference >> self._kind.type(8 * self._width - 1))
        folded = (difference << self._kind.type(1)) ^ sign
        ordered = folded[self._order(self._bits(older))]
        return ordered.view(np.uint8).reshape(-1, self._width).T.tobytes()

    def decode(self, older: bytes, payload: bytes) -> bytes:
        """Planes to differences, and add them."""
        if len(payload) != len(older) or len(older) % self._width:
            raise ValueError("a stretch of floats has another length than it says")
        planes = np.ascontiguousarray(_array(payload).reshape(self._width, -1).T)
        bits = self._bits(older)
        folded = np.empty_like(bits)
        folded[self._order(bits)] = planes.view(self._kind).reshape(-1)
        sign = self._kind.type(0) - (folded & self._kind.type(1))
        rank = self._rank(bits) + ((folded >> self._kind.type(1)) ^ sign)
        # The upper half are the positive ones.
        return np.where(rank & self._top, rank ^ self._top, ~rank).astype(self._kind).tobytes()

    def _bits(self, content: bytes) -> npt.NDArray[np.unsignedinteger]:
        return np.frombuffer(content, self._kind)

    def _rank(self, bits: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
        return np.where(bits & self._top, ~bits, bits | self._top)

    def _order(self, bits: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.intp]:
        exponents = (bits & ~self._top) >> self._kind.type(self._exponent_bit)
        return np.argsort(exponents.astype(np.uint8), kind="stable")


def _array(content: bytes) -> Bytes:
    return np.frombuffer(content, np.uint8)


CODES: Mapping[int, Coded] = MappingProxyType(
    {
        8: Steps(),
        9: Digits(2, 8),
        10: Digits(4, 4),
        11: Digits(6, 3),
        12: Digits(16, 2),
        13: Ranks(2, 10),
        14: Ranks(4, 23),
        15: Digits(3, 5),
    }
)
"""By the number that stands in the patch; a number is never given to another."""
