"""A slot's files against the release that was signed: these and no others, byte for byte."""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from deploy.errors import UpdateError
from deploy.release import Release, ReleaseFile
from device.slots import PLANS

RELEASE_FILE = "release.json"
"""The signed file itself, which lies beside what it names."""

_STRIDE = 1 << 20
_REMEDY = "fetch the release again"


def check_files(folder: Path, release: Release, built: Collection[str] = (PLANS,)) -> None:
    """Refuse a slot that is not exactly its release. Raises ``UpdateError`` with one sentence.

    Besides the named files there may be ``release.json`` and the folders ``built``, which are not
    looked into. No links of either kind, no devices, no other folders, no other file systems.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise UpdateError(f"{folder}: is no folder, expected a slot; {_REMEDY}.")
    named = {file.path: file for file in release.files}
    found: set[str] = set()
    for path, status in _entries(folder, "", frozenset(built), named):
        if path != RELEASE_FILE:
            found.add(path)
            if status.st_size != named[path].bytes:
                raise UpdateError(
                    f"{_short(path)}: has {status.st_size} bytes, but the release says "
                    f"{named[path].bytes}; {_REMEDY}."
                )
    for path in sorted(set(named) - found):
        raise UpdateError(f"{_short(path)}: is missing; {_REMEDY}.")
    for path in sorted(named):
        _check_hash(folder, named[path])


def _entries(
    folder: Path, below: str, built: frozenset[str], named: Collection[str]
) -> Iterator[tuple[str, os.stat_result]]:
    """Every file with its path in the slot, in order; what is none is refused."""
    device = folder.lstat().st_dev
    above = {part for path in named for part in _folders(path)}
    with os.scandir(folder / below) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            raise UpdateError(f"{_short(path)}: is a symbolic link, expected a file; {_REMEDY}.")
        # Of folders alone: on an overlay each file tells the device of its own layer.
        if stat.S_ISDIR(status.st_mode) and status.st_dev != device:
            raise UpdateError(f"{_short(path)}: lies on another file system; {_REMEDY}.")
        if stat.S_ISDIR(status.st_mode):
            if path in above:
                yield from _entries(folder, f"{path}/", built, named)
            elif path not in built:
                raise UpdateError(
                    f"{_short(path)}: is a folder that the release does not know; {_REMEDY}."
                )
            continue
        if not stat.S_ISREG(status.st_mode):
            raise UpdateError(f"{_short(path)}: is neither file nor folder; {_REMEDY}.")
        if path not in named and path != RELEASE_FILE:
            raise UpdateError(f"{_short(path)}: is not named in the release; {_REMEDY}.")
        if status.st_nlink != 1:
            raise UpdateError(
                f"{_short(path)}: has {status.st_nlink} names (hard links), so that it could be "
                f"changed from elsewhere; {_REMEDY}."
            )
        if stat.S_IMODE(status.st_mode) & 0o7000:
            raise UpdateError(f"{_short(path)}: has set-user-ID or like bits; {_REMEDY}.")
        yield path, status


def _folders(path: str) -> Iterator[str]:
    """The folders that a file lies in, as paths in the slot."""
    above = path.rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]


def _check_hash(folder: Path, file: ReleaseFile) -> None:
    digest, left = hashlib.sha256(), file.bytes
    try:
        handle = os.open(
            folder / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with open(handle, "rb") as source:
            while left > 0 and (piece := source.read(min(_STRIDE, left))):
                digest.update(piece)
                left -= len(piece)
    except OSError as problem:
        raise UpdateError(
            f"{_short(file.path)}: cannot be read ({problem.strerror}); {_REMEDY}."
        ) from None
    if left or digest.hexdigest() != file.sha256:
        raise UpdateError(
            f"{_short(file.path)}: is not the file that the release names (its SHA-256 differs); "
            f"{_REMEDY}."
        )


def _short(path: str) -> str:
    """A name that may be anything, fit for a sentence."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in path)
    return plain if len(plain) <= 100 else f"{plain[:99]}…"
