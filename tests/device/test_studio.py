"""The studio engine's client: exact latency, exact ends, and never a jump, whatever comes back."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.sound.morph import Crossfade
from device.sound.morph.studio import MOST_REPLIES
from device.sound.morph.studio_fades import END_ZONE, EndFade, Reserve
from device.sound.morph.studio_ring import ReplyRing, Taken
from models.units import Audio
from tests.device.signal import sine
from tests.device.studio_parts import (
    PERIOD,
    RATE_HZ,
    TIMING,
    ScriptedPeer,
    play,
    prepared,
    steepest,
)

FIVE_MS = 0.005 * RATE_HZ
"""No weight may change faster than a straight ramp of this many frames."""

LEVEL = 0.5
SECOND = sine(220.0, 64 * 750, LEVEL), sine(220.0, 64 * 750, 0.5 * LEVEL)
CONSTANT = np.full((1, 64 * 750), LEVEL, np.float32)
STAND_IN = 0.75 * LEVEL
"""What the stand-in gives of ``CONSTANT`` and its half at position 0.5; the peer gives −LEVEL."""


def constants(peer: ScriptedPeer, act: Callable[[int], None], periods: int = 750) -> Audio:
    """Constant tones at position 0.5, so that all that moves is a weight; ``act`` before each."""
    engine = prepared(peer)
    out = np.zeros((1, periods * PERIOD), np.float32)
    half = np.full(PERIOD, 0.5, np.float32)
    tone = CONSTANT[:, :PERIOD]
    for period in range(periods):
        act(period)
        piece = slice(period * PERIOD, (period + 1) * PERIOD)
        engine.process(tone, 0.5 * tone, half, out[:, piece])
    out = out[:, engine.latency_frames :]
    assert np.isfinite(out).all()
    swing = LEVEL + STAND_IN
    assert out.shape[1] < 2 or steepest(out) <= swing / FIVE_MS
    return out


def test_what_comes_back_is_heard_at_its_own_time() -> None:
    engine = prepared(ScriptedPeer(gain=-1.0, lag_periods=5))
    a, b = SECOND
    out = play(engine, a, b, 0.5)
    latency = engine.latency_frames
    assert np.array_equal(out[:, latency:], -a[:, :-latency])
    assert not out[:, :latency].any()


def test_the_latency_holds_the_stream_computing_a_fade_and_a_period() -> None:
    for period in (16, 64, 100, 1024):
        engine = prepared(ScriptedPeer(), period=period)
        least = TIMING.stream_frames + 0.6 * TIMING.hop_frames + FIVE_MS + period
        assert least <= engine.latency_frames < least + 240 + period
        assert engine.latency_frames % period == 0


@pytest.mark.parametrize("late", [TIMING.stream_frames, int(1500 + 0.6 * 600)])
def test_a_peer_within_its_allowance_is_never_masked(late: int) -> None:
    peer = ScriptedPeer(lag_periods=late // PERIOD)
    engine = prepared(peer)
    play(engine, *SECOND, 0.5)
    assert engine.late_periods == engine.crossfades == engine.stale == 0 and engine.heard


def test_without_a_peer_the_stand_in_is_heard_at_the_same_latency() -> None:
    peer = ScriptedPeer()
    peer.alive = False
    engine = prepared(peer)
    a, b = SECOND
    out = play(engine, a, b, 0.25)
    alone = Crossfade()
    alone.prepare(RATE_HZ, PERIOD)
    expected = play(alone, a, b, 0.25)
    latency = engine.latency_frames
    assert np.array_equal(out[:, latency:], expected[:, :-latency])
    assert engine.absent_periods == 750


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("other", [0.1, np.nan, np.inf])
def test_an_end_is_the_tone_bit_for_bit_whatever_else_is(end: float, other: float) -> None:
    tone = sine(440.0, 64 * 200)
    broken = np.full_like(tone, other)
    engine = prepared(ScriptedPeer())
    out = play(engine, *((tone, broken) if end == 0.0 else (broken, tone)), end)
    assert np.array_equal(out[:, engine.latency_frames :], tone[:, : -engine.latency_frames])


@pytest.mark.parametrize("over_s", [0.005, 0.05, 0.7])
def test_the_way_to_an_end_and_back_has_no_jump_and_the_ends_are_exact(over_s: float) -> None:
    """Quick as the knob's glide lets it, and slowly through the end zone."""
    a, b = CONSTANT, 0.5 * CONSTANT
    half = round(over_s * RATE_HZ)
    knob = np.full(a.shape[1], 0.0, np.float32)
    knob[2000 : 2000 + half] = np.linspace(0.0, 1.0, half)
    knob[2000 + half : -3000] = 1.0
    knob[-3000:] = np.linspace(1.0, 0.5, 3000)
    engine = prepared(ScriptedPeer())
    out = play(engine, a, b, knob)[:, engine.latency_frames :]
    heard_knob = knob[: out.shape[1]]
    assert (out[:, heard_knob == 0.0] == LEVEL).all()
    assert (out[:, heard_knob == 1.0] == 0.5 * LEVEL).all()
    # The knob itself moves the stand-in.
    assert steepest(out) <= 1.5 * LEVEL / FIVE_MS + 0.5 * LEVEL / half
    if over_s > 0.05:
        assert (out == -LEVEL).mean() > 0.3


def test_a_tone_that_is_not_finite_reaches_nobody_who_would_remember_it() -> None:
    peer = ScriptedPeer()
    a, b = (tone.copy() for tone in SECOND)
    a[0, 640], b[0, 6400] = np.nan, np.inf
    engine = prepared(peer)
    out = play(engine, a, b, 0.5)
    assert all(np.isfinite(sent[2]).all() and np.isfinite(sent[3]).all() for sent in peer.sent)
    assert engine.nan_replies == 0 and np.isfinite(out[:, -6400:]).all()


def test_death_is_faded_over_before_the_gap_and_the_return_too() -> None:
    peer = ScriptedPeer()

    def act(period: int) -> None:
        peer.alive = not 200 <= period < 400

    out = constants(peer, act)
    heard = out[0]
    first_missing = 200 * PERIOD
    assert heard[first_missing - 1] == np.float32(STAND_IN), "it was gone before the gap"
    assert (heard[: first_missing - PERIOD - 480] == -LEVEL).all(), "and not too early"
    assert (heard[first_missing : 400 * PERIOD] == np.float32(STAND_IN)).all()
    assert heard[-1] == -LEVEL


def test_a_freeze_that_ends_with_all_replies_at_once_is_faded_over() -> None:
    peer = ScriptedPeer()

    def act(period: int) -> None:
        peer.frozen = 200 <= period < 300

    out = constants(peer, act)
    assert (out == np.float32(STAND_IN)).any() and out[0, -1] == -LEVEL


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=2, max_size=25))
def test_however_replies_come_and_go_nothing_jumps(spells: list[tuple[int, bool]]) -> None:
    peer = ScriptedPeer()
    there = [on for periods, on in spells for _ in range(periods)]

    def act(period: int) -> None:
        peer.silent = not there[period]

    constants(peer, act, len(there))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flood_of_foreign_and_stale_replies_changes_nothing(data: st.DataObject) -> None:
    peer = ScriptedPeer()
    engine = prepared(peer)
    latency = engine.latency_frames
    out = np.zeros((1, 300 * PERIOD), np.float32)
    for period in range(300):
        if period % 10 == 0:
            generation = data.draw(st.sampled_from([0, 1, 2, 7, 2**32 - 1]))
            frame = data.draw(
                st.one_of(st.integers(0, 2**64 - 1), st.integers(0, max(0, period - 2) * PERIOD))
            )
            if generation == 1:
                # Of this generation: what was never asked, or what has been answered.
                frame = frame if frame < (period - 2) * PERIOD else 2**63 + frame % 2**63
            peer.replies.append((generation, frame, np.full((1, 64), 9.0, np.float32)))
        piece = slice(period * PERIOD, (period + 1) * PERIOD)
        half = np.full(PERIOD, 0.5, np.float32)
        engine.process(SECOND[0][:, piece], SECOND[1][:, piece], half, out[:, piece])
    assert np.array_equal(out[:, latency:], -SECOND[0][:, : 300 * PERIOD - latency])
    assert engine.stale + engine.foreign == 30 and engine.crossfades == 0


def test_a_flood_costs_a_bounded_number_of_packets_per_period() -> None:
    peer = ScriptedPeer()
    peer.replies = [(99, 0, np.zeros((1, 64), np.float32))] * 10_000
    engine = prepared(peer)
    play(engine, SECOND[0][:, :640], SECOND[1][:, :640], 0.5)
    assert peer.received == 10 * MOST_REPLIES


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_replies_that_are_not_finite_are_left_out_and_counted(bad: float) -> None:
    peer = ScriptedPeer()

    def act(period: int) -> None:
        peer.gain = np.float32(bad if 200 <= period < 210 else -1.0)

    out = constants(peer, act)
    assert out[0, 100] == out[0, -1] == -LEVEL and (out == np.float32(STAND_IN)).any()


def test_a_reset_begins_a_generation_and_forgets_the_last_one() -> None:
    peer = ScriptedPeer(lag_periods=10)
    engine = prepared(peer)
    play(engine, *SECOND, 0.5)
    engine.reset()
    silence = np.zeros_like(SECOND[0])
    assert not play(engine, silence, silence, 0.5).any()
    assert peer.sent[750][:2] == (peer.sent[0][0] + 1, 0)
    assert engine.stale == 10


def test_a_period_allocates_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = prepared(ScriptedPeer())
    half = np.full(PERIOD, 0.5, np.float32)
    tone, out = CONSTANT[:, :PERIOD], np.zeros((1, PERIOD), np.float32)
    peer = engine.peer
    assert isinstance(peer, ScriptedPeer)
    peer.silent = True
    replies = [(1, frame, tone.copy()) for frame in range(0, 64 * 600, 64)]
    for period in range(200):
        peer.replies.append(replies[period])
        engine.process(tone, tone, half, out)
    peer.sent.clear()

    def send(*_: object) -> None:
        """Keep nothing."""

    monkeypatch.setattr(peer, "send", send)
    peer.replies.extend(replies[200:400])
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for period in range(200):
            knob = half if period % 50 else half * 0.0
            engine.process(tone, tone, knob, out)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = [tracemalloc.Filter(True, "*/device/sound/*")]
    grown = after.filter_traces(ours).compare_to(before.filter_traces(ours), "lineno")
    assert sum(each.size_diff for each in grown) < 4 * PERIOD


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.lists(st.integers(0, 3000), min_size=1, max_size=60))
def test_the_reserve_s_weight_never_outruns_what_is_held(period: int, held: list[int]) -> None:
    """Every weight above zero belongs to a frame that is there; no step beyond a 5 ms ramp's."""
    reserve = Reserve(RATE_HZ, period, 100)
    ahead, last = 3000, 1.0
    for more in held:
        weights = reserve.advance(ahead)
        assert weights.shape == (period,)
        heard = np.flatnonzero(weights)
        assert heard.size == 0 or heard[-1] < ahead
        assert np.abs(np.diff(np.concatenate([[last], weights]))).max() <= 1.0 / FIVE_MS
        last = float(weights[-1])
        ahead = max(0, ahead - period) + (more if more > 1500 else 0)


def test_what_is_too_little_to_leave_again_does_not_come_in() -> None:
    reserve = Reserve(RATE_HZ, PERIOD, 100)
    for _ in range(20):
        reserve.advance(0)
    for _ in range(20):
        assert not reserve.advance(PERIOD + reserve.fade_frames - 1).any()
    assert reserve.crossfades == 1 and not reserve.heard
    for _ in range(20):
        last = reserve.advance(PERIOD + reserve.fade_frames)
    assert (last == 1.0).all() and reserve.crossfades == 1


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60))
def test_the_way_to_an_end_begins_early_enough(period: int, turns: list[float]) -> None:
    """Zero in each period that touches an end; never above the end zone's; no steep step."""
    delay = 480 // period + 3
    fade = EndFade(RATE_HZ, period, delay)
    ends = [round(turn, 1) for turn in turns]
    knobs = [
        np.linspace(start, stop, period, dtype=np.float32)
        for start, stop in zip([0.0, *ends], ends, strict=False)
    ]
    last = 1.0
    for index in range(len(knobs) + delay):
        weights = fade.advance(knobs[min(index, len(knobs) - 1)])
        curve = np.broadcast_to(np.asarray(weights, np.float32), (period,))
        assert np.abs(np.diff(np.concatenate([[last], curve]))).max() <= 1.0 / 480 + 1e-6
        last = float(curve[-1])
        if index >= delay:
            knob = knobs[min(index - delay, len(knobs) - 1)]
            distance = float(np.minimum(knob, 1.0 - knob).min())
            assert curve.max() <= 1.0 if distance >= END_ZONE else curve.max() < 1.0
            if distance <= 0.0:
                assert not curve.any()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-200, 900), st.integers(1, 200)), max_size=30))
def test_the_ring_holds_one_unbroken_stretch_and_gives_it_back(
    replies: list[tuple[int, int]],
) -> None:
    """Frame n is worth n, so a frame at a wrong place shows."""
    ring = ReplyRing(1000)
    ring.begin(0, 0)
    ring.hi = 0
    for first, frames in replies:
        before = ring.hi
        sound = np.arange(first, first + frames, dtype=np.float32)[None]
        taken = ring.take(first, sound, due=0, limit=900, anew=False)
        if taken == Taken.KEPT:
            assert first <= before < first + frames == ring.hi
        else:
            assert ring.hi == before
            assert taken != Taken.FOREIGN or first < 0 or first + frames > 900
    out = np.full((1, 950), 7.0, np.float32)
    ring.read(0, out, ring.ahead(0))
    assert np.array_equal(out[0, : ring.hi], np.arange(ring.hi))
    assert not out[0, ring.hi :].any()
