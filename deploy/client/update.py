"""The update, from signed metadata to a slot that has proven itself.

    verify ─► fetch ─► assemble ─► inspect ─► build ─► self-test ─► activate ─► probation ─► good
                                      └────────┴───────────┴─► refused     └─► rolled back

A run may end anywhere, by a power cut too; the next one goes on. What was fetched is in the store,
what was assembled in the slot, and the slots' own states say how far they came. One component is
tried at a time, so that what goes wrong is known to be its doing; the firmware comes first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.client.alone import BusyError, alone
from deploy.client.clock import Clock, SystemClock
from deploy.client.filling import Chosen, Filling
from deploy.client.floors import FloorsFile
from deploy.client.journal import Journal, about
from deploy.client.judging import Judging
from deploy.client.limits import Limits
from deploy.client.repository import Repository
from deploy.client.rollout import choose
from deploy.client.seams import Trial
from deploy.client.settings import Settings
from deploy.client.sources import Source
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import COMPONENTS, Component, Places
from deploy.slots import Slots
from deploy.slots.disk import sync_below

LOOK_S = 1.0
ORDER: tuple[Component, ...] = ("firmware", "models")
"""Models may need the newer firmware, never the other way round."""


@dataclass(frozen=True)
class Step:
    """What became of one component."""

    component: Component
    state: Literal["current", "trial", "good", "waiting", "not-asked"]
    """``current``: nothing newer for this device; ``trial``: a release plays and is watched;
    ``good``: it has proven itself in this run; ``waiting``: for the other component's trial;
    ``not-asked``: this run was to stay off the network."""
    version: int | None
    """Of the active slot; None where the factory's content plays."""
    said: str
    """One sentence."""


@dataclass(frozen=True)
class Outcome:
    """What a run did. What went wrong was raised instead."""

    steps: tuple[Step, ...]

    def step(self, component: Component) -> Step | None:
        """What became of ``component``."""
        return next((step for step in self.steps if step.component == component), None)


def update(
    places: Places,
    source: Source | None,
    settings: Settings,
    trials: Mapping[Component, Trial],
    *,
    components: Sequence[Component] | None = None,
    asked: bool = True,
    watch_s: float = 0.0,
    clock: Clock | None = None,
    limits: Limits | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Bring the components up to date as far as it goes now, and judge what is on trial.

    ``source`` is closed at the end; None fetches nothing and goes on with what is here. ``trials``
    has one for each component. ``components`` are those to update, the settings' by default;
    trials are judged for all. ``asked`` is false for the timer's runs: the settings may keep those
    off the network. A slot on trial is looked at once, and then for ``watch_s`` seconds at the
    most, in which others may roll back or update. ``say`` gets a line for each thing that happens.

    Returns an ``Outcome``. Raises ``UpdateError`` for what is refused: the repository, a release,
    or one that went wrong while playing and was rolled back. Raises ``UpdateFailedError`` for what
    could not be done this time; what was fetched is kept, and calling again goes on with it. With
    both, after everything that could be done is done; the first is raised with the other's
    sentence behind it. The active slot is never touched except by an activation, a proof or a roll
    back.
    """
    clock = clock or SystemClock()
    with alone(places):
        run = _Run(
            places,
            source,
            settings,
            trials,
            settings.components if components is None else components,
            asked,
            clock,
            limits or Limits(),
            say,
        )
        try:
            run.go()
        finally:
            if source is not None:
                source.close()
    began = clock.monotonic()
    while run.on_trial() and clock.monotonic() - began < watch_s:
        clock.sleep(LOOK_S)
        # In between anybody may roll back, or bring a stick.
        try:
            with alone(places):
                run.judge_all()
        except BusyError:
            break
    return run.outcome()


class _Run:
    """One call of ``update``."""

    def __init__(
        self,
        places: Places,
        source: Source | None,
        settings: Settings,
        trials: Mapping[Component, Trial],
        components: Sequence[Component],
        asked: bool,
        clock: Clock,
        limits: Limits,
        say: Callable[[str], None],
    ) -> None:
        self._places = places
        self._source = source
        self._settings = settings
        self._trials = trials
        self._components = [each for each in ORDER if each in components]
        self._clock = clock
        self._may_ask = asked or (settings.automatic and settings.budget_mb_per_month > 0)
        self._slots: dict[Component, Slots] = {
            each: Slots(places.slots(each), each) for each in COMPONENTS
        }
        self._journal = Journal(places, clock, say)
        self._floors = FloorsFile(places.floors)
        self._judging = Judging(self._slots, trials, self._floors, self._journal)
        self._filling = Filling(places, self._slots, trials, self._journal, limits)
        self._steps: dict[Component, Step] = {}
        self._problems: list[UpdateError] = []
        self._unheard: dict[Component, str] = {}
        self._has_asked = False

    def go(self) -> None:
        """Everything but waiting."""
        self._start()
        self.judge_all()
        try:
            self._advance()
        except UpdateError as problem:
            self._problems.append(problem)

    def outcome(self) -> Outcome:
        """How each component is. Raises what went wrong."""
        self._conclude()
        return Outcome(tuple(self._steps[each] for each in ORDER if each in self._steps))

    def _start(self) -> None:
        for component in COMPONENTS:
            for sentence in self._slots[component].recover():
                self._journal.note("recovered", sentence, component=component)
        self._judging.catch_up()
        if self._floors.is_new:
            # Versions that have proven themselves here are a floor, whatever was forgotten.
            good = {
                component: max(
                    (slot.version or 0 for slot in slots.both if slot.state == "good"), default=0
                )
                for component, slots in self._slots.items()
            }
            if self._floors.problem is not None:
                self._journal.note("floors", self._floors.problem)
            self._floors.change(versions=good)

    def judge_all(self) -> None:
        """Look at what is on trial, once."""
        for component in ORDER:
            active = self._slots[component].active
            if active is None or active.state != "trial":
                # A trial that somebody else has ended meanwhile.
                if (step := self._steps.get(component)) is not None and step.state == "trial":
                    del self._steps[component]
                continue
            self._unheard.pop(component, None)
            try:
                standing = self._judging.judge(component, active)
            except UpdateError as problem:
                self._problems.append(problem)
                continue
            if standing.unheard:
                self._unheard[component] = standing.unheard
            if not standing.proven and component in self._steps:
                continue
            state: Literal["good", "trial"] = "good" if standing.proven else "trial"
            how = "has proven itself." if standing.proven else "is active and being watched."
            if standing.unheard:
                how = f"is active and has no verdict: {standing.unheard}"
            said = f"{component}: release {active.version} {how}"
            self._steps[component] = Step(component, state, active.version, said)

    def _advance(self) -> None:
        """Fetch and try what is newer."""
        source = self._source if self._may_ask else None
        if source is None or not self._components or self._in_the_way():
            self._go_on_with_what_is_here()
            return
        repository = Repository(self._places, source, self._floors, self._clock)
        try:
            repository.refresh()
            chosen = self._choose(repository)
            self._has_asked = True
        except UpdateFailedError:
            # Off the network one can still finish what was verified and assembled before.
            if self._go_on_with_what_is_here():
                return
            raise
        self._drop_what_is_not_offered(chosen)
        if everything := set(self._components) >= set(self._settings.components):
            self._filling.tidy(chosen)
        for each in chosen:
            if self._in_the_way():
                self._steps[each.component] = self._waiting(each.component)
                continue
            try:
                self._make_room(each)
                self._filling.fill(each, source)
                self._try(each.component)
            except UpdateError as problem:
                self._problems.append(problem)
        if everything:
            self._filling.tidy(chosen)

    def _drop_what_is_not_offered(self, chosen: Sequence[Chosen]) -> None:
        """A slot that was made ready before, and whose release was withdrawn since."""
        wanted = {each.release_sha256 for each in chosen}
        for component in self._components:
            inactive = self._slots[component].inactive
            if inactive.state == "ready" and inactive.release_sha256 not in wanted:
                self._slots[component].abandon()
                said = f"{component}: release {inactive.version} is not offered any more."
                self._journal.note("dropped", said, **about(component, inactive))

    def _choose(self, repository: Repository) -> list[Chosen]:
        """The releases to have, in the order in which they are taken."""
        floors = self._floors.now
        chosen: list[Chosen] = []
        offered = dict(floors.offered)
        kept = []
        for component in self._components:
            slots = self._slots[component]
            offer = choose(
                repository.releases(component),
                self._settings.group,
                floors.device,
                floors.versions.get(component, 0),
                slots.refused,
            )
            offered[component] = 0 if offer is None else offer.rollout.version
            active = slots.active
            playing = None if active is None else active.release_sha256
            if offer is None or offer.release_sha256 == playing:
                continue
            # What has no verdict makes room for what is newer, never for what was before.
            tried = active.version if active is not None and active.state == "trial" else None
            if tried is not None and offer.rollout.version <= tried:
                continue
            release, content = repository.release(offer, self._filling.release_file(active))
            kept.append(offer)
            chosen.append(Chosen(component, offer.release_sha256, release, content))
        self._floors.change(offered=offered)
        repository.forget_releases(kept)
        return chosen

    def _go_on_with_what_is_here(self) -> bool:
        """Try a slot that was assembled before this run; whether there was one."""
        for component in self._components:
            inactive = self._slots[component].inactive
            if not self._in_the_way() and inactive.state == "ready":
                self._try(component)
                return True
        return False

    def _try(self, component: Component) -> None:
        """Inspect, build, self-test and activate the ready slot."""
        ready = self._judging.prepare(component)
        # What was built there is not on the disk yet; an active slot must be, all of it.
        sync_below(ready.folder)
        self._trials[component].begin(ready)
        self._slots[component].activate()
        self._journal.note(
            "activated",
            f"{component}: release {ready.version} is active, on trial.",
            **about(component, ready),
        )
        when = "; it plays from the next start on" if component == "firmware" else ""
        said = f"{component}: release {ready.version} is active and being watched{when}."
        self._steps[component] = Step(component, "trial", ready.version, said)

    def _waiting(self, component: Component) -> Step:
        active = self._slots[component].active
        said = f"{component}: what is newer waits until the other trial has ended."
        return Step(component, "waiting", None if active is None else active.version, said)

    def on_trial(self) -> set[Component]:
        """The components whose active slots have not proven themselves yet."""
        active = {component: slots.active for component, slots in self._slots.items()}
        return {each for each, slot in active.items() if slot is not None and slot.state == "trial"}

    def _in_the_way(self) -> bool:
        """Whether a slot on trial is being judged; one that does not play keeps nobody waiting."""
        return bool(self.on_trial() - self._unheard.keys())

    def _make_room(self, chosen: Chosen) -> None:
        """Leave a slot that has no verdict for a release that this pedal can have."""
        active = self._slots[chosen.component].active
        if chosen.component in self._unheard and active is not None:
            self._filling.admit(chosen)
            why = self._unheard.pop(chosen.component)
            self._judging.set_aside(chosen.component, active, why, chosen.release.version)

    def _conclude(self) -> None:
        """Say how each component is, or raise what went wrong."""
        if self._problems:
            first, *others = self._problems
            kind = next((type(each) for each in self._problems if each.exit_code == 2), type(first))
            if others:
                sentence = " ".join(dict.fromkeys(str(each) for each in self._problems))
                raise (UpdateError if kind.exit_code == 2 else UpdateFailedError)(sentence)
            raise first
        for component in self._components:
            if component not in self._steps:
                self._steps[component] = self._unchanged(component)

    def _unchanged(self, component: Component) -> Step:
        if not self._has_asked and self._in_the_way():
            return self._waiting(component)
        active = self._slots[component].active
        version = None if active is None else active.version
        what = "the factory's content" if version is None else f"release {version}"
        if self._has_asked:
            said = f"{component}: {what} plays, and there is nothing newer for this pedal."
            return Step(component, "current", version, said)
        said = f"{component}: {what} plays; nobody was asked for a newer one."
        return Step(component, "not-asked", version, said)
