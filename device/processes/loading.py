"""Presets are loaded beside the loop that plays the dry guitar meanwhile.

What Python does here holds its lock for moments only, and hands it over after ``SWITCH_S``; a
library that is loaded, or a network that is built, holds it for longer, and what the loop then
loses is counted like any other lost period, while the sound is dry.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping

from device.plain import dataclass, field
from device.processes.realtime import lock_whole_memory, quiet_arithmetic
from device.sound.morph import Studio
from device.sound.path import SoundPath
from device.sound.player import Player

SWITCH_S = 0.0002
"""After what time a thread that computes lets another have Python's lock, while loading."""


@dataclass(frozen=True)
class Loaded:
    """A bank that can be played."""

    player: Player
    studios: Mapping[int, Studio] = field(default_factory=dict)
    """The studio engines of its presets, by the preset's index."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """Why a preset cannot be played, by its index; the dry guitar plays in its place."""


def studios_of(player: Player) -> dict[int, Studio]:
    """The studio engines of a bank, by the preset's index."""
    return {
        index: path.morph
        for index, path in enumerate(player.bank)
        if isinstance(path, SoundPath) and isinstance(path.morph, Studio)
    }


class Loader:
    """One thread that loads once."""

    def __init__(self, load: Callable[[], Loaded], locked: bool = False) -> None:
        """``load`` makes and prepares all that is to be played; ``locked`` memory stays so."""
        self._load, self._locked = load, locked
        self._loaded: Loaded | None = None
        self._switch_s = sys.getswitchinterval()
        self._cpus = os.sched_getaffinity(0)
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self.failure: BaseException | None = None
        """Why nothing will come."""

    def start(self) -> None:
        """Begin. The thread has the processors that this object was made on."""
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()

    def take(self) -> Loaded | None:
        """What was loaded, once; None before and after. Costs nothing, never waits."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None or self.failure is not None:
            sys.setswitchinterval(self._switch_s)
        return loaded

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of it; only for tests."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        # A thread is born with the priority of the one that starts it.
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, self._cpus)
        quiet_arithmetic()
        try:
            self._loaded = self._load()
        except BaseException as failure:  # whatever it is, the guitar goes on, dry
            self.failure = failure
        if self._locked:
            lock_whole_memory()
