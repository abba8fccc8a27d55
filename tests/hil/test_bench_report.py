"""The bench's report: right numbers, one page without a network, SIMULATED where it is."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.processes.meters import BINS_PER_PERIOD, HISTOGRAM_BINS
from hil.drawn import Strip, loads, strip
from hil.report import Facts, read_report, summary, write_report
from hil.results import Mark, ResultsError, ScenarioResult, Span
from tests.hil.results import BAD, GOOD, UNSEEN, scenario
from tests.models.browser import browser


def histogram(*placed: tuple[int, int]) -> list[int]:
    """Counts in bins."""
    counts = np.zeros(HISTOGRAM_BINS, int)
    for place, count in placed:
        counts[place] = count
    return counts.tolist()


def playing(name: str = "playing-128x2", **changes: Any) -> ScenarioResult:
    counts = histogram((40, 900), (60, 90), (110, 10))
    return scenario(
        name, figures={"loads": {"histogram": counts, "p50": 20.5}, "period_ms": 2.667}, **changes
    )


class Page(HTMLParser):
    """Text, and everything a page would fetch; checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(text)
        assert not self.open, "elements were left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data


def written(folder: Path, *results: ScenarioResult, **options: Any) -> tuple[dict[str, Any], Page]:
    page = write_report(results, folder, **options)
    assert page == folder / "index.html"
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return report, Page(page.read_text("utf-8"))


def test_the_numbers_that_other_programs_read(tmp_path: Path) -> None:
    results = [scenario(checks=[GOOD, BAD]), playing()]
    report, _ = written(tmp_path, *results, expected=["faults", "playing-128x2", "start"])
    assert report["verdict"] == "fail" and report["simulated"] is True
    assert report["missing"] == ["start"]
    assert report["checks"][0] == {
        "id": "relay-killed-audio",
        "group": "audio killed",
        "what": "until the guitar passes through the relay",
        "asked": "≤ 150 ms",
        "limit": 150.0,
        "measured": 121.25,
        "unit": "ms",
        "ok": True,
        "note": "worst of 2",
        "margin": 28.75,
        "source": "",
        "stamp": "SIMULATED",
        "scenario": "faults",
        "command": "python -m hil run --only faults",
    }
    assert len(report["checks"]) == 3
    assert report["durations"] == {"virtual_s": 49.0, "wall_s": 36.5}
    assert [each["verdict"] for each in report["scenarios"]] == ["fail", "pass"]
    assert {"processor", "system", "python"} <= set(report["machine"])
    assert report["versions"]["purga"]


def test_the_results_can_be_read_back(tmp_path: Path) -> None:
    results = [scenario(checks=[GOOD, UNSEEN], failed_because="the machine stopped"), playing()]
    write_report(results, tmp_path)
    assert read_report(tmp_path) == [replace(each, artefacts=[]) for each in results]


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{", '{"format": 9}', '{"format": 1, "scenarios": [{}]}']
)
def test_what_is_no_report_is_one_sentence(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(ResultsError, match=r"report\.json"):
        read_report(tmp_path)


# ---- honesty ------------------------------------------------------------------------------------


def test_a_simulated_pass_never_reads_as_a_qualification(tmp_path: Path) -> None:
    cold = replace(GOOD, group="−40 °C", what="held in bypass until warm")
    report, page = written(tmp_path, scenario("temperatures", [cold]), expected=["temperatures"])
    assert report["verdict"] == "pass"
    for said in (report["says"], page.text):
        assert "SIMULATED" in said
        assert "no result here is a qualification at −40 °C" in said
    # The verdict itself says so, and so does every table and picture of measured numbers.
    assert "Every number was kept, in simulation" in page.text
    assert page.text.count("SIMULATED") >= 3
    assert "MEASURED" not in page.text
    html = (tmp_path / "index.html").read_text("utf-8")
    assert "<title>Purga's bench: pass, simulated</title>" in html


def test_a_bench_with_hardware_is_measured(tmp_path: Path) -> None:
    report, page = written(tmp_path, scenario(), playing(), facts=Facts(simulated=False))
    assert report["simulated"] is False
    assert "MEASURED" in page.text
    assert "SIMULATED" not in page.text + json.dumps(report)


def test_what_is_wrong_stands_on_top(tmp_path: Path) -> None:
    broken = scenario("hang", [], failed_because="no <boot> & no word")
    _, page = written(
        tmp_path, scenario(checks=[GOOD, BAD, UNSEEN]), broken, expected=["faults", "start"]
    )
    top, _, rest = page.text.partition("What was heard")
    for said in ("What is wrong", "hang broke off", "no <boot> & no word", BAD.what, "start"):
        assert said in top
    assert "3.5 s ✗" in top and "not measured ✗" in top
    assert GOOD.what not in top and "121.2 ms ✓" in rest


def test_a_run_without_fault_has_no_such_part(tmp_path: Path) -> None:
    _, page = written(tmp_path, scenario(), expected=["faults"])
    assert "What is wrong" not in page.text and "✗" not in page.text


# ---- the page -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "results",
    [
        [],
        [scenario(timeline=[], marks=[], figures={})],
        [scenario(timeline=[Span("wet", 3.0, 3.0)], marks=[])],
        [scenario(timeline=[], marks=[Mark(1.0, ""), Mark(2.0, "")])],
        [playing(), scenario(), scenario("kills", failed_because="why")],
        [scenario(figures={"histogram": "nonsense", "period_ms": None, "loads": []})],
    ],
    ids=["nothing", "no timeline", "no length", "marks only", "much", "odd figures"],
)
def test_every_run_makes_a_whole_page(tmp_path: Path, results: list[ScenarioResult]) -> None:
    _, page = written(tmp_path, *results)
    assert all(not address.startswith(("http", "//")) for address in page.addresses)
    html = (tmp_path / "index.html").read_text("utf-8")
    assert not re.search(r"url\(|@import|<script", html)
    assert not [style for style in re.findall(r'style="([^"]*)"', html) if "nan" in style]


def test_artefacts_are_found_and_linked_inside_the_folder(tmp_path: Path) -> None:
    own = tmp_path / "faults"
    own.mkdir()
    (own / "the console.log").write_text("x")
    named = playing(artefacts=[str(tmp_path / "far" / "a.wav"), "b.wav"])
    report, page = written(tmp_path, scenario(), named)
    assert report["scenarios"][0]["artefacts"] == ["faults/the console.log"]
    assert report["scenarios"][1]["artefacts"] == ["far/a.wav", "b.wav"]
    assert page.addresses == ["faults/the%20console.log", "far/a.wav", "b.wav"]


def test_two_of_a_name_leave_the_old_report(tmp_path: Path) -> None:
    page = write_report([scenario()], tmp_path)
    before = page.read_bytes()
    with pytest.raises(ResultsError):
        write_report([scenario(), scenario()], tmp_path)
    assert page.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.html", "report.json"]


def test_a_part_of_the_suite_names_what_was_not_run() -> None:
    report = summary([scenario()], ["faults", "start", "hang"])
    assert report["verdict"] == "incomplete" and report["missing"] == ["start", "hang"]


def test_the_page_fits_its_width_and_asks_for_nothing(tmp_path: Path) -> None:
    broken = scenario("hang", [], failed_because="x" * 99)
    page = write_report([playing(), scenario(checks=[GOOD, BAD]), broken], tmp_path)
    width_of = "document.querySelector('{}').getBoundingClientRect().width"
    papers = set()
    with browser(tmp_path / "profile") as found:
        for width, dark in ((1200, False), (380, False), (1200, True), (380, True)):
            found.look(width, dark)
            found.open(page)
            assert found.run("document.documentElement.scrollWidth") <= width
            tenth = found.run(width_of.format(".strip")) / 10.0
            assert found.run(width_of.format(".strip .relay")) == pytest.approx(tenth, rel=0.02)
            papers.add(found.run("getComputedStyle(document.body).backgroundColor"))
        assert not found.errors
        assert all(address.startswith("file:") for address in found.requests)
    assert len(papers) == 2, "light and dark"


# ---- what is drawn ------------------------------------------------------------------------------


def drawn(*spans: Span, marks: list[Mark] | None = None) -> Strip:
    picture = strip(scenario(timeline=list(spans), marks=marks or []))
    assert picture is not None
    return picture


def test_a_strip_has_every_span_in_its_place() -> None:
    picture = strip(scenario())
    assert picture is not None and picture.length_s == 10.0
    places = sorted((piece.left, piece.width, piece.kind) for piece in picture.pieces)
    expected = [(0, 20, "wet"), (20, 10, "relay"), (30, 10, "dry"), (40, 60, "wet")]
    for found, wanted in zip(places, expected, strict=True):
        assert found[:2] == pytest.approx(wanted[:2]) and found[2] == wanted[2]
    assert picture.heard == {"wet": 8.0, "dry": 1.0, "relay": 1.0}
    assert [flag.left for flag in picture.flags] == pytest.approx([15.0, 90.0])
    assert picture.keys == [("a", "audio killed", 2)]
    assert [flag.key for flag in picture.flags] == ["a", ""]


def test_a_short_gap_lies_over_the_sound_around_it() -> None:
    picture = drawn(Span("relay", 5.0, 5.1), Span("wet", 0.0, 10.0))
    assert [piece.kind for piece in picture.pieces] == ["wet", "relay"]


def test_each_thing_done_has_one_letter() -> None:
    marks = [Mark(1.0, "killed"), Mark(2.0, "frozen"), Mark(3.0, "killed"), Mark(4.0, "killed")]
    picture = drawn(Span("wet", 0.0, 5.0), marks=marks)
    assert picture.keys == [("a", "killed", 3), ("b", "frozen", 1)]
    assert [flag.key for flag in picture.flags] == ["a", "b", "a", ""]
    many = drawn(marks=[Mark(float(number), f"fault {number}") for number in range(60)])
    assert len({key for key, _, _ in many.keys}) == 60


@pytest.mark.parametrize("length_s", [0.25, 1.0, 7.3, 60.0, 600.0, 7200.0])
def test_ticks_are_few_and_start_at_nought(length_s: float) -> None:
    ticks = drawn(Span("wet", 100.0, 100.0 + length_s)).ticks
    assert 2 <= len(ticks) <= 9 and ticks[0] == (0.0, "0 s")
    for left, text in ticks:
        assert float(text.removesuffix(" s")) == pytest.approx(left * length_s / 100.0)


def test_loads_are_those_of_the_meters() -> None:
    found = loads(playing())
    assert found is not None and found.periods == 1000 and found.period_ms == 2.667
    half = 100.0 / BINS_PER_PERIOD
    assert found.percentiles == {
        "p50": 41 * half, "p99": 61 * half, "p99.9": 111 * half, "max": 111 * half
    }  # fmt: skip
    assert found.end_percent == 100.0 and found.path.count("M") == 3


def test_periods_that_took_too_long_are_drawn() -> None:
    found = loads(scenario(figures={"histogram": histogram((10, 5), (HISTOGRAM_BINS - 1, 1))}))
    assert found is not None and found.end_percent > 200.0 and found.path.count("M") == 2
    assert found.percentiles["max"] == found.end_percent


@pytest.mark.parametrize(
    "figures", [{}, {"histogram": []}, {"histogram": [0, 0]}, {"histogram": [1, -1]}]
)
def test_no_periods_no_picture(figures: dict[str, object]) -> None:
    assert loads(scenario(figures=figures)) is None
