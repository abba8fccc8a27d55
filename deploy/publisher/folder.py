"""The repository as a folder of plain files, each of them replaced in one step."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from models.replace import sync_folder

_PARTIAL = ".partial-"


@dataclass(frozen=True)
class Folder:
    """Names below the repository's folder. Writing raises ``UpdateFailedError``."""

    path: Path

    @property
    def metadata(self) -> Path:
        """``timestamp.json`` and ``VERSION.ROLE.json``."""
        return self.path / "metadata"

    @property
    def targets(self) -> Path:
        """Release files: ``COMPONENT/SHA256.NAME.json``."""
        return self.path / "targets"

    @property
    def chunks(self) -> Path:
        """Frames of zstd: ``aa/SHA256``."""
        return self.path / "chunks"

    @property
    def timestamp(self) -> Path:
        """The one file of metadata that changes under its name."""
        return self.metadata / "timestamp.json"

    def role(self, role: str, version: int) -> Path:
        """One version of a role's metadata."""
        return self.metadata / f"{version}.{role}.json"

    def target(self, path: str, sha256: str) -> Path:
        """A release file of that path and content."""
        above, _, name = path.rpartition("/")
        return self.targets / above / f"{sha256}.{name}"

    def chunk(self, stored_sha256: str) -> Path:
        """A frame by its name."""
        return self.chunks / stored_sha256[:2] / stored_sha256

    def roots(self) -> list[int]:
        """The versions of root that lie there, ascending."""
        names = (path.name.split(".")[0] for path in self.metadata.glob("*.root.json"))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def make(self) -> None:
        """Have the folder itself there. Raises ``UpdateFailedError``."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UpdateFailedError(
                f"{self.path}: could not be made ({problem.strerror})."
            ) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the repository for one writer, so that cron's renewal meets nobody's publishing.

        Raises ``UpdateError`` where there is no such folder, ``UpdateFailedError`` where another
        writer has it.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as problem:
            raise UpdateError(
                f"{self.path}: is no repository ({problem.strerror}); `publish init` begins one."
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UpdateFailedError(
                f"{self.path}: somebody else is publishing there; try again when they are done."
            ) from None
        finally:
            os.close(handle)

    def write(self, files: Iterable[tuple[Path, bytes]]) -> int:
        """Put files there and have all of them on the disk; returns how many bytes were written.

        Each is there whole or not at all, whenever this is interrupted.
        """
        changed: set[Path] = set()
        written = 0
        try:
            for path, content in files:
                self._make(path.parent, changed)
                _replace(path, content)
                changed.add(path.parent)
                written += len(content)
            for folder in sorted(changed):
                sync_folder(folder)
        except OSError as problem:
            raise UpdateFailedError(
                f"{self.path}: could not be written ({problem.strerror}); the releases that were "
                "there are still offered, so free space and run it again."
            ) from None
        return written

    def _make(self, folder: Path, changed: set[Path]) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent, changed)
        folder.mkdir(exist_ok=True)
        changed.add(folder.parent)

    def remove_partial(self) -> None:
        """Remove what an interrupted writer left."""
        for partial in self.path.rglob(f"{_PARTIAL}*"):
            with suppress(OSError):
                partial.unlink()


def read(path: Path, most: int, what: str) -> bytes:
    """A file of at most ``most`` bytes. Raises ``UpdateError`` with one sentence."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as problem:
        raise UpdateError(f"{path}: {what} cannot be read ({problem.strerror}).") from None
    if len(content) > most:
        raise UpdateError(f"{path}: is longer than {most} bytes, so it is not {what}.")
    return content


def replace_file(path: Path, content: bytes) -> None:
    """One file whole or not at all, and on the disk. Raises ``UpdateFailedError``."""
    try:
        _replace(path, content)
        sync_folder(path.parent)
    except OSError as problem:
        raise UpdateFailedError(f"{path}: could not be written ({problem.strerror}).") from None


def _replace(path: Path, content: bytes) -> None:
    """One file, whole or not at all, its bytes on the disk before its name is."""
    handle, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise
