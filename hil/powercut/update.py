"""A whole update: metadata, chunks, slot, trial, proof and roll back, as the pedal does it.

Only what takes long and writes nothing is replaced: a trial's listening. What the device builds in
the slot is written without any sync, as other people's builders do.
"""

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from deploy import record
from deploy.client.floors import FloorsFile
from deploy.client.settings import Settings
from deploy.client.sources import FolderSource
from deploy.client.trials import Watch
from deploy.client.update import update
from deploy.errors import UpdateError
from deploy.places import Component, Places
from deploy.release import Release
from deploy.slots import Slots, SlotState
from deploy.trial.files import check_files
from deploy.trial.verdict import Verdict
from hil.powercut.publishing import NOW, content, publish_all
from hil.powercut.subject import Fault, Progress

OLD, NEW, REJECTED, NEXT = 2, 3, 4, 5
ACTIVATED, PROVEN, ROLLED_BACK = range(1, 4)
"""What a run reports as done."""
_PLAN = "plans/stage.plan"
_GOOD = Verdict(True, "nothing was wrong", {})
_BAD = Verdict(False, "it dropped out", {})
_WATCH_S = 5.0


class _Clock:
    """Time that passes when somebody sleeps."""

    earliest = NOW - timedelta(days=300)

    def __init__(self) -> None:
        self._passed_s = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self._passed_s += seconds


class _Trial:
    """Hears nothing, and says what it was told to."""

    def __init__(self, places: Places, verdict: Verdict, at_look: Callable[[], None]) -> None:
        self._verdict = verdict
        self._at_look = at_look
        self._watch = Watch(places, places.root / "nothing-plays", "models")
        self._looks = 0

    def admit(self, release: Release) -> None:
        pass

    def inspect(self, folder: Path, release: Release) -> None:
        check_files(folder, release)

    def build(self, folder: Path) -> Mapping[str, str]:
        plan = folder / _PLAN
        plan.parent.mkdir(exist_ok=True)
        plan.write_bytes(_built(folder))
        return {_PLAN: "0" * 64}

    def self_test(self, folder: Path) -> Verdict:
        return _GOOD

    def begin(self, slot: SlotState) -> None:
        self._watch.begin(slot)

    def look(self, slot: SlotState) -> Verdict | None:
        self._at_look()
        self._watch.look(slot)
        self._looks += 1
        return None if self._looks == 1 else self._verdict


class UpdateSubject:
    """Models go from release 2 to 3, which proves itself; then 4 does not, and is rolled back."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="powercut-releases-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._root, self._repositories = publish_all(folder, NEXT)

    def prepare(self, folder: Path) -> None:
        """A pedal with releases 1 and 2, both proven."""
        places = Places(folder / "purga-update")
        places.trusted_root.parent.mkdir(parents=True)
        places.trusted_root.write_bytes(self._root)
        for version in (1, OLD):
            self._update(places, version)

    def run(self, folder: Path, reached: Progress) -> None:
        """Both updates, each reported when it is active and when it is judged."""
        places = Places(folder / "purga-update")
        self._update(places, NEW, at_look=lambda: reached(max(reached.step, ACTIVATED)))
        reached(PROVEN)
        try:
            self._update(places, REJECTED, _BAD)
        except UpdateError as problem:
            assert "went wrong while playing" in str(problem), problem
        reached(ROLLED_BACK)

    def check(self, folder: Path, step: int) -> list[Fault]:
        """It plays one whole release, none older than was proven; older offers change nothing."""
        places = Places(folder / "purga-update")
        faults = _papers(places, step)
        faults += _plays(places, NEW if step >= ACTIVATED else OLD, step)
        if faults:
            return faults
        before = _active(places)
        with contextlib.suppress(UpdateError):
            self._update(places, 1)
        now = _active(places)
        if now is None or before is None or (now.version or 0) < (before.version or 0):
            return [
                Fault("regressed", f"release {now and now.version} was taken from old metadata")
            ]
        try:
            self._update(places, NEXT)
        except UpdateError as problem:
            return [Fault("stuck", f"the next update fails: {problem}")]
        now = _active(places)
        if now is None or (now.version, now.state) != (NEXT, "good"):
            return [Fault("stuck", f"release {NEXT} was to be had; now {now}")]
        return _plays(places, NEXT, step) + _papers(places, step)

    def _update(
        self,
        places: Places,
        offered: int,
        verdict: Verdict = _GOOD,
        at_look: Callable[[], None] = lambda: None,
    ) -> None:
        """Update from the repository as it was when ``offered`` was its newest."""
        trial = _Trial(places, verdict, at_look)
        trials: dict[Component, _Trial] = {"models": trial, "firmware": trial}
        source = FolderSource(self._repositories[offered])
        update(places, source, Settings(), trials, watch_s=_WATCH_S, clock=_Clock())


def _active(places: Places) -> SlotState | None:
    return Slots(places.slots("models"), "models").active


def _plays(places: Places, lowest: int, step: int) -> list[Fault]:
    slots = Slots(places.slots("models"), "models")
    # What plays at boot follows the link before anybody has repaired anything.
    if not (slots.folder / "active" / "release.json").is_file():
        return [Fault("unbootable", "active leads nowhere before it is repaired")]
    slots.recover()
    active = slots.active
    if active is None:
        return [Fault("unbootable", f"nothing is active, though release {OLD} was good")]
    version = active.version or 0
    expected = {**content(version), _PLAN: _built(active.folder)}
    for path, data in expected.items():
        try:
            found = (active.folder / path).read_bytes()
        except OSError as error:
            return [Fault("torn", f"release {version} lacks {path} ({error.strerror})")]
        if found != data:
            return [Fault("torn", f"{path} of release {version} has other bytes")]
    if version < lowest:
        return [Fault("regressed", f"release {version} plays, {lowest} did before")]
    if version == REJECTED and (active.state != "trial" or step >= ROLLED_BACK):
        return [Fault("torn", f"release {version}, which went wrong, is {active.state}")]
    if active.state not in ("good", "trial"):
        return [Fault("torn", f"release {version} plays and is {active.state}")]
    if step >= PROVEN and version == NEW and active.state != "good":
        return [Fault("lost", f"release {NEW} was proven and is {active.state}")]
    return []


def _papers(places: Places, step: int) -> list[Fault]:
    """Floors, record and chunks are readable, and none has gone back."""
    faults = []
    floors = FloorsFile(places.floors)
    if floors.problem is not None:
        faults.append(Fault("torn", floors.problem))
    elif floors.now.versions.get("models", 0) < (NEW if step >= PROVEN else OLD):
        faults.append(Fault("regressed", f"the floor is {floors.now.versions}"))
    if not record.intact(places.record):
        faults.append(Fault("torn", "the record's chain is broken"))
    verdicts = [entry for entry in record.entries(places.record) if entry["event"] == "verdict"]
    expected = {PROVEN: 3, ROLLED_BACK: 4}.get(step, 2)
    if len(verdicts) < expected:
        faults.append(Fault("lost", f"the record has {len(verdicts)} of {expected} verdicts"))
    return faults


def _built(folder: Path) -> bytes:
    """What a device makes of a release: something of its own, as long as a plan's first pages."""
    return (folder / "release.json").read_bytes()[::-1] * 4
