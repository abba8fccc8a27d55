"""Which bank plays: the models slot's, or the pedal's own, and what is said about it.

All of it is done by the loader's thread. The link to the slot is followed once for each load. A
slot that cannot be used costs nothing but a line in the journal: what played goes on playing.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from device.config import Config
from device.errors import SlotError
from device.plain import dataclass
from device.processes.bank_report import BankEntry, BankReport, read_bank, write_bank
from device.processes.dismantle import dismantle
from device.processes.journal import Journal
from device.processes.loading import Candidate, Loaded, studios_of
from device.slots import Slot, follow, identity, read_slot
from device.sound.playable import Playable
from device.sound.trial import Trial, Why
from models.errors import PurgaError

if TYPE_CHECKING:
    from device.processes.studio_side import BehindASocket

_REASONS = {
    Why.NAN: "its sound held what is no number",
    Why.SLOW: "it takes longer than a period lasts",
}


@dataclass(frozen=True)
class _Bank:
    """What is known of a bank without its sound."""

    identity: str
    slot: Path | None
    version: int | None = None
    name: str = ""
    entries: tuple[BankEntry, ...] = ()

    @property
    def problems(self) -> int:
        return sum(each.problem is not None for each in self.entries)


class Banks:
    """A ``Swaps``: loads the first bank and every one that comes after it."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        clock: Callable[[], int],
        rest: Callable[[], None] = lambda: None,
        status: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``config`` is without a slot; ``clock`` gives the calling thread's nanoseconds.

        ``rest`` is called between two pieces of what cannot be divided; ``status`` is told one
        line about the bank.
        """
        self._config, self._journal = config, journal
        self._clock, self._rest, self._status = clock, rest, status
        self._plays = _Bank("", None)
        self._tried: dict[str, _Bank] = {}
        """What was offered and is not known to be left yet, by its identity."""
        self._failed = ""
        self._rejected: tuple[str, str] = ("", "")
        self.rejected = 0
        """Banks that could not even be tried."""

    def first(self) -> Loaded:
        """The bank to begin with, whatever is wrong with any of its presets, or with the slot."""
        slot = self.slot()
        config = self._config.with_slot(slot)
        loaded = self._loaded(config)
        if slot is not None and loaded.problems:
            own = self._loaded(self._config)
            if len(own.problems) < len(loaded.problems):
                reason = loaded.problems[min(loaded.problems)]
                self._reject(identity(slot.folder), slot.folder, reason)
                loaded, config, slot = own, self._config, None
        link = self._config.slot_link
        again = read_bank(self._config.runtime) is not None
        if link is not None and link.parent.is_dir() and not again:
            # Updates are installed here: one may come while this bank plays. After a restart in the
            # middle of a song a second less counts for more.
            from device.processes.quiet import load_libraries

            load_libraries()
        for index, told in sorted(loaded.problems.items()):
            self._journal.say(told, "error", PURGA_PRESET=index)
        self.begin(slot, loaded.player.bank, config.presets, loaded.problems)
        return loaded

    def slot(self) -> Slot | None:
        """The slot to begin with; None, said and counted, where it cannot be used."""
        folder = follow(self._config.slot_link)
        try:
            return read_slot(folder)
        except SlotError as problem:
            self._reject(identity(folder), folder, str(problem))
            return None

    def begin(
        self,
        slot: Slot | None,
        bank: tuple[Playable, ...],
        files: tuple[Path, ...],
        problems: Mapping[int, str],
    ) -> None:
        """This is what plays at first."""
        entries = _entries(bank, files, problems)
        if slot is None:
            self._plays = _Bank("", None, entries=entries)
        else:
            found = identity(slot.folder)
            self._plays = _Bank(found, slot.folder, slot.version, slot.name, entries)
        self._report()

    def _loaded(self, config: Config) -> Loaded:
        from device.bank import loaded_bank

        audio = config.table.audio
        player, problems = loaded_bank(
            config.presets,
            config.first_preset,
            audio.rate_hz,
            audio.period_frames,
            audio.interface_dbu,
            lambda: self._studio(config),
            stage=config.stage,
        )
        return Loaded(player, studios_of(player.bank), problems)

    def look(self) -> Candidate | None:
        """Load what the slot holds now, unless it plays, is being tried, or has failed."""
        while True:
            folder = follow(self._config.slot_link)
            found = identity(folder)
            if found in (self._plays.identity, self._failed) or found in self._tried:
                return None
            try:
                candidate = self._load(folder, found)
            except Exception as problem:  # whatever it is, what plays goes on playing
                if identity(follow(self._config.slot_link)) != found:
                    continue  # it was changed meanwhile: only what is newest counts
                self._reject(found, folder, _told(problem))
                self._report()
                return None
            if identity(follow(self._config.slot_link)) == found:
                return candidate
            self._take_apart(self._tried.pop(found), candidate.trial)

    def on_air(self, candidate: Candidate) -> None:
        """It is heard: it is what plays from now on, unless its trial ends otherwise."""
        before, self._plays = self._plays, self._tried[candidate.identity]
        self._tried[candidate.identity] = before
        self._rejected, self._failed = ("", ""), ""
        self._journal.say(f"plays {_named(self._plays)}", "notice", PURGA_SLOT=self._plays.slot)
        self._report()

    def left(self, candidate: Candidate) -> None:
        """Free what is not played any more; say why, where that is the new bank."""
        trial = candidate.trial
        other = self._tried.pop(candidate.identity)
        if trial.why != Why.NONE:
            if trial.on_air:
                other, self._plays = self._plays, other
            reason = _REASONS.get(trial.why) or f"{type(trial.error).__name__}: {trial.error}"
            self._failed = other.identity
            self._rejected = (str(other.slot or ""), f"{_named(other)}: {reason}")
            self._journal.say(self._rejected[1], "error", PURGA_SLOT=other.slot)
            self._report()
        self._take_apart(other, trial)

    def defect(self, problem: Exception) -> None:
        """Say that something is wrong with us."""
        self._journal.say(_told(problem), "error")

    def _load(self, folder: Path | None, found: str) -> Candidate:
        """Raises ``SlotError``, and whatever is wrong with us."""
        from device.processes.quiet import load_libraries, make_ready, quiet_bank

        ready = make_ready(self._config, folder)
        load_libraries()
        found_out = {int(index): told for index, told in ready.problems.items()}
        if len(found_out) > self._plays.problems:
            raise SlotError(self._worse(found_out))
        bank, problems, files = quiet_bank(self._config, ready)
        entries = _entries(bank, files, problems)
        audio = self._config.table.audio
        trial = Trial(bank, audio.rate_hz, audio.period_frames, self._clock)
        self._tried[found] = _Bank(found, folder, ready.version, ready.name, entries)
        candidate = Candidate(trial, studios_of(bank), len(problems), found)
        if len(problems) > self._plays.problems:
            self._take_apart(self._tried.pop(found), trial)
            raise SlotError(self._worse(problems))
        if ready.notice is not None:
            self._journal.say(ready.notice, "warning")
        return candidate

    def _worse(self, problems: Mapping[int, str]) -> str:
        """A problem that the bank that plays does not have, if there is one."""
        known = {index for index, each in enumerate(self._plays.entries) if each.problem}
        new = [index for index in sorted(problems) if index not in known]
        return problems[new[0] if new else min(problems)]

    def _take_apart(self, bank: _Bank, trial: Trial) -> None:
        """Free it, a piece at a time."""
        things: list[object] = list(trial.other)
        trial.other = ()
        dismantle(things, self._rest)

    def _studio(self, config: Config) -> "BehindASocket":
        from device.processes.studio_side import BehindASocket

        source = BehindASocket(config)
        if source.notice is not None:
            self._journal.say(source.notice, "warning")
        return source

    def _reject(self, found: str, folder: Path | None, reason: str) -> None:
        self.rejected += 1
        self._failed = found
        self._rejected = (str(folder or ""), reason)
        self._journal.say(reason, "error", PURGA_SLOT=folder)

    def _report(self) -> None:
        bank, (rejected_slot, rejected) = self._plays, self._rejected
        report = BankReport(
            os.getpid(),
            bank.entries,
            slot=str(bank.slot or ""),
            version=bank.version,
            release=bank.name,
            rejected_slot=rejected_slot,
            rejected=rejected,
        )
        write_bank(self._config.runtime, report)
        broken = f", {bank.problems} of them broken" if bank.problems else ""
        self._status(f"{len(bank.entries)} presets{broken}")


def _entries(
    bank: tuple[Playable, ...], files: tuple[Path, ...], problems: Mapping[int, str]
) -> tuple[BankEntry, ...]:
    return tuple(
        BankEntry(path.name, str(file), path.latency_frames, problems.get(index))
        for index, (path, file) in enumerate(zip(bank, files, strict=True))
    )


def _named(bank: _Bank) -> str:
    if bank.slot is None:
        return "the pedal's own models"
    version = "" if bank.version is None else f", version {bank.version}"
    return f"{bank.slot}{version}"


def _told(problem: Exception) -> str:
    if isinstance(problem, PurgaError):
        return str(problem)
    return f"the bank cannot be loaded ({type(problem).__name__}: {problem}); report this"
