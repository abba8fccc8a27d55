"""The bench's report: ``report.json`` for programs, and ``index.html``, which needs no network.

``write_report(results, folder)`` is called after the scenarios have run; ``read_report(folder)``
gives the results back. What a simulation cannot show stands in both.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from device.files import whole_file
from device.tools.machine import machine
from hil.drawn import HEIGHT, WIDTH, loads, strip
from hil.results import (
    KINDS,
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
    "SIMULATED: an emulated machine with real kernel drivers, in virtual time. It shows what the "
    "software does, and when by the machine's own clock. It does not show the Jetson's speed, the "
    "circuits, the interface or the analogue sound. Its temperatures are numbers that a driver is "
    "told: no result here is a qualification at −40 °C or at any other temperature."
)
"""What stands beside every verdict of a simulated run."""

_MEASURED = "MEASURED on the bench, on the machine named below."
_MOST_FILES = 40


def write_report(
    results: Sequence[ScenarioResult],
    folder: Path,
    *,
    expected: Expected = (),
    simulated: bool = True,
    command: str = "python -m hil run",
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write ``report.json`` and ``index.html`` into ``folder``; returns the page's path.

    ``expected`` is what a whole run holds (see ``hil.results.verdict``); without it only the
    scenarios given are judged. ``command`` is how one makes this report again; ``versions`` adds
    to those that are found. A scenario that names no artefacts gets those that lie in its folder.
    Each file appears whole or not at all. Raises ``ResultsError`` for results that are there
    twice, ``AudioFileError`` where the disk does not take a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = summary(
        results,
        expected,
        simulated=simulated,
        command=command,
        versions={**_versions(), **(versions or {})},
        artefacts={each.name: _artefacts(each, folder) for each in results},
    )
    page = _page(report, results)
    with whole_file(folder / NUMBERS) as temporary:
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")
    with whole_file(folder / PAGE) as temporary:
        temporary.write_text(page, "utf-8")
    return folder / PAGE


def summary(
    results: Sequence[ScenarioResult],
    expected: Expected = (),
    *,
    simulated: bool = True,
    command: str = "python -m hil run",
    versions: Mapping[str, str] | None = None,
    artefacts: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Collect ``report.json``. Raises ``ResultsError`` for results that are there twice."""
    found = verdict(results, expected)
    checks = [
        {**check, "scenario": result.name, "command": f"{command} --only {result.name}"}
        for result in results
        for check in to_json(result)["checks"]
    ]
    scenarios = []
    for result in results:
        plain = to_json(result)
        del plain["checks"]
        plain["artefacts"] = list((artefacts or {}).get(result.name, result.artefacts))
        scenarios.append({**plain, "verdict": result.verdict})
    return {
        "format": FORMAT,
        "verdict": found,
        "simulated": simulated,
        "says": NOT_SHOWN if simulated else _MEASURED,
        "missing": missing(results, expected),
        "command": command,
        "durations": {
            "virtual_s": round(sum(each.virtual_s for each in results), 3),
            "wall_s": round(sum(each.wall_s for each in results), 3),
        },
        "machine": machine(),
        "versions": dict(versions or {}),
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
            own = {name: value for name, value in check.items() if name not in _ADDED}
            mine[check["scenario"]].append(own)
        return [
            from_json({**_without(each, "verdict"), "checks": mine[each["name"]]})
            for each in report["scenarios"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(
            f"{file} is no report of the bench ({type(error).__name__}: {error}); "
            "make one with python -m hil run"
        ) from None


_ADDED = ("scenario", "command")


def _without(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != name}


# ---- what is found on the machine ---------------------------------------------------------------


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


# ---- the page -----------------------------------------------------------------------------------

_HEADLINES = {
    "pass": "Every number was kept",
    "fail": "Not every number was kept",
    "incomplete": "Not everything was run",
}


def _page(report: Mapping[str, Any], results: Sequence[ScenarioResult]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "clock": _clock, "path": Markup}
    environment.filters |= {"shown": _shown, "listed": _listed}
    drawn = [(each, strip(each)) for each in results]
    histograms = [each for each in map(loads, results) if each is not None]
    return environment.get_template("page.html.j2").render(
        report=report,
        headline=_HEADLINES[report["verdict"]],
        groups=_groups(report["checks"]),
        missed=[check for check in report["checks"] if not check["ok"]],
        broken=[each for each in report["scenarios"] if each["failed_because"]],
        strips=[(each.name, each.failed_because, picture) for each, picture in drawn],
        histograms=histograms,
        kinds=KINDS,
        box=f"0 0 {WIDTH:g} {HEIGHT:g}",
    )


def _groups(
    checks: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Scenario, group and its checks, in the order of the run."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for check in checks:
        groups.setdefault((check["scenario"], check["group"]), []).append(check)
    return [(scenario, group, rows) for (scenario, group), rows in groups.items()]


def _number(value: float) -> str:
    """Four digits that count, whole numbers whole, a true minus sign."""
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−")


def _shown(check: Mapping[str, Any]) -> str:
    """What was measured, in words: ``84.2 ms``, ``yes``, ``not measured``."""
    if check["measured"] is None:
        return "not measured"
    if check["asked"] == "yes" and not check["unit"]:
        return "yes" if check["measured"] >= 1 else "no"
    return f"{_number(check['measured'])} {check['unit']}".strip()


def _clock(seconds: float) -> str:
    """``12.3 s``, ``4 min 5 s``, ``1 h 12 min``."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _listed(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Figures by dotted name, without what is drawn (lists)."""
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            rows += _listed(value, f"{before}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            rows.append((before + name, _number(value)))
        elif not isinstance(value, (list, tuple)):
            rows.append((before + name, str(value)))
    return rows
