"""The bench's report: ``report.json`` for programs, and ``index.html``, which needs no network.

``write_report(results, folder)`` is called after the scenarios have run; ``read_report(folder)``
gives the results back. What a simulation cannot show stands in both.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from device.files import whole_file
from device.tools.machine import machine
from hil.budgets import BUDGETS, budget_of
from hil.page import page
from hil.raw import hashes
from hil.results import (
    Expected,
    ResultsError,
    ScenarioResult,
    from_json,
    missing,
    to_json,
    verdict,
)

FORMAT = 1
PAGE, NUMBERS = "index.html", "report.json"
ROOT = Path(__file__).resolve().parents[1]

NOT_SHOWN = (
    "SIMULATED: chamber, supply and pedal are a model in virtual time, and the virtual pedal is an "
    "emulated machine with real kernel drivers. They show what the software does, and when by "
    "their own clocks. They do not show the Jetson's speed, the circuits, the interface or the "
    "analogue sound. Their temperatures are numbers that a driver is told: no result here is a "
    "qualification at −40 °C or at any other temperature."
)
"""What stands beside every verdict of a simulated run."""

_MEASURED = "MEASURED on the bench and the unit named below."
_PARTLY = " What is stamped SIMULATED beside it was not, and qualifies nothing."
_MOST_FILES = 40


@dataclass(frozen=True)
class Facts:
    """What stands in a report beside the results."""

    simulated: bool = True
    """Of scenarios that do not say it themselves, and of the verdict."""
    command: str = "python -m hil run"
    """How one makes the report again."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Added to those that are found."""
    bench: Mapping[str, Any] = field(default_factory=dict)
    """Instruments and unit (``hil.runs.opening.described``)."""
    deviations: Sequence[str] = ()
    """Sentences: what was not done as the standards say, or not at all."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """What a scenario shows, in a line, by its name."""


def write_report(
    results: Sequence[ScenarioResult],
    folder: Path,
    *,
    expected: Expected = (),
    facts: Facts | None = None,
) -> Path:
    """Write ``report.json`` and ``index.html`` into ``folder``; returns the page's path.

    ``expected`` is what a whole run holds (see ``hil.results.verdict``); without it only the
    scenarios given are judged. A scenario that names no artefacts gets those that lie in its
    folder. Each file appears whole or not at all. Raises ``ResultsError`` for results that are
    there twice, ``AudioFileError`` where the disk does not take a file.
    """
    facts = facts or Facts()
    folder.mkdir(parents=True, exist_ok=True)
    artefacts = {each.name: _artefacts(each, folder) for each in results}
    facts = replace(facts, versions={**_versions(), **facts.versions})
    report = summary(results, expected, facts, artefacts)
    raw = [name for names in artefacts.values() for name in names if name.endswith(".csv")]
    report["raw"] = hashes(folder, raw)
    text = page(report, results, folder)
    with whole_file(folder / NUMBERS) as temporary:
        numbers = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(numbers + "\n", "utf-8")
    with whole_file(folder / PAGE) as temporary:
        temporary.write_text(text, "utf-8")
    return folder / PAGE


def summary(
    results: Sequence[ScenarioResult],
    expected: Expected = (),
    facts: Facts | None = None,
    artefacts: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Collect ``report.json``. Raises ``ResultsError`` for results that are there twice."""
    facts = facts or Facts()
    found = verdict(results, expected)
    checks = []
    scenarios = []
    for result in results:
        plain = to_json(result)
        simulated = facts.simulated if result.simulated is None else result.simulated
        stamp = "SIMULATED" if simulated else "MEASURED"
        again = f"{facts.command} --only {result.name}"
        for check in plain.pop("checks"):
            added = {"margin": _margin(check), "source": _source(check), "stamp": stamp}
            checks.append({**check, **added, "scenario": result.name, "command": again})
        plain["artefacts"] = list((artefacts or {}).get(result.name, result.artefacts))
        added = {"verdict": result.verdict, "stamp": stamp}
        scenarios.append({**plain, **added, "claims": facts.claims.get(result.name, "")})
    says = NOT_SHOWN
    if not facts.simulated:
        partly = any(each["stamp"] == "SIMULATED" for each in scenarios)
        says = _MEASURED + (_PARTLY if partly else "")
    return {
        "format": FORMAT,
        "verdict": found,
        "simulated": facts.simulated,
        "says": says,
        "expected": list(expected),
        "missing": missing(results, expected),
        "command": facts.command,
        "durations": {
            "virtual_s": round(sum(each.virtual_s for each in results), 3),
            "wall_s": round(sum(each.wall_s for each in results), 3),
        },
        "bench": dict(facts.bench),
        "deviations": list(facts.deviations),
        "machine": machine(),
        "versions": dict(facts.versions),
        "raw": {},
        "checks": checks,
        "scenarios": scenarios,
    }


def read_report(folder: Path) -> list[ScenarioResult]:
    """The results that a report was made of. Raises ``ResultsError`` for what is no report."""
    file = folder / NUMBERS
    try:
        report = json.loads(file.read_text("utf-8"))
        if report["format"] != FORMAT:
            raise ResultsError(
                f"{file} has format {report['format']}, expected {FORMAT}; make it anew"
            )
        mine: dict[str, list[dict[str, Any]]] = {each["name"]: [] for each in report["scenarios"]}
        for check in report["checks"]:
            mine[check["scenario"]].append(_without(check, _ADDED))
        return [
            from_json({**_without(each, _SAID), "checks": mine[each["name"]]})
            for each in report["scenarios"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(
            f"{file} is no report of the bench ({type(error).__name__}: {error}); "
            "make one with python -m hil run"
        ) from None


_ADDED = ("scenario", "command", "margin", "source", "stamp")
_SAID = ("verdict", "stamp", "claims")


def _without(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key not in names}


def _margin(check: Mapping[str, Any]) -> float | None:
    """How far on the right side of its limit; None where a limit has no sides."""
    asked, limit, measured = check["asked"], check["limit"], check["measured"]
    if limit is None or measured is None or asked[:1] not in ("≤", "≥"):
        return None
    return float(limit - measured) if asked[0] == "≤" else float(measured - limit)


def _source(check: Mapping[str, Any]) -> str:
    """Where the limit is from, where it stands in the table of limits."""
    budget = BUDGETS.get(budget_of(check["id"]))
    return "" if budget is None else budget.source


# ---- what is found on the machine ---------------------------------------------------------------


@cache
def _versions() -> dict[str, str]:
    """The project's commit and the programs that made the results, where they can be asked."""
    asked = {
        "purga": ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"],
        "qemu": ["qemu-system-x86_64", "--version"],
    }
    versions = {}
    for name, command in asked.items():
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20.0)
        if done.returncode == 0 and done.stdout.strip():
            versions[name] = done.stdout.splitlines()[0].strip()
    return versions


def _artefacts(result: ScenarioResult, folder: Path) -> list[str]:
    """The files a scenario names, or those that lie in its folder, as paths in ``folder``."""
    if result.artefacts:
        return [_inside(Path(each), folder) for each in result.artefacts]
    own = folder / result.name
    files = sorted(each for each in own.rglob("*") if each.is_file()) if own.is_dir() else []
    return [file.relative_to(folder).as_posix() for file in files[:_MOST_FILES]]


def _inside(path: Path, folder: Path) -> str:
    """Relative to the folder where it lies in it: a report is read on other machines too."""
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return path.as_posix()
