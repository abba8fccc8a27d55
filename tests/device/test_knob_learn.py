"""Calibration by turning: what moved is learnt, what did not stays, and a bad file is named."""

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards.board import MidiEvent
from device.knob import DEFAULT, KnobRange
from device.knob.learn import (
    FILE,
    Learner,
    Learnt,
    LearntError,
    read_learnt,
    state_folder,
    write_learnt,
)


def turned(learner: Learner, low: float, high: float, which: str = "knob") -> None:
    for n in range(400):
        raw = low + (high - low) * (0.5 - 0.5 * math.cos(n / 200 * math.pi))
        if which == "knob":
            learner.feed(raw)
        else:
            learner.feed(0.5, raw)


def cc(number: int, value: int, channel: int = 0) -> MidiEvent:
    return MidiEvent("cc", channel, number, value)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.3), st.floats(0.7, 1.0), st.integers(0, 2**32))
def test_a_knob_turned_end_to_end_reaches_both_ends_exactly(
    low: float, high: float, seed: int
) -> None:
    noise = random.Random(seed)
    learner = Learner()
    for n in range(400):
        raw = low + (high - low) * (0.5 - 0.5 * math.cos(n / 200 * math.pi))
        spike = noise.random() < 0.01
        learner.feed(noise.choice((0.0, 1.0, math.nan)) if spike else raw)
    learnt = learner.finish().knob
    assert learner.moved == ("knob",)
    assert learnt.position(low) == 0.0 and learnt.position(high) == 1.0
    assert learnt.low == pytest.approx(low, abs=0.01)
    assert learnt.high == pytest.approx(high, abs=0.01)


def test_what_was_hardly_moved_stays_as_it_was() -> None:
    before = Learnt(KnobRange(0.1, 0.8), KnobRange(0.9, 0.2), cc=7, channel=3)
    learner = Learner(before)
    turned(learner, 0.4, 0.65)
    for value in range(30):
        learner.feed(0.5, events=[cc(11, value)])
    assert learner.moved == () and learner.finish() == before
    assert Learner().finish() == Learnt()


def test_an_expression_pedal_wired_the_other_way_round_stays_so() -> None:
    learner = Learner(Learnt(expression=KnobRange(1.0, 0.0)))
    turned(learner, 0.2, 0.7, "expression")
    learnt = learner.finish()
    assert learner.moved == ("expression",) and learnt.knob == DEFAULT
    assert learnt.expression.low == pytest.approx(0.7, abs=0.01)
    assert learnt.expression.high == pytest.approx(0.2, abs=0.01)


def test_the_controller_that_moved_most_is_learnt_with_its_channel() -> None:
    learner = Learner()
    for value in range(0, 128, 4):
        learner.feed(
            math.nan,
            events=[cc(11, value, 4), cc(1, value // 2, 4), MidiEvent("program", 4, 127, 0)],
        )
    learnt = learner.finish()
    assert (learnt.cc, learnt.channel) == (11, 4) and learner.moved == ("midi",)


def test_neither_channel_mode_nor_a_controllers_fine_part_is_a_controller() -> None:
    learner = Learner()
    for value in range(128):
        fine = cc(43, value * 7 % 128)
        learner.feed(0.5, events=[cc(11, value // 2), fine, cc(123, value)])
    assert learner.finish().cc == 11


def test_what_was_written_is_read_and_readable_by_others(tmp_path: Path) -> None:
    learnt = Learnt(KnobRange(0.0125, 0.987), KnobRange(0.9, 0.2), cc=11, channel=0)
    for one in (Learnt(), learnt):
        assert write_learnt(one, tmp_path / "new" / "folder") == tmp_path / "new/folder" / FILE
        assert read_learnt(tmp_path / "new" / "folder") == one
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == [FILE]


def test_nothing_learnt_is_no_fault(tmp_path: Path) -> None:
    notes: list[str] = []
    assert read_learnt(tmp_path, notes) == Learnt() and notes == []


GOOD = {"format": 1, "knob": {"low": 0, "high": 1}, "expression": {"low": 0, "high": 1}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({**GOOD, "format": 2}),
        json.dumps({"format": 1}),
        json.dumps({**GOOD, "knob": {"low": 0.5, "high": 0.5}}),
        json.dumps({**GOOD, "knob": {"low": "a", "high": 1}}),
        json.dumps({**GOOD, "knob": {"low": math.nan, "high": 1}}),
        json.dumps({**GOOD, "knob": 3}),
        json.dumps({**GOOD, "midi": {"cc": 128, "channel": 0}}),
        json.dumps({**GOOD, "midi": {"cc": 1, "channel": 16}}),
        json.dumps({**GOOD, "midi": {"cc": True, "channel": 0}}),
        json.dumps({**GOOD, "midi": [1]}),
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_file_is_named_in_one_line_and_the_defaults_hold(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / FILE).write_text(content, "latin-1")
    notes: list[str] = []
    assert read_learnt(tmp_path, notes) == Learnt()
    assert len(notes) == 1 and "\n" not in notes[0] and str(tmp_path / FILE) in notes[0]
    assert "learn it again" in notes[0]


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LearntError, match="cannot be kept") as caught:
        write_learnt(Learnt(), tmp_path / "file" / "state")
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    (tmp_path / FILE).mkdir()
    with pytest.raises(LearntError):
        write_learnt(Learnt(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", FILE]


def test_the_state_folder_is_systemds_the_users_or_below_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/player")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert state_folder() == Path("/home/player/.local/state/purga")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder() == Path("/state/purga")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/purga:/var/lib/other")
    assert state_folder() == Path("/var/lib/purga")
