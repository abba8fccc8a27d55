"""Where the studio engine's replies wait until they are due, by absolute frame."""

from enum import IntEnum

import numpy as np

from models.units import Audio


class Taken(IntEnum):
    """What became of a reply. An int, so that it can be counted without allocating."""

    KEPT = 0
    STALE = 1
    """All of it came after its time, or a second time."""
    FOREIGN = 2
    """It lies where nothing was sent yet."""
    GAP = 3
    """It does not join what is held, and what is held still sounds."""


class ReplyRing:
    """One unbroken stretch of sound, ``lo`` to ``hi``, in absolute frames; mono.

    Only what joins the stretch makes it longer, so whoever plays it sees its end coming.
    """

    def __init__(self, room_frames: int) -> None:
        """Allocate for stretches of at most ``room_frames``."""
        self._room = room_frames
        self._ring = np.zeros((1, room_frames), np.float32)
        self.lo = self.hi = 0

    def begin(self, lo: int, hi: int) -> None:
        """Hold silence from frame ``lo`` to frame ``hi``, which is what came before a start."""
        self._ring.fill(0.0)
        self.lo, self.hi = lo, hi

    def ahead(self, frame: int) -> int:
        """How many frames are held from ``frame`` on; 0 where that one is not."""
        return self.hi - frame if self.lo <= frame < self.hi else 0

    def take(self, first: int, sound: Audio, due: int, limit: int, anew: bool) -> Taken:
        """Add a reply ``(1, frames)`` whose first frame is ``first``.

        ``due`` is the next frame to be played, ``limit`` ends what was asked for; both lie within
        the room of each other. ``anew`` lets a reply behind a gap begin a new stretch.
        """
        end = first + sound.shape[1]
        if end > limit or first < 0:
            return Taken.FOREIGN
        if end <= self.hi or end <= limit - self._room:
            return Taken.STALE
        if first > self.hi:
            if not anew:
                return Taken.GAP
            self.lo = self.hi = first
        self._write(self.hi, sound[:, self.hi - first :])
        self.hi = end
        return Taken.STALE if end <= due else Taken.KEPT

    def read(self, frame: int, target: Audio, count: int) -> None:
        """Copy ``count`` frames from ``frame`` on into ``target`` and leave silence behind them."""
        ring, at = self._ring, frame % self._room
        straight = min(count, self._room - at)
        target[:, :straight] = ring[:, at : at + straight]
        target[:, straight:count] = ring[:, : count - straight]
        target[:, count:] = 0.0

    def _write(self, frame: int, sound: Audio) -> None:
        ring, at, count = self._ring, frame % self._room, sound.shape[1]
        straight = min(count, self._room - at)
        ring[:, at : at + straight] = sound[:, :straight]
        ring[:, : count - straight] = sound[:, straight:]
