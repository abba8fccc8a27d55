"""Tones of one shape: the knob turns one chain's controls, and what it gives is a true tone."""

from pathlib import Path

import numpy as np
import pytest

from device.preset import Preset, read_preset
from device.sound.blocks.effects import EFFECTS
from device.sound.parameter_path import ParameterPath
from device.sound.path import SoundPath
from device.sound.player import Player
from models.quality import at_level, log_spectral_distance
from models.units import Audio
from tests.device.signal import click_dbfs, play, sine
from tests.device.test_nam_block import linear

HEAD = 'format = 1\nname = "x"\n'


def preset(folder: Path, a: str, b: str, rest: str = "") -> Preset:
    file = folder / "p.toml"
    file.write_text(f"{HEAD}[tone.a]\nchain = [{a}]\n[tone.b]\nchain = [{b}]\n{rest}")
    return read_preset(file)


def prepared(way: SoundPath | ParameterPath, position: float) -> Player:
    player = Player([way])
    player.prepare(48000, 64, position)
    return player


@pytest.mark.parametrize(
    ("a", "b", "one_shape"),
    [
        ('{ block = "drive", drive_db = 3.0 }', '{ block = "drive", drive_db = 30.0 }', True),
        ('{ block = "drive" }', '{ block = "distortion" }', False),
        ('{ block = "drive" }', '{ block = "drive" }, { block = "gain" }', False),
        ('{ block = "nam", file = "a" }', '{ block = "nam", file = "b" }', False),
        ("", "", True),
    ],
)
def test_shape_decides(tmp_path: Path, a: str, b: str, one_shape: bool) -> None:
    assert (preset(tmp_path, a, b)._controls() is not None) == one_shape
    direct = preset(tmp_path, a, b, '[morph]\npath = "direct"\n')
    if "nam" not in a:
        assert isinstance(direct.path(), SoundPath)


@pytest.mark.parametrize("kind", sorted(EFFECTS))
def test_ends_are_the_tones_bit_for_bit(tmp_path: Path, kind: str, guitar: Audio) -> None:
    rows = EFFECTS[kind].parameters.values()
    b = "".join(f", {row.name} = {0.7 * row.default + 0.3 * row.maximum}" for row in rows)
    tones = preset(tmp_path, f'{{ block = "{kind}" }}', f'{{ block = "{kind}"{b} }}')
    sound = guitar[:, :24000]
    for side, end in (("a", 0.0), ("b", 1.0)):
        way = tones.path()
        assert isinstance(way, ParameterPath)
        whole = play(prepared(way, end), sound, 64, end)
        alone = play(prepared(tones.single(side), 0.0), sound, 64, 0.0)  # type: ignore[arg-type]
        assert np.array_equal(whole, alone)


@pytest.mark.parametrize("position", [0.25, 0.5, 0.75])
def test_in_between_is_the_true_tone_within_a_tenth_of_a_decibel(
    tmp_path: Path, guitar: Audio, position: float
) -> None:
    """Drive −36 and 0 dB: half way is −18 dB, whether the knob was there or has come there."""
    chain = '{{ block = "gain", gain_db = {} }}, {{ block = "drive", drive_db = 24.0 }}'
    tones = preset(tmp_path, chain.format(-36.0), chain.format(0.0))
    truth = preset(tmp_path, chain.format(-36.0 + 36.0 * position), chain.format(0.0))
    expected = play(prepared(truth.single("a"), 0.0), guitar, 64, 0.0)
    there = play(prepared(tones.path(), position), guitar, 64, position)
    player = prepared(tones.path(), 0.0)
    play(player, guitar[:, :9600], 64, position)
    come = play(player, guitar, 64, position)
    for heard in (there, come):
        assert log_spectral_distance(at_level(heard), at_level(expected)) < 0.1


def test_a_real_capture_driven_half_way_is_that_capture_at_half_the_drive(
    tmp_path: Path, shared_audio: Path
) -> None:
    from device.files import read_sound

    phrase = read_sound(shared_audio / "di" / "pop-punk.flac")[0][:, 192000:288000]
    block = '{{ block = "nam", file = "' + str(shared_audio) + '/nam/deluxe.nam", input_db = {} }}'
    tones = preset(tmp_path, block.format(-36.0), block.format(0.0))
    for position in (0.25, 0.5, 0.75):
        heard = play(prepared(tones.path(), position), phrase, 64, position)
        truth = preset(tmp_path, block.format(-36.0 + 36.0 * position), block.format(0.0))
        expected = play(prepared(truth.single("a"), 0.0), phrase, 64, 0.0)
        assert log_spectral_distance(at_level(heard), at_level(expected)) < 0.1


def test_frequencies_move_on_a_logarithmic_scale_and_levels_on_a_straight_line(
    tmp_path: Path,
) -> None:
    shelf = '{{ block = "low_shelf", cutoff_frequency_hz = {}, gain_db = {} }}'
    tones = preset(tmp_path, shelf.format(100.0, -6.0), shelf.format(1600.0, 6.0))
    way = tones.path()
    assert isinstance(way, ParameterPath)
    values = {control.parameter.name: control.value(0.5) for control in way.controls}
    assert values == {"cutoff_frequency_hz": pytest.approx(400.0), "gain_db": 0.0}
    assert way.tones["B"] == ["low_shelf cutoff_frequency_hz 1600 gain_db 6"]


def test_a_fast_knob_leaves_no_zipper(tmp_path: Path) -> None:
    linear(tmp_path)
    block = '{{ block = "nam", file = "linear.nam", input_db = {} }}'
    tones = preset(
        tmp_path,
        block.format(-20.0),
        block.format(0.0),
        "",
    )
    player = prepared(tones.path(), 0.0)
    sound = sine(110.0, 48000, level=0.3)
    out = np.zeros_like(sound)
    for index in range(750):
        piece = slice(index * 64, index * 64 + 64)
        player.process(sound[:, piece], abs(index % 60 - 30) / 30, out[:, piece])
    assert click_dbfs(out) < -70.0


def test_a_preset_that_was_left_starts_where_the_knob_is(tmp_path: Path) -> None:
    gain = '{{ block = "gain", gain_db = {} }}'
    tones = preset(tmp_path, gain.format(0.0), gain.format(-20.0))
    player = Player([tones.path(), tones.path()])
    player.prepare(48000, 64)
    sound = np.full((1, 64 * 100), 0.5, np.float32)
    play(player, sound, 64, 0.0)
    player.select(1)
    play(player, sound, 64, 0.0)
    player.select(0)
    out = play(player, sound, 64, 1.0)
    # The preset that comes back knows only the new position; nothing of it starts at the old.
    np.testing.assert_allclose(out[0, 3200:], 0.05, rtol=1e-5)
    assert np.diff(out[0]).max() < 1e-3
