"""Taking turns at the plant: the suites' thread makes it go on, the servers' answers from it.

Who makes it go on holds the turn meanwhile, in pieces of ten virtual seconds: a few milliseconds. A
server that waits is let in between two pieces. Without servers the plant knows nothing of this, and
with them it costs one uncontested lock for each piece.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hil.plant.plant import Plant

_PIECE_S = 10.0
_GIVE_WAY_S = 0.0002
"""A lock that is released and taken again at once is never free for anybody else."""


class Turns:
    """``with turns:`` the plant stands still, for whoever answers from it or changes it."""

    def __init__(self) -> None:
        """Free."""
        self._lock = threading.RLock()
        self._waiting = 0

    def __enter__(self) -> None:
        self._waiting += 1
        self._lock.acquire()
        self._waiting -= 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def at(self, plant: Plant) -> Iterator[None]:
        """Have everything that makes ``plant`` go on take its turn, for as long as this lasts."""
        go_on = plant.sleep

        def in_turn(seconds: float) -> None:
            left_s = seconds
            while left_s > 0.0:
                piece_s = min(left_s, _PIECE_S)
                with self._lock:
                    go_on(piece_s)
                left_s -= piece_s
                if self._waiting:
                    time.sleep(_GIVE_WAY_S)

        plant.sleep = in_turn  # type: ignore[method-assign]
        try:
            yield
        finally:
            plant.sleep = go_on  # type: ignore[method-assign]
