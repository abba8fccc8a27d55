"""Presets are loaded beside the loop: the first bank while the dry guitar plays, others beside it.

What Python does here for the first bank holds its lock for moments only, and hands it over after
``SWITCH_S``; a library that is loaded, or a network that is built, holds it for longer, and what
the loop then loses is counted like any other lost period, while the sound is dry.

Beside a bank that sounds nothing may be lost (``quiet``): the thread keeps to the loop's pauses
(``pace``), and what cannot be divided was done in another process before (``device.ahead``).
"""

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from device.plain import dataclass, field
from device.processes.pace import Pace
from device.processes.realtime import lock_whole_memory, quiet_arithmetic
from device.processes.thread import go_above_ordinary, go_ordinary
from device.sound.morph import Studio
from device.sound.path import SoundPath
from device.sound.playable import Playable
from device.sound.player import Player
from device.sound.trial import Trial

SWITCH_S = 0.0002
"""After what time a thread that computes lets another have Python's lock, while loading."""
BESIDE_S = 0.00002
"""The same beside a bank that sounds; a backstop, because such a thread rests by itself."""


@dataclass(frozen=True)
class Loaded:
    """A bank that can be played."""

    player: Player
    studios: Mapping[int, Studio] = field(default_factory=dict)
    """The studio engines of its presets, by the preset's index."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """Why a preset cannot be played, by its index; the dry guitar plays in its place."""


@dataclass(frozen=True)
class Candidate:
    """Another bank, to be tried in the place of the one that plays."""

    trial: Trial
    studios: Mapping[int, Studio]
    broken: int
    """Presets that cannot be played."""
    identity: str
    """Of the slot that it comes from."""


class Swaps(Protocol):
    """What is done about other banks (``banks.Banks``); all of it in the loader's thread."""

    def look(self) -> Candidate | None:
        """Load what the slot holds now, unless it plays or has failed already."""

    def on_air(self, candidate: Candidate) -> None:
        """It is heard."""

    def left(self, candidate: Candidate) -> None:
        """Its trial is over: what its ``other`` holds is not played any more."""

    def defect(self, problem: Exception) -> None:
        """Say that one of these raised what it should not have."""

    @property
    def rejected(self) -> int:
        """Banks that could not even be tried."""


def studios_of(bank: tuple[Playable, ...]) -> dict[int, Studio]:
    """The studio engines of a bank, by the preset's index."""
    return {
        index: path.morph
        for index, path in enumerate(bank)
        if isinstance(path, SoundPath) and isinstance(path.morph, Studio)
    }


class Loader:
    """One thread that loads: once, or, with ``swaps``, again whenever it is asked to."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        locked: bool = False,
        swaps: Swaps | None = None,
        pace: Pace | None = None,
    ) -> None:
        """``load`` makes and prepares all that is to be played; ``locked`` memory stays so.

        With a ``pace`` other banks are loaded in the pauses of a loop that plays.
        """
        self._load, self._locked, self._swaps, self.pace = load, locked, swaps, pace
        self._loaded: Loaded | None = None
        self._switch_s = sys.getswitchinterval()
        self._cpus = os.sched_getaffinity(0)
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._asked: deque[tuple[str, Candidate | None]] = deque()
        self._told = self._done = 0
        self.offered: deque[Candidate] = deque()
        """Another bank that waits to be tried; who pops it has it."""
        self.failure: BaseException | None = None
        """Why nothing will come."""

    @property
    def rejected(self) -> int:
        """Banks that could not even be tried."""
        return 0 if self._swaps is None else self._swaps.rejected

    @property
    def ident(self) -> int:
        """The thread's, once it was started."""
        assert self._thread.ident is not None
        return self._thread.ident

    def start(self) -> None:
        """Begin. The thread has the processors that this object was made on."""
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()

    def take(self) -> Loaded | None:
        """What was loaded, once; None before and after. Costs nothing, never waits."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None or self.failure is not None:
            sys.setswitchinterval(self._switch_s if self._swaps is None else BESIDE_S)
        return loaded

    def period_ended(self) -> None:
        """A period's work is done: a thread that waits for that goes on. Never waits."""
        if self.pace is not None and self.pace.waiting:
            self.pace.period_ended()

    def look(self) -> None:
        """The slot may be another now. Costs a system call, never waits."""
        self._ask("look", None)

    def on_air(self, candidate: Candidate) -> None:
        """It is heard from now on. As above."""
        self._ask("on air", candidate)

    def left(self, candidate: Candidate) -> None:
        """Its trial is over. As above."""
        self._ask("left", candidate)

    def catch_up(self, patience_s: float) -> bool:
        """Wait until all that was asked for is done; only for a simulated clock, and tests."""
        never = threading.Event()
        for _ in range(max(1, round(patience_s / 0.005))):
            if self._done == self._told or not self._thread.is_alive():
                return True
            never.wait(0.005)
        return False

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of it; only for tests."""
        self._thread.join(timeout_s)

    def _ask(self, what: str, candidate: Candidate | None) -> None:
        if self._swaps is None:
            return
        self._told += 1
        self._asked.append((what, candidate))
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        go_ordinary(self._cpus)
        quiet_arithmetic()
        try:
            self._loaded = self._load()
        except BaseException as failure:  # whatever it is, the guitar goes on, dry
            self.failure = failure
        if self._locked:
            # Whatever is taken later is locked, too, as it is taken.
            lock_whole_memory()
        if self._swaps is None:
            return
        if self.pace is not None:
            go_above_ordinary()
        while True:
            for _ in range(os.eventfd_read(self._wake)):
                with contextlib.nullcontext() if self.pace is None else self.pace.kept():
                    self._try_to_do(self._swaps, *self._asked.popleft())
                self._done += 1

    def _try_to_do(self, swaps: Swaps, what: str, candidate: Candidate | None) -> None:
        try:
            self._do(swaps, what, candidate)
        except Exception as problem:  # a defect of ours: the next bank may still be taken
            swaps.defect(problem)

    def _do(self, swaps: Swaps, what: str, candidate: Candidate | None) -> None:
        if candidate is None:
            if any(each == "look" for each, _ in self._asked):
                return  # another follows, which sees what is newest
            found = swaps.look()
            if found is None:
                return
            with contextlib.suppress(IndexError):
                swaps.left(self.offered.popleft())  # nobody has taken it
            self.offered.append(found)
        elif what == "on air":
            swaps.on_air(candidate)
        else:
            swaps.left(candidate)
