"""A whole run: what is taken up from an earlier one, what runs where, what came of it."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.bench import Bench
from hil.budgets import BUDGETS, budget_of
from hil.raw import sha256
from hil.results import ScenarioResult
from hil.runs.lane import Lane, reference_of
from hil.runs.opening import can_lose_link, described, opened
from hil.runs.progress import Length, Progress
from hil.runs.safe import interruptible
from hil.runs.software import git_version, software_hash
from hil.runs.stages import PROFILES, REFERENCE, Profile, Stage, check_all_reach, choose
from hil.runs.store import Key, forget, keep, kept, read
from hil.runs.tasks import CallTask, ChildTask, Pool, Task
from hil.suites.functional import Found


@dataclass(frozen=True)
class Options:
    """What a run was asked for."""

    out: Path = Path("out/hil")
    profile: Profile = "ci"
    only: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    resume: bool = False
    virtual: bool | None = None
    """Whether with the virtual pedal; None: in a simulation."""
    at_once: int | None = None
    """Tasks side by side in a simulation; None: one a core."""
    bench: Path | None = None


@dataclass
class Outcome:
    """What came of it."""

    results: list[ScenarioResult]
    expected: list[str]
    about: dict[str, Any]
    """The bench and the unit, for the report."""
    interrupted: bool = False
    refused: str = ""
    """What was wrong input after all."""
    troubles: list[str] = field(default_factory=list)
    """What failed of the run itself, and what could not be switched off."""

    @property
    def whole(self) -> bool:
        """Whether each stage of the whole table is expected, so that every limit must be there."""
        return {"thermal-after", "latency", "recovery", "cold-recovery"} <= set(self.expected)


def run_whole(options: Options, begun: Callable[[Outcome], None]) -> Outcome:
    """Run what ``options`` ask for; every stage's result lies in ``options.out`` as it ends.

    ``begun`` is called once nothing was refused, before anything moves. Raises ``BenchError`` for
    wrong input, ``InstrumentError`` where an instrument cannot be reached at all.
    """
    with interruptible(), opened(options.bench) as bench:
        stages = choose(
            options.profile,
            only=options.only,
            suites=options.suites,
            virtual=options.virtual,
            measured=options.bench is not None or bench.measured,
            can_lose_link=can_lose_link(bench),
        )
        mine = [each for each in stages if each.run is not None]
        check_all_reach(bench, mine)
        software = software_hash()
        about = described(bench) | {"software": software, "git": git_version()}
        run = _Run(options, bench, stages, Outcome([], [each.name for each in stages], about))
        begun(run.outcome)
        try:
            run.go(software)
        except KeyboardInterrupt:
            run.outcome.interrupted = True
        run.gather()
        return run.outcome


class _Run:
    """One run's parts."""

    def __init__(
        self, options: Options, bench: Bench, stages: Sequence[Stage], outcome: Outcome
    ) -> None:
        self.options, self.bench, self.stages, self.outcome = options, bench, stages, outcome
        # What is simulated runs side by side; a bench that stands there, there is once.
        self._here = options.bench is not None or bench.measured
        self._before = _lengths_before(options.out, bench.measured)
        self._found: dict[str, ScenarioResult] = {}
        self._reference: Found | None = None
        self._no_pedal = ""
        self._lock = threading.Lock()
        self._building = threading.Lock()

    # -- what there is to do ----------------------------------------------------------------------

    def go(self, software: str) -> None:
        """Take up what can be, run the rest."""
        file = self.options.bench
        unit = self.bench.unit
        self._key = Key(
            software,
            "simulated" if file is None else sha256(file)[:16],
            f"{unit.serial}, {unit.software}",
            self.options.profile,
        )
        if self.options.resume:
            found, _ = kept(self.options.out, REFERENCE, self._key)
            self._reference = reference_of(found)
        rest = [stage for stage in self.stages if not self._taken_up(stage)]
        lengths = {each.name: self._before.get(each.name) or self._expected(each) for each in rest}
        # The longest first, or one core would be left with it at the end.
        lanes = sorted(
            self._lanes(rest), key=lambda lane: -sum(lengths[each.name].wall_s for each in lane)
        )
        slots = self._slots()
        names = [[stage.name for stage in lane] for lane in lanes]
        self._progress = Progress(names, lengths, slots)
        own = [lane for lane in lanes if self._here and lane[0].run is not None]
        tasks = [self._task(lane) for lane in lanes if lane not in own]
        pool = Pool(slots, tasks)
        pool.start()
        try:
            for lane in own:
                self._on_this_bench(lane)
            pool.wait()
        except BaseException:
            pool.stop()
            raise
        finally:
            self.outcome.troubles += pool.failed

    def _taken_up(self, stage: Stage) -> bool:
        if self.options.resume:
            result, reason = kept(self.options.out, stage.name, self._key_of(stage))
            if result is not None:
                self._found[stage.name] = result
                _say(f"{stage.name}: taken up from the earlier run ({result.verdict})")
                return True
            if reason:
                _say(f"{stage.name}: is run again: {reason}")
        forget(self.options.out, stage.name)
        return False

    def _key_of(self, stage: Stage) -> Key:
        if stage.run is not None:
            return self._key
        return replace(self._key, bench="simulated", unit="simulated")

    def _lanes(self, rest: Sequence[Stage]) -> list[list[Stage]]:
        """What follows on each other. A real bench is one lane; a simulated one, one a suite."""
        lanes: dict[str, list[Stage]] = {}
        for stage in rest:
            alone = stage.run is None
            name = stage.name if alone else "bench" if self._here else stage.suite
            lanes.setdefault(name, []).append(stage)
        return list(lanes.values())

    def _slots(self) -> int:
        return self.options.at_once or max(1, len(os.sched_getaffinity(0)))

    def _expected(self, stage: Stage) -> Length:
        scale, usual = PROFILES[self.options.profile], PROFILES["ci"]
        more = {
            "latency": scale.shots / usual.shots,
            "cold-starts": scale.starts / usual.starts,
        }.get(stage.suite, 1.0)
        wall_s = stage.bench_s if self._here and stage.run else stage.wall_s
        return Length(stage.bench_s * more, wall_s * more)

    # -- doing it ---------------------------------------------------------------------------------

    def _on_this_bench(self, lane: Sequence[Stage]) -> None:
        scale = PROFILES[self.options.profile]
        line = Lane(
            self.bench,
            self.options.out,
            self._key,
            scale,
            self._progress.mark,
            lambda result: self._was_ended(result.name),
            self._reference,
        )
        try:
            line.run(lane)
        finally:
            self.outcome.troubles += line.unsafe
            self.outcome.refused = str(line.refused or "")

    def _task(self, lane: Sequence[Stage]) -> Task:
        if lane[0].suite == "virtual":
            return CallTask(lambda: self._virtual(lane[0]))
        asked = {
            "stages": [stage.name for stage in lane],
            "folder": str(self.options.out.resolve()),
            "profile": self.options.profile,
            "key": asdict(self._key_of(lane[0])),
            "reference": None if self._reference is None else vars(self._reference),
        }
        return ChildTask(asked, self._event)

    def _virtual(self, stage: Stage) -> str:
        from hil.virtual.errors import VirtualError
        from hil.virtual.image import image
        from hil.virtual.kernel import kernel
        from hil.virtual.run import run_suite

        if self._no_pedal:
            return ""
        scale, out = PROFILES[self.options.profile], self.options.out
        try:
            with self._building:
                # Minutes the first time; whoever comes next finds it built.
                start_s = time.monotonic()
                image(kernel())
                self._progress.prepared(time.monotonic() - start_s)
            [result] = run_suite(scale.virtual, out, [stage.name], 1)
        except VirtualError as error:
            # What cannot be built for one scenario cannot for the next.
            self._no_pedal = f"the virtual pedal cannot be built: {error}"
            return self._no_pedal
        keep(out, replace(result, simulated=True), self._key_of(stage))
        self._was_ended(stage.name)
        return ""

    def _event(self, event: Mapping[str, Any]) -> None:
        name = event.get("stage", "")
        if event.get("ended"):
            self._was_ended(name)
        elif "bench_s" in event:
            self._progress.mark(name, event["bench_s"], event["label"])
        elif "done" in event:
            self._progress.part(name, event["done"], event["label"])
        else:
            with self._lock:
                self.outcome.troubles += event.get("unsafe", [])
                self.outcome.refused = self.outcome.refused or event.get("refused", "")

    def _was_ended(self, name: str) -> None:
        result = read(self.options.out, name)
        said = "gave no result" if result is None else result.stopped or result.verdict
        if result is not None and result.missed:
            said += f": {', '.join(check.id for check in result.missed)}"
        self._progress.ended(name, said)

    # -- what came of it --------------------------------------------------------------------------

    def gather(self) -> None:
        """Collect every stage's result from the disk, those that were stopped too."""
        for stage in self.stages:
            if stage.name not in self._found and (result := read(self.options.out, stage.name)):
                self._found[stage.name] = result
        found = self._found
        self.outcome.results = [found[each.name] for each in self.stages if each.name in found]


def unmeasured(results: Sequence[ScenarioResult]) -> list[str]:
    """Limits of the table that no stage judged, those left out that a stage says it left out."""
    judged = {budget_of(check.id) for result in results for check in result.checks}
    for result in results:
        for what in result.figures.get("not measured", ()):
            judged |= set(_EXCUSED.get(str(what), ()))
    return sorted(set(BUDGETS) - judged - _WIRED)


_EXCUSED: Mapping[str, tuple[str, ...]] = {
    "dead converter": ("knob-held", "knob-said"),
    "heater stuck": ("heater-bounded",),
    "knob to sound": ("knob-to-sound",),
}
"""What a unit that cannot be broken so leaves open."""
_WIRED = frozenset({"link-said", "link-safe"})
"""Only where the suite can cut a line: on the simulated bench."""


def _lengths_before(out: Path, measured: bool) -> dict[str, Length]:
    """How long stages took in the report that lies there; none where it was of another kind."""
    try:
        report = json.loads((out / "report.json").read_text("utf-8"))
        if report["simulated"] == measured:
            return {}
        return {
            each["name"]: Length(float(each["virtual_s"]), float(each["wall_s"]))
            for each in report["scenarios"]
            if not each.get("stopped")
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
