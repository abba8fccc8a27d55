"""What the loop leaves out to be cheap changes nothing: hands do as filter and sources say."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards.board import MidiEvent
from device.knob import KnobFilter, KnobRange
from device.knob.learn import Learnt
from device.knob.sources import MidiControl, Sources
from device.processes import control_hands
from device.processes.control_hands import Hands
from device.processes.control_part import Part
from tests.device.control_support import TURN_S


class Board:
    """A knob and a MIDI input that give what they are told."""

    def __init__(self) -> None:
        self.raw = 0.5
        self.events: Sequence[MidiEvent] = ()

    def read(self, now_s: float) -> float:
        if self.raw < 0.0:
            raise OSError("dead")
        return self.raw

    def poll(self) -> Sequence[MidiEvent]:
        events, self.events = self.events, ()
        return events


_STEP = st.tuples(
    st.one_of(
        st.tuples(st.just("turn"), st.floats(0.0, 1.0)),
        st.tuples(st.just("turn"), st.sampled_from([float("nan"), -1.0])),
        st.tuples(st.just("midi"), st.integers(0, 127)),
    ),
    st.integers(1, 20) | st.integers(480, 560),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(_STEP, max_size=5), st.none() | st.floats(0.0, 1.0))
def test_resting_is_left_out_without_a_difference(
    steps: list[tuple[tuple[str, float], int]], kept: float | None
) -> None:
    board = Board()
    hands = Hands(Part("knob", lambda: board), midi=Part("midi", lambda: board), position=kept)
    plain, sources = KnobFilter(position=kept or 0.0), Sources(kept)
    midi = MidiControl(control_hands.EXPRESSION_CC)
    now_s = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control_hands, "SECOND_EVERY_S", 0.0)
        for (what, value), turns in [(("turn", 0.5), 520), *steps]:
            if what == "turn":
                board.raw = value
            else:
                event = MidiEvent("cc", 0, control_hands.EXPRESSION_CC, int(value))
                board.events = [event]
                midi.feed([event])
            for _ in range(turns):
                now_s += TURN_S
                position = hands.read(now_s)
                if board.raw < 0.0:
                    plain.fail(now_s)
                else:
                    plain.update(board.raw, now_s)
                place = plain.position if plain.usable else None
                assert position == sources.update(now_s, place, None, midi.position)
    assert hands.knob_faults == plain.faults


def test_a_range_that_was_learnt_holds_for_a_knob_that_rests() -> None:
    board = Board()
    board.raw = 0.4
    hands = Hands(Part("knob", lambda: board), learnt=Learnt())
    now_s = 0.0
    for _ in range(400):
        now_s += TURN_S
        hands.read(now_s)
    hands._knob.filter.range = KnobRange(0.2, 0.6)
    hands._knob.forget()
    for _ in range(400):
        now_s += TURN_S
        hands.read(now_s)
    assert hands.position == pytest.approx(0.5, abs=0.01)
