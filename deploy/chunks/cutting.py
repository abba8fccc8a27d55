"""Cutting a file where its content says so, so that an insertion moves no other cut.

A gear hash runs over the file; its value at a byte depends on the 32 bytes up to there alone.
Where its upper bits are zero a chunk may end: one bit more is asked for while a chunk is short and
one less when it is long, which draws the lengths together ("normalised chunking", W. Xia et al.,
*FastCDC*, USENIX ATC 2016). The hash is a sum of shifted table entries, so 32 of them come from
five doublings over a whole array: fast enough in NumPy.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from deploy.chunks.frames import STORED_BYTES, pack
from deploy.release import Blob

SHORTEST = 32 << 10
USUAL = 64 << 10
LONGEST = STORED_BYTES
"""So that no frame is longer than a link that drops often lets through."""

_WINDOW = 32
_STRETCH = 4 << 20
_BITS = 15
"""One cut in 32 KiB, which together with the shortest makes the usual length."""

_GEAR = np.array(
    [
        int.from_bytes(hashlib.sha256(b"purga gear %d" % byte).digest()[:4], "big")
        for byte in range(256)
    ],
    np.uint32,
)


def split(content: bytes) -> list[tuple[Blob, bytes]]:
    """A file's chunks in order, each with its frame; none for an empty file.

    All but the last have ``SHORTEST`` to ``LONGEST`` bytes. The same bytes give the same chunks.
    """
    view = memoryview(content)
    return [pack(view[start:end]) for start, end in spans(content)]


def spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each chunk."""
    strict, loose = _candidates(content)
    start = 0
    while start < len(content):
        end = min(start + LONGEST, len(content))
        if end - start > SHORTEST:
            usual = min(start + USUAL, end)
            end = _first(strict, start + SHORTEST, usual) or _first(loose, usual, end) or end
        yield start, end
        start = end


def _first(cuts: npt.NDArray[np.int64], low: int, high: int) -> int | None:
    """The first cut from ``low`` to ``high``, that one not included."""
    at = int(np.searchsorted(cuts, low))
    return int(cuts[at]) if at < len(cuts) and cuts[at] < high else None


def _candidates(content: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where a chunk may end: by the hash that asks for more, and by the one that asks for less."""
    whole = np.frombuffer(content, np.uint8)
    strict: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    loose: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    for start in range(0, len(whole), _STRETCH):
        before = min(start, _WINDOW - 1)
        hashes = _hashes(whole[start - before : start + _STRETCH])[before:]
        ends = np.flatnonzero(hashes >> np.uint32(32 - (_BITS - 1)) == 0) + (start + 1)
        loose.append(ends)
        strict.append(ends[hashes[ends - (start + 1)] >> np.uint32(32 - (_BITS + 1)) == 0])
    return np.concatenate(strict), np.concatenate(loose)


def _hashes(stretch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """The gear hash at each byte: the sum of the last 32 entries, each shifted by its age."""
    sums = _GEAR[stretch]
    reach = 1
    while reach < _WINDOW:
        older = sums[:-reach] << np.uint32(reach)
        sums[reach:] += older
        reach *= 2
    return sums
