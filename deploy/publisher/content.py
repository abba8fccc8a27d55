"""A release's folder becomes a release: looked at, cut into chunks, and written down."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from deploy.chunks.frames import unpack
from deploy.errors import UpdateError
from deploy.places import Component
from deploy.publisher.folder import Folder, read
from deploy.release import (
    FILE_BYTES,
    RELEASE_BYTES,
    Blob,
    Difference,
    Release,
    ReleaseFile,
)
from models.record import first_problem, write_record

Describe = Callable[[str, bytes, bool, Sequence[bytes]], tuple[ReleaseFile, dict[str, bytes]]]
"""``deploy.chunks.describe``: a file's path, its bytes, whether it may be executed and what older
files differences are made from; gives its entry and the frames that it names, by their names."""


@dataclass(frozen=True)
class About:
    """What a release says besides its files."""

    component: Component
    version: int
    name: str
    needs_firmware: int = 0
    units_sha256: str | None = None


@dataclass(frozen=True)
class Made:
    """A release and its file; the chunks lie in the repository."""

    release: Release
    content: bytes
    full_bytes: int
    """What a device with nothing fetches."""
    new_bytes: int
    """What of it the repository did not hold yet."""


def make_release(
    source: Path, about: About, folder: Folder, bases: Sequence[Release], describe: Describe
) -> Made:
    """Cut the folder ``source`` into chunks, have them in the repository, describe them.

    ``bases`` are releases in the repository that differences are made from. Raises ``UpdateError``
    where the folder holds what no slot may hold, ``UpdateFailedError`` where the disk fails.
    """
    paths = list(_files(source))
    # Names first: nothing is cut of a folder that is refused.
    _release(source, about, (_named(path) for path in paths))
    files: list[ReleaseFile] = []
    new_bytes = 0
    for path in paths:
        content, executable = _read(source / path)
        older = _older(path, hashlib.sha256(content).hexdigest(), bases)
        file, frames = describe(path, content, executable, [whole(folder, each) for each in older])
        new_bytes += _put(folder, frames)
        files.append(file)
    release = _release(source, about, files)
    written = write_record(release)
    if len(written) > RELEASE_BYTES:
        raise UpdateError(
            f"{source}: the release file has {len(written)} bytes, at most {RELEASE_BYTES} are "
            "read; ship fewer or smaller files."
        )
    stored = {blob.stored_sha256: blob.stored_bytes for file in files for blob in file.blobs}
    return Made(release, written, sum(stored.values()), new_bytes)


def whole(folder: Folder, file: ReleaseFile) -> bytes:
    """A released file's bytes out of the repository's chunks, verified. Raises ``UpdateError``."""
    content = b"".join(_blob(folder, blob) for blob in file.blobs)
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        raise UpdateError(f"{file.path}: its chunks make another file than the release says.")
    return content


def patch_of(folder: Folder, difference: Difference) -> bytes:
    """A difference's bytes out of the repository, verified. Raises ``UpdateError``."""
    patch = b"".join(_blob(folder, blob) for blob in difference.blobs)
    if hashlib.sha256(patch).hexdigest() != difference.sha256:
        raise UpdateError("The chunks of a difference make another one than the release says.")
    return patch


def _blob(folder: Folder, blob: Blob) -> bytes:
    path = folder.chunk(blob.stored_sha256)
    return unpack(read(path, blob.stored_bytes, "a chunk"), blob)


def _put(folder: Folder, frames: Mapping[str, bytes]) -> int:
    """Have frames in the repository; returns how many bytes it did not hold yet."""
    missing = [
        (folder.chunk(name), frame)
        for name, frame in frames.items()
        if not _is_there(folder.chunk(name), len(frame))
    ]
    return folder.write(missing)


def _older(path: str, sha256: str, bases: Sequence[Release]) -> list[ReleaseFile]:
    """The other files of that path in ``bases``, each content once."""
    found: dict[str, ReleaseFile] = {}
    for base in bases:
        for file in base.files:
            if file.path == path and file.sha256 != sha256 and file.bytes:
                found[file.sha256] = file
    return list(found.values())


def _named(path: str) -> ReleaseFile:
    """A file of which only the name is known yet."""
    return ReleaseFile(path=path, bytes=0, sha256="0" * 64, blobs=())


def _release(source: Path, about: About, files: Iterable[ReleaseFile]) -> Release:
    try:
        return Release(
            component=about.component,
            version=about.version,
            name=about.name,
            files=tuple(files),
            needs_firmware=about.needs_firmware,
            units_sha256=about.units_sha256,
        )
    except ValidationError as problem:
        raise UpdateError(
            f"{source}: is no release of {about.component}: {first_problem(problem)}."
        ) from None


def _files(source: Path, below: str = "") -> Iterator[str]:
    """The paths of all files, sorted. Raises ``UpdateError`` for what no release may hold."""
    try:
        entries = sorted(os.scandir(source / below), key=lambda entry: entry.name)
    except OSError as problem:
        raise UpdateError(f"{source / below}: cannot be read ({problem.strerror}).") from None
    if below and not entries:
        raise UpdateError(f"{source / below}: is an empty folder; remove it.")
    for entry in entries:
        path = f"{below}{entry.name}"
        if entry.is_symlink():
            raise UpdateError(f"{entry.path}: is a symbolic link; put the file itself there.")
        if entry.name.startswith("."):
            raise UpdateError(
                f"{entry.path}: is hidden; releases hold what can be seen, remove it."
            )
        if entry.is_dir():
            yield from _files(source, f"{path}/")
        elif entry.is_file():
            yield path
        else:
            raise UpdateError(f"{entry.path}: is neither a file nor a folder; remove it.")


def _read(path: Path) -> tuple[bytes, bool]:
    """A file's bytes, and whether it may be executed. Links are not followed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(FILE_BYTES + 1) if stat.S_ISREG(mode) else None
    except OSError as problem:
        raise UpdateError(f"{path}: cannot be read ({problem.strerror}).") from None
    if content is None or len(content) > FILE_BYTES:
        raise UpdateError(f"{path}: is no file of at most {FILE_BYTES} bytes.")
    return content, bool(mode & 0o111)


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
