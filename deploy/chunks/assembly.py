"""Carrying a plan out: every file of a release into an empty folder, verified and on the disk.

Files are made where nothing is, never opened; no part of a path may be a link, also not one that
somebody makes meanwhile. When ``assemble`` returns, what it wrote outlasts a power cut; when it
raises, the folder is empty again.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from deploy.chunks.disk import (
    disk_says,
    folder_inside,
    opened_inside,
    read_at,
    read_pieces,
    write_all,
)
from deploy.chunks.patch import apply_pieces
from deploy.chunks.planning import Change, Held, Pieces, Plan, Way, Whole
from deploy.chunks.store import Store
from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Blob, ReleaseFile

_ROOM_LEFT_BYTES = 16 << 20
"""What must stay free beside the release, for names and for everyone else."""


def assemble(plan: Plan, store: Store, folder: Path) -> None:
    """Write all files of ``plan.release`` into ``folder``, which is there and empty.

    Files are 0644 or 0755, folders 0755. At most a few megabytes are in memory at once, with a
    difference that is one frame the file before and after (``patch.FRAME_BYTES``).

    Raises ``UpdateError`` where the folder is not empty or the release contradicts itself;
    ``UpdateFailedError`` where the disk is full or fails, or where a chunk or a slot's file is not
    there any more or damaged: planning again asks for what is missing.
    """
    with disk_says(folder):
        _check_is_empty(folder)
        _check_room(plan, folder)
    try:
        with disk_says(folder):
            _make_folders(plan, folder)
            for file, way in zip(plan.release.files, plan.ways, strict=True):
                _write(folder, file, _content(file, way, store))
            for below in sorted(_folders(plan), key=len, reverse=True):
                with folder_inside(folder, below) as handle:
                    os.fsync(handle)
    except BaseException:
        _clear(folder)
        raise


def _check_is_empty(folder: Path) -> None:
    with folder_inside(folder, ()) as handle:
        found = os.listdir(handle)
    if found:
        raise UpdateError(
            f"{folder}: holds {sorted(found)[0][:60]!r}, but only an empty folder is filled."
        )


def _check_room(plan: Plan, folder: Path) -> None:
    """Better not begun than stopped half-way: everyone else on the disk needs room too."""
    asked = sum(file.bytes for file in plan.release.files) + _ROOM_LEFT_BYTES
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < asked:
        raise UpdateFailedError(
            f"{folder}: the disk is full: {asked / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB "
            "are free; make room there and update again."
        )


def _folders(plan: Plan) -> set[tuple[str, ...]]:
    """Every folder that a file lies in, by its parts; the slot's own too."""
    folders: set[tuple[str, ...]] = {()}
    for file in plan.release.files:
        parts = PurePosixPath(file.path).parts[:-1]
        folders.update(parts[:length] for length in range(1, len(parts) + 1))
    return folders


def _make_folders(plan: Plan, folder: Path) -> None:
    for below in sorted(_folders(plan) - {()}, key=len):
        with folder_inside(folder, below[:-1]) as parent:
            os.mkdir(below[-1], 0o700, dir_fd=parent)
        with folder_inside(folder, below) as handle:
            os.fchmod(handle, 0o755)


def _write(folder: Path, file: ReleaseFile, content: Iterator[bytes]) -> None:
    """Write one file, and hold it against what the release says."""
    *above, name = file.path.split("/")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with folder_inside(folder, tuple(above)) as parent:
        handle = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        total, length = hashlib.sha256(), 0
        for piece in content:
            length += len(piece)
            if length > file.bytes:
                break
            total.update(piece)
            write_all(handle, piece)
        if length != file.bytes or total.hexdigest() != file.sha256:
            raise UpdateError(
                f"{file.path}: what its chunks make is another file than the release says; it has "
                "to be published again."
            )
        os.fchmod(handle, 0o755 if file.executable else 0o644)
        os.fsync(handle)
    finally:
        os.close(handle)


def _content(file: ReleaseFile, way: Way, store: Store) -> Iterator[bytes]:
    if isinstance(way, Whole):
        yield from _whole(way, file)
    elif isinstance(way, Pieces):
        for blob, held in way.pieces:
            yield store.read(blob) if held is None else _held(held, blob)
    else:
        yield from _changed(way, file, store)


def _whole(way: Whole, file: ReleaseFile) -> Iterator[bytes]:
    total = hashlib.sha256()
    with opened_inside(way.held.folder, way.held.path) as handle:
        for piece in read_pieces(handle):
            total.update(piece)
            yield piece
    if total.hexdigest() != file.sha256:
        raise _has_changed(way.held)


def _held(held: Held, blob: Blob) -> bytes:
    with opened_inside(held.folder, held.path) as handle:
        content = read_at(handle, held.offset, blob.bytes)
    if hashlib.sha256(content).hexdigest() != blob.sha256:
        raise _has_changed(held)
    return content


def _changed(way: Change, file: ReleaseFile, store: Store) -> Iterator[bytes]:
    difference = way.difference
    with opened_inside(way.held.folder, way.held.path) as handle:
        if os.fstat(handle).st_size != difference.base_bytes:
            raise _has_changed(way.held)

        def read(offset: int, length: int) -> bytes:
            return read_at(handle, offset, length)

        total = hashlib.sha256()

        def patch() -> Iterator[bytes]:
            for blob in difference.blobs:
                piece = store.read(blob)
                total.update(piece)
                yield piece

        what = f"the difference to {file.path}"
        yield from apply_pieces(read, difference.base_bytes, patch(), file.bytes, what)
    if total.hexdigest() != difference.sha256:
        raise UpdateError(
            f"{what}: is another one than the release says; it has to be published again."
        )


def _has_changed(held: Held) -> UpdateFailedError:
    return UpdateFailedError(
        f"{held.folder / held.path}: has changed since it was looked at; update again."
    )


def _clear(folder: Path) -> None:
    """Leave nothing half-written, which would only take room; a disk that fails may keep it."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)
