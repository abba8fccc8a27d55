"""The end of a run: verdict, deviations, report as page, paper and numbers, manifest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.pdf import PAPER, write_pdf
from hil.raw import MANIFEST, RawError, write_manifest
from hil.report import NUMBERS, PAGE, Facts, write_report
from hil.results import ScenarioResult, Verdict, missing, verdict
from hil.runs.stages import every_stage
from hil.runs.store import RESULT, read
from hil.runs.whole import Outcome, unmeasured
from hil.suites import thermal


@dataclass(frozen=True)
class Done:
    """A finished run."""

    verdict: Verdict
    lines: Sequence[str]
    """What is printed."""


def begin(outcome: Outcome, out: Path, command: str) -> None:
    """Write the report of a run that has just begun: incomplete, whatever lay there before."""
    for stale in (PAPER, MANIFEST):
        (out / stale).unlink(missing_ok=True)
    write_report([], out, expected=outcome.expected, facts=_facts(outcome, command))


def finish(outcome: Outcome, out: Path, command: str) -> Done:
    """Write everything into ``out``."""
    results = outcome.results
    expected = list(outcome.expected)
    if outcome.whole and not missing(results, expected):
        # A limit that the table holds and nobody judged is a hole in the run.
        expected += [f"limit {budget}" for budget in unmeasured(results)]
    expected += outcome.troubles
    page = write_report(results, out, expected=expected, facts=_facts(outcome, command))
    found = verdict(results, expected)
    paper = write_pdf(out)
    write_manifest(out, _files(results, out))
    missed = sum(len(each.missed) + (each.failed_because is not None) for each in results)
    held = sum(len(each.checks) - len(each.missed) for each in results)
    lines = [f"report  {page}", f"paper   {paper}"]
    lines += [f"trouble {each}" for each in outcome.troubles]
    if outcome.interrupted:
        lines.append("interrupted: python -m hil run --resume goes on with the next stage")
    stamp = "MEASURED" if outcome.about.get("measured") else "SIMULATED"
    lines.append(f"verdict {found} ({stamp})")
    lines.append(f"{held} passed, {missed} failed")
    return Done(found, lines)


def again(out: Path) -> Done:
    """Make the report of a run anew from what its stages left, whatever the software is now.

    Raises ``RawError`` where ``out`` holds no run.
    """
    file = out / NUMBERS
    try:
        report: dict[str, Any] = json.loads(file.read_text("utf-8"))
        expected = [str(name) for name in report["expected"]]
        about, command = dict(report["bench"]), str(report["command"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RawError(
            f"{file} is no report of a run ({type(error).__name__}: {error}); "
            "name the folder of one, out/hil by default"
        ) from None
    found = [read(out, name) for name in expected]
    known = {stage.name for stage in every_stage()}
    # What is no stage was a trouble of the run, and stays one.
    troubles = [name for name in expected if name not in known and not name.startswith("limit ")]
    stages = [name for name in expected if name in known]
    results = [each for each in found if each is not None]
    return finish(Outcome(results, stages, about, troubles=troubles), out, command)


def _facts(outcome: Outcome, command: str) -> Facts:
    return Facts(
        simulated=not outcome.about.get("measured"),
        command=command,
        bench=outcome.about,
        deviations=deviations(outcome),
        claims={stage.name: stage.claims for stage in every_stage()},
    )


def deviations(outcome: Outcome) -> list[str]:
    """What was not done as the standards say, or not at all."""
    found: list[str] = []
    if any(name.startswith("thermal-") for name in outcome.expected):
        found += thermal.DEVIATIONS
    for result in outcome.results:
        for what in _words(result, "not measured"):
            found.append(f"{result.name}: {what} was not measured.")
    mine = set(outcome.expected)
    absent = [stage.name for stage in every_stage() if stage.name not in mine]
    if absent:
        found.append(f"Not part of this run: {', '.join(absent)}.")
    return found


def _words(result: ScenarioResult, name: str) -> list[str]:
    words = result.figures.get(name, ())
    return [str(each) for each in words] if isinstance(words, list | tuple) else []


def _files(results: Sequence[ScenarioResult], out: Path) -> list[str]:
    """What the manifest lists: the report, every stage's result and raw data."""
    names = [NUMBERS, PAGE, PAPER]
    for result in results:
        own = out / result.name
        names.append(f"{result.name}/{RESULT}")
        names += [file.relative_to(out).as_posix() for file in sorted(own.glob("*.csv"))]
    return names
