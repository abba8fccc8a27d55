"""The store: a folder of frames by the hash of what they are, ``aa/<sha256 of the frame>``.

The publisher's ``chunks`` folder and the pedal's are the same thing. On the pedal it is also the
journal of a download: whatever is there was on the disk before it got its name, so after a power
cut the next update goes on with the next chunk.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from deploy.chunks.disk import disk_says, read_at, write_all
from deploy.chunks.frames import unpack
from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Blob
from models.replace import sync_folder

_NAME = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".partial"


def place(stored_sha256: str) -> str:
    """Where a frame lies below the store, in a repository too."""
    return f"{stored_sha256[:2]}/{stored_sha256}"


class Store:
    """A folder of frames. It is made when the first one is put there; one process writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, blob: Blob) -> bool:
        """Whether a file of that name and size is there; its content is verified on reading."""
        try:
            found = os.stat(self._file(blob), follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == blob.stored_bytes

    def put(self, blob: Blob, frame: bytes) -> None:
        """Keep a frame; when this returns it outlasts a power cut.

        Raises ``UpdateError`` where it is not the frame that ``blob`` names, ``UpdateFailedError``
        where the disk does not take it.
        """
        # Unpacked once to see: what cannot be used would only be found when all is fetched.
        unpack(frame, blob)
        with disk_says(self.folder):
            self._write(self._file(blob), frame)

    def read(self, blob: Blob) -> bytes:
        """What a blob holds, verified.

        Raises ``UpdateFailedError`` where it is absent, or damaged: then it is removed, so that
        planning again asks for it again.
        """
        file = self._file(blob)
        try:
            return unpack(_frame(file, blob.stored_bytes), blob)
        except FileNotFoundError:
            raise UpdateFailedError(
                f"{self.folder}: chunk {file.name[:12]} is not there; update again to fetch it."
            ) from None
        except (UpdateError, OSError):
            # A sector that cannot be read, too: the frame fetched again lies elsewhere.
            with disk_says(self.folder):
                file.unlink(missing_ok=True)
            raise UpdateFailedError(
                f"{self.folder}: chunk {file.name[:12]} was damaged and is removed; update again "
                "to fetch it."
            ) from None

    def keep_only(self, stored: Iterable[str]) -> int:
        """Remove all frames but these (``stored_sha256``) and what was half written.

        Returns the bytes that were freed. Raises ``UpdateFailedError``.
        """
        kept, freed = set(stored), 0
        with disk_says(self.folder):
            for folder in _folders(self.folder):
                for entry in list(os.scandir(folder)):
                    if entry.name in kept or not _is_ours(entry.name):
                        continue
                    freed += entry.stat(follow_symlinks=False).st_size
                    os.unlink(entry.path)
        return freed

    def _file(self, blob: Blob) -> Path:
        return self.folder / place(blob.stored_sha256)

    def _write(self, file: Path, frame: bytes) -> None:
        folder = file.parent
        _make_durably(folder)
        partial = folder / f"{file.name[:16]}-{secrets.token_hex(4)}{_PARTIAL}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(partial, flags, 0o644)
        try:
            try:
                write_all(handle, frame)
                os.fsync(handle)
            finally:
                os.close(handle)
            partial.rename(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(folder)


def _frame(file: Path, most: int) -> bytes:
    """A file's bytes, and one more than ``most`` where it is longer: never all of a huge one."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_at(handle, 0, most + 1)
    finally:
        os.close(handle)


def _make_durably(folder: Path) -> None:
    """Make a folder and those above it, each with its name on the disk."""
    if folder.is_dir() and not folder.is_symlink():
        return
    if not folder.parent.is_dir():
        _make_durably(folder.parent)
    folder.mkdir(mode=0o755)
    sync_folder(folder.parent)


def _folders(root: Path) -> list[Path]:
    """The folders of two digits; a link is none."""
    if not root.is_dir():
        return []
    return [
        Path(entry.path)
        for entry in os.scandir(root)
        if re.fullmatch("[0-9a-f]{2}", entry.name) and entry.is_dir(follow_symlinks=False)
    ]


def _is_ours(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) or name.endswith(_PARTIAL)
