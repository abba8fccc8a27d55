"""The report on paper: what the page shows, sheet by sheet, from ``report.json`` and the traces."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device.files import whole_file
from hil.histograms import jitter_picture, percentile_rows
from hil.paper import Paper
from hil.plots import stage_picture
from hil.report import NUMBERS, read_report
from hil.runs.progress import clock
from hil.view import Check, StageView, View, duration, margin, number, shown, view

PAPER = "report.pdf"
_WIDE = 760.0
"""Points over the width of a sheet: letters of a drawing come out at 6.5."""
_JITTER = 330.0


def write_pdf(folder: Path) -> Path:
    """Write ``report.pdf`` beside the ``report.json`` of ``folder``, whole or not at all.

    Raises ``ResultsError`` where there is none.
    """
    results = read_report(folder)
    report: dict[str, Any] = json.loads((folder / NUMBERS).read_text("utf-8"))
    seen = view(report, results, folder)
    paper = _paper(seen)
    with whole_file(folder / PAPER) as temporary:
        temporary.write_bytes(bytes(paper.output()))
    return folder / PAPER


def _paper(seen: View) -> Paper:
    report = seen.report
    bench: Mapping[str, Any] = report["bench"]
    software = bench.get("software") or report["versions"].get("purga", "unknown")
    foot = f"{report['verdict']} · {report['command']} · software {software}"
    paper = Paper("Purga's bench", seen.stamp, foot)
    paper.add_page()
    _head(paper, seen)
    _wrong(paper, seen)
    if bench:
        _bench(paper, seen, bench)
    if seen.deviations:
        paper.title_line("Deviations, and what was not measured")
        for each in seen.deviations:
            paper.write_line(f"– {each}", 8.5)
    for stage in seen.stages:
        paper.add_page()
        _stage(paper, stage)
    if seen.trips:
        paper.add_page()
        _latency(paper, seen)
    if seen.faults or seen.starts:
        paper.add_page()
        _proof(paper, seen)
    _others(paper, seen)
    paper.add_page()
    _scenarios(paper, seen)
    return paper


def _head(paper: Paper, seen: View) -> None:
    report = seen.report
    colour = {"pass": "calm", "fail": "alarm"}.get(report["verdict"], "relay")
    paper.write_line(report["verdict"].upper(), 22.0, colour, bold=True)
    paper.ln(2.0)
    paper.write_line(seen.headline, 14.0, bold=True)
    paper.ln(2.0)
    held = sum(check["ok"] for check in report["checks"])
    paper.write_line(
        f"{held} of {len(report['checks'])} numbers kept; {len(report['scenarios'])} scenarios "
        f"run, {len(seen.broken)} broke off, {len(report['missing'])} missing. "
        f"{duration(report['durations']['virtual_s'])} on the bench's clock, "
        f"{duration(report['durations']['wall_s'])} on this machine's, all added up."
    )
    paper.ln(1.0)
    paper.write_line(report["says"], colour="muted")


def _wrong(paper: Paper, seen: View) -> None:
    if not (seen.missed or seen.broken or seen.stopped or seen.report["missing"]):
        return
    paper.title_line("What is wrong")
    for each in seen.broken:
        paper.write_line(f"{each['name']} broke off: {each['failed_because']}", colour="alarm")
    for each in seen.stopped:
        paper.write_line(f"{each['name']} was stopped: {each['stopped']}", colour="alarm")
    if seen.missed:
        _checks(paper, seen.missed, named=True)
    if seen.report["missing"]:
        paper.write_line(f"Not run, or not to the end: {', '.join(seen.report['missing'])}")


def _bench(paper: Paper, seen: View, bench: Mapping[str, Any]) -> None:
    paper.title_line("Unit and bench", seen.stamp)
    chamber = bench["chamber"]
    humid = ", regulates humidity" if chamber["humidity"] else ""
    simulated = seen.report["simulated"]
    rows = [
        ("unit", f"serial {bench['unit']['serial']}, software {bench['unit']['software']}"),
        ("bench software", f"{bench['software']}, git {bench['git'] or 'unknown'}"),
        ("bench file", bench["file"] or ""),
        (
            "chamber",
            f"{chamber['model']}, {number(chamber['lowest_c'])} to {number(chamber['highest_c'])} "
            f"°C, cools {chamber['cooling_k_per_min']:g} and heats "
            f"{chamber['heating_k_per_min']:g} K/min{humid}",
        ),
        *bench["instruments"].items(),
        ("operator", bench["operator"] or ("simulated: says yes" if simulated else "")),
    ]
    paper.rows(("", ""), [row for row in rows if row[1]], (1, 4))
    if bench["certificates"]:
        names = ("instrument", "serial", "calibrated", "uncertainty")
        rows_ = [[str(each[name]) for name in names] for each in bench["certificates"]]
        paper.rows(names, rows_, (3, 2, 3, 2))
    else:
        none = "none, the instruments are simulated" if simulated else "no certificate is named"
        paper.write_line(f"Calibration: {none}.", 8.0, "muted")
    if bench["positions"]:
        rows_ = [[name, where or "not said"] for name, where in bench["positions"].items()]
        paper.rows(("thermocouple", "where it sits"), rows_, (1, 4))


def _stage(paper: Paper, stage: StageView) -> None:
    result = stage.result
    paper.title_line(f"{result.name}: {result.verdict}", stage.stamp)
    said = f"{stage.claims} {stage.kept}; {stage.lasted} on the bench's clock."
    paper.write_line(said.strip(), colour="muted")
    paper.draw(stage_picture(result, stage.rows, _WIDE))
    marks = ";  ".join(f"{each.key} {clock(each.time_s)} {each.label}" for each in stage.marks)
    shaded = " Shaded: soak, after stabilisation by the product's couples." if stage.soaked else ""
    paper.write_line(f"{marks}.{shaded}" if marks else shaded.strip(), 7.5, "muted")
    paper.ln(2.0)
    _checks(paper, stage.checks)


def _checks(paper: Paper, checks: Sequence[Check], named: bool = False) -> None:
    rows = []
    for check in checks:
        what = f"{check['scenario']}: {check['what']}" if named else check["what"]
        if check["note"]:
            what += f" ({check['note']})"
        sign = "✓" if check["ok"] else "✗"
        rows.append(
            (what, check["asked"], f"{shown(check)} {sign}", margin(check), check["source"])
        )
    heads = ("what", "asked", "measured", "margin", "where the limit is from")
    wrong = [not check["ok"] for check in checks]
    paper.rows(heads, rows, (38, 13, 20, 16, 22), wrong, right=(1, 2, 3))


def _latency(paper: Paper, seen: View) -> None:
    paper.title_line("Round trip, engine by engine", seen.trips_stamp)
    heads = ("engine, period", "shots", "median, ms", "frames", "1 … 99 %", "lowest … highest")
    rows = percentile_rows(seen.trips)
    paper.rows(heads, rows, (5, 2, 3, 3, 5, 5), right=(1, 2, 3, 4, 5))
    paper.ln(3.0)
    width = paper.epw / 2.0 - 3.0
    for first in range(0, len(seen.trips), 2):
        pair = [jitter_picture(trips, _JITTER) for trips in seen.trips[first : first + 2]]
        height = pair[0].height * width / _JITTER
        if paper.get_y() + height > paper.h - 20.0:
            paper.add_page()
        top = paper.get_y()
        for column, picture in enumerate(pair):
            paper.set_y(top)
            paper.draw(picture, width, paper.l_margin + column * (width + 6.0))
        paper.set_y(top + height + 3.0)


def _proof(paper: Paper, seen: View) -> None:
    if seen.faults:
        paper.title_line("Faults, and the checks that caught them", "SIMULATED")
        rows = [
            (
                each["fault"],
                each["what"],
                each["stage"],
                f"escaped {each['escaped']}" if each["escaped"] else each["expected"],
            )
            for each in seen.faults
        ]
        wrong = [bool(each["escaped"]) for each in seen.faults]
        paper.rows(("fault", "what is wrong", "stage", "caught by"), rows, (3, 5, 2, 5), wrong)
    starts = seen.starts
    if starts is None:
        return
    paper.title_line(f"{starts.count} cold starts", "SIMULATED")
    paper.write_line(
        f"At {number(starts.coldest_c)} to {number(starts.warmest_c)} °C, every part a few percent "
        f"off: {starts.with_a_fault} with a fault, {starts.missed} of them seen by no check; "
        f"{starts.false} of {starts.count - starts.with_a_fault} without one failed a check."
    )
    table = [(name, f"{seen_} of {count}", by) for name, count, seen_, by in starts.by_fault]
    wrong = [seen_ < count for _, count, seen_, _ in starts.by_fault]
    paper.rows(("fault", "seen", "by"), table, (3, 1, 6), wrong)


def _others(paper: Paper, seen: View) -> None:
    """The numbers of what has no trace."""
    names = {each.name for each in seen.others}
    groups = [group for group in seen.groups if group[0] in names]
    if not groups:
        return
    paper.add_page()
    for scenario in dict.fromkeys(group[0] for group in groups):
        mine = [group for group in groups if group[0] == scenario]
        paper.title_line(scenario, mine[0][2])
        _checks(paper, [check for group in mine for check in group[3]])


def _scenarios(paper: Paper, seen: View) -> None:
    report = seen.report
    if report["scenarios"]:
        paper.title_line("Scenarios", seen.stamp)
        rows = [
            (
                each["name"],
                f"{each['verdict']}, {each['stamp']}",
                duration(each["virtual_s"]),
                duration(each["wall_s"]),
            )
            for each in report["scenarios"]
        ]
        heads = ("scenario", "verdict", "on its own clock", "on this machine's")
        paper.rows(heads, rows, (4, 3, 2, 2), right=(2, 3))
    if report["raw"]:
        paper.title_line("Raw data, SHA-256", seen.stamp)
        paper.rows(("file", "hash"), list(report["raw"].items()), (2, 5))
    paper.title_line("Machine and versions")
    rows_ = [(name, str(value)) for name, value in report["machine"].items()]
    rows_ += [(name, str(value)) for name, value in report["versions"].items()]
    paper.rows(("", ""), rows_, (1, 4))
