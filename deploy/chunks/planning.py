"""Which way each file of a release comes: what is at hand already, and what has to be fetched.

A file is taken whole from a slot where one has it; else as its blobs, each from the store, from a
slot that holds the same stretch, or fetched; else as a difference onto a file of a slot, where that
means fetching less. What lies in a slot counts only once its bytes have been read and are right.
"""

import hashlib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.chunks.disk import hash_of, opened_inside, read_at
from deploy.chunks.store import Store
from deploy.release import Blob, Difference, Release, ReleaseFile


@dataclass(frozen=True)
class Base:
    """A slot at hand: its folder, and the release that it was made of."""

    folder: Path
    release: Release


@dataclass(frozen=True)
class Held:
    """A place in a slot: a file below its folder, and where in it."""

    folder: Path
    path: str
    offset: int = 0


@dataclass(frozen=True)
class Whole:
    """The same file lies in a slot."""

    held: Held


@dataclass(frozen=True)
class Pieces:
    """The file's blobs in order, each from a slot, or (None) from the store."""

    pieces: tuple[tuple[Blob, Held | None], ...]


@dataclass(frozen=True)
class Change:
    """A difference, from the store, onto a file in a slot."""

    held: Held
    difference: Difference


Way = Whole | Pieces | Change


@dataclass(frozen=True)
class Need:
    """What has to be fetched into the store before a plan can be carried out."""

    blobs: tuple[Blob, ...]
    """Each once, in the order in which they are used."""
    stored_bytes: int
    """Of those blobs, as they are fetched."""
    full_bytes: int
    """What a device with nothing would fetch; never less than ``stored_bytes``."""


@dataclass(frozen=True)
class Plan:
    """A way for every file of a release, in the release's order."""

    release: Release
    ways: tuple[Way, ...]
    need: Need

    @property
    def stored(self) -> frozenset[str]:
        """Every frame of the store that carrying it out reads: what ``keep_only`` must keep."""
        return frozenset(blob.stored_sha256 for way in self.ways for blob in _from_store(way))


def plan(release: Release, store: Store, bases: Sequence[Base], differences: bool = True) -> Plan:
    """The cheapest way to every file, with slots in the order in which they are preferred.

    Reads the slots' files that could be used. A slot's file that cannot be read, or holds something
    else than its release says, is as good as absent. With ``differences`` false none is used.
    """
    at_hand = _AtHand(bases)
    full = _unique(blob for file in release.files for blob in file.blobs)
    whole = [at_hand.file(file.sha256, file.bytes) for file in release.files]
    pieces: list[Way] = [
        Whole(held) if held else at_hand.pieces(file)
        for file, held in zip(release.files, whole, strict=True)
    ]
    ways = _cheapest(release, store, at_hand, pieces) if differences else pieces
    # Files may share blobs: what is less for each of them alone can be more for all together.
    if _cost(_need(ways, store)) >= _cost(_need(pieces, store)):
        ways = pieces
    need = _need(ways, store)
    return Plan(release, tuple(ways), Need(tuple(need), _cost(need), _cost(full)))


def _cheapest(
    release: Release, store: Store, at_hand: "_AtHand", pieces: Sequence[Way]
) -> list[Way]:
    """For each file its difference, where that means fetching less than its pieces."""
    ways = list(pieces)
    # What whole files and their pieces need anyway costs nothing the second time.
    fetched: set[str] = set()
    for index, file in enumerate(release.files):
        best = _missing(_from_store(ways[index]), store, fetched)
        for difference in file.differences if best else ():
            missing = _missing(difference.blobs, store, fetched)
            if _cost(missing) < _cost(best) and (
                held := at_hand.file(difference.base_sha256, difference.base_bytes)
            ):
                ways[index], best = Change(held, difference), missing
        fetched.update(blob.stored_sha256 for blob in best)
    return ways


def _from_store(way: Way) -> Iterable[Blob]:
    """The blobs of a way that come from the store."""
    if isinstance(way, Whole):
        return ()
    if isinstance(way, Change):
        return way.difference.blobs
    return tuple(blob for blob, held in way.pieces if held is None)


def _missing(
    blobs: Iterable[Blob], store: Store, fetched: Container[str] = frozenset()
) -> list[Blob]:
    """Those of the blobs that are neither in the store nor fetched anyway."""
    return [
        blob for blob in _unique(blobs) if blob.stored_sha256 not in fetched and not store.has(blob)
    ]


def _need(ways: Iterable[Way], store: Store) -> list[Blob]:
    return _missing((blob for way in ways for blob in _from_store(way)), store)


def _unique(blobs: Iterable[Blob]) -> list[Blob]:
    return list({blob.stored_sha256: blob for blob in blobs}.values())


def _cost(blobs: Iterable[Blob]) -> int:
    return sum(blob.stored_bytes for blob in blobs)


@dataclass
class _AtHand:
    """What the slots hold, by hash; each is read once, and counts if it is what it should be."""

    bases: Sequence[Base]
    _files: dict[str, list[tuple[Held, int]]] = field(default_factory=dict)
    _blobs: dict[str, list[Held]] = field(default_factory=dict)
    _right: dict[str, Held | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for base in self.bases:
            for file in base.release.files:
                held = Held(base.folder, file.path)
                self._files.setdefault(file.sha256, []).append((held, file.bytes))
                offset = 0
                for blob in file.blobs:
                    place = Held(base.folder, file.path, offset)
                    self._blobs.setdefault(blob.sha256, []).append(place)
                    offset += blob.bytes

    def file(self, sha256: str, length: int) -> Held | None:
        """Where a whole file lies."""
        key = f"file {sha256}"
        if key not in self._right:
            found = (held for held, size in self._files.get(sha256, ()) if size == length)
            self._right[key] = next((held for held in found if _is(held, sha256, None)), None)
        return self._right[key]

    def pieces(self, file: ReleaseFile) -> Pieces:
        """A file's blobs, with the places where they lie."""
        return Pieces(tuple((blob, self._blob(blob)) for blob in file.blobs))

    def _blob(self, blob: Blob) -> Held | None:
        if blob.sha256 not in self._right:
            found = self._blobs.get(blob.sha256, ())
            right = (held for held in found if _is(held, blob.sha256, blob.bytes))
            self._right[blob.sha256] = next(right, None)
        return self._right[blob.sha256]


def _is(held: Held, sha256: str, length: int | None) -> bool:
    """Whether a place holds what it should; without ``length``, the whole file."""
    try:
        with opened_inside(held.folder, held.path) as handle:
            if length is None:
                return hash_of(handle) == sha256
            piece = read_at(handle, held.offset, length)
            return hashlib.sha256(piece).hexdigest() == sha256
    except OSError:
        return False
