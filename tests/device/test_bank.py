"""A bank of presets made ready: found in processes of its own, kept, and never half-found."""

import concurrent.futures
from pathlib import Path

import pytest

from device.bank import find_ways, playable_bank
from device.errors import PresetError
from device.prepare import is_found
from device.preset import Preset, read_preset

PRESET = """
format = 1
name = "Clean to driven"
[tone.a]
chain = [{ block = "gain", gain_db = 0.0 }]
[tone.b]
chain = [{ block = "drive", drive_db = 20.0 }]
[morph]
engine = "crossfade"
"""


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    file = tmp_path / "preset.toml"
    file.write_text(PRESET)
    return read_preset(file)


def test_what_other_processes_found_is_there_for_the_one_that_plays(
    preset: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    assert not is_found(preset, 48000, None, cache)
    find_ways([preset], 48000, None, cache)
    assert is_found(preset, 48000, None, cache)
    kept = sorted((file.name, file.stat().st_mtime_ns) for file in cache.iterdir())
    assert [each.name for each in playable_bank([preset], 48000, None, cache)] == [preset.name]
    after = sorted((file.name, file.stat().st_mtime_ns) for file in cache.iterdir())
    assert after == kept, "nothing was found a second time"


def test_a_preset_that_cannot_be_read_is_named(preset: Preset, tmp_path: Path) -> None:
    missing = PRESET.replace(
        '{ block = "drive", drive_db = 20.0 }', '{ block = "cab", file = "gone.wav" }'
    )
    file = tmp_path / "missing.toml"
    file.write_text(missing)
    with pytest.raises(PresetError, match=r"gone\.wav"):
        find_ways([preset, read_preset(file)], 48000, None, tmp_path / "cache")


def test_a_machine_that_grants_no_processes_plays_all_the_same(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", refuse)
    cache = tmp_path / "cache"
    assert len(playable_bank([preset], 48000, None, cache)) == 1
    assert is_found(preset, 48000, None, cache), "it was found here instead"
