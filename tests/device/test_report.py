"""The report of a run: right numbers, one page without a network, no trouble at the edges."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.tools import pictures
from device.tools.report import RunRecord, summary, write_report
from models.units import SILENCE_DB

RATE_HZ = 48000
PERIOD_FRAMES = 64
VOID = {"meta", "link", "br", "img", "input", "hr", "source"}


def make_record(frames: int = 3 * RATE_HZ, **changes: Any) -> RunRecord:
    """Make a run whose numbers are easy to say: two sines 6 dB apart, a knob from A to B."""
    seconds = np.arange(frames) / RATE_HZ
    dry = (0.25 * np.sin(2.0 * np.pi * 220.0 * seconds)).astype(np.float32)[np.newaxis]
    times_s = np.arange(0, frames, PERIOD_FRAMES) / RATE_HZ
    record = RunRecord(
        title="Test run",
        preset_name="Clean to lead",
        board="simulated",
        simulated=True,
        rate_hz=RATE_HZ,
        period_frames=PERIOD_FRAMES,
        sound=2.0 * dry,
        dry=dry,
        position_times_s=times_s,
        positions=np.linspace(0.0, 1.0, len(times_s)),
        period_ms=np.random.default_rng(0).gamma(9.0, 0.03, len(times_s)),
        counters={"periods": 2250, "xruns": 0, "deadline misses": 3},
        counter_help={"xruns": "the interface ran dry", "deadline misses": "came too late"},
        latency=[
            ("tone A", "nam jc", 0),
            ("tone A", "cab", 12),
            ("tone B", "gate", 48),
            ("morph", "stage", 6),
        ],
        tones={"A": ["nam jc.nam", "cab celestion.flac"], "B": ["gate", "nam 5153.nam"]},
        machine={"cpu": "test", "cores": "2"},
        command="python -m device render in.wav out.wav --sweep",
    )
    return replace(record, **changes)


class Page(HTMLParser):
    """Collects what is open, what refers to where, the text, and what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identities: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._note(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._note(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "poster"):
                self.references.append(value or "")
            if name == "id":
                self.identities.append(value or "")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_record(), tmp_path_factory.mktemp("run") / "deep")


@pytest.fixture(scope="module")
def html(written: Path) -> str:
    return written.read_text(encoding="utf-8")


def test_page_and_numbers_lie_side_by_side_and_nothing_else(written: Path) -> None:
    assert written.name == "report.html"
    assert sorted(path.name for path in written.parent.iterdir()) == ["report.html", "report.json"]


def test_numbers_equal_those_computed_independently(written: Path) -> None:
    record = make_record()
    numbers = json.loads((written.parent / "report.json").read_text(encoding="utf-8"))
    assert numbers == json.loads(json.dumps(summary(record)))
    assert numbers["length_s"] == 3.0
    assert numbers["period_ms"] == pytest.approx(4.0 / 3.0)
    assert numbers["sound"]["peak_dbfs"] == pytest.approx(20 * math.log10(0.5), abs=0.01)
    assert numbers["dry"]["rms_dbfs"] == pytest.approx(20 * math.log10(0.25 / 2**0.5), abs=0.01)
    ordered = np.sort(record.period_ms)
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p99_9_ms", 0.999)):
        place = share * (len(ordered) - 1)
        below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
        assert numbers["periods"][name] == pytest.approx(below + (place % 1.0) * (above - below))
    assert numbers["periods"]["max_ms"] == ordered[-1]
    load = 100.0 * sum(record.period_ms.tolist()) / (len(ordered) * 64 / 48.0)
    assert numbers["periods"]["load_percent"] == pytest.approx(load)
    assert numbers["counters"] == {"periods": 2250, "xruns": 0, "deadline misses": 3}
    assert numbers["raised"] == ["deadline misses"]  # periods are played in any good run
    assert numbers["latency_frames"] == 48 + 6  # the slower tone, and what follows
    assert numbers["latency_ms"] == pytest.approx(1.125)
    assert numbers["latency"]["tone A"]["frames"] == 12
    assert numbers["latency"]["tone A"]["ms"] == pytest.approx(0.25)
    assert numbers["latency"]["tone B"]["blocks"] == [{"block": "gate", "frames": 48, "ms": 1.0}]
    assert numbers["knob"] == {"lowest": 0.0, "highest": 1.0}


def test_level_along_the_knob_shows_the_gain() -> None:
    levels = summary(make_record())["levels"]
    assert len(levels) == 20
    assert sum(level["blocks"] for level in levels) == 60
    for level in levels:
        assert level["gain_db"] == pytest.approx(20 * math.log10(2.0), abs=0.01)
        assert level["dry_dbfs"]["p50"] == pytest.approx(-15.05, abs=0.1)
    positions = [level["position"] for level in levels]
    assert positions == sorted(positions)


def test_page_needs_no_network(html: str) -> None:
    page = Page(html)
    outside = [
        reference
        for reference in page.references
        if not reference.startswith(("#", "data:image/png;base64,"))
    ]
    assert sorted(outside) == ["input.wav", "run.wav"]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert "http://" not in html and "https://" not in html


def test_page_is_well_formed_with_unique_names_and_known_links(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.identities) == len(set(page.identities))
    inner = {reference[1:] for reference in page.references if reference.startswith("#")}
    inner |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert inner <= set(page.identities)
    assert html.count('role="img" aria-label=') == page.tags.count("svg") == 6
    assert page.tags.count("audio") == 2


def test_no_stand_in_colour_is_left(html: str) -> None:
    assert not re.search(r"#0([1-9])0\1", html)
    assert "prefers-color-scheme: dark" in html


def test_page_shows_every_counter_tone_block_and_the_command(html: str) -> None:
    record = make_record()
    text = Page(html).text
    wanted = [*record.counters, *record.counter_help.values(), *record.machine.values()]
    wanted += [block for blocks in record.tones.values() for block in blocks]
    wanted += [block for _, block, _ in record.latency]
    for word in [*wanted, record.command, "SIMULATED", record.preset_name]:
        assert word in text
    assert html.count('class="raised"') == 1 and html.count('class="calm"') == 1


def test_hardware_run_is_not_stamped_simulated(tmp_path: Path) -> None:
    text = write_report(make_record(simulated=False, board="jetson"), tmp_path).read_text("utf-8")
    assert "SIMULATED" not in text and "MEASURED" in text


def test_names_with_markup_are_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert('x')</script>&\"<b>"
    record = make_record(
        title=evil, preset_name=evil, board=evil, command=evil, counters={evil: 1},
        counter_help={evil: evil}, latency=[(evil, evil, 1)], tones={evil: [evil]},
        machine={evil: evil},
    )  # fmt: skip
    html = write_report(record, tmp_path).read_text(encoding="utf-8")
    page = Page(html)
    assert "<script>alert" not in html
    assert page.tags.count("script") == 1 and page.tags.count("b") == 1  # "Tone ..." is bold
    assert page.text.count(evil) >= 9


def silence(frames: int) -> dict[str, Any]:
    return {"sound": np.zeros((1, frames), np.float32), "dry": np.zeros((1, frames), np.float32)}


NOTHING = np.zeros(0)
EDGES: dict[str, dict[str, Any]] = {
    "silent": silence(3 * RATE_HZ),
    "one frame": {"frames": 1},
    "less than a period": {"frames": 20, "period_ms": np.array([0.4])},
    "knob at rest": {"positions": np.full(2250, 0.5)},
    "no knob": {"position_times_s": NOTHING, "positions": NOTHING},
    "no periods": {"period_ms": NOTHING},
    "nothing counted": {"counters": {}, "counter_help": {}, "latency": [], "tones": {}},
    "help is missing": {"counter_help": {}},
    "late period": {"period_ms": np.array([0.1, 0.1, 40.0])},
    "equal periods": {"period_ms": np.full(5, 0.2)},
    "low rate": {"rate_hz": 8000},
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("edge", EDGES)
def test_edges_make_a_whole_page(edge: str, tmp_path: Path) -> None:
    record = make_record(**EDGES[edge])
    path = write_report(record, tmp_path)
    assert Page(path.read_text(encoding="utf-8")).open == []
    numbers = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert "NaN" not in json.dumps(numbers) and "Infinity" not in json.dumps(numbers)


def test_silence_is_said_as_silence(tmp_path: Path) -> None:
    numbers = summary(make_record(**silence(RATE_HZ)))
    assert numbers["sound"]["peak_dbfs"] == SILENCE_DB
    assert numbers["levels"] == []


def test_values_that_are_no_number_are_counted_not_drawn(tmp_path: Path) -> None:
    sound = make_record().sound.copy()
    sound[0, 100:103] = np.nan, np.inf, -np.inf
    record = make_record(sound=sound)
    assert summary(record)["sound"]["not_finite"] == 3
    assert summary(record)["sound"]["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert "nan" not in Page(write_report(record, tmp_path).read_text("utf-8")).text.lower()


@pytest.mark.whole
def test_ten_minutes_stay_small(tmp_path: Path) -> None:
    frames = 600 * RATE_HZ
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, frames), dtype=np.float32)
    record = make_record(sound=noise, dry=0.5 * noise, frames=frames)
    path = write_report(record, tmp_path)
    assert path.stat().st_size < 5_000_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sound": np.zeros((1, 0), np.float32)}, r"sound has shape \(1, 0\)"),
        ({"dry": np.zeros((2, 9), np.float32)}, r"dry has shape \(2, 9\)"),
        ({"positions": np.zeros(3)}, "knob's path"),
        ({"rate_hz": 0}, "must be positive"),
    ],
)
def test_impossible_records_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_record(**changes)


def test_a_broken_write_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(make_record(), tmp_path)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report(make_record(title="another"), tmp_path)
    assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_spectrogram_reads_a_full_scale_sine_as_zero_at_its_frequency() -> None:
    seconds = np.arange(RATE_HZ) / RATE_HZ
    for tone_hz in (110.0, 1000.0, 6000.0):
        sine = np.sin(2.0 * np.pi * tone_hz * seconds).astype(np.float32)[np.newaxis]
        image = pictures.spectrogram(sine, RATE_HZ, 10)
        middle = image.level_db[:, 5]
        rows_hz = np.geomspace(40.0, 16000.0, len(middle))
        assert middle.max() == pytest.approx(0.0, abs=2.0)
        assert abs(math.log2(rows_hz[int(np.argmax(middle))] / tone_hz)) < 0.12


def test_envelope_keeps_every_peak() -> None:
    sound = np.zeros((1, 100003), np.float32)
    sound[0, 77777], sound[0, 5] = 0.9, -0.8
    low, high = pictures.envelope(sound, 500)
    assert len(low) == len(high) == 500
    assert high.max() == pytest.approx(0.9) and low.min() == pytest.approx(-0.8)
