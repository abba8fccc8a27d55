"""The report's pictures and its paper: stamped on every sheet, and nothing drawn that is not so."""

import json
import xml.etree.ElementTree as Xml
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.bench import Certificate
from hil.budgets import judge
from hil.charts import Box, Line, Scale, Text, svg, thinned, ticks, time_ticks
from hil.faults import FAULTS
from hil.histograms import jitter_picture, percentile_rows, trips_of
from hil.pdf import write_pdf
from hil.plant.direct import direct_bench
from hil.plots import noted, stage_picture
from hil.raw import RawTrace
from hil.report import Facts, write_report
from hil.results import Mark, ResultsError, ScenarioResult
from hil.runs.opening import described
from hil.suites.trace import Row
from tests.hil.pdf_text import pages_of
from tests.hil.results import BAD, GOOD, scenario

NAME = "thermal-cold-start"


def rows(count: int = 400, **changes: float | str) -> list[Row]:
    """A ramp to the cold, the key turned half-way."""
    made: list[Row] = []
    for number in range(count):
        time_s = 1000.0 + 10.0 * number
        on = float(number > count // 2)
        air_c = max(-40.0, 23.0 - 0.3 * number)
        row: dict[str, float | str] = {
            "time_s": time_s, "chamber_c": air_c, "setpoint_c": air_c, "humidity_percent": 40.0,
            "volts": 12.0 * on, "amperes": 2.3 * on, "key": on, "state": "warm-up" if on else "",
            "relay": on, "heater": on, "ceiling": "", "air_c": air_c, "module_c": air_c + 3.0 * on,
            "enclosure_c": air_c, "extra_c": air_c,
        }  # fmt: skip
        made.append(row | changes)
    return made


def stage(folder: Path, name: str = NAME, **changes: Any) -> ScenarioResult:
    trace = RawTrace(folder / name / "trace.csv")
    for row in rows():
        trace.add(row)
    trace.close()
    marks = [Mark(1000.0, "to -40 °C"), Mark(3500.0, "soaks for 0.2 h"), Mark(4500.0, "key on")]
    given: dict[str, Any] = {"checks": [judge("ramp", 2.1, at=name)], "marks": marks}
    return scenario(name, timeline=[], simulated=True, **{**given, **changes})


def trips(jitter: float = 1e-5) -> dict[str, Any]:
    edges = [jitter * (step - 10) / 10 for step in range(21)]
    ends = ("p1", "p99", "p99.9", "lowest", "highest")
    one = {
        "shots": 1000,
        "ms": 5.2917,
        "frames": {"median": 254.0, **{name: 254.0 + jitter for name in ends}},
        "jitter": {"frames": edges, "shots": [float(number) for number in range(20)]},
    }
    return {"round_trips": {"stage 64×3": one, "crossfade 64×2": one, "stage 32×2": one}}


def everything(folder: Path) -> list[ScenarioResult]:
    faults = [
        {"fault": each.id, "what": each.what, "stage": each.stage,
         "expected": " ".join(each.caught_by), "failed": "", "escaped": ""}
        for each in FAULTS
    ]  # fmt: skip
    starts = {
        "count": 50, "with a fault": 25, "missed": 1, "false": 0, "coldest_c": -40.0,
        "warmest_c": -32.0, "by_fault": {"quiet": {"starts": 2, "seen": 1, "by": ["level-shift"]}},
    }  # fmt: skip
    return [
        stage(folder),
        stage(folder, "latency", figures=trips()),
        scenario("proof", figures={"faults": faults}, simulated=True),
        scenario("cold-starts-1", figures={"starts": starts}, simulated=True),
        scenario("cold-starts-2", figures={"starts": starts}, simulated=True),
        scenario("faults", checks=[GOOD, BAD]),
    ]


def about(measured: bool = False) -> dict[str, Any]:
    bench, _ = direct_bench()
    certificate = Certificate("ESPEC SH-242", "92001", "2026-03-01, D-K-15", "±0.5 K")
    found = described(replace(bench, measured=measured, certificates=(certificate,)))
    return found | {"software": "0123456789abcdef", "git": "v1"}


def written(folder: Path, results: list[ScenarioResult], **facts: Any) -> list[str]:
    given = {"bench": about(), "deviations": ["Soaks are short."], "claims": {NAME: "It starts."}}
    write_report(results, folder, facts=Facts(**{**given, **facts}))
    return pages_of(write_pdf(folder))


# ---- paper --------------------------------------------------------------------------------------


def test_every_sheet_says_that_it_is_simulated_and_of_what(tmp_path: Path) -> None:
    pages = written(tmp_path, everything(tmp_path))
    assert len(pages) >= 6
    for number, text in enumerate(pages, 1):
        assert "SIMULATED" in text and "MEASURED" not in text
        assert f"{number} of {len(pages)}" in " ".join(text.split())
        assert "software 0123456789abcdef" in text
    everything_ = " ".join(" ".join(pages).split())
    for said in (
        "FAIL", "this qualifies nothing at −40 °C", "no result here is a qualification at −40 °C",
        "ESPEC SH-242", "92001", "±0.5 K", "Soaks are short.", "It starts.", "module",
        "100 cold starts", "stage 64×3", "trace.csv", BAD.what[:20], "MIL-STD-810H 502.7",
    ):  # fmt: skip
        assert said in everything_, said
    for fault in FAULTS:
        assert fault.id in everything_


def test_a_measured_report_is_stamped_so_and_what_is_simulated_in_it_too(tmp_path: Path) -> None:
    results = [replace(each, simulated=False) for each in [stage(tmp_path)]]
    pages = written(tmp_path, results, simulated=False, bench=about(measured=True))
    assert all("MEASURED" in text and "SIMULATED" not in text for text in pages)
    results += [scenario("proof", simulated=True)]
    pages = written(tmp_path, results, simulated=False, bench=about(measured=True))
    assert all("MEASURED" in text for text in pages)
    assert any("proof" in text and "SIMULATED" in text for text in pages)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [check["stamp"] for check in report["checks"]] == ["MEASURED", "SIMULATED"]
    assert "qualifies nothing" in report["says"]


@pytest.mark.parametrize("results", [[], [scenario(checks=[])]], ids=["nothing", "no checks"])
def test_a_run_of_little_makes_a_sheet(tmp_path: Path, results: list[ScenarioResult]) -> None:
    pages = written(tmp_path, results, bench={}, deviations=())
    assert pages and all("SIMULATED" in text for text in pages)
    assert "INCOMPLETE" in pages[0]


def test_no_report_makes_no_paper(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"report\.json"):
        write_pdf(tmp_path)


def test_a_long_table_goes_on_on_the_next_sheet(tmp_path: Path) -> None:
    checks = [replace(GOOD, id=f"c{number}", note="word " * 60) for number in range(40)]
    pages = written(tmp_path, [scenario(checks=checks)])
    assert sum(text.count(GOOD.what[:24]) for text in pages) == 40
    assert sum(GOOD.what[:24] in text for text in pages) > 2


# ---- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [350.0, 1060.0])
@pytest.mark.parametrize("count", [2, 3, 400])
@pytest.mark.parametrize(
    "changes", [{}, {"air_c": float("nan"), "module_c": float("nan")}, {"humidity_percent": 93.0}]
)
def test_a_stage_is_drawn_inside_its_frame(
    width: float, count: int, changes: dict[str, float], tmp_path: Path
) -> None:
    picture = stage_picture(stage(tmp_path), rows(count, **changes), width)
    for shape in picture.shapes:
        points = shape.points if isinstance(shape, Line) else [(shape.x, shape.y)]
        assert all(0.0 <= x <= width and 0.0 <= y <= picture.height for x, y in points)
        if isinstance(shape, Box):
            assert shape.x + shape.width <= width + 1.0
    element = Xml.fromstring(svg(picture))
    assert element.get("aria-label") == f"Trace of {NAME}"
    texts = [shape.text for shape in picture.shapes if isinstance(shape, Text)]
    assert {"Temperature, °C", "Supply current, A", "state"} <= set(texts)
    assert ("Relative humidity, %" in texts) == ("humidity_percent" in changes)


def test_marks_have_letters_in_the_order_of_time() -> None:
    marks = [Mark(30.0 + number, f"to -{number} °C") for number in range(30)]
    found = noted(marks[::-1], 30.0)
    assert [each.time_s for each in found] == [float(number) for number in range(30)]
    assert len({each.key for each in found}) == 30
    assert found[1].label == "to −1 °C"


POINTS = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(1e-3, 10.0)), st.floats(-100.0, 100.0)),
    min_size=0,
    max_size=60,
)


@given(POINTS, st.floats(0.1, 5.0))
def test_a_thinned_line_is_never_far_off(steps: list[tuple[float, float]], off: float) -> None:
    points, x = [], 0.0
    for step, y in steps:
        x += step
        points.append((x, y))
    found = thinned(points, off)
    assert [point for point in found if point not in points] == []
    if points:
        assert found[0] == points[0] and found[-1] == points[-1]
    for x, y in points:
        near = [
            abs(y - (y0 + (y1 - y0) * (x - x0) / (x1 - x0)))
            for (x0, y0), (x1, y1) in pairwise(found)
            if x0 <= x <= x1 and x1 > x0
        ]
        near += [abs(y - y0) for x0, y0 in found if x0 == x]
        assert min(near) <= off * (1 + 1e-6) + 1e-6


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 12))
def test_ticks_are_few_and_inside(low: float, length: float, most: int) -> None:
    found = ticks(low, low + length, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * length <= each <= low + length * (1 + 1e-6) for each in found)


@given(st.floats(0.1, 1e6))
def test_times_are_round_and_few(length_s: float) -> None:
    found = time_ticks(length_s)
    assert found[0][0] == 0.0 and len(found) <= max(10, length_s / 86400 + 1)


@given(st.floats(-10.0, 10.0))
def test_a_scale_ends_at_its_ends(value: float) -> None:
    assert 5.0 <= Scale(-1.0, 1.0, 5.0, 9.0)(value) <= 9.0
    assert Scale(1.0, 1.0, 5.0, 9.0)(value) == 5.0


@pytest.mark.parametrize(
    ("jitter", "unit"), [(2.0, "frames"), (0.01, "thousandths"), (1e-5, "millionths")]
)
def test_jitter_is_drawn_in_units_that_one_reads(jitter: float, unit: str) -> None:
    found = trips_of(scenario("latency", figures=trips(jitter)))
    assert [each.at for each in found] == ["stage 64×3", "crossfade 64×2", "stage 32×2"]
    picture = jitter_picture(found[0])
    texts = " ".join(shape.text for shape in picture.shapes if isinstance(shape, Text))
    assert unit in texts and Xml.fromstring(svg(picture)) is not None
    assert percentile_rows(found)[0][1:4] == ("1000", "5.292", "254.00")


@pytest.mark.parametrize(
    "figures", [{}, {"round_trips": []}, {"round_trips": {"a": {}}}, {"round_trips": {"a": 1}}]
)
def test_what_are_no_round_trips_is_not_drawn(figures: dict[str, Any]) -> None:
    assert trips_of(scenario(figures=figures)) == []
