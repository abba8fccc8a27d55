"""Files that a power cut finds old or new, never torn; with ``noauto_da_alloc`` too."""

import os
from contextlib import suppress
from pathlib import Path

from models.replace import sync_folder


def put(path: Path, content: bytes) -> None:
    """Have ``path`` hold ``content``: written beside, on the disk, renamed. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)  # on a full disk half a file would keep what it took
        raise
    sync_folder(path.parent)


def point(link: Path, target: str) -> None:
    """Have ``link`` lead to ``target`` from one moment to the next. Raises ``OSError``."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    os.symlink(target, beside)
    os.replace(beside, link)
    sync_folder(link.parent)
