"""The publisher's side: a file as the release names it, and the frames that go into the store."""

import hashlib
from collections.abc import Sequence

from deploy.chunks.cutting import split
from deploy.chunks.difference import difference
from deploy.chunks.frames import pack_all
from deploy.release import Difference, ReleaseFile

Frames = dict[str, bytes]
"""Frames by ``stored_sha256``."""


def describe(
    path: str, content: bytes, executable: bool = False, bases: Sequence[bytes] = ()
) -> tuple[ReleaseFile, Frames]:
    """A file of a release, with a difference from each of ``bases`` where one pays.

    Raises ``pydantic.ValidationError`` for a path that no slot may hold.
    """
    chunks = split(content)
    frames = {blob.stored_sha256: frame for blob, frame in chunks}
    differences = []
    for base in bases:
        if base != content and (made := _difference(base, content)) is not None:
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
