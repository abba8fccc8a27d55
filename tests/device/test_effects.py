"""Every effect is the library's, the same at every period, and moves without a zipper."""

import numpy as np
import pedalboard
import pytest

from device.sound.blocks.effects import EFFECTS, EffectBlock
from models.units import Audio
from tests.device.signal import click_dbfs, run, sine, through

KINDS = sorted(EFFECTS)
MOVES = [(kind, name) for kind in KINDS for name in EFFECTS[kind].parameters]


@pytest.mark.parametrize("kind", KINDS)
def test_effect_is_the_library_s_bit_for_bit(kind: str, guitar: Audio) -> None:
    block = EffectBlock(kind)
    out = through(block, guitar[:, :48000], 64)
    plugin = getattr(pedalboard, EFFECTS[kind].plugin)()
    for row in block.parameters.values():
        setattr(plugin, row.name, row.default)
    expected = plugin.process(guitar[:, :48000], 48000, buffer_size=8192, reset=True)
    assert np.array_equal(out, expected[:, : out.shape[1]])


@pytest.mark.parametrize("kind", KINDS)
def test_effect_is_the_same_at_every_period_and_after_reset(kind: str, guitar: Audio) -> None:
    block = EffectBlock(kind)
    first = through(block, guitar[:, :32000], 64)
    block.reset()
    again = run(block, guitar[:, :32000], 64)
    assert np.array_equal(first, again)
    for period in (16, 1000):
        other = through(EffectBlock(kind), guitar[:, :32000], period)
        assert np.array_equal(other, first[:, : other.shape[1]])


@pytest.mark.parametrize(("kind", "name"), MOVES)
def test_ranges_are_ones_the_library_takes(kind: str, name: str) -> None:
    row = EFFECTS[kind].parameters[name]
    plugin = getattr(pedalboard, EFFECTS[kind].plugin)()
    for value in (row.minimum, row.default, row.maximum):
        setattr(plugin, name, value)
        assert getattr(plugin, name) == pytest.approx(value, rel=1e-5, abs=1e-6)
    block = EffectBlock(kind)
    for beyond in (row.minimum - 1.0, row.maximum * 2.0 + 1.0, float("nan")):
        with pytest.raises(ValueError, match=name):
            block.move(name, beyond)


@pytest.mark.parametrize(("kind", "name"), MOVES)
def test_a_move_arrives_and_makes_no_zipper(kind: str, name: str) -> None:
    """Moved end to end once, then swept in 40 steps, against the worst rest on the way."""
    row = EFFECTS[kind].parameters[name]
    low, high = row.minimum, row.maximum
    if kind in ("gate", "compressor"):  # their own switching is no zipper: stay above the tone
        low, high = row.default, row.default + 0.2 * (row.maximum - row.default)
    if name == "drive_db":
        high = 20.0
    if name == "feedback":
        low, high = 0.2, 0.5
    if name == "gain_db":
        low, high = -12.0, 12.0
    sound = sine(110.0, 48000, level=0.2)
    rests = []
    for value in np.linspace(low, high, 9):
        block = EffectBlock(kind, {name: float(value)})
        rests.append(click_dbfs(through(block, sound, 64)))
    block = EffectBlock(kind, {name: low})
    block.prepare(48000, 64)
    out = np.zeros_like(sound)
    for index in range(750):
        if index == 200:
            block.move(name, high)
        if 300 <= index < 500 and index % 5 == 0:
            block.move(name, high + (low - high) * (index - 299) / 200)
        piece = slice(index * 64, index * 64 + 64)
        block.process(sound[:, piece], out[:, piece])
    assert click_dbfs(out) < max(-60.0, max(rests) + 3.0)


def test_a_move_ends_at_the_new_setting() -> None:
    moved = EffectBlock("gain", {"gain_db": 0.0})
    moved.prepare(48000, 64)
    sound = sine(110.0, 6400)
    moved.move("gain_db", -20.0)
    out = run(moved, sound, 64)
    np.testing.assert_allclose(out[:, 640:], 0.1 * sound[:, 640:], rtol=1e-4, atol=1e-7)


def test_unknown_parameter_is_refused() -> None:
    with pytest.raises(KeyError):
        EffectBlock("gain", {"loudness": 3.0})
