"""One footswitch: what each gesture asks for, and what a broken switch must not do."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.feet import Gestures

TURN_S = 0.002


class Foot:
    """A foot on a switch that is read every 2 ms."""

    def __init__(self, bypass: bool = False) -> None:
        self.gestures = Gestures(bypass)
        self.now_s = 100.0
        self.steps: list[int] = []
        self.wait(0.1)

    def read(self, pressed: bool | None, for_s: float) -> None:
        for _ in range(round(for_s / TURN_S)):
            step = self.gestures.update(pressed, self.now_s)
            if step:
                self.steps.append(step)
            self.now_s += TURN_S

    def wait(self, for_s: float) -> None:
        self.read(False, for_s)

    def press(self, for_s: float = 0.1) -> None:
        self.read(True, for_s)

    @property
    def asked(self) -> tuple[bool, bool, bool, int]:
        """Bypass, mute, learn and all steps together."""
        foot = self.gestures
        return foot.bypass, foot.mute, foot.learn, sum(self.steps)


@pytest.mark.parametrize("bypass", [False, True])
def test_a_press_changes_the_bypass_at_the_first_reading(bypass: bool) -> None:
    foot = Foot(bypass)
    foot.press(TURN_S)
    assert foot.gestures.bypass is not bypass
    foot.press(0.1)
    foot.wait(1.0)
    assert foot.asked == (not bypass, False, False, 0)
    foot.press()
    assert foot.asked == (bypass, False, False, 0)


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("presses", [2, 3, 5])
def test_quick_presses_step_on_and_take_the_bypass_back(bypass: bool, presses: int) -> None:
    foot = Foot(bypass)
    for _ in range(presses):
        foot.press(0.1)
        foot.wait(0.1)
    foot.wait(1.0)
    assert foot.asked == (bypass, False, False, presses - 1)
    assert foot.steps == [1] * (presses - 1)


def test_the_second_press_counts_up_to_350_ms_after_the_first() -> None:
    inside = Foot()
    inside.press(0.1)
    inside.wait(0.248)
    inside.press()
    assert inside.asked == (False, False, False, 1)
    outside = Foot()
    outside.press(0.1)
    outside.wait(0.254)
    outside.press()
    assert outside.asked == (False, False, False, 0)  # bypass, and back from it


@pytest.mark.parametrize("bypass", [False, True])
def test_a_held_switch_mutes_until_the_next_press(bypass: bool) -> None:
    foot = Foot(bypass)
    foot.press(0.79)
    assert foot.asked == (not bypass, False, False, 0)
    foot.press(0.02)
    assert foot.asked == (bypass, True, False, 0)
    foot.press(1.0)
    foot.wait(5.0)
    assert foot.asked == (bypass, True, False, 0)
    foot.press()
    foot.wait(1.0)
    assert foot.asked == (bypass, False, False, 0)


def test_the_press_that_ends_the_mute_does_nothing_else() -> None:
    foot = Foot()
    foot.press(1.0)
    foot.wait(1.0)
    foot.press(2.0)  # would mute again
    assert foot.asked == (False, False, False, 0)
    foot.wait(0.1)
    foot.press(0.05)  # is within 350 ms of nothing that counts
    assert foot.asked == (True, False, False, 0)


def test_the_first_press_after_an_unmute_is_not_its_second() -> None:
    foot = Foot()
    foot.press(1.0)
    foot.wait(1.0)
    foot.press(0.1)
    foot.wait(0.1)
    foot.press(0.1)
    assert foot.asked == (True, False, False, 0)


def test_a_long_hold_learns_until_the_next_press() -> None:
    foot = Foot()
    foot.press(4.99)
    assert foot.asked == (False, True, False, 0)
    foot.press(0.02)
    assert foot.asked == (False, False, True, 0)
    foot.wait(10.0)
    assert foot.gestures.learn
    foot.press(0.1)
    foot.wait(1.0)
    assert foot.asked == (False, False, False, 0)


def test_learning_ends_by_itself() -> None:
    foot = Foot()
    foot.press(5.1)
    foot.wait(59.0)
    assert foot.gestures.learn
    foot.wait(1.0)
    assert foot.asked == (False, False, False, 0)


def test_each_learning_has_its_whole_time() -> None:
    foot = Foot()
    for _ in range(2):
        foot.press(5.1)
        foot.wait(40.0)
        assert foot.gestures.learn
        foot.press(0.1)
        foot.wait(0.5)


def test_learning_can_be_ended_from_elsewhere() -> None:
    foot = Foot()
    foot.press(5.1)
    foot.wait(0.1)
    foot.gestures.end_learning()
    foot.press()
    assert foot.asked == (True, False, False, 0)


@pytest.mark.parametrize("bypass", [False, True])
def test_a_stuck_switch_takes_nothing_with_it(bypass: bool) -> None:
    foot = Foot(bypass)
    foot.press(10.1)
    assert foot.asked == (bypass, False, False, 0)
    assert foot.gestures.fault == "footswitch stuck"
    foot.press(20.0)
    assert foot.asked == (bypass, False, False, 0)
    foot.wait(0.1)
    assert foot.gestures.fault is None
    foot.press()
    assert foot.asked == (not bypass, False, False, 0)


def test_a_switch_held_while_starting_asks_for_nothing() -> None:
    gestures = Gestures()
    for turn in range(4000):
        assert gestures.update(True, turn * TURN_S) == 0
        assert not (gestures.bypass or gestures.mute or gestures.learn or gestures.fault)
    for turn in range(4000, 6000):
        gestures.update(True, turn * TURN_S)
    assert gestures.fault == "footswitch stuck"
    gestures.update(False, 12.0)
    assert gestures.fault is None
    assert not gestures.bypass
    gestures.update(True, 12.1)
    assert gestures.bypass


def test_an_unreadable_switch_is_no_press_and_no_release() -> None:
    foot = Foot()
    foot.press(0.3)
    foot.read(None, 12.0)
    assert foot.asked == (True, False, False, 0)
    assert foot.gestures.fault == "footswitch unreadable"
    foot.press(3.0)
    assert foot.asked == (True, False, False, 0)
    foot.wait(0.1)
    assert foot.gestures.fault is None
    foot.press()
    assert foot.asked == (False, False, False, 0)


def test_a_press_after_an_unreadable_switch_is_a_first_one() -> None:
    foot = Foot()
    foot.press(0.05)
    foot.read(None, 0.05)
    foot.wait(0.05)
    foot.press(0.1)
    assert foot.asked == (False, False, False, 0)  # bypass, and back from it


def test_of_several_quick_presses_only_the_stuck_one_is_taken_back() -> None:
    foot = Foot()
    for held_s in (0.1, 0.1, 10.1):
        foot.press(held_s)
        foot.wait(0.1)
    assert foot.steps == [1, 1, -1]
    assert foot.asked == (False, False, False, 1)


def test_an_unreadable_switch_leaves_the_mute_to_be_ended() -> None:
    foot = Foot()
    foot.press(1.0)
    foot.read(None, 1.0)
    assert foot.asked == (False, True, False, 0)
    foot.wait(0.1)
    foot.press()
    assert foot.asked == (False, False, False, 0)


@pytest.mark.parametrize("bypass", [False, True])
def test_a_chattering_wire_is_not_a_foot(bypass: bool) -> None:
    foot = Foot(bypass)
    for _ in range(100):
        foot.press(0.03)
        foot.wait(0.03)
    assert foot.asked == (bypass, False, False, 0)
    assert foot.gestures.fault == "footswitch chatters"
    foot.wait(1.9)
    foot.press()  # not yet quiet for long enough
    foot.wait(1.9)
    assert foot.asked == (bypass, False, False, 0)
    assert foot.gestures.fault == "footswitch chatters"
    foot.wait(0.2)
    assert foot.gestures.fault is None
    foot.press()
    assert foot.asked == (not bypass, False, False, 0)


def test_the_quickest_foot_does_not_chatter() -> None:
    foot = Foot()
    for _ in range(20):  # 8 presses a second
        foot.press(0.06)
        foot.wait(0.065)
    assert foot.gestures.fault is None
    assert foot.asked == (False, False, False, 19)


def bounce(times_s: Iterable[float]) -> Iterator[tuple[bool, float]]:
    """A contact that is open and closed by turns."""
    for index, time_s in enumerate(times_s):
        yield index % 2 == 0, time_s


@given(
    closing=st.lists(st.sampled_from([0.002, 0.004, 0.006]), max_size=3),
    opening=st.lists(st.sampled_from([0.002, 0.004, 0.006]), max_size=3),
    held_s=st.sampled_from([0.05, 0.2, 0.7]),
)
def test_a_contact_that_bounces_is_one_press(
    closing: list[float], opening: list[float], held_s: float
) -> None:
    foot = Foot()
    for pressed, time_s in bounce(closing):
        foot.read(pressed, time_s)
    foot.press(held_s)
    for open_, time_s in bounce(opening):
        foot.read(not open_, time_s)
    foot.wait(0.5)
    assert foot.asked == (True, False, False, 0)


def test_time_that_nobody_looked_at_is_not_held() -> None:
    foot = Foot()
    foot.press(0.1)
    foot.now_s += 30.0  # the process stood still
    foot.press(0.1)
    assert foot.asked == (True, False, False, 0)


def test_a_clock_that_jumps_back_neither_holds_nor_lets_go() -> None:
    foot = Foot()
    foot.press(0.5)
    foot.now_s -= 50.0
    foot.press(0.2)
    assert foot.asked == (True, False, False, 0)
    foot.press(0.2)
    assert foot.asked == (False, True, False, 0)


def test_bypass_set_from_elsewhere_is_where_a_press_starts() -> None:
    foot = Foot()
    foot.gestures.bypass = True
    foot.press()
    assert foot.gestures.bypass is False


@given(
    st.lists(
        st.tuples(st.sampled_from([False, True, None]), st.floats(0.0, 12.0)),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_was_done_a_released_switch_leads_back_to_sound(
    script: list[tuple[bool | None, float]],
) -> None:
    gestures = Gestures()
    now_s = 0.0
    for pressed, for_s in script:
        for _ in range(max(1, round(for_s / 0.05))):
            gestures.update(pressed, now_s)
            now_s += 0.05
            assert not (gestures.mute and gestures.learn)
    for _ in range(50):  # 2.5 s released: whatever was wrong is over
        gestures.update(False, now_s)
        now_s += 0.05
    assert gestures.fault is None
    gestures.update(True, now_s)
    gestures.update(False, now_s + 0.1)
    assert not gestures.mute
    assert not gestures.learn
