"""Replacing a folder in one step: at every moment the old one is there whole, or the new one."""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_SUFFIX = ".partial"


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends, it is ``folder``, and the old one gone.

    When the block raises, nothing has changed. Power lost on the way leaves ``folder`` as it was
    and a hidden folder beside it, which the next call removes. Raises ``OSError``.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}."
    _remove_abandoned(folder.parent, prefix)
    partial = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=folder.parent))
    handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Held while it is being filled, so that nobody else takes it for abandoned.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield partial
        partial.chmod(0o755)
        os.fsync(handle)
        _swap(partial, folder)
        sync_folder(folder.parent)
    finally:
        os.close(handle)
        shutil.rmtree(partial, ignore_errors=True)


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write a new file and have it on the disk. Raises ``OSError``."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(partial: Path, folder: Path) -> None:
    """Make ``partial`` be ``folder``; an old one is then at ``partial``."""
    if not folder.exists():
        partial.rename(folder)
        return
    try:
        _exchange(partial, folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
        # A file system without the exchange: two steps, and the old one back if the second fails.
        aside = partial.with_name(f"{partial.name}.old")
        folder.rename(aside)
        try:
            partial.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step: renameat2(2), which Python does not wrap."""
    library = ctypes.CDLL(None, use_errno=True)
    arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if library.renameat2(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove what an interrupted call left, but not what another process is filling."""
    for entry in parent.iterdir():
        ours = entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX)
        if not ours or entry.is_symlink() or not entry.is_dir():
            continue
        handle = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(entry, ignore_errors=True)
        finally:
            os.close(handle)
