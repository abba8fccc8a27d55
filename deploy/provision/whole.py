"""Files that appear whole or not at all, and only where they differ."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from models.replace import sync_folder


def differs(path: Path, content: bytes) -> bool:
    """Whether a file is missing or holds something else."""
    try:
        return path.read_bytes() != content
    except OSError:
        return True


def put(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Have a file hold ``content``, written beside and then renamed. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def files_below(folder: Path) -> Iterator[Path]:
    """What a folder holds, relative to it, sorted; nothing hidden and nothing compiled."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        foreign = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if path.is_file() and not foreign:
            yield inside


def copy_tree(source: Path, target: Path) -> None:
    """Copy ``files_below(source)`` with their times and modes, everybody's to read."""
    for inside in files_below(source):
        there = target / inside
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / inside, there)
        there.chmod(0o755 if os.access(source / inside, os.X_OK) else 0o644)
