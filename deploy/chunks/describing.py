"""The publisher's side: a file as the release names it, and the frames that go into the store."""

import hashlib
from collections.abc import Iterable, Sequence

from deploy.chunks.cutting import spans, split
from deploy.chunks.difference import difference
from deploy.chunks.frames import pack_all
from deploy.release import Blob, Difference, ReleaseFile

Frames = dict[str, bytes]
"""Frames by ``stored_sha256``."""

WORTH_BYTES = 2000
"""What a difference must save a pedal that holds its older file: each makes the signed release file
half a kilobyte longer, for every pedal."""


def describe(
    path: str, content: bytes, executable: bool = False, bases: Sequence[bytes] = ()
) -> tuple[ReleaseFile, Frames]:
    """A file of a release, with a difference from each of ``bases`` where that saves something.

    It is held against the chunks that a pedal with that older file would fetch.

    Raises ``pydantic.ValidationError`` for a path that no slot may hold.
    """
    chunks = split(content)
    frames = {blob.stored_sha256: frame for blob, frame in chunks}
    differences = []
    for base in bases:
        if base == content or (made := _difference(base, content)) is None:
            continue
        there = {hashlib.sha256(base[start:end]).hexdigest() for start, end in spans(base)}
        missing = {blob for blob, _frame in chunks if blob.sha256 not in there}
        if _stored(made[0].blobs) + WORTH_BYTES <= _stored(missing):
            differences.append(made[0])
            frames.update(made[1])
    file = ReleaseFile(
        path=path,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        executable=executable,
        blobs=tuple(blob for blob, _frame in chunks),
        differences=tuple(differences),
    )
    return file, frames


def _difference(base: bytes, content: bytes) -> tuple[Difference, Frames] | None:
    patch = difference(base, content)
    if patch is None:
        return None
    packed = pack_all(patch)
    made = Difference(
        base_sha256=hashlib.sha256(base).hexdigest(),
        base_bytes=len(base),
        bytes=len(patch),
        sha256=hashlib.sha256(patch).hexdigest(),
        blobs=tuple(blob for blob, _frame in packed),
    )
    return made, {blob.stored_sha256: frame for blob, frame in packed}


def _stored(blobs: Iterable[Blob]) -> int:
    return sum(blob.stored_bytes for blob in blobs)
