"""A pedal without a pedal: a clock that is told the time, trials that say what one wants.

pedal = Pedal(tmp_path, repo.root_bytes, repo.now)
pedal.update(FolderSource(repo.folder.path))
assert pedal.playing("models") == {"stage.onnx": b"two"}
pedal.trials["models"].verdict = GOOD      # the next look proves it
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.client.limits import Limits
from deploy.client.settings import Settings
from deploy.client.sources import Source
from deploy.client.update import Outcome, update
from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component, Places
from deploy.record import entries
from deploy.release import Release
from deploy.slots import Slots, SlotState


@dataclass(frozen=True)
class Verdict:
    """As ``deploy.trial`` gives one."""

    ok: bool
    why: str
    figures: dict[str, float | str] = field(default_factory=dict)
    again: bool = False


GOOD = Verdict(True, "Nothing was wrong.", {"played_s": 60.0})
BAD = Verdict(False, "It dropped out 9 times.", {"xruns": 9.0})
BUSY = Verdict(False, "The machine was busy.", {}, again=True)
UNHEARD = Verdict(False, "It has not played in 5 starts of the pedal.", {}, again=True)


class FakeClock:
    """Time that passes only when somebody sleeps; ``step`` moves the calendar alone."""

    def __init__(self, now: datetime, earliest: datetime | None = None) -> None:
        self.calendar = now
        self.earliest = earliest or datetime(2026, 1, 1, tzinfo=UTC)
        self.passed_s = 0.0

    def now(self) -> datetime:
        return self.calendar

    def monotonic(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.passed_s += seconds
        self.calendar += timedelta(seconds=seconds)


@dataclass
class FakeTrial:
    """Says what it is told, and remembers what it was asked."""

    refuses: str | None = None
    inspects: str | None = None
    tested: Verdict = GOOD
    verdict: Verdict | None = None
    """Of the next look; None while it is watched."""
    asked: list[str] = field(default_factory=list)

    def admit(self, release: Release) -> None:
        self.asked.append("admit")
        if self.refuses is not None:
            raise UpdateError(self.refuses)

    def inspect(self, folder: Path, release: Release) -> None:
        self.asked.append("inspect")
        if self.inspects is not None:
            raise UpdateError(self.inspects)
        for file in release.files:
            assert (folder / file.path).stat().st_size == file.bytes

    def build(self, folder: Path) -> Mapping[str, str]:
        self.asked.append("build")
        (folder / "plans").mkdir(exist_ok=True)
        (folder / "plans" / "stage.plan").write_bytes(b"built here")
        return {"plans/stage.plan": "0" * 64}

    def self_test(self, folder: Path) -> Verdict:
        self.asked.append("self_test")
        return self.tested

    def begin(self, slot: SlotState) -> None:
        self.asked.append("begin")

    def look(self, slot: SlotState) -> Verdict | None:
        self.asked.append("look")
        return self.verdict


class Pedal:
    """One device's folder of updates."""

    def __init__(self, folder: Path, root: bytes, now: datetime) -> None:
        self.places = Places(folder / "pedal")
        self.places.trusted_root.parent.mkdir(parents=True)
        self.places.trusted_root.write_bytes(root)
        self.clock = FakeClock(now)
        self.trials: dict[Component, FakeTrial] = {each: FakeTrial() for each in COMPONENTS}
        self.settings = Settings()
        self.limits = Limits()
        self.said: list[str] = []

    def update(
        self,
        source: Source | None,
        *,
        components: Sequence[Component] | None = None,
        asked: bool = True,
        watch_s: float = 0.0,
    ) -> Outcome:
        return update(
            self.places,
            source,
            self.settings,
            self.trials,
            components=components,
            asked=asked,
            watch_s=watch_s,
            clock=self.clock,
            limits=self.limits,
            say=self.said.append,
        )

    def slots(self, component: Component = "models") -> Slots:
        return Slots(self.places.slots(component), component)

    def playing(self, component: Component = "models") -> dict[str, bytes] | None:
        """The release's files in the active slot; None where the factory's content plays."""
        active = self.slots(component).active
        if active is None:
            return None
        release = json.loads((active.folder / "release.json").read_bytes())
        return {
            file["path"]: (active.folder / file["path"]).read_bytes() for file in release["files"]
        }

    def version(self, component: Component = "models") -> int | None:
        active = self.slots(component).active
        return None if active is None else active.version

    def events(self) -> list[str]:
        return [str(entry["event"]) for entry in entries(self.places.record)]

    def record(self) -> list[dict[str, Any]]:
        return entries(self.places.record)
