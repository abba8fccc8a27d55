"""What is cut, and what must hold of the disk that is found afterwards."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["unbootable", "torn", "regressed", "lost", "stuck"]
"""``unbootable``: it does not start, or has nothing to play. ``torn``: what it would play is not
wholly one release. ``regressed``: a version, a floor or the record went back. ``lost``: something
had been reported as done and is not. ``stuck``: the next update does not go through."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, in words."""

    kind: Kind
    sentence: str


class Progress:
    """How far the child has come, as its parent sees it at the moment of the cut."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    @property
    def step(self) -> int:
        """The last step that was reported as done; 0 at first."""
        return int.from_bytes(self._shared[:8], "little")

    def __call__(self, step: int) -> None:
        """Report a step as done: from now on it must be there after any cut."""
        self._shared[:8] = step.to_bytes(8, "little")


class Subject(Protocol):
    """Something that writes to a disk, and may be cut off at any moment."""

    def prepare(self, folder: Path) -> None:
        """Write the disk as it is before; it is unmounted afterwards. Called once."""

    def run(self, folder: Path, reached: Progress) -> None:
        """What is cut; in a child process of its own."""

    def check(self, folder: Path, step: int) -> list[Fault]:
        """What is wrong with the disk found after a cut behind ``step``; it may be written to.

        Called in a child process of its own; an exception counts as ``unbootable``.
        """
