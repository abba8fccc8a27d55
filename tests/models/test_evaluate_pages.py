"""The evaluation's page: right numbers, pictures of what is there, no trouble at the edges."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from models.evaluate import pictures
from models.evaluate.page import family_table, pair_table, write_page
from models.evaluate.result import Evaluation, Provenance
from tests.models.browser import Browser, browser
from tests.models.evaluate_fixture import RATE_HZ, make_evaluation, make_pair

NOTHING = Provenance("python -m models evaluate", 0, False, "", "", False, {}, (), {}, 0.0)


class Page(HTMLParser):
    """Collects the text and every reference to another file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identities: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data-file"):
                self.references.append(value or "")
            if name == "id":
                self.identities.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    directory = tmp_path_factory.mktemp("evaluate")
    found = make_evaluation(directory)
    write_page(found, directory)
    return found, directory


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_every_reference_is_a_file_beside_the_page(evaluated: tuple[Evaluation, Path]) -> None:
    _, directory = evaluated
    for name in ("index.html", "abx.html", "acr.html"):
        text = (directory / name).read_text("utf-8")
        page = Page(text)
        for reference in page.references:
            if not reference.startswith(("#", "data:image/png;base64,")):
                assert (directory / reference).is_file(), f"{name} names {reference}"
        assert not re.search(r"https?://|//cdn|@import|url\((?!#)", text), name
        assert len(page.identities) == len(set(page.identities)), name


def test_nothing_half_written_is_left(evaluated: tuple[Evaluation, Path]) -> None:
    _, directory = evaluated
    assert not [path for path in directory.rglob("*") if path.name.startswith(".")]


def test_provenance_stands_on_the_page_and_is_escaped(evaluated: tuple[Evaluation, Path]) -> None:
    found, directory = evaluated
    text = (directory / "index.html").read_text("utf-8")
    page = Page(text)
    for word in (found.provenance.command, "QUICK", "funk <1>", "2.4.0", "abababababab"):
        assert word in page.text
    assert "funk <1>" not in text
    assert found.provenance.missing[0] in page.text


def test_parts_without_data_say_so(tmp_path: Path) -> None:
    page = Page(write_page(Evaluation(NOTHING), tmp_path).read_text("utf-8"))
    for sentence in (
        "There are no listening tests", "No family with a known truth was measured",
        "No pair of tones was measured", "Nothing to draw", "This run wrote no sounds",
    ):  # fmt: skip
        assert sentence in page.text
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_each_part_alone_makes_a_page(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> None:
    found, directory = evaluated
    nothing = Evaluation(NOTHING)
    for part in ("truths", "pairs", "planes", "summaries"):
        alone = replace(nothing, **{part: getattr(found, part)})
        assert write_page(alone, tmp_path / part).is_file()
    ends = tuple(sound for sound in found.sounds if sound.role in ("a", "b"))
    assert "holds the ends only" in write_page(replace(nothing, sounds=ends), directory).read_text()
    write_page(found, directory)


def test_family_table_is_over_positions_and_marks_the_worst(
    evaluated: tuple[Evaluation, Path],
) -> None:
    found, _ = evaluated
    table = family_table(found.truths)
    assert [(row["family"], row["method"], row["worst"]) for row in table] == [
        ("drive: tanh", "stage", False), ("capture: ampeg", "stage", False),
        ("chorus", "stage", True),
    ]  # fmt: skip
    first = table[0]
    assert first["mean"]["lsd_db"] == pytest.approx(2.85)
    assert first["ratio"]["cdpam"] == pytest.approx(0.5)
    # Without CDPAM there is no figure, and no ratio.
    bare = [
        replace(row, mean=replace(row.mean, cdpam=None), ratio=replace(row.ratio, cdpam=None))
        for row in found.truths
    ]
    assert family_table(bare)[0]["ratio"]["cdpam"] is None
    # The crossfade stands alone where there is nothing to compare it with.
    alone = family_table([row for row in found.truths if row.method == "crossfade"])
    assert [row["method"] for row in alone] == ["crossfade"] * 3
    assert not any(row["worst"] for row in alone)
    # A position at which the method fails weighs as much as any other.
    failing = [
        replace(row, mean=replace(row.mean, lsd_db=11.4))
        if (row.family, row.method, row.position) == ("drive: tanh", "stage", 0.5)
        else row
        for row in found.truths
    ]
    assert family_table(failing)[0]["ratio"]["lsd_db"] == pytest.approx((0.5 + 2 + 0.5) / 3)


def test_a_metric_without_any_figure_has_no_column(
    evaluated: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    found, directory = evaluated
    heads = '<th scope="col" class="number">CDPAM</th>'
    assert heads in (directory / "index.html").read_text("utf-8")
    bare = tuple(
        replace(row, mean=replace(row.mean, cdpam=None), ratio=replace(row.ratio, cdpam=None))
        for row in found.truths
    )
    text = write_page(Evaluation(NOTHING, truths=bare), tmp_path).read_text("utf-8")
    assert heads not in text and "mel bands" in text


def test_pair_table_compares_with_direct_and_crossfade() -> None:
    rows = [make_pair("a", "b", *way) for way in (("direct", "crossfade"), ("drive", "stage"))]
    rows.append(make_pair("c", "d", "drive", "stage"))
    table = pair_table(rows)
    assert [line["rows"] for line in table] == [2, 0, 1]
    assert table[0]["nearest_ratio"] == 1.0
    nearest = rows[1].lsd.mean_nearest_db / rows[0].lsd.mean_nearest_db
    assert table[1]["nearest_ratio"] == pytest.approx(nearest)
    assert table[2]["nearest_ratio"] is None  # not run for these tones
    assert [line["worst"] for line in table].count(True) == 1


def test_spectrogram_shows_a_sine_at_its_place_and_level() -> None:
    times_s = np.arange(RATE_HZ) / RATE_HZ
    for at_hz, level_db in ((100.0, 0.0), (1000.0, -20.0), (9000.0, -40.0)):
        sine = 10 ** (level_db / 20) * np.sin(2 * np.pi * at_hz * times_s)
        levels = pictures.spectrogram_db(sine.astype(np.float32)[None], RATE_HZ)
        middle = levels[:, levels.shape[1] // 2]
        octaves = np.log2(pictures.HIGHEST_HZ / pictures.LOWEST_HZ) / len(middle)
        found_hz = pictures.LOWEST_HZ * 2 ** ((np.argmax(middle) + 0.5) * octaves)
        assert abs(np.log2(found_hz / at_hz)) < 0.12
        assert middle.max() == pytest.approx(level_db, abs=1.5)


@pytest.mark.parametrize("frames", [1, 100, 5000])
def test_spectrogram_of_short_and_silent_sounds_is_finite(frames: int) -> None:
    levels = pictures.spectrogram_db(np.zeros((1, frames), np.float32), RATE_HZ)
    assert np.isfinite(levels).all()
    assert pictures.spectrogram_png(levels, 0.0).startswith(b"\x89PNG")


def test_ends_are_one_picture_in_every_row(evaluated: tuple[Evaluation, Path]) -> None:
    _, directory = evaluated
    text = (directory / "index.html").read_text("utf-8")
    images = re.findall(r'<img src="(pictures/[^"]+)"', text)
    assert len(images) == 5 * 6  # three rows in each of two cases
    first, last = images[0:15:5], images[4:15:5]
    assert len(set(first)) == len(set(last)) == 1
    shapes = {matplotlib.image.imread(directory / image).shape for image in images}
    assert len(shapes) == 1


def test_pictures_do_not_depend_on_the_run() -> None:
    rows = [make_pair("a", "b", "drive", "stage")]
    one, other = (pictures.pair_picture(rows, None, "pair0", True) for _ in range(2))
    assert one == other
    assert "#0" not in re.sub(r'href="#|url\(#', "", one).replace("#000000", "")


def test_pictures_stand_level_and_constant_curves() -> None:
    row = make_pair("a", "b", "direct", "crossfade")
    flat = tuple(0.0 for _ in row.positions)
    still = replace(
        row, lsd=replace(row.lsd, nearest_db=flat, steps_db=flat[1:]), saturation=flat,
        loudness_error_lu=flat, way=(),
    )  # fmt: skip
    assert "no drives on this way" in pictures.pair_picture([still], None, "pair0", False)


@pytest.mark.parametrize("width", [380, 1200])
def test_pages_fit_their_width(
    evaluated: tuple[Evaluation, Path], shown: Browser, width: int
) -> None:
    _, directory = evaluated
    shown.look(width, dark=width == 380)
    for name in ("index.html", "abx.html", "acr.html"):
        shown.open(directory / name)
        assert shown.run("document.documentElement.scrollWidth") == width, name
        assert shown.errors == [], name


def test_a_click_on_a_spectrogram_plays_it(
    evaluated: tuple[Evaluation, Path], shown: Browser
) -> None:
    found, directory = evaluated
    shown.open(directory / "index.html")
    shown.run("document.querySelectorAll('.tiles button')[1].click()")
    shown.wait("document.querySelector('audio').currentTime > 0")
    file = shown.run("document.querySelector('audio').src")
    truth = next(one for one in found.sounds if (one.role, one.position) == ("truth", 0.25))
    assert file == (directory / truth.file).absolute().as_uri()
    assert shown.run("document.querySelector('.what').textContent") == "truth at 0.25"
    assert shown.errors == []
    outside = [one for one in shown.requests if not one.startswith(("file:", "data:", "blob:"))]
    assert outside == []
