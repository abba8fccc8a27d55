"""Which stretch of an older file each stretch of a newer one is like.

Three ways to see it, and the shortest difference decides. Tensors of an ONNX file are like those of
the same name and length, wherever they have moved. A file of the same length is like the older one,
place by place. And anything has stretches in common with what it was edited from: those are found
by hashes of short runs, and extended while more bytes agree than differ (C. Percival, *Naive
differences of executable code*, 2003), because what surrounds an equal run is mostly alike.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deploy.chunks.onnx_layout import tensors

RUN = 32
"""Bytes that must agree for a place to be looked at."""
_EVERY = 16
"""A run of the older file starts at every so many bytes, so one of ``RUN + 15`` is always found."""
_STRETCH = 256 << 10
_FACTOR = 0x9E3779B97F4A7C15
_SMALL_TENSOR = 512

Numbers = npt.NDArray[np.uint64]


class Stretch(NamedTuple):
    """Bytes ``start`` to ``end`` of the newer file."""

    start: int
    end: int
    shift: int | None
    """They are like the older file's bytes from ``start + shift``; None where like nothing."""
    kind: int = 0
    """ONNX's number of the element type, where they are a tensor."""


def alignments(base: bytes, new: bytes) -> list[list[Stretch]]:
    """Ways to see the newer file: each is stretches that together are all of it, in order."""
    runs, named = Runs(base, new), _by_tensors(base, new)
    ways = [runs.fill(named)] if named else []
    if 2 * sum(each.end - each.start for each in named) < len(new):
        # Looking for runs in weights that have all changed takes long and finds nothing.
        ways.append(runs.fill([]))
        if len(base) == len(new):
            ways.append([Stretch(0, len(new), 0)])
    return ways


def _by_tensors(base: bytes, new: bytes) -> list[Stretch]:
    """Tensors of both files that have the same name, type and length; small ones are no stretch."""
    older = {tensor.name: tensor for tensor in tensors(base)}
    stretches = []
    for tensor in tensors(new):
        same = older.get(tensor.name)
        length = tensor.end - tensor.start
        if length < _SMALL_TENSOR or same is None or same.data_type != tensor.data_type:
            continue
        if same.end - same.start == length:
            shift = same.start - tensor.start
            stretches.append(Stretch(tensor.start, tensor.end, shift, tensor.data_type))
    return sorted(stretches)


class Runs:
    """Runs that two files have in common."""

    def __init__(self, base: bytes, new: bytes) -> None:
        self._base, self._new = np.frombuffer(base, np.uint8), np.frombuffer(new, np.uint8)
        hashes = np.concatenate(
            [np.empty(0, np.uint64)]
            + [
                _hashes(self._base[at : at + _STRETCH + RUN - 1])[::_EVERY]
                for at in range(0, len(base), _STRETCH)
            ]
        )
        # The first place of a hash: a run that repeats (zeros) is taken where it begins.
        self._hashes, self._places = np.unique(hashes, return_index=True)

    def fill(self, known: Iterable[Stretch]) -> list[Stretch]:
        """Stretches for all of the newer file: those that are known, and what lies between."""
        size = len(self._new)
        filled: list[Stretch] = []
        edges = [Stretch(0, 0, 0), *known, Stretch(size, size, len(self._base) - size)]
        for before, after in pairwise(edges):
            filled += self._between(before, after)
            if after.end > after.start:
                filled.append(after)
        return filled

    def _between(self, before: Stretch, after: Stretch) -> list[Stretch]:
        """From the end of one stretch to the start of the next."""
        found = [before, *self._common(before.end, after.start), after]
        joined: list[Stretch] = [before]
        for stretch in found[1:]:
            joined += self._join(joined[-1], stretch)
            if stretch is not after:
                joined.append(stretch)
        return [each for each in _merged(joined[1:]) if each.end > each.start]

    def _join(self, left: Stretch, right: Stretch) -> list[Stretch]:
        """What lies between two stretches: more of the left, then nothing's, more of the right."""
        start, end = left.end, right.start
        if start == end:
            return []
        if left.shift == right.shift:
            return [Stretch(start, end, left.shift)]
        first = start + self._agree(start, end, left.shift)
        last = end - self._agree(first, end, right.shift, backwards=True)
        return [
            Stretch(start, first, left.shift),
            Stretch(first, last, None),
            Stretch(last, end, right.shift),
        ]

    def _agree(self, start: int, end: int, shift: int | None, backwards: bool = False) -> int:
        """How far to extend, so that most bytes agree."""
        if shift is None:
            return 0
        low, high = max(start, -shift), min(end, len(self._base) - shift)
        if low >= high or (low > start if not backwards else high < end):
            return 0
        agree = self._new[low:high] == self._base[low + shift : high + shift]
        if backwards:
            agree = agree[::-1]
        score = np.cumsum(np.where(agree, 1, -1))
        best = int(np.argmax(score))
        return best + 1 if score[best] > 0 else 0

    def _common(self, start: int, end: int) -> Iterator[Stretch]:
        """Equal runs in part of the newer file, in order, each as long as it goes."""
        at = start
        while at < end:
            stretch = self._new[at : min(at + _STRETCH + RUN - 1, end)]
            hashes = _hashes(stretch)
            if not len(hashes):
                return
            slots = np.searchsorted(self._hashes, hashes)
            slots[slots == len(self._hashes)] = 0
            known = self._hashes[slots] == hashes if len(self._hashes) else slots < 0
            done = at + len(hashes)
            reached = at
            for place in np.flatnonzero(known) + at:
                if place < reached:
                    continue
                older = int(self._places[slots[place - at]]) * _EVERY
                run = self._run(int(place), older, reached, end)
                if run is not None:
                    yield run
                    reached = run.end
            at = max(done, reached)

    def _run(self, place: int, older: int, low: int, high: int) -> Stretch | None:
        """The equal run around a place; None where only the hashes are equal."""
        shift = older - place
        length = _equal(self._new[place:high], self._base[older:])
        if length < RUN:
            return None
        back = _equal(self._new[low:place][::-1], self._base[:older][::-1])
        return Stretch(place - back, place + length, shift)


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Neighbours of one shift made one."""
    merged: list[Stretch] = []
    for stretch in stretches:
        last = merged[-1] if merged else None
        if last is not None and last.shift == stretch.shift and last.end == stretch.start:
            merged[-1] = Stretch(last.start, stretch.end, last.shift)
        else:
            merged.append(stretch)
    return merged


def _equal(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> int:
    """How many bytes two stretches have in common from their start."""
    length, step, at = min(len(one), len(other)), 256, 0
    while at < length:
        end = min(at + step, length)
        differ = one[at:end] != other[at:end]
        if differ.any():
            return at + int(np.argmax(differ))
        at, step = end, min(2 * step, 1 << 20)
    return length


def _hashes(stretch: npt.NDArray[np.uint8]) -> Numbers:
    """A hash of the ``RUN`` bytes that begin at each place which has so many behind it."""
    if len(stretch) < RUN:
        return np.empty(0, np.uint64)
    sums = stretch.astype(np.uint64)
    factor, reach = _FACTOR, 1
    while reach < RUN:
        sums = sums[:-reach] * np.uint64(factor) + sums[reach:]
        factor, reach = factor * factor % 2**64, 2 * reach
    return sums
