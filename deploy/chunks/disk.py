"""Files below one folder, reached without following a link; what a disk says, in one sentence."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import UpdateFailedError

PIECE_BYTES = 1 << 20
"""How much of a file is in memory at once."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_says(where: Path | str) -> Iterator[None]:
    """Turn what the disk refuses into ``UpdateFailedError``."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise UpdateFailedError(
                f"{where}: the disk is full; make room there and update again."
            ) from None
        reason = problem.strerror or str(problem)
        raise UpdateFailedError(
            f"{where}: cannot be read or written ({reason}); see to the disk and update again."
        ) from None


@contextmanager
def folder_inside(folder: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a folder below ``folder``; no part may be a link. Raises ``OSError``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for part in parts:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=handle)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


@contextmanager
def opened_inside(folder: Path, path: str) -> Iterator[int]:
    """A descriptor of a plain file below ``folder``, for reading. Raises ``OSError``."""
    *above, name = path.split("/")
    with folder_inside(folder, tuple(above)) as parent:
        # Not to wait for ever where somebody put a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        handle = os.open(name, flags, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", path)
        yield handle
    finally:
        os.close(handle)


def read_at(handle: int, offset: int, length: int) -> bytes:
    """Bytes of a file; fewer only where it ends. Raises ``OSError``."""
    pieces: list[bytes] = []
    while length > 0 and (piece := os.pread(handle, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def write_all(handle: int, content: bytes) -> None:
    """Write all of it. Raises ``OSError``."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def read_pieces(handle: int) -> Iterator[bytes]:
    """A whole file, piece by piece. Raises ``OSError``."""
    offset = 0
    while piece := os.pread(handle, PIECE_BYTES, offset):
        yield piece
        offset += len(piece)


def hash_of(handle: int) -> str:
    """SHA-256 of a whole file. Raises ``OSError``."""
    total = hashlib.sha256()
    for piece in read_pieces(handle):
        total.update(piece)
    return total.hexdigest()
