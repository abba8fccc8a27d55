"""Trying a slot before it is heard, and judging it while it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.client.floors import FloorsFile
from deploy.client.journal import Journal, about
from deploy.client.seams import Trial
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Component
from deploy.release import Release, parse_release
from deploy.slots import Slots, SlotState

RELEASE = "release.json"
BEGINS = ("assembled", "activated")
ENDS = ("refused", "rolled-back")
"""Of the record's events: what a slot's way ends with where it goes bad."""


@dataclass(frozen=True)
class Standing:
    """How a slot on trial stands."""

    proven: bool
    unheard: str = ""
    """Why there will hardly be a verdict, as it does not play; empty where there may well be."""


class Judging:
    """The trials of one run."""

    def __init__(
        self,
        slots: Mapping[Component, Slots],
        trials: Mapping[Component, Trial],
        floors: FloorsFile,
        journal: Journal,
    ) -> None:
        self._slots = slots
        self._trials = trials
        self._floors = floors
        self._journal = journal

    def catch_up(self) -> None:
        """Note the end of each bad slot that the record does not have yet.

        At boot, firmware is left where nobody writes the record; and the power may go between an
        end and its line.
        """
        for component, slots in self._slots.items():
            for slot in slots.both:
                if slot.state == "bad" and slot.release_sha256 is not None:
                    self._note_end(component, slot)

    def _note_end(self, component: Component, slot: SlotState) -> None:
        played = ended = False
        for line in self._journal.lines():
            if line.get("release_sha256") == slot.release_sha256:
                event = line.get("event")
                ended = event in ENDS or (ended and event not in BEGINS)
                # Nothing refuses it between a self-test that it passed and its activation.
                passed = event == "activated" or (event == "self-test" and line.get("ok") is True)
                played = passed or (played and event != "assembled")
        if not ended:
            event, how = ("rolled-back", "was left") if played else ("refused", "is refused")
            said = f"{component}: release {slot.version} {how}: {slot.why.rstrip('.')}."
            self._journal.note(event, said, **about(component, slot), why=slot.why)

    def prepare(self, component: Component) -> SlotState:
        """Inspect, build and self-test the ready slot; returns it, fit to be activated.

        What does not stand it is rejected and never taken again: ``UpdateError``. What could not be
        tried now stays ready: ``UpdateFailedError``.
        """
        slot = self._slots[component].inactive
        trial = self._trials[component]
        names = about(component, slot)
        what = f"{component}: release {slot.version}"
        try:
            trial.inspect(slot.folder, release_in(slot.folder))
            self._journal.say(f"{what} is being built for this device.")
            plans = dict(trial.build(slot.folder))
            self._journal.note("built", f"{what} is built.", **names, plans=plans)
            verdict = trial.self_test(slot.folder)
        except UpdateFailedError:
            raise
        except UpdateError as problem:
            self._reject(component, f"{problem}", names)
            raise UpdateError(f"{what} is refused: {problem}") from None
        figures = dict(verdict.figures)
        said = f"{what}: self-test {'passed' if verdict.ok else 'failed'}: {verdict.why}"
        self._journal.note("self-test", said, **names, ok=verdict.ok, figures=figures)
        if verdict.ok:
            return slot
        if verdict.again:
            raise UpdateFailedError(f"{what} could not be tested now: {verdict.why}")
        self._reject(component, verdict.why, names)
        raise UpdateError(f"{what} is refused, its self-test failed: {verdict.why}")

    def judge(self, component: Component, active: SlotState) -> "Standing":
        """How the active slot on trial stands; one that has proven itself is good from now on.

        One that went wrong is rolled back: ``UpdateError``.
        """
        verdict = self._trials[component].look(active)
        if verdict is None:
            return Standing(False)
        if not verdict.ok and verdict.again:
            return Standing(False, verdict.why)
        names = about(component, active)
        what = f"{component}: release {active.version}"
        said = f"{what} {'is good' if verdict.ok else 'went wrong'}: {verdict.why}"
        # The verdict first: a power cut after it leads to the same one again.
        self._journal.note("verdict", said, **names, ok=verdict.ok, figures=dict(verdict.figures))
        slots = self._slots[component]
        if verdict.ok:
            # The floor first: between the two it is only higher than it need be.
            self._floors.raise_version(component, active.version or 0)
            slots.mark_good()
            return Standing(True)
        slots.roll_back(verdict.why)
        now = slots.active
        back = "the factory's content" if now is None else f"release {now.version}"
        said = f"{what} is rolled back; {back} plays."
        self._journal.note("rolled-back", said, **names)
        raise UpdateError(f"{what} went wrong while playing, and {back} plays again: {verdict.why}")

    def set_aside(self, component: Component, active: SlotState, why: str, newer: int) -> None:
        """Leave a slot that does not play, so that release ``newer`` finds room; no verdict on it.

        What is good stays in the other slot: it plays until the newer one does.
        """
        said = f"{component}: release {active.version} makes room for {newer}: {why}"
        self._slots[component].roll_back(f"{why} Release {newer} takes its place.")
        self._journal.note("rolled-back", said, **about(component, active), why=why)

    def _reject(self, component: Component, why: str, names: dict[str, object]) -> None:
        self._slots[component].reject(why)
        said = f"{component}: release {names['version']} is refused: {why}"
        self._journal.note("refused", said, **names)


def release_in(folder: Path) -> Release:
    """The release that a slot was filled with. Raises ``UpdateError``."""
    try:
        return parse_release((folder / RELEASE).read_bytes(), str(folder / RELEASE))
    except OSError as problem:
        raise UpdateError(
            f"{folder / RELEASE}: cannot be read ({problem.strerror}); update again."
        ) from None
