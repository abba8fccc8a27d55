"""A pedal as the attacks see it: it updates when told, and what plays on it is watched.

After every update the pedal holds itself against what must be true whatever was done to it: one
clear sentence, an exit code of the two there are, no hanging, and a slot that plays untouched.
"""

import hashlib
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.client.budget import Budget
from deploy.client.floors import FloorsFile
from deploy.client.limits import Limits
from deploy.client.settings import Settings
from deploy.client.sources import FolderSource, HttpSource, Source
from deploy.client.update import Outcome, update
from deploy.errors import UpdateError
from deploy.places import Component, Places
from deploy.release import Release
from deploy.slots import Slots, SlotState
from deploy.trial.files import check_files
from deploy.trial.verdict import Verdict
from tests.deploy.attacks.sentence import sentence_of

LIMITS = Limits(
    connect_s=10.0,
    read_s=10.0,
    deadline_s=120.0,
    lowest_rate_bytes_s=1.0,
    rate_window_s=10.0,
    tries=3,
)
"""Long enough that a busy machine is never taken for a bad link."""
TIGHT = replace(LIMITS, connect_s=0.5, read_s=0.3, lowest_rate_bytes_s=20_000.0, rate_window_s=0.3)
"""Where the link is slow or silent on purpose, so that a test need not wait."""
BOUND_S = 30.0
"""So long an update may really take with either, however it is attacked."""


class FakeClock:
    """A calendar that is set by hand, and waits that take no time."""

    earliest = datetime(2026, 11, 21, tzinfo=UTC)

    def __init__(self, now: datetime) -> None:
        self.calendar = now
        self.naps: list[float] = []

    def now(self) -> datetime:
        return self.calendar

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.naps)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)


@dataclass
class LightTrial:
    """The real look at the slot's files; what would play is not played, but answers as told."""

    verdict: Verdict = field(default_factory=lambda: Verdict(True, "It sounds well."))
    looks: Verdict | None = field(default_factory=lambda: Verdict(True, "It plays well."))

    def admit(self, release: Release) -> None:
        pass

    def inspect(self, folder: Path, release: Release) -> None:
        check_files(folder, release)

    def build(self, folder: Path) -> Mapping[str, str]:
        return {}

    def self_test(self, folder: Path) -> Verdict:
        return self.verdict

    def begin(self, slot: SlotState) -> None:
        pass

    def look(self, slot: SlotState) -> Verdict | None:
        return self.looks


@dataclass(frozen=True)
class Told:
    """How an update ended."""

    code: int
    """0, or the error's exit code."""
    said: str
    outcome: Outcome | None
    seconds: float

    def refused(self, *words: str) -> "Told":
        """Asserts that something was refused, and that the sentence holds one of the words."""
        return self._ended(2, words)

    def failed(self, *words: str) -> "Told":
        """Asserts that it could not be done this time."""
        return self._ended(1, words)

    def done(self) -> "Told":
        """Asserts that it went well."""
        return self._ended(0, ())

    def _ended(self, code: int, words: tuple[str, ...]) -> "Told":
        assert self.code == code, f"exit code {self.code}, expected {code}: {self.said}"
        assert not words or any(word in self.said for word in words), f"{words}: {self.said}"
        return self


class Pedal:
    """A device's files below ``home``, and the updates that are done with them."""

    def __init__(self, home: Path, now: datetime, limits: Limits = LIMITS) -> None:
        self.places = Places(home)
        self.clock = FakeClock(now)
        self.limits = limits
        self.settings = Settings()
        self.trials: dict[Component, LightTrial] = {
            "models": LightTrial(),
            "firmware": LightTrial(),
        }
        self.asked = True
        self.bound_s = BOUND_S
        self.lines: list[str] = []
        random.seed(6)  # the jitter's

    def trust(self, root: bytes) -> None:
        """What provisioning does."""
        self.places.trusted_root.parent.mkdir(parents=True, exist_ok=True)
        self.places.trusted_root.write_bytes(root)

    def http(self, url: str) -> HttpSource:
        """A web server, with this month's budget."""
        most = None if self.asked else self.settings.budget_mb_per_month * 1_000_000
        budget = Budget(FloorsFile(self.places.floors), most, self.clock)
        return HttpSource(url, self.limits, budget, self.clock)

    def stick(self, folder: Path) -> FolderSource:
        """A USB stick."""
        return FolderSource(folder)

    def rolls_back(self, source: Source | None) -> Told:
        """An update that leaves the active slot for the other one."""
        return self.get(source, untouched=False)

    def get(self, source: Source | None, untouched: bool = True) -> Told:
        """One update, held against all that must be true of it."""
        before = self.playing()
        started = time.monotonic()
        try:
            outcome = update(
                self.places,
                source,
                self.settings,
                self.trials,
                asked=self.asked,
                clock=self.clock,
                limits=self.limits,
                say=self.lines.append,
            )
        except UpdateError as problem:
            told = Told(problem.exit_code, sentence_of(problem), None, time.monotonic() - started)
        else:
            said = " ".join(step.said for step in outcome.steps)
            told = Told(0, said, outcome, time.monotonic() - started)
        assert told.seconds < self.bound_s, f"took {told.seconds:.1f} s: {told.said}"
        if told.code:
            assert told.code in (1, 2)
            assert not untouched or self.playing() == before, (
                f"the active slot was touched: {told.said}"
            )
        self.check()
        return told

    def slots(self, component: Component = "models") -> Slots:
        """As the client sees them."""
        return Slots(self.places.slots(component), component)

    def version(self, component: Component = "models") -> int | None:
        """Of what plays; None for the factory's content."""
        active = self.slots(component).active
        return None if active is None else active.version

    def playing(self) -> dict[str, str]:
        """Both components' links, and every file of what they lead to, by hash and mode."""
        found: dict[str, str] = {}
        for component in ("models", "firmware"):
            folder = self.places.root / component
            link = folder / "active"
            if not link.is_symlink():
                continue
            found[str(link)] = os.readlink(link)
            for path in sorted((folder / os.readlink(link)).rglob("*")):
                found[str(path)] = f"{path.lstat().st_mode:o} {_content(path)}"
        return found

    def check(self) -> None:
        """What plays is whole: each file is what its signed release says, and no other is there."""
        for component in ("models", "firmware"):
            active = Slots(self.places.root / component, component).active
            if active is not None:
                content = (active.folder / "release.json").read_bytes()
                assert hashlib.sha256(content).hexdigest() == active.release_sha256
                try:
                    check_files(active.folder, Release.model_validate_json(content))
                except UpdateError as problem:
                    raise AssertionError(f"what plays is not whole: {problem}") from None

    def store_bytes(self) -> int:
        """Of all chunks that were kept."""
        return sum(path.stat().st_size for path in self.places.store.rglob("*") if path.is_file())

    def restarted(self) -> "Pedal":
        """The same device after a reboot: nothing but its files, and time enough."""
        pedal = Pedal(self.places.root, self.clock.calendar)
        pedal.settings, pedal.asked, pedal.trials = self.settings, self.asked, self.trials
        return pedal


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
