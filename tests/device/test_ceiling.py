"""A hot pedal plays cheaper engines: at the same latency, without a click, and back again."""

import numpy as np
import pytest

from device.engine_kinds import Ceiling
from device.sound.morph import Crossfade, Stage
from device.sound.player import Player
from models.stage.model import StageModel
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, sine
from tests.device.studio_parts import PERIOD, RATE_HZ, ScriptedPeer, prepared

FADE_PERIODS = 8
"""10 ms in periods of 64 frames."""


class Counted:
    """The stage engine's network, counting what it computes and forgets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.computed = self.forgotten = 0
        process, reset = StageModel.process, StageModel.reset

        def counting(model: StageModel, *period: Audio) -> None:
            self.computed += 1
            process(model, *period)

        def forgetting(model: StageModel) -> None:
            self.forgotten += 1
            reset(model)

        monkeypatch.setattr(StageModel, "process", counting)
        monkeypatch.setattr(StageModel, "reset", forgetting)


def morphed(
    engine: Stage, a: Audio, b: Audio, start: int, periods: int, position: float = 0.5
) -> Audio:
    """Some periods of two tones, from one on."""
    out = np.zeros((1, periods * PERIOD), np.float32)
    knob = np.full(PERIOD, position, np.float32)
    for index in range(periods):
        piece = slice((start + index) * PERIOD, (start + index + 1) * PERIOD)
        target = slice(index * PERIOD, (index + 1) * PERIOD)
        engine.process(a[:, piece], b[:, piece], knob, out[:, target])
    return out


def test_below_the_stage_its_network_fades_out_and_is_not_computed_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch)
    engine = Stage()
    engine.prepare(RATE_HZ, PERIOD)
    a, b = sine(110.0, 64 * 600), sine(110.0, 64 * 600, 0.2)
    before = morphed(engine, a, b, 0, 100)
    blend = 0.5 * (a + b)
    assert not np.allclose(before, blend[:, : before.shape[1]], atol=1e-3)
    assert counted.computed == 100
    engine.limit(Ceiling.CROSSFADE)
    low = morphed(engine, a, b, 100, 100)
    assert FADE_PERIODS <= counted.computed - 100 <= FADE_PERIODS + 1
    settled = slice((FADE_PERIODS + 1) * PERIOD, None)
    np.testing.assert_allclose(low[:, settled], blend[:, 100 * PERIOD : 200 * PERIOD][:, settled])
    engine.limit(Ceiling.CROSSFADE)  # again changes nothing
    forgotten = counted.forgotten
    engine.limit(Ceiling.STAGE)
    back = morphed(engine, a, b, 200, 300)
    # It does not go on from what it heard before it was left out.
    assert counted.forgotten == forgotten + 1
    assert not np.allclose(back[:, -PERIOD:], blend[:, 499 * PERIOD : 500 * PERIOD], atol=1e-3)
    whole = np.concatenate([before, low, back], axis=1)
    clicks = click_dbfs(whole[:, 60 * PERIOD :])
    untouched = Stage()
    untouched.prepare(RATE_HZ, PERIOD)
    assert clicks < max(-60.0, click_dbfs(morphed(untouched, a, b, 0, 500)[:, 3840:]) + 3.0)


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("ceiling", list(Ceiling))
def test_an_end_stays_the_tone_bit_for_bit_whatever_the_ceiling(
    end: float, ceiling: Ceiling
) -> None:
    engine = Stage()
    engine.prepare(RATE_HZ, PERIOD)
    tone = sine(440.0, 64 * 40)
    broken = np.full_like(tone, np.nan)
    a, b = (tone, broken) if end == 0.0 else (broken, tone)
    morphed(engine, a, b, 0, 10, end)
    engine.limit(ceiling)
    assert np.array_equal(morphed(engine, a, b, 10, 30, end), tone[:, 640:2560])


def test_below_the_studio_nobody_computes_and_the_stand_in_is_heard_at_the_same_latency() -> None:
    peer = ScriptedPeer(gain=-1.0, lag_periods=5)
    studio = prepared(peer)
    a, b = sine(110.0, 64 * 900), sine(110.0, 64 * 900, 0.25)
    latency, half = studio.latency_frames, np.full(PERIOD, 0.5, np.float32)
    out = np.zeros_like(a)
    sent = []
    for index in range(900):
        if index == 300:
            studio.limit(Ceiling.STAGE)
        if index == 600:
            studio.limit(Ceiling.STUDIO)
        piece = slice(index * PERIOD, (index + 1) * PERIOD)
        studio.process(a[:, piece], b[:, piece], half, out[:, piece])
        sent.append(len(peer.sent))
        assert studio.latency_frames == latency
    assert sent[299] == 300 and sent[599] == 300 and sent[899] == 600
    blend = 0.5 * (a + b)
    limited = slice(400 * PERIOD, 600 * PERIOD)
    moved = slice(400 * PERIOD - latency, 600 * PERIOD - latency)
    np.testing.assert_allclose(out[:, limited], blend[:, moved], atol=1e-6)
    np.testing.assert_allclose(
        out[:, 850 * PERIOD :], -a[:, 850 * PERIOD - latency : -latency], atol=1e-6
    )
    assert studio.crossfades == 1 and studio.heard
    # What was not asked for is neither missing nor late.
    assert studio.absent_periods == 0 and studio.late_periods < 60
    assert click_dbfs(out[:, latency + 640 :]) < -60.0


def test_a_ceiling_reaches_the_engine_that_stands_in() -> None:
    limits: list[Ceiling] = []
    stand_in = Crossfade()
    stand_in.limit = limits.append  # type: ignore[method-assign, assignment]
    studio = prepared(ScriptedPeer(), stand_in)
    for ceiling in (Ceiling.STAGE, Ceiling.CROSSFADE, Ceiling.STUDIO):
        studio.limit(ceiling)
    assert limits == [Ceiling.STAGE, Ceiling.CROSSFADE, Ceiling.STUDIO]


def test_a_player_limits_every_preset_of_its_bank() -> None:
    limits: list[Ceiling] = []
    paths = [path([Scale()], []) for _ in range(3)]
    for each in paths:
        each.morph.limit = limits.append  # type: ignore[method-assign, assignment]
    player = Player(paths)
    player.prepare(RATE_HZ, PERIOD)
    player.limit(Ceiling.STAGE)
    assert limits == [Ceiling.STAGE] * 3


def test_a_player_begins_where_it_is_told() -> None:
    player = Player([path([Scale(0.5)], [Scale(gain)]) for gain in (0.1, 0.2)])
    player.prepare(RATE_HZ, PERIOD)
    player.begin(1, 1.0)
    out = np.zeros((1, PERIOD), np.float32)
    player.process(np.ones((1, PERIOD), np.float32), 1.0, out)
    assert (out == np.float32(0.2)).all() and player.preset_changes == 0
    with pytest.raises(IndexError):
        player.begin(2, 0.0)
