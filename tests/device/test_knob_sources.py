"""Knob, expression pedal and MIDI: the one moved last is followed, and none makes a jump."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards.board import MidiEvent
from device.knob.sources import MOVED, TAKEOVER_PER_S, MidiControl, Sources

POLL_S = 0.002
PLACE = st.none() | st.floats(0.0, 1.0)


class Turns:
    """Sources, polled on a grid of 2 ms."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.now_s = 0.0

    def hold(
        self,
        knob: float | None,
        expression: float | None = None,
        midi: float | None = None,
        for_s: float = 1.0,
    ) -> list[float]:
        positions = []
        for _ in range(round(for_s / POLL_S)):
            self.now_s += POLL_S
            positions.append(self.sources.update(self.now_s, knob, expression, midi))
        return positions


def test_the_knob_is_followed_from_the_first_reading_without_delay() -> None:
    sources = Sources()
    assert [sources.update(n * POLL_S, place) for n, place in enumerate((0.7, 0.1, 1.0))] == [
        0.7,
        0.1,
        1.0,
    ]


def test_one_that_rests_elsewhere_does_not_take_part() -> None:
    turns = Turns(Sources())
    assert set(turns.hold(0.3, expression=0.9, midi=0.5)) == {0.3}
    drifted = turns.hold(0.3, expression=0.9 + 0.9 * MOVED, midi=0.5)
    assert set(drifted) == {0.3} and turns.sources.active == "knob"


@pytest.mark.parametrize("name", ["expression", "midi"])
def test_the_one_that_moves_takes_over_by_a_glide(name: str) -> None:
    turns = Turns(Sources())
    turns.hold(0.0, **{name: 0.9})
    positions = turns.hold(0.0, **{name: 1.0})
    assert turns.sources.active == name
    steps = [b - a for a, b in pairwise([0.0, *positions])]
    assert min(steps) >= 0.0 and max(steps) <= TAKEOVER_PER_S * POLL_S + 1e-9
    assert positions[-1] == 1.0
    # Once it is there it is followed at once, and the knob takes over again when it is turned.
    assert turns.hold(0.0, **{name: 0.5}, for_s=POLL_S) == [0.5]
    turns.hold(0.05, **{name: 0.5})
    assert turns.sources.active == "knob" and turns.sources.position == 0.05


def test_when_all_move_the_one_that_moves_furthest_wins() -> None:
    turns = Turns(Sources())
    turns.hold(0.5, 0.5, 0.5)
    positions = turns.hold(0.5, 0.6, 0.9)
    assert positions == sorted(positions) and positions[-1] == 0.9
    assert turns.sources.active == "midi"


def test_a_pedal_that_is_plugged_or_a_first_controller_message_is_no_movement() -> None:
    turns = Turns(Sources())
    turns.hold(0.3, expression=0.1)
    turns.hold(0.3, expression=None)
    assert set(turns.hold(0.3, expression=0.9, midi=1.0)) == {0.3}


def test_an_active_one_that_is_lost_is_held_and_glided_to_when_it_is_back() -> None:
    turns = Turns(Sources())
    turns.hold(0.3)
    assert set(turns.hold(None)) == {0.3}
    back = turns.hold(0.9)
    assert max(b - a for a, b in pairwise([0.3, *back])) <= TAKEOVER_PER_S * POLL_S + 1e-9
    assert back[-1] == 0.9


def test_a_restart_goes_on_from_the_position_and_with_the_source_it_had() -> None:
    turns = Turns(Sources(position=0.8, active="midi"))
    assert set(turns.hold(0.1, expression=0.2)) == {0.8}
    turns.hold(0.2, expression=0.2)
    assert turns.sources.active == "knob" and turns.sources.position == 0.2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(PLACE, PLACE, PLACE), min_size=1, max_size=40))
def test_whatever_comes_the_position_is_one_and_a_change_of_source_never_a_jump(
    places: list[tuple[float | None, float | None, float | None]],
) -> None:
    sources = Sources()
    position, active = sources.update(0.0, *places[0]), sources.active
    for n, place in enumerate(places, 1):
        new = sources.update(n * POLL_S, *place)
        assert 0.0 <= new <= 1.0
        if sources.active != active:
            assert abs(new - position) <= TAKEOVER_PER_S * POLL_S + 1e-9
        position, active = new, sources.active


def cc(number: int, value: int, channel: int = 0) -> MidiEvent:
    return MidiEvent("cc", channel, number, value)


def test_a_controller_moves_the_position_over_its_whole_range_exactly() -> None:
    midi = MidiControl(cc=11)
    assert midi.position is None
    for value, position in ((0, 0.0), (127, 1.0), (64, 64 / 127)):
        assert midi.feed([cc(7, 3), cc(11, value)]) is None
        assert midi.position == position


def test_other_channels_are_not_listened_to() -> None:
    midi = MidiControl(cc=11, channel=2)
    assert midi.feed([cc(11, 127, channel=1), MidiEvent("program", 1, 4, 0)]) is None
    assert midi.position is None
    assert midi.feed([cc(11, 127, channel=2), MidiEvent("program", 2, 4, 0)]) == 4
    assert midi.position == 1.0


def test_the_last_program_counts_and_without_a_controller_nothing_moves() -> None:
    midi = MidiControl()
    events = [MidiEvent("program", 0, 3, 0), cc(11, 9), MidiEvent("program", 5, 0, 0)]
    assert midi.feed(events) == 0 and midi.position is None
