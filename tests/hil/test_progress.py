"""How far a run is: never back, never beyond the end, and about right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.runs.progress import Length, Progress, clock, rough

LANES = [["a", "b"], ["c"]]
LENGTHS = {"a": Length(100.0, 10.0), "b": Length(50.0, 30.0), "c": Length(0.0, 20.0)}


class Wall:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def made(lanes: list[list[str]] = LANES, at_once: int = 2) -> tuple[Progress, list[str], Wall]:
    said: list[str] = []
    wall = Wall()
    return Progress(lanes, LENGTHS, at_once, said.append, wall), said, wall


MARKS = st.tuples(st.sampled_from("abcd"), st.floats(0.0, 1e4), st.sampled_from(["mark", "part"]))


@given(st.lists(st.tuples(MARKS, st.floats(0.0, 100.0)), max_size=30))
def test_it_never_goes_back(told: list[tuple[tuple[str, float, str], float]]) -> None:
    progress, said, wall = made()
    before = 0
    for (stage, figure, kind), later_s in told:
        wall.now_s += later_s
        if kind == "mark":
            progress.mark(stage, figure, "x")
        else:
            progress.part(stage, figure, "x")
        assert before <= progress.percent() <= 100
        assert 0.0 <= progress.left_s() < 1e6
        before = progress.percent()
    for lane in LANES:
        for stage in lane:
            progress.ended(stage, "pass")
    assert progress.percent() == 100 and progress.left_s() == 0.0
    assert len(said) == len(told) + 3


def test_what_is_left_is_that_of_the_longest_lane_at_the_pace_so_far() -> None:
    progress, said, wall = made()
    assert progress.left_s() == 40.0
    wall.now_s = 20.0  # twice as long as expected
    progress.ended("a", "pass")
    progress.part("c", 0.5, "half")
    assert progress.left_s() == pytest.approx(30.0 * 2.0)
    assert said[-1].split() == ["33", "%", "60", "s", "left", "c", "half"]


def test_what_was_built_first_says_nothing_of_the_pace() -> None:
    progress, _, wall = made()
    wall.now_s = 900.0
    progress.prepared(890.0)
    wall.now_s = 910.0
    progress.ended("a", "pass")
    progress.part("c", 0.5, "half")
    assert progress.left_s() == pytest.approx(30.0 * 2.0)


def test_lines_hold_stage_time_and_mark() -> None:
    progress, said, wall = made(at_once=1)
    wall.now_s = 5.0
    progress.mark("a", 50.0, "to -40 °C")
    assert said[0].split() == ["8", "%", "55", "s", "left", "a", "0:00:50", "to", "-40", "°C"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, ""),
        (3.0, "5 s left"),
        (61.0, "60 s left"),
        (180.0, "3 min left"),
        (7260.0, "2 h 01 left"),
    ],
)
def test_what_is_left_in_words(seconds: float, said: str) -> None:
    assert rough(seconds) == said


def test_time_of_day_is_not_meant() -> None:
    assert clock(90061.9) == "25:01:01"
