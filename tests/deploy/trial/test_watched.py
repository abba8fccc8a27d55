"""Adding up what is seen of a slot: only playing counts, and only what the slot itself did."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.trial.verdict import Verdict
from deploy.trial.watched import (
    HEAT,
    NEVER,
    RATES,
    Seen,
    Watched,
    WatchLimits,
    begun,
    judged,
    packed,
    step,
    unpacked,
)

PERIOD_S = 64 / 48000
SECOND = 750
LIMITS = WatchLimits(played_s=60.0)
SHA = "a" * 64


class Pedal:
    """A pedal that is looked at; what happens to it is said by verbs."""

    def __init__(self) -> None:
        self.boot, self.pid = 1, 100
        self.counters: dict[str, int] = {}
        self.seen = Seen("1", 100, {}, PERIOD_S, state="play", hottest_c=50.0)

    def play(self, seconds: float, **counted: int) -> None:
        self.count(periods=round(seconds * SECOND), **counted)

    def count(self, **counted: int) -> None:
        for name, number in counted.items():
            self.counters[name] = self.counters.get(name, 0) + number
        self.seen = replace(self.seen, counters=dict(self.counters))

    def switch(self, **changes: object) -> None:
        self.seen = replace(self.seen, **changes)  # type: ignore[arg-type]

    def restart(self) -> None:
        """Another process of audio, whose counters begin at nothing."""
        self.pid += 1
        self.counters = {}
        self.seen = replace(self.seen, pid=self.pid, counters={})

    def reboot(self) -> None:
        self.boot += 1
        self.restart()
        self.seen = replace(self.seen, boot=str(self.boot))


class Watch:
    """One release on trial on that pedal."""

    def __init__(self, pedal: Pedal, limits: WatchLimits = LIMITS, firmware: bool = False) -> None:
        self.pedal, self.limits = pedal, limits
        self.watched = begun(SHA, pedal.seen, firmware)

    def look(self) -> Verdict | None:
        self.watched = step(self.watched, self.pedal.seen)
        return judged(self.watched, self.limits)

    def activate(self) -> None:
        self.pedal.switch(plays=True)
        assert self.look() is None


@pytest.fixture
def pedal() -> Pedal:
    pedal = Pedal()
    pedal.play(600)
    return pedal


def bad(verdict: Verdict | None) -> str:
    assert verdict is not None and not verdict.ok
    assert "\n" not in verdict.why and verdict.why.endswith(".")
    return verdict.why


def test_enough_playing_without_a_fault_is_good(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    for _ in range(5):
        pedal.play(10.0)
        assert watch.look() is None
    pedal.play(10.0)
    verdict = watch.look()
    assert verdict is not None and verdict.ok
    assert verdict.figures["played_s"] == pytest.approx(60.0)
    assert verdict.figures["hottest_c"] == 50.0


def test_what_the_slot_before_did_is_not_its_fault() -> None:
    pedal = Pedal()
    pedal.play(100, **dict.fromkeys(NEVER, 3), xruns=50, deadline_misses=9000)
    watch = Watch(pedal)
    watch.activate()
    pedal.play(60.0)
    verdict = watch.look()
    assert verdict is not None and verdict.ok


@pytest.mark.parametrize("name", NEVER)
def test_what_may_never_happen(pedal: Pedal, name: str) -> None:
    watch = Watch(pedal)
    watch.activate()
    pedal.play(1.0, **{name: 2})
    assert f"{NEVER[name]} 2 times" in bad(watch.look())


@pytest.mark.parametrize("name", NEVER)
def test_what_may_never_happen_in_a_process_that_was_started_since(pedal: Pedal, name: str) -> None:
    """It has counted all of it with this slot, also before anybody looked."""
    watch = Watch(pedal)
    watch.activate()
    pedal.reboot()
    pedal.play(1.0, **{name: 1})
    bad(watch.look())


@pytest.mark.parametrize("name", RATES)
def test_a_few_losses_are_taken_and_no_more(pedal: Pedal, name: str) -> None:
    watch = Watch(pedal)
    watch.activate()
    most = int(getattr(LIMITS, name))
    pedal.play(1.0, **{name: most})
    assert watch.look() is None
    pedal.play(1.0, **{name: 1})
    assert RATES[name] in bad(watch.look())


def test_a_pedal_that_was_ill_before_may_be_as_ill(pedal: Pedal) -> None:
    pedal.count(xruns=600)  # one a second
    watch = Watch(pedal, WatchLimits(played_s=60.0, xruns=3.0, as_before=2.0))
    watch.activate()
    for _ in range(59):
        pedal.play(1.0, xruns=1)
        assert watch.look() is None
    pedal.play(1.0, xruns=1)
    verdict = watch.look()
    assert verdict is not None and verdict.ok
    watch = Watch(pedal)
    watch.activate()
    pedal.play(10.0, xruns=50)
    assert "the interface lost periods 50 times in 10 s, at most 2" in bad(watch.look())


def test_what_a_start_loses_is_not_counted(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    pedal.reboot()
    pedal.switch(loading=True)
    pedal.count(periods=3000, loading_periods=3000, deadline_misses=500, xruns=20)
    assert watch.look() is None
    pedal.switch(loading=False)
    assert watch.look() is None
    pedal.play(60.0)
    verdict = watch.look()
    assert verdict is not None and verdict.ok, verdict


def test_a_model_that_crashes_audio_again_and_again(pedal: Pedal) -> None:
    watch = Watch(pedal)
    pedal.switch(plays=False)
    for _ in range(LIMITS.restarts):
        pedal.restart()
        assert watch.look() is None
    pedal.restart()
    assert "Audio was started again 4 times" in bad(watch.look())


def test_twenty_short_boots_are_no_fault(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    for _ in range(20):
        pedal.reboot()
        pedal.play(0.5)
        assert watch.look() is None
    assert watch.watched.boots == 21
    assert watch.watched.played_s == 0.0  # nobody looked twice in any of them
    pedal.play(60.0)
    verdict = watch.look()
    assert verdict is not None and verdict.ok


def test_playing_goes_on_over_boots(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    verdict = None
    for _ in range(6):
        pedal.reboot()
        assert watch.look() is None
        pedal.play(10.0)
        verdict = watch.look()
    assert verdict is not None and verdict.ok
    assert verdict.figures["boots"] == 7.0


@pytest.mark.parametrize(
    "idle",
    [
        {"plays": False},
        {"loading": True},
        {"state": "hold"},
        {"state": "fault", "cause": "missing device"},
    ],
)
def test_what_is_not_playing_is_never_judged(pedal: Pedal, idle: dict) -> None:
    """Neither good nor bad, for as long as it takes."""
    watch = Watch(pedal)
    watch.activate()
    pedal.switch(**idle)
    for _ in range(100):
        pedal.play(600.0)
        assert watch.look() is None
    assert watch.watched.played_s == 0.0


def test_without_an_interface_nothing_is_played(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    for _ in range(10):
        pedal.count(periods=60 * SECOND, absent_periods=60 * SECOND)
        assert watch.look() is None


def test_what_audio_sent_back(pedal: Pedal) -> None:
    watch = Watch(pedal)
    pedal.switch(rejected="the network gave what is no number.")
    assert "Audio has sent it back: the network" in bad(watch.look())
    pedal.switch(rejected="")
    bad(watch.look())


def test_what_audio_sent_back_before_is_not_this_release(pedal: Pedal) -> None:
    """Another release lay in the same folder, and audio still says what was wrong with it."""
    pedal.switch(rejected="is too slow.")
    pedal.count(banks_rejected=1)
    watch = Watch(pedal)
    assert watch.look() is None
    pedal.count(banks_rejected=1)
    assert "is too slow" in bad(watch.look())
    watch = Watch(pedal)
    pedal.switch(rejected="gives what is no number.")
    assert "no number" in bad(watch.look())
    watch = Watch(pedal)
    pedal.restart()
    assert "no number" in bad(watch.look())


def test_a_preset_that_cannot_be_played(pedal: Pedal) -> None:
    watch = Watch(pedal)
    pedal.switch(plays=True, broken="presets/x.toml: x.nam: does not load.")
    assert "presets/x.toml" in bad(watch.look())


def test_the_studio_engine(pedal: Pedal) -> None:
    watch = Watch(pedal)
    pedal.switch(engine_pid=10)
    watch.activate()
    for pid in range(11, 11 + LIMITS.engine_restarts):
        pedal.switch(engine_pid=pid)
        assert watch.look() is None
    pedal.switch(engine_pid=0)  # on its way
    assert watch.look() is None
    pedal.switch(engine_pid=99)
    assert "The studio engine was started again" in bad(watch.look())
    watch = Watch(pedal)
    watch.activate()
    pedal.switch(engine_nan=3)
    assert "3 windows" in bad(watch.look())


def test_a_model_that_overheats_the_pedal(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    pedal.switch(state="fault", cause=f"{HEAT}: 99.5 °C")
    assert "too hot to play" in bad(watch.look())


def test_a_pedal_that_became_hot(pedal: Pedal) -> None:
    watch = Watch(pedal)
    watch.activate()
    pedal.switch(state="hot")
    pedal.play(25.0)
    assert watch.look() is None
    pedal.play(10.0)
    assert "hot for 35 s" in bad(watch.look())
    # It was hot before: the stage is, not the model.
    watch = Watch(pedal)
    watch.activate()
    pedal.play(60.0)
    verdict = watch.look()
    assert verdict is not None and verdict.ok


def test_faults_count_for_firmware_only(pedal: Pedal) -> None:
    for firmware in (False, True):
        watch = Watch(pedal, firmware=firmware)
        watch.activate()
        pedal.switch(state="fault", cause="missing device")
        pedal.play(61.0)
        verdict = watch.look()
        if firmware:
            assert "in fault for 61 s" in bad(verdict)
        else:
            assert verdict is None


def test_without_a_beginning_the_first_look_is_one() -> None:
    """Power was lost before anything was noted; what was counted so far may be anybody's."""
    pedal = Pedal()
    pedal.play(100, path_errors=7, xruns=100)
    pedal.switch(plays=True)
    watched = step(begun(SHA, None), pedal.seen)
    assert judged(watched, LIMITS) is None
    pedal.play(60.0)
    verdict = judged(step(watched, pedal.seen), LIMITS)
    assert verdict is not None and verdict.ok


# ---- whatever happens ----------------------------------------------------------------------------

EVENTS = st.sampled_from(["play", "reboot", "restart", "look", "off", "on", "load", "loaded"])


@settings(deadline=None, max_examples=200)
@given(st.lists(EVENTS, max_size=60))
def test_a_healthy_pedal_is_never_blamed_and_time_is_never_invented(events: Sequence[str]) -> None:
    pedal = Pedal()
    watch = Watch(pedal, WatchLimits(played_s=1e9, restarts=10**6))
    played = 0.0
    for event in events:
        if event == "play":
            pedal.play(7.0)
            played += 7.0
        elif event in ("reboot", "restart"):
            getattr(pedal, event)()
        elif event in ("off", "on"):
            pedal.switch(plays=event == "on")
        elif event in ("load", "loaded"):
            pedal.switch(loading=event == "load")
        else:
            assert watch.look() is None
        # Whatever is kept, a process that is started anew reads the same.
        assert unpacked(packed(watch.watched)) == watch.watched
    assert watch.watched.played_s <= played + 1e-6


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_that_lies_there_is_nothing(content: bytes) -> None:
    assert unpacked(content) is None


@settings(deadline=None, max_examples=300)
@given(at=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_damaged_file_never_stops_the_watch(at: int, byte: int) -> None:
    pedal = Pedal()
    pedal.play(5.0)
    content = bytearray(packed(step(begun(SHA, pedal.seen), pedal.seen)))
    content[at % len(content)] = byte
    watched = unpacked(bytes(content))
    if watched is not None:
        pedal.switch(plays=True)
        judged(step(watched, pedal.seen), LIMITS)


def test_a_file_with_other_kinds_of_values_is_nothing() -> None:
    good = Watched(SHA, last={"boot": "1"})
    assert unpacked(packed(good)) == good
    for key, value in (
        ("played_s", "1"),
        ("counted", []),
        ("counted", {"xruns": "1"}),
        ("restarts", 1.5),
        ("rejected", None),
        ("hottest_c", "hot"),
        ("last", 3),
    ):
        assert unpacked(packed(replace(good, **{key: value}))) is None  # type: ignore[arg-type]
