"""The audio loop's end of a change of banks: it asks, takes, tries, and says how it went.

Numbers and references only. What has to be loaded, said or freed is the loader's (``loading``).
"""

from collections import deque
from typing import TYPE_CHECKING, Protocol

from device.processes.audio_notes import AudioNotes
from device.processes.meters import Meters
from device.sound.player import Player
from device.sound.trial import Why

if TYPE_CHECKING:
    from device.processes.loading import Candidate, Loaded


class Source(Protocol):
    """Where banks come from: ``loading.Loader``."""

    offered: "deque[Candidate]"
    """Another bank that waits to be tried; who pops it has it."""

    def take(self) -> "Loaded | None":
        """The first bank, once; never waits."""

    @property
    def failure(self) -> BaseException | None:
        """Why nothing will come."""

    @property
    def rejected(self) -> int:
        """Banks that could not even be tried."""

    def period_ended(self) -> None:
        """A period's work is done, and the loop waits for the interface."""

    def look(self) -> None:
        """Another bank may have to be loaded."""

    def on_air(self, candidate: "Candidate") -> None:
        """It is heard from now on."""

    def left(self, candidate: "Candidate") -> None:
        """What its trial holds is not played any more."""


class BankChange:
    """One bank after another, for one loop."""

    def __init__(self, source: Source | None, meters: Meters, notes: AudioNotes) -> None:
        """Without a ``source`` nothing ever changes."""
        self._source, self._meters, self._notes = source, meters, notes
        self._asked = 0
        self._candidate: Candidate | None = None
        self._heard = False
        self._rejected = 0

    def ask(self, number: int) -> None:
        """Control says by another number that the slot may be another."""
        if number != self._asked:
            self._asked = number
            if self._source is not None:
                self._source.look()

    def follow(self, player: Player) -> None:
        """Take what is offered, and notice how its trial goes."""
        trial = player.trial
        if trial is None:
            if self._source is not None and self._source.offered:
                self._take(self._source, player)
            return
        candidate, source = self._candidate, self._source
        assert candidate is not None and source is not None
        if trial.on_air and not (self._heard or trial.returned):
            self._heard = True
            self._meters.count("banks_swapped")
            self._notes.play(candidate.studios, candidate.broken)
            source.on_air(candidate)
        if trial.returned and self._heard:
            self._heard = False
            self._notes.play_again()
        if trial.over:
            player.trial = self._candidate = None
            self._heard = False
            self._rejected += trial.why != Why.NONE
            source.left(candidate)
        elif source.offered:
            player.hurry()

    def period_ended(self) -> None:
        """A period's work is done: who waited for that may go on."""
        if self._source is not None:
            self._source.period_ended()

    def store(self) -> None:
        """Put the count where it is seen."""
        if self._source is not None:
            self._meters.store("banks_rejected", self._rejected + self._source.rejected)

    def _take(self, source: Source, player: Player) -> None:
        try:
            self._candidate = source.offered.popleft()
        except IndexError:  # the loader has taken it back for a newer one
            return
        player.audition(self._candidate.trial)
