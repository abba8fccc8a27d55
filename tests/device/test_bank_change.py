"""Another bank while one plays: no gap, no click, and the old one back where the new one fails."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.engine_kinds import Ceiling
from device.processes.link import Heartbeat
from device.processes.loading import Candidate
from device.sound.path import SoundPath
from device.sound.player import Player
from device.sound.trial import KEPT_S, LATE_PERIODS, LISTEN_S, Trial, Why
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, sine
from tests.device.test_loading import Rig

PERIOD, RATE_HZ = 64, 48000
LISTEN = round(LISTEN_S * RATE_HZ / PERIOD)
KEPT = round(KEPT_S * RATE_HZ / PERIOD)
FADE = 8
SECOND = RATE_HZ // PERIOD


class Clock:
    """Processing time that a test decides: each reading is ``step_ns`` later."""

    def __init__(self) -> None:
        self.now_ns = self.step_ns = 0

    def __call__(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns


def gains(*values: float, **broken: int) -> list[SoundPath]:
    return [path([Scale(value, **broken)], [Scale(value)]) for value in values]


def trial(paths: list[SoundPath], clock: Callable[[], int] = lambda: 0) -> Trial:
    for each in paths:
        each.prepare(RATE_HZ, PERIOD)
    return Trial(tuple(paths), RATE_HZ, PERIOD, clock)


class Stage:
    """A player on a bass sine, period by period."""

    def __init__(self, paths: list[SoundPath], active: int = 0, periods: int = 9 * SECOND) -> None:
        self.player = Player(paths, active)
        self.player.prepare(RATE_HZ, PERIOD)
        self.sound = sine(110.0, periods * PERIOD)
        self.heard = np.zeros_like(self.sound)
        self.period = 0

    def play(self, periods: int) -> Audio:
        """As the audio loop does, with its guard against what raises."""
        start = self.period
        for _ in range(periods):
            piece = slice(self.period * PERIOD, (self.period + 1) * PERIOD)
            self.player.process(self.sound[:, piece], 0.0, self.heard[:, piece])
            self.period += 1
        return self.heard[:, start * PERIOD : self.period * PERIOD]

    def gain(self) -> float:
        """What was played last, relative to the guitar."""
        piece = slice((self.period - 1) * PERIOD, self.period * PERIOD)
        return float((self.heard[:, piece] / self.sound[:, piece]).mean())

    def clicks_dbfs(self) -> float:
        return click_dbfs(self.heard[:, : self.period * PERIOD])


def test_another_bank_is_unheard_first_then_fades_in_and_the_old_one_is_let_go() -> None:
    old, new = gains(1.0, 0.5), gains(0.25, -0.75)
    stage = Stage(old, active=1)
    stage.play(SECOND)
    tried = trial(new)
    stage.player.audition(tried)
    stage.play(LISTEN)
    assert stage.gain() == pytest.approx(0.5) and tried.on_air
    stage.play(FADE + 1)
    assert stage.gain() == pytest.approx(-0.75), "the preset of the same index"
    assert not tried.over and stage.player.bank == tuple(new) and tried.other == tuple(old)
    stage.play(KEPT)
    assert tried.over and tried.why == Why.NONE and not tried.returned
    before = [scale.period for scale in _scales(old)]
    stage.play(100)
    assert [scale.period for scale in _scales(old)] == before, "nobody plays the old bank"
    assert stage.clicks_dbfs() < -60.0
    assert stage.player.preset_changes == 1


def _scales(paths: list[SoundPath]) -> list[Scale]:
    found = [block for each in paths for block in (*each.tone_a.blocks, *each.tone_b.blocks)]
    return [block for block in found if isinstance(block, Scale)]


def test_an_index_that_the_new_bank_lacks_becomes_its_first() -> None:
    stage = Stage(gains(1.0, 0.5, 0.25), active=2)
    stage.player.audition(trial(gains(-0.5)))
    stage.play(LISTEN + FADE + 2)
    assert stage.gain() == pytest.approx(-0.5) and stage.player.active == 0


@pytest.mark.parametrize("late", [0, 100, 4800, 24000])
def test_a_latency_of_another_length_is_a_preset_change_like_any_other(late: int) -> None:
    """Longer than listening takes, too: then it is listened to until it has a sound."""
    new = path([Scale(-0.5, late)], [Scale(-0.5, late)])
    stage = Stage(gains(1.0))
    stage.play(200)
    stage.player.audition(trial([new]))
    stage.play(max(LISTEN, late // PERIOD + 1) + FADE + 40)
    assert stage.player.latency_frames == late
    end, start = stage.period * PERIOD, (stage.period - 20) * PERIOD
    expected = -0.5 * stage.sound[:, start - late : end - late]
    np.testing.assert_allclose(stage.heard[:, start:end], expected, atol=1e-6)
    assert stage.clicks_dbfs() < -60.0


@pytest.mark.parametrize(
    ("fault", "why"), [({"nan_at": 40}, Why.NAN), ({"raise_at": 40}, Why.ERROR)]
)
def test_a_bank_that_fails_unheard_is_never_heard(fault: dict[str, int], why: Why) -> None:
    stage = Stage(gains(1.0))
    stage.play(100)
    tried = trial(gains(-0.5, **fault))
    stage.player.audition(tried)
    out = stage.play(LISTEN + 100)
    assert tried.over and tried.why == why and not tried.on_air
    assert np.array_equal(out, stage.sound[:, 100 * PERIOD : stage.period * PERIOD])
    assert (tried.error is not None) == (why == Why.ERROR)


def test_a_bank_that_is_too_slow_unheard_is_never_heard() -> None:
    clock = Clock()
    stage = Stage(gains(1.0))
    tried = trial(gains(-0.5), clock)
    stage.player.audition(tried)
    stage.play(100)
    clock.step_ns = 2_000_000
    out = stage.play(LISTEN)
    assert tried.over and tried.why == Why.SLOW
    assert np.array_equal(out, stage.sound[:, 100 * PERIOD : stage.period * PERIOD])


def test_two_banks_that_do_not_fit_side_by_side_fade_at_once() -> None:
    stage = Stage(gains(1.0))
    tried = trial(gains(0.5))
    stage.player.audition(tried)
    stage.play(10)
    for _ in range(LATE_PERIODS):
        stage.player.late()
    stage.play(FADE + 3)
    assert tried.on_air and tried.why == Why.NONE and stage.gain() == pytest.approx(0.5)


def test_a_bank_that_gives_nan_on_air_goes_within_a_second_without_a_click() -> None:
    at = LISTEN + 400
    stage = Stage(gains(1.0))
    stage.play(100)
    tried = trial(gains(-0.5, nan_at=at))
    stage.player.audition(tried)
    stage.play(LISTEN + FADE + 100)
    assert stage.gain() == pytest.approx(-0.5)
    stage.play(400)
    assert tried.why == Why.NAN and tried.returned and tried.over
    assert stage.gain() == pytest.approx(1.0)
    apart = np.abs(stage.heard - stage.sound)[0, : stage.period * PERIOD]
    back = np.flatnonzero(apart > 1e-6).max() // PERIOD
    assert back - (100 + at) < SECOND
    assert np.isfinite(stage.heard).all() and stage.clicks_dbfs() < -60.0
    assert stage.player.nan_periods == 1


def test_a_bank_that_turns_slow_on_air_goes_but_one_late_period_is_forgiven() -> None:
    stage, clock = Stage(gains(1.0)), Clock()
    tried = trial(gains(-0.5), clock)
    stage.player.audition(tried)
    stage.play(LISTEN + FADE + 2)
    for _ in range(3 * LATE_PERIODS):
        stage.player.late()  # though it computed next to nothing itself
    clock.step_ns = 1_200_000
    stage.play(1)
    for _ in range(LATE_PERIODS - 1):
        stage.player.late()
    stage.play(LISTEN + 1)
    stage.player.late()
    stage.play(10)
    assert not tried.why and stage.gain() == pytest.approx(-0.5)
    for _ in range(LATE_PERIODS):
        stage.player.late()
    stage.play(FADE + 3)
    assert tried.why == Why.SLOW and tried.over and stage.gain() == pytest.approx(1.0)
    assert stage.clicks_dbfs() < -60.0


def test_the_old_bank_comes_back_late_where_its_own_latency_asks_for_it() -> None:
    late = 9600
    stage, clock = Stage([path([Scale(1.0, late)], [Scale(1.0, late)])]), Clock()
    stage.play(SECOND)
    tried = trial(gains(-0.5), clock)
    stage.player.audition(tried)
    stage.play(LISTEN + FADE + 200)
    clock.step_ns = 2_000_000
    stage.play(1)
    for _ in range(LATE_PERIODS):
        stage.player.late()
    stage.play(late // PERIOD - 2)
    assert stage.gain() == pytest.approx(-0.5), "what sounds goes on until the other has a sound"
    stage.play(FADE + 40)
    assert tried.over
    # The beginning of the sound, which is one of the delay, is not looked at.
    assert click_dbfs(stage.heard[:, SECOND * PERIOD // 2 : stage.period * PERIOD]) < -60.0
    end, start = stage.period * PERIOD, (stage.period - 20) * PERIOD
    assert np.allclose(stage.heard[:, start:end], stage.sound[:, start - late : end - late])


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), max_size=12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.one_of(st.none(), st.integers(LISTEN + 1, LISTEN + 300)),
)
def test_whatever_is_pressed_meanwhile_it_ends_well(
    presses: list[tuple[int, int]], held: int, offered: int, nan_at: int | None
) -> None:
    """Preset changes at any moment of a trial, that ends well or not."""
    old = gains(*np.linspace(0.2, 0.5, held).tolist())
    new = gains(*np.linspace(-0.2, -0.5, offered).tolist(), nan_at=-1 if nan_at is None else nan_at)
    stage = Stage(old, periods=KEPT + 3 * SECOND)
    tried = trial(new)
    stage.player.audition(tried)
    for index, periods in presses:
        if index < len(stage.player.bank):
            stage.player.select(index)
        stage.play(periods)
    stage.play(KEPT + LISTEN + SECOND // 2)
    assert tried.over and tried.on_air
    bank = old if tried.returned else new
    assert stage.player.bank == tuple(bank) and set(tried.other) == set(old + new) - set(bank)
    assert stage.gain() == pytest.approx(float(_scales(bank)[2 * stage.player.active].gain))
    assert np.isfinite(stage.heard).all() and stage.clicks_dbfs() < -50.0


def test_a_newer_bank_does_not_wait_for_the_trial_of_the_one_before() -> None:
    stage = Stage(gains(1.0))
    unheard = trial(gains(0.5))
    stage.player.audition(unheard)
    stage.play(10)
    stage.player.hurry()
    assert unheard.over and not unheard.on_air
    stage.player.trial = None
    first = trial(gains(0.5))
    stage.player.audition(first)
    stage.play(LISTEN + 3)
    stage.player.hurry()
    assert not first.over, "a fade is not torn"
    stage.play(FADE)
    stage.player.hurry()
    assert first.over and first.on_air and stage.gain() == pytest.approx(0.5)


# The audio loop's end.


class Offer(Rig):
    """A loop that plays, and a source of other banks."""

    def __init__(self, folder: Path, *paths: SoundPath, seconds: float = 8.0) -> None:
        super().__init__(folder, sine(110.0, round(seconds * RATE_HZ)))
        self.say(position=0.0)
        self.load(*paths)
        self.play(40)

    def play(self, periods: int) -> Heartbeat:
        """In pieces, so that every heartbeat is heard."""
        while periods > 32:
            super().play(32)
            periods -= 32
        return super().play(periods)

    def offer(self, *paths: SoundPath, broken: int = 0) -> Candidate:
        candidate = Candidate(trial(list(paths)), {}, broken, "slot")
        self.source.offered.append(candidate)
        return candidate

    @property
    def values(self) -> dict[str, int]:
        return dict(self.reading().values)

    def gain(self) -> float:
        start = (self.loop._heartbeat.periods - 1) * PERIOD
        piece = slice(start, start + PERIOD)
        return float((self.played[:, piece] / self.port._guitar[:, piece]).mean())

    def clicks_dbfs(self) -> float:
        return click_dbfs(self.played[:, : self.loop._heartbeat.periods * PERIOD])


@pytest.fixture
def offer(tmp_path: Path):
    made: list[Offer] = []

    def make(*paths: SoundPath) -> Offer:
        made.append(Offer(tmp_path, *paths))
        return made[0]

    yield make
    made[0].close()


def test_the_loop_asks_once_for_each_new_number_and_says_what_became_of_it(
    offer: Callable[..., Offer],
) -> None:
    rig = offer(*gains(1.0))
    assert rig.source.looks == 0
    rig.say(bank=7)
    rig.play(5)
    rig.say(bank=7)
    rig.play(5)
    assert rig.source.looks == 1
    candidate = rig.offer(*gains(-0.5, 0.25), broken=1)
    heartbeat = rig.play(LISTEN + FADE + 12)
    assert rig.source.heard == [candidate] and rig.source.gone == []
    assert rig.gain() == pytest.approx(-0.5) and heartbeat.presets == 2 and heartbeat.broken == 1
    rig.play(KEPT)
    assert rig.source.gone == [candidate] and rig.loop._player is not None
    values = rig.values
    assert (values["banks_swapped"], values["banks_rejected"], values["path_errors"]) == (1, 0, 0)
    assert rig.clicks_dbfs() < -60.0


def test_an_exception_on_air_is_dry_for_a_moment_and_then_the_old_bank(
    offer: Callable[..., Offer],
) -> None:
    rig = offer(*gains(0.5))
    candidate = rig.offer(*gains(-0.5, raise_at=LISTEN + 200))
    rig.play(LISTEN + 400)
    assert rig.source.heard == rig.source.gone == [candidate]
    assert candidate.trial.why == Why.ERROR and str(candidate.trial.error) == "a defect"
    assert rig.gain() == pytest.approx(0.5)
    values = rig.values
    assert (values["banks_swapped"], values["banks_rejected"], values["path_errors"]) == (1, 1, 1)
    assert rig.clicks_dbfs() < -60.0
    rig.play(50)
    assert rig.values["path_errors"] == 1


@pytest.mark.parametrize("at", [LISTEN + 1, LISTEN + 4, LISTEN + 7])
def test_an_exception_in_the_middle_of_the_fade(offer: Callable[..., Offer], at: int) -> None:
    rig = offer(*gains(0.5))
    candidate = rig.offer(*gains(-0.5, raise_at=at))
    rig.play(LISTEN + 100)
    assert candidate.trial.why == Why.ERROR and rig.source.gone == [candidate]
    assert rig.gain() == pytest.approx(0.5) and rig.clicks_dbfs() < -60.0


def test_a_broken_preset_is_dry_until_another_bank_or_preset_plays(
    offer: Callable[..., Offer],
) -> None:
    rig = offer(path([Scale(0.5, raise_at=60)], [Scale()]), *gains(0.25))
    rig.play(100)
    assert rig.gain() == pytest.approx(1.0) and rig.values["path_errors"] == 1
    rig.say(preset=1)
    rig.play(30)
    assert rig.gain() == pytest.approx(0.25)
    rig.say(preset=0)
    rig.play(30)
    rig.offer(*gains(-0.5))
    rig.play(LISTEN + FADE + 3)
    assert rig.gain() == pytest.approx(-0.5) and rig.clicks_dbfs() < -60.0


def test_a_ceiling_reaches_the_bank_that_is_tried(offer: Callable[..., Offer]) -> None:
    rig = offer(*gains(1.0))
    rig.say(ceiling=Ceiling.STAGE)
    rig.play(3)
    seen: list[Ceiling] = []
    new = gains(0.5)
    new[0].limit = seen.append  # type: ignore[method-assign, assignment]
    rig.offer(*new)
    rig.play(3)
    rig.say(ceiling=Ceiling.CROSSFADE)
    rig.play(3)
    assert seen == [Ceiling.STAGE, Ceiling.CROSSFADE]


def test_bypass_and_mute_stay_what_they_are(offer: Callable[..., Offer]) -> None:
    rig = offer(*gains(0.5))
    rig.say(bypass=True)
    rig.play(30)
    rig.offer(*gains(-0.5))
    rig.play(LISTEN + 40)
    start = 90 * PERIOD
    end = rig.loop._heartbeat.periods * PERIOD
    assert np.array_equal(rig.played[:, start:end], rig.port._guitar[:, start:end])
