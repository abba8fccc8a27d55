"""The capture as a block: levels, drive that moves, normalisation by metadata."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.errors import PresetError
from device.preset import read_preset
from device.sound.blocks.nam import NamBlock
from device.sound.player import Player
from device.tools.bench import standard_capture
from models.errors import ModelError
from models.units import Audio
from tests.device.signal import click_dbfs, play, run, sine, through


def linear(folder: Path, gain: float = 1.0, **fields: Any) -> Path:
    """A capture that multiplies by ``gain``."""
    capture = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": 1, "bias": False},
        "weights": [gain],
        "sample_rate": 48000,
        **fields,
    }
    file = folder / "linear.nam"
    file.write_text(json.dumps(capture))
    return file


def test_levels_around_a_capture(tmp_path: Path, guitar: Audio) -> None:
    block = NamBlock(linear(tmp_path, 0.5), input_db=20.0, output_db=-6.0206)
    out = through(block, guitar[:, :6400], 64)
    np.testing.assert_allclose(out, 2.5 * guitar[:, :6400], rtol=1e-4, atol=1e-7)
    assert block.latency_frames == 0 and block.label == "nam linear.nam"


def test_bare_capture_is_untouched(tmp_path: Path, guitar: Audio) -> None:
    metadata = {"loudness": -30.0, "input_level_dbu": 10.0, "output_level_dbu": 4.0}
    block = NamBlock(linear(tmp_path, metadata=metadata))
    assert np.array_equal(through(block, guitar[:, :640], 64), guitar[:, :640])


def test_loudness_and_calibration_follow_the_metadata(tmp_path: Path, guitar: Audio) -> None:
    metadata = {"loudness": -30.0, "input_level_dbu": 10.0, "output_level_dbu": 4.0}
    file = linear(tmp_path, metadata=metadata)
    sound = guitar[:, :640]
    loud = through(NamBlock(file, normalise="loudness"), sound, 64)
    np.testing.assert_allclose(loud, sound * 10 ** (12 / 20), rtol=1e-4, atol=1e-7)
    # Full scale is 18 dBu here: driven 8 dB harder than captured, 14 dB softer on its way out.
    real = through(NamBlock(file, normalise="calibrated", interface_dbu=18.0), sound, 64)
    np.testing.assert_allclose(real, sound * 10 ** ((8 - 14) / 20), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("normalise", ["loudness", "calibrated"])
def test_missing_metadata_is_named(tmp_path: Path, normalise: Any) -> None:
    with pytest.raises(PresetError, match=normalise):
        NamBlock(linear(tmp_path), normalise=normalise, interface_dbu=12.0)
    metadata = {"input_level_dbu": 10.0, "output_level_dbu": 4.0}
    with pytest.raises(PresetError, match="interface_dbu"):
        NamBlock(linear(tmp_path, metadata=metadata), normalise="calibrated")


def test_drive_moves_without_a_zipper_and_arrives(tmp_path: Path) -> None:
    block = NamBlock(linear(tmp_path))
    block.prepare(48000, 64)
    sound = sine(110.0, 48000, level=0.2)
    out = np.zeros_like(sound)
    for index in range(750):
        if index == 200:
            block.move("input_db", -20.0)
        if 300 <= index < 500 and index % 2 == 0:
            block.move("output_db", 6.0 * (index - 300) / 200)
        piece = slice(index * 64, index * 64 + 64)
        block.process(sound[:, piece], out[:, piece])
    assert click_dbfs(out) < -80.0
    np.testing.assert_allclose(out[:, 40000:], sound[:, 40000:] * 10 ** (-14.06 / 20), rtol=1e-2)
    with pytest.raises(ValueError, match="input_db"):
        block.move("input_db", 100.0)


def test_reset_is_the_state_after_prepare(tmp_path: Path, guitar: Audio) -> None:
    file = tmp_path / "standard.nam"
    file.write_text(json.dumps(standard_capture(seed=3)))
    block = NamBlock(file)
    first = through(block, guitar[:, :12800], 64)
    block.reset()
    assert np.array_equal(run(block, guitar[:, :12800], 64), first)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_capture_that_explodes_is_faded_and_reset(tmp_path: Path) -> None:
    file = linear(tmp_path, gain=3e38)
    preset = tmp_path / "p.toml"
    preset.write_text(
        'format = 1\nname = "x"\n[tone.a]\nchain = [{ block = "nam", file = "linear.nam", '
        "input_db = 36.0 }]\n[tone.b]\nchain = []\n"
    )
    assert file.exists()
    player = Player([read_preset(preset).path()])
    player.prepare(48000, 64)
    out = play(player, sine(110.0, 6400), 64, 0.0)
    assert np.isfinite(out).all() and player.nan_periods > 0


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.nam"
    file.write_bytes(b"RIFF....WAVE")
    with pytest.raises(ModelError, match=r"x\.nam"):
        NamBlock(file)


def test_real_captures_play_a_real_phrase_exactly_at_the_ends(
    tmp_path: Path, shared_audio: Path
) -> None:
    """The promise of the pedal, on two real amps: position 0 and 1 are the tones, bit for bit."""
    from device.files import read_sound

    preset_file = tmp_path / "two.toml"
    nam, ir = shared_audio / "nam", shared_audio / "ir"
    preset_file.write_text(
        f'format = 1\nname = "x"\n[tone.a]\nchain = [{{ block = "nam", file = "{nam}/jc.nam" }}, '
        f'{{ block = "cab", file = "{ir}/celestion.flac" }}]\n[tone.b]\nchain = [{{ block = "nam",'
        f' file = "{nam}/5153.nam" }}, {{ block = "cab", file = "{ir}/ampeg.flac" }}]\n'
    )
    preset = read_preset(preset_file)
    phrase = read_sound(shared_audio / "di" / "pop-punk.flac")[0][:, :96000]
    tones = {}
    for side, end in (("a", 0.0), ("b", 1.0)):
        alone, whole = Player([preset.single(side)]), Player([preset.path()])  # type: ignore[arg-type]
        alone.prepare(48000, 64)
        whole.prepare(48000, 64, end)
        tones[side] = play(alone, phrase, 64, 0.0)
        assert np.array_equal(play(whole, phrase, 64, end), tones[side])
    assert np.std(tones["a"] - tones["b"]) > 0.01
