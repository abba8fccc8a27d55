"""The captures of both tones as one network: heard only in the load."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import tracemalloc_domain

from device.preset import read_preset
from device.sound import path as path_module
from device.sound.block import Block
from device.sound.blocks.effects import EffectBlock
from device.sound.blocks.nam import NamBlock
from device.sound.path import SoundPath
from device.sound.playable import Playable
from device.sound.player import Player
from device.sound.twin import TwinCapture
from models.errors import ModelError
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import play, sine
from tests.models.nam_reference import make
from tests.models.test_nam_networks import FEATURES, array, wavenet

NETWORK = ("WaveNet", wavenet(array(dilations=[1, 64, 128])))


def file(folder: Path, seed: int, kind: tuple[str, object] = NETWORK, **fields: object) -> Path:
    made = {**make(kind[0], kind[1], seed=seed), "sample_rate": 48000, **fields}  # type: ignore[arg-type]
    target = folder / f"{seed}.nam"
    target.write_text(json.dumps(made))
    return target


def blocks(folder: Path, seed: int) -> list[Block]:
    drive, room = EffectBlock("drive"), EffectBlock("delay")
    return [drive, NamBlock(file(folder, seed), input_db=6.0, output_db=-3.0), room]


def prepared(*paths: Playable, period: int = 64, position: float = 0.5) -> Player:
    player = Player(paths)
    player.prepare(48000, period, position)
    return player


def whole_path(player: Player) -> SoundPath:
    first = player.bank[0]
    assert isinstance(first, SoundPath)
    return first


def joined(player: Player) -> bool:
    return isinstance(whole_path(player)._twin, TwinCapture)


def never_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every capture plays alone."""
    monkeypatch.setattr(path_module, "join_captures", lambda *_: None)


def capture_of(player: Player, side: str) -> NamBlock:
    chain = whole_path(player).tone_a if side == "a" else whole_path(player).tone_b
    return next(block for block in chain.blocks if isinstance(block, NamBlock))


def turned(player: Player, sound: Audio) -> Audio:
    """Plays while the knob and both captures' levels move."""
    out = np.zeros_like(sound)
    for index in range(sound.shape[1] // 64):
        if index % 7 == 3:
            capture_of(player, "a").move("input_db", float(index % 5))
            capture_of(player, "b").move("output_db", -float(index % 3))
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], (index % 50) / 49, out[:, piece])
    return out


def test_sounds_as_apart_whatever_moves(
    tmp_path: Path, guitar: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = guitar[:, :19200]
    together = prepared(path(blocks(tmp_path, 1), blocks(tmp_path, 2)))
    assert joined(together)
    heard = turned(together, sound)
    never_join(monkeypatch)
    separate = prepared(path(blocks(tmp_path, 1), blocks(tmp_path, 2)))
    assert not joined(separate)
    assert np.array_equal(heard, turned(separate, sound))
    assert np.abs(heard).max() > 0.01


@pytest.mark.parametrize("period", [16, 48, 64, 1000])
def test_the_ends_are_the_tones_alone(period: int, tmp_path: Path, guitar: Audio) -> None:
    for seed in (1, 2):
        file(tmp_path, seed)
    (tmp_path / "p.toml").write_text(
        'format = 1\nname = "x"\n[tone.a]\nchain = [{ block = "nam", file = "1.nam" }]\n'
        '[tone.b]\nchain = [{ block = "gain", gain_db = 3.0 }, { block = "nam", file = "2.nam" }]\n'
    )
    preset = read_preset(tmp_path / "p.toml")
    sound = guitar[:, :24000]
    for end, side in ((0.0, "a"), (1.0, "b")):
        whole = prepared(preset.path(), period=period, position=end)
        alone = prepared(preset.single(side), period=period, position=0.0)  # type: ignore[arg-type]
        assert joined(whole) and not joined(alone)
        assert np.array_equal(play(whole, sound, period, end), play(alone, sound, period, 0.0))


@pytest.mark.parametrize("broken", ["a", "b"])
def test_a_nan_in_one_tone_is_not_heard_in_the_other(
    broken: str, tmp_path: Path, guitar: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = guitar[:, :12800]

    def player(position: float) -> Player:
        sides: dict[str, Sequence[Block]] = {
            side: [
                Scale(nan_at=50 if side == broken else -1),
                NamBlock(file(tmp_path, seed)),
            ]
            for side, seed in (("a", 1), ("b", 2))
        }
        return prepared(path(list(sides["a"]), list(sides["b"])), position=position)

    heard = {}
    for position in (0.0, 0.5, 1.0):
        one = player(position)
        assert joined(one)
        heard[position] = play(one, sound, 64, position)
        assert np.isfinite(heard[position]).all() and one.nan_periods == 1
    never_join(monkeypatch)
    for position, out in heard.items():
        # The broken tone as well is reset, and comes back, as it does alone.
        assert np.array_equal(out, play(player(position), sound, 64, position))


def test_a_preset_that_was_left_starts_anew(tmp_path: Path, guitar: Audio) -> None:
    sound = guitar[:, :12800]
    player = prepared(path(blocks(tmp_path, 1), blocks(tmp_path, 2)), path([Scale()], [Scale()]))
    fresh = play(player, sound, 64, 0.5)
    player.select(1)
    play(player, sound, 64, 0.5)
    player.select(0)
    play(player, sine(110.0, 640), 64, 0.5)
    whole_path(player).reset()
    assert np.array_equal(play(player, sound, 64, 0.5)[:, 6400:], fresh[:, 6400:])
    whole_path(player).reset()
    assert np.array_equal(play(player, sound, 64, 0.5), fresh)


def test_what_cannot_be_joined_plays_apart(tmp_path: Path, guitar: Audio) -> None:
    def nam(seed: int, kind: tuple[str, object] = NETWORK, **fields: object) -> Block:
        return NamBlock(file(tmp_path, seed, kind, **fields))

    paths = [
        path([nam(1)], []),
        path([], [nam(1)]),
        path([nam(1), nam(2)], [nam(3)]),
        path([nam(1)], [nam(2, FEATURES["two arrays"])]),
        path([nam(1, FEATURES["lstm"])], [nam(2, FEATURES["lstm"])]),
        path([nam(1, sample_rate=44100)], [nam(2, sample_rate=44100)]),
        path([nam(1)], [nam(2, sample_rate=96000)]),
    ]
    for each in paths:
        player = prepared(each)
        assert not joined(player)
        out = play(player, guitar[:, :6400], 64, 0.5)
        assert np.isfinite(out).all() and np.abs(out).max() > 0.0


def test_another_rate_or_period_joins_and_parts_anew(tmp_path: Path, guitar: Audio) -> None:
    sound = guitar[:, :6400]
    player = prepared(path([NamBlock(file(tmp_path, 1))], [NamBlock(file(tmp_path, 2))]))
    fresh = play(player, sound, 64, 0.5)
    player.prepare(96000, 64, 0.5)
    assert not joined(player) and player.latency_frames > 0
    assert np.isfinite(play(player, sound, 64, 0.5)).all()
    player.prepare(48000, 128, 0.5)
    assert joined(player) and player.latency_frames == 0
    np.testing.assert_allclose(play(player, sound, 128, 0.5), fresh, atol=1e-5)
    player.prepare(48000, 64, 0.5)
    assert np.array_equal(play(player, sound, 64, 0.5), fresh)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_capture_that_never_settles_is_refused_as_it_is_alone(tmp_path: Path) -> None:
    kind = ("ConvNet", {**FEATURES["convnet"][1], "activation": "ReLU"})
    wild = make(*kind, seed=2)
    wild["weights"] = [3e38] * len(wild["weights"])
    (tmp_path / "wild.nam").write_text(json.dumps({**wild, "sample_rate": 48000}))
    tame = NamBlock(file(tmp_path, 1, kind))
    for a, b in ((tame, NamBlock(tmp_path / "wild.nam")), (NamBlock(tmp_path / "wild.nam"), tame)):
        with pytest.raises(ModelError, match="does not settle"):
            prepared(path([a], [b]))


def test_a_chain_does_not_play_without_its_capture(tmp_path: Path, guitar: Audio) -> None:
    player = prepared(path(blocks(tmp_path, 1), blocks(tmp_path, 2)))
    out = np.zeros((1, 64), np.float32)
    with pytest.raises(AssertionError, match="another"):
        whole_path(player).tone_a.process(guitar[:, :64], out)
    with pytest.raises(AssertionError, match="another"):
        capture_of(player, "a").process(guitar[:, :64], out)


def test_a_period_allocates_nothing(tmp_path: Path, guitar: Audio) -> None:
    captures = [NamBlock(file(tmp_path, seed)) for seed in (1, 2)]
    player = prepared(path([captures[0]], [captures[1]]))
    out = np.zeros((1, 64), np.float32)

    def run() -> None:
        for index in range(100):
            if index == 50:
                captures[0].move("input_db", 3.0)
            player.process(guitar[:, :64], 0.5, out)
        whole_path(player).reset()
        captures[0].move("input_db", 0.0)

    run()
    tracemalloc.start()
    try:
        run()
        only = [tracemalloc.DomainFilter(inclusive=True, domain=tracemalloc_domain)]
        after = tracemalloc.take_snapshot().filter_traces(only)
    finally:
        tracemalloc.stop()
    assert sum(statistic.size for statistic in after.statistics("filename")) < 64 * 4
