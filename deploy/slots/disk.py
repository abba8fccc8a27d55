"""Changes that a power cut finds done or not done, each on the disk before the call returns.

Every one goes through ``os``, in an order in which any first part of it is a valid state: the
tests interrupt after each call.
"""

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
_RESERVE_BYTES = 16384


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put(path: Path, content: bytes) -> None:
    """Have a file hold ``content``, everybody's to read, whole at every moment. ``OSError``."""
    beside = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        try:
            os.fchmod(handle, 0o644)
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(beside, path)
    except OSError:
        remove(beside)  # on a full disk half a file would keep what it took
        raise
    sync_folder(path.parent)


def put_though_full(path: Path, content: bytes) -> None:
    """``put``; on a full disk the room that ``reserve`` kept is given for it. ``OSError``."""
    try:
        put(path, content)
    except OSError as problem:
        if problem.errno not in FULL or not remove(_reserved(path.parent)):
            raise
        sync_folder(path.parent)
        put(path, content)
    else:
        reserve(path.parent)


def reserve(folder: Path) -> None:
    """Keep a little room for ``put_though_full``; a disk that is full by now is no error."""
    room = _reserved(folder)
    if room.exists():
        return
    try:
        handle = os.open(room, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.posix_fallocate(handle, 0, _RESERVE_BYTES)
        finally:
            os.close(handle)
    except OSError:
        remove(room)


def _reserved(folder: Path) -> Path:
    return folder / ".room"


def point(link: Path, target: str) -> None:
    """Have ``link`` lead to ``target``, from one moment to the next. Raises ``OSError``."""
    beside = link.with_name(f".{link.name}.new")
    remove(beside)
    os.symlink(target, beside)
    os.replace(beside, link)
    sync_folder(link.parent)


def unpoint(link: Path) -> None:
    """Have ``link`` lead nowhere. Raises ``OSError``."""
    if remove(link):
        sync_folder(link.parent)


def remove(path: Path) -> bool:
    """Remove a file or link; False where there is none. Raises ``OSError``."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: Path) -> None:
    """Have a folder there, and those above it, everybody's to read. Raises ``OSError``."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    sync_folder(folder.parent)


def any_in(folder: Path) -> bool:
    """Whether a folder holds anything; one that is not there holds nothing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False


def empty_folder(folder: Path) -> None:
    """Remove what a folder holds; what others hold open stays theirs. Raises ``OSError``."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    sync_folder(folder)


def sync_below(folder: Path) -> None:
    """Have everything below ``folder`` on the disk, whoever wrote it. Raises ``OSError``.

    syncfs(2) takes the whole file system: a virtual environment's thousands of files in one go.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until nobody else changes what ``folder`` says. Raises ``OSError``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def try_lock(folder: Path) -> int | None:
    """A handle that keeps others away until it is closed, or its process ends; None if taken."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(handle)
        if problem.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return handle
