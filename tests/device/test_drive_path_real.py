"""The way through drive on real captures, heard on a phrase that the search has not.

``pytest -s tests/device/test_drive_path_real.py`` prints the figures.
"""

from pathlib import Path

import numpy as np
import pytest

from device.files import read_sound_at
from device.preset import Preset, read_preset
from device.sound.path import SoundPath
from device.sound.player import Player
from device.sound.trajectory import Trajectory
from device.ways import found_path, tried
from models.path import DRIVES_DB, DrivePath, way_along
from models.quality import (
    at_level,
    distance_db,
    log_spectrum_db,
    loudness_lufs,
    mel_spectrum_db,
    straight_line_error_lu,
)
from models.units import Audio, gain_from_db
from tests.device.signal import play

POSITIONS = np.linspace(0.0, 1.0, 11).tolist()
PERIOD_FRAMES = 1024


def pair(folder: Path, captures: Path, a: str, b: str, path: str) -> Preset:
    file = folder / f"{a}-{b}-{path}.toml"
    tones = "".join(
        f'[tone.{side}]\nchain = [{{ block = "nam", file = "{captures / name}.nam" }}]\n'
        for side, name in (("a", a), ("b", b))
    )
    file.write_text(
        f'format = 1\nname = "x"\n{tones}[morph]\npath = "{path}"\nlaw = "perceptual"\n'
    )
    return read_preset(file)


def heard(preset: Preset, found: DrivePath, phrase: Audio) -> list[Audio]:
    """Eleven positions as they are played."""
    sounds = []
    for position in POSITIONS:
        path = preset.path(trajectory=Trajectory(way_along(found, "perceptual")))
        assert isinstance(path, SoundPath)
        player = Player([path])
        player.prepare(48000, PERIOD_FRAMES, position)
        sounds.append(play(player, phrase, PERIOD_FRAMES, position))
    return sounds


def real_tones(preset: Preset, phrase: Audio) -> list[Audio]:
    sounds = []
    for side in ("a", "b"):
        player = Player([preset.single(side)])
        player.prepare(48000, PERIOD_FRAMES, 0.0)
        for drive_db in DRIVES_DB.tolist():
            guitar = phrase * np.float32(gain_from_db(drive_db))
            sounds.append(play(player, guitar, PERIOD_FRAMES, 0.0))
    return sounds


@pytest.mark.whole
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("a", "b"), [("jc", "ac10"), ("deluxe", "5153")])
def test_nearer_to_real_amps_than_the_blend(
    a: str, b: str, tmp_path: Path, shared_audio: Path
) -> None:
    whole = read_sound_at(shared_audio / "di" / "metalcore.flac", 48000, [])
    phrase = whole[:, 2 * 48000 : 7 * 24000]
    figures: dict[tuple[str, str], tuple[float, float, float]] = {}
    real: list[Audio] = []
    for kind in ("drive", "direct"):
        preset = pair(tmp_path, shared_audio / "nam", a, b, kind)
        found = found_path(preset, 48000)
        sounds = heard(preset, found, phrase)
        real = real or real_tones(preset, phrase)
        loudness = [loudness_lufs(sound) for sound in sounds]
        error_lu = np.abs(straight_line_error_lu(POSITIONS, loudness)).max()
        for measure, transform in (("mel", mel_spectrum_db), ("bins", log_spectrum_db)):
            levels = [transform(at_level(sound)) for sound in sounds]
            others = [transform(at_level(sound)) for sound in real]
            nearest = [min(distance_db(one, other) for other in others) for one in levels]
            steps = [distance_db(*two) for two in zip(levels[1:], levels[:-1], strict=True)]
            even = max(steps) / float(np.mean(steps))
            figures[kind, measure] = (float(np.mean(nearest)), sum(steps), even)
            print(
                f"{a} to {b}, {kind:6} {measure:4}: {np.mean(nearest):5.2f} dB from real tones, "
                f"length {sum(steps):5.1f} dB, evenness {even:.2f}, loudness {error_lu:.2f} LU"
            )
        falls = np.maximum.accumulate(found.saturation) - found.saturation
        assert kind == "direct" or falls.max() <= 0.02
    for measure in ("mel", "bins"):
        assert figures["drive", measure][0] <= 0.7 * figures["direct", measure][0]
    assert figures["drive", "mel"][1] <= 1.5 * figures["direct", "mel"][1]


def test_an_amp_that_is_driven_less_is_less_saturated(tmp_path: Path, shared_audio: Path) -> None:
    preset = pair(tmp_path, shared_audio / "nam", "jc", "ac10", "drive")
    clean, crunch = (tried(preset, side, 48000).saturation() for side in ("a", "b"))
    assert clean.max() < 0.2 and crunch[0] < 0.3 and crunch[-1] > 0.7
