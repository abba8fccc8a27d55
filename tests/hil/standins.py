"""Stages that take no time, on the bench without wires; made to break off where a test wants it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hil.bench import Bench
from hil.plant.direct import direct_bench
from hil.plant.plant import Plant
from hil.runs import finish, stages, whole
from hil.runs.stages import Scale, Stage
from hil.suites.functional import Found
from hil.suites.rig import Rig

NAMES = ("thermal-before", "one", "two", "three")


@dataclass
class StandIns:
    """Stages by name, in order; ``trouble`` is raised in the middle of the one named ``breaks``."""

    bench: Bench
    plant: Plant
    breaks: str = ""
    trouble: Callable[[], None] = lambda: None
    ran: list[str] = field(default_factory=list)
    references: list[Found | None] = field(default_factory=list)

    def stages(self) -> tuple[Stage, ...]:
        return tuple(
            Stage(name, "thermal", f"{name} claims", self._stage(name), (), 60.0, 0.1)
            for name in NAMES
        )

    def _stage(self, name: str) -> Callable[[Rig, Found | None, Scale], None]:
        def run(rig: Rig, reference: Found | None, scale: Scale) -> None:
            self.ran.append(name)
            self.references.append(reference)
            chamber = rig.bench.chamber
            chamber.set(20.0)
            chamber.start()
            rig.bench.supply.set(12.0, 5.0)
            rig.bench.supply.switch(True)
            rig.mark("key on")
            rig.wait(30.0)
            rig.check("ramp", 1.0, name)
            if name == self.breaks:
                self.trouble()
            rig.check("current", 1.0, name)
            if name == NAMES[0]:
                rig.figures["reference"] = vars(Found(254.0, 0.1, -3.0))

        return run

    @property
    def safe(self) -> bool:
        return not self.plant.source.on and not self.plant.chamber.running


def stand_ins(monkeypatch: pytest.MonkeyPatch, measured: bool = True) -> StandIns:
    """A run of such stages, in this process; a bench that says it is measured is run in one."""
    bench, plant = direct_bench()
    made = StandIns(replace(bench, measured=measured), plant)

    @contextmanager
    def opened(file: Path | None) -> Iterator[Bench]:
        yield made.bench

    monkeypatch.setattr(stages, "BENCH_STAGES", made.stages())
    monkeypatch.setattr(whole, "opened", opened)
    # Somebody may edit the sources while the tests run; and paper has tests of its own.
    monkeypatch.setattr(whole, "software_hash", lambda: "0123456789abcdef")
    monkeypatch.setattr(finish, "write_pdf", lambda folder: folder / "report.pdf")
    return made


def names(results: Sequence[object]) -> list[str]:
    return [str(getattr(each, "name", "")) for each in results]
