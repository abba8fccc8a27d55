"""What takes minutes to build, kept by the hash of all that it is made of.

A cold build of the virtual pedal takes minutes on two cores; what is made of the same sources is
the same, so it is built once and kept outside the project, under the user's cache folder.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from models.replace import replaced_folder

_KEPT = 4
"""Newest entries of a name that are kept; each may hold a gigabyte."""


def cache_folder() -> Path:
    """Where builds are kept: ``$XDG_CACHE_HOME/purga/virtual-pedal`` or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "purga" / "virtual-pedal"


def digest(parts: Iterable[str | bytes | Path]) -> str:
    """The hash of texts and of files' names and contents, 16 hex digits."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            total.update(part.name.encode() + b"\0")
            with part.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        else:
            data = part.encode() if isinstance(part, str) else part
            total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:16]


def kept(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder that ``build`` filled for this key, now or earlier.

    Two who want the same at once build it once. What fails half-way leaves nothing. Older entries
    of the same name are removed, but for the newest few.
    """
    folder = cache_folder() / f"{name}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with replaced_folder(folder) as partial:
                build(partial)
        os.utime(folder)
        _prune(name)
    return folder


def _prune(name: str) -> None:
    entries = sorted(
        (each for each in cache_folder().glob(f"{name}-*") if each.is_dir()),
        key=lambda each: each.stat().st_mtime,
        reverse=True,
    )
    for old in entries[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def scratch(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A folder for a build's intermediate files, on the cache's own disk."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f".{prefix}-", dir=cache_folder())
