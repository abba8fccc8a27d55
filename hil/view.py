"""What a report shows, put together once for the page and for the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.histograms import Trips, trips_of
from hil.plots import Noted, Rows, noted, start_of
from hil.raw import SHOTS, TRACE, RawError, read_trace
from hil.results import ScenarioResult
from hil.runs.progress import clock

Check = Mapping[str, Any]

HEADLINES = {
    "pass": "Every number was kept",
    "fail": "Not every number was kept",
    "incomplete": "Not everything was run",
}
QUALIFIES_NOTHING = "this qualifies nothing at −40 °C"


@dataclass(frozen=True)
class StageView:
    """A stage that has a trace."""

    result: ScenarioResult
    claims: str
    stamp: str
    rows: Rows
    marks: Sequence[Noted]
    checks: Sequence[Check]

    @property
    def kept(self) -> str:
        """``29 of 29 numbers kept``."""
        held = sum(check["ok"] for check in self.checks)
        return f"{held} of {len(self.checks)} numbers kept"

    @property
    def soaked(self) -> bool:
        """Whether a soak is shaded in its picture."""
        return any(each.label.startswith("soaks for") for each in self.marks)

    @property
    def lasted(self) -> str:
        """On the bench's clock."""
        return clock(self.result.virtual_s)


@dataclass(frozen=True)
class Starts:
    """Cold starts of all parts, added up."""

    count: int
    with_a_fault: int
    missed: int
    false: int
    coldest_c: float
    warmest_c: float
    by_fault: Sequence[tuple[str, int, int, str]]
    """Fault, starts that had it, of them seen, by which limits."""


@dataclass(frozen=True)
class View:
    """All of it."""

    report: Mapping[str, Any]
    headline: str
    missed: Sequence[Check]
    broken: Sequence[Mapping[str, Any]]
    stopped: Sequence[Mapping[str, Any]]
    groups: Sequence[tuple[str, str, str, Sequence[Check]]]
    """Scenario, group, stamp and its checks, in the order of the run."""
    stages: Sequence[StageView]
    others: Sequence[ScenarioResult]
    """Without a trace: the virtual pedal's, the proof."""
    trips: Sequence[Trips]
    trips_stamp: str
    faults: Sequence[Mapping[str, str]]
    starts: Starts | None
    deviations: Sequence[str] = field(default_factory=tuple)

    @property
    def stamp(self) -> str:
        """Of the report as a whole."""
        return "SIMULATED" if self.report["simulated"] else "MEASURED"


def view(report: Mapping[str, Any], results: Sequence[ScenarioResult], folder: Path | None) -> View:
    """Put it together; raw traces are read from ``folder`` where they are there."""
    stamps = {each["name"]: str(each["stamp"]) for each in report["scenarios"]}
    checks = report["checks"]
    mine = {name: [check for check in checks if check["scenario"] == name] for name in stamps}
    claims = {each["name"]: str(each.get("claims", "")) for each in report["scenarios"]}
    stages, others = [], []
    for result in results:
        rows = _rows(result, folder)
        if len(rows) < 2:
            others.append(result)
            continue
        first_s = min([start_of(rows), *(each.time_s for each in result.marks)])
        marks = noted(result.marks, first_s)
        name = result.name
        stages.append(StageView(result, claims[name], stamps[name], rows, marks, mine[name]))
    latency = [result for result in results if trips_of(result)]
    return View(
        report=report,
        headline=_headline(report),
        missed=[check for check in checks if not check["ok"]],
        broken=[each for each in report["scenarios"] if each["failed_because"]],
        stopped=[each for each in report["scenarios"] if each["stopped"]],
        groups=_groups(checks),
        stages=stages,
        others=others,
        trips=[trips for result in latency for trips in trips_of(result)],
        trips_stamp=stamps[latency[0].name] if latency else "",
        faults=[row for result in results for row in _table(result.figures.get("faults"))],
        starts=_starts(results),
        deviations=report["deviations"],
    )


def _headline(report: Mapping[str, Any]) -> str:
    headline = HEADLINES[report["verdict"]]
    return f"{headline}, in simulation: {QUALIFIES_NOTHING}" if report["simulated"] else headline


def _rows(result: ScenarioResult, folder: Path | None) -> Rows:
    """The stage's trace; none of what is not there, for a picture is not worth a report."""
    if folder is None:
        return []
    try:
        rows = read_trace(folder / result.name / TRACE)
        return rows if all(row["time_s"] == row["time_s"] for row in rows) else []
    except (RawError, KeyError):
        return []


def _groups(checks: Sequence[Check]) -> list[tuple[str, str, str, list[Check]]]:
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        groups.setdefault((check["scenario"], check["group"]), []).append(check)
    return [
        (scenario, group, str(rows[0]["stamp"]), rows) for (scenario, group), rows in groups.items()
    ]


def _table(rows: object) -> list[Mapping[str, str]]:
    wanted = ("fault", "what", "stage")
    lists = ("expected", "failed", "escaped")
    return [
        {name: str(row.get(name, "")) for name in wanted}
        | {name: ", ".join(str(row.get(name, "")).split()) for name in lists}
        for row in (rows if isinstance(rows, Sequence) else ())
        if isinstance(row, Mapping)
    ]


def _starts(results: Sequence[ScenarioResult]) -> Starts | None:
    parts = [each.figures["starts"] for each in results if _has_starts(each)]
    if not parts:
        return None
    faults: dict[str, tuple[int, int, set[str]]] = {}
    for part in parts:
        for name, one in part["by_fault"].items():
            starts, seen, by = faults.get(name, (0, 0, set()))
            faults[name] = (starts + one["starts"], seen + one["seen"], by | set(one["by"]))
    return Starts(
        count=sum(part["count"] for part in parts),
        with_a_fault=sum(part["with a fault"] for part in parts),
        missed=sum(part["missed"] for part in parts),
        false=sum(part["false"] for part in parts),
        coldest_c=min(part["coldest_c"] for part in parts),
        warmest_c=max(part["warmest_c"] for part in parts),
        by_fault=[
            (name, starts, seen, ", ".join(sorted(by)))
            for name, (starts, seen, by) in sorted(faults.items())
        ],
    )


def _has_starts(result: ScenarioResult) -> bool:
    found = result.figures.get("starts")
    return isinstance(found, Mapping) and bool(found.get("count"))


RAW_NAMES = (TRACE, SHOTS, "faults.csv", "starts.csv")
"""Raw data that a stage may have left."""


# ---- words for figures --------------------------------------------------------------------------


def number(value: float) -> str:
    """Four digits that count, two of what is next to nothing; whole numbers whole; a true minus."""
    whole = value == int(value) and abs(value) < 1e9
    text = f"{value:.0f}" if whole else f"{value:.{4 if abs(value) >= 1e-3 else 2}g}"
    return text.replace("-", "−")


def shown(check: Check) -> str:
    """What was measured, in words: ``84.2 ms``, ``yes``, ``not measured``."""
    if check["measured"] is None:
        return "not measured"
    if check["asked"] == "yes" and not check["unit"]:
        return "yes" if check["measured"] >= 1 else "no"
    return f"{number(check['measured'])} {check['unit']}".strip()


def margin(check: Check) -> str:
    """How far it was from the limit: ``+12.4 ms`` on the right side, ``−0.3`` beyond; or empty."""
    value = check.get("margin")
    if value is None:
        return ""
    value = 0.0 if abs(value) < 1e-9 else value  # what is left of a difference of equals
    text = f"{value:+.3g}" if abs(value) < 1000 else f"{value:+.0f}"
    return f"{text} {check['unit']}".strip().replace("-", "−")


def duration(seconds: float) -> str:
    """``12.3 s``, ``4 min 5 s``, ``1 h 12 min``."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def listed(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Figures by dotted name, without what is drawn (lists)."""
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            rows += listed(value, f"{before}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            rows.append((before + name, number(value)))
        elif not isinstance(value, (list, tuple)):
            rows.append((before + name, str(value)))
    return rows
