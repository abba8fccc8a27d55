"""Three ways to write a file, two of them wrong: what finds no fault with those finds nothing."""

import os
from collections.abc import Callable
from pathlib import Path

from hil.powercut.subject import Fault, Progress

SIZE = 200_000
ROUNDS = 6
"""How often a run writes it anew."""


def in_place(path: Path, content: bytes) -> None:
    """Over the old one, nothing synced: torn wherever some of its pages had reached the disk."""
    with path.open("r+b") as file:
        file.write(content)


def renamed(path: Path, content: bytes) -> None:
    """Beside and renamed, nothing synced: empty where the name reached the disk before the data.

    ext4 hides this mistake unless it is mounted with ``noauto_da_alloc``.
    """
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def durable(path: Path, content: bytes) -> None:
    """Beside, synced, renamed, the folder synced: right."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


class Writer:
    """A file of one byte, many times over, written anew with the next byte."""

    def __init__(self, write: Callable[[Path, bytes], None], promises: bool) -> None:
        """``promises``: what it has reported as written is to be found after a cut."""
        self._write = write
        self._promises = promises

    def prepare(self, folder: Path) -> None:
        """The file, all of it 0."""
        durable(folder / "file", bytes(SIZE))

    def run(self, folder: Path, reached: Progress) -> None:
        """All of it 1, then 2, and so on."""
        for number in range(1, ROUNDS + 1):
            self._write(folder / "file", bytes([number]) * SIZE)
            reached(number)

    def check(self, folder: Path, step: int) -> list[Fault]:
        """It is all of one number, and of none before the last that was promised."""
        content = (folder / "file").read_bytes()
        if len(content) != SIZE or len(set(content)) != 1:
            return [Fault("torn", f"{len(content)} bytes, of {sorted(set(content))}")]
        if self._promises and content[0] < step:
            return [Fault("lost", f"it holds {content[0]}, but {step} was written")]
        return []
