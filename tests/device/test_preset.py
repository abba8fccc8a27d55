"""Presets: what is good plays, what is wrong is named in one sentence."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.config import bundled_presets
from device.errors import PresetError
from device.preset import read_preset
from device.sound.blocks.effects import EFFECTS
from models.errors import PurgaError

GOOD = """
format = 1
name = "Test"
[tone.a]
chain = [{ block = "drive", drive_db = 10 }]
[tone.b]
chain = [{ block = "chorus" }, { block = "gain", gain_db = -3.0 }]
level_db = -1.5
[morph]
engine = "crossfade"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "preset.toml"
    file.write_text(text)
    return file


def problem(folder: Path, text: str) -> str:
    """The one sentence a broken preset is answered with."""
    with pytest.raises(PresetError) as caught:
        read_preset(written(folder, text)).path()
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith(str(folder)) and len(sentence) < 600
    return sentence


def test_bundled_presets_cover_the_article_s_transitions_and_what_moves_by_itself() -> None:
    names = [read_preset(file).name for file in bundled_presets()]
    assert names == [
        "Clean to lead",
        "Clean to crunch",
        "Crunch to lead",
        "Clean to chorus",
        "Phaser to lead",
        "Dry to ambient",
        "Touch",
        "Scenes",
    ]
    moved = [read_preset(file).table.morph for file in bundled_presets()[6:]]
    assert moved[0].follow.depth and moved[1].scenes


def test_a_preset_is_read(tmp_path: Path) -> None:
    path = read_preset(written(tmp_path, GOOD)).path()
    assert path.name == "Test"
    assert path.tones == {"A": ["drive"], "B": ["chorus", "gain"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("format = 1", "format = 2"), ["format", "2", "must be 1"]),
        (("format = 1", ""), ["format", "missing"]),
        (('name = "Test"', "name = 3"), ["name", "3"]),
        (("drive_db = 10", "drive_db = 100"), ["tone.a.chain[0].drive_db", "100", "60"]),
        (("drive_db = 10", "drive_db = nan"), ["tone.a.chain[0].drive_db", "nan"]),
        (("drive_db = 10", "drive_db = true"), ["tone.a.chain[0].drive_db", "True"]),
        (("drive_db = 10", 'drive_db = "10"'), ["tone.a.chain[0].drive_db", "'10'"]),
        (("drive_db", "drve_db"), ["tone.a.chain[0].drve_db", "not a key"]),
        (('block = "drive"', 'block = "dirve"'), ["tone.a.chain[0]", "dirve", "'drive'"]),
        (('block = "drive", ', ""), ["tone.a.chain[0]", "names no block"]),
        (("level_db = -1.5", "level_db = inf"), ["tone.b.level_db", "inf"]),
        (("level_db = -1.5", "levle_db = 1.5"), ["tone.b.levle_db", "not a key"]),
        (('"crossfade"', '"magic"'), ["morph.engine", "magic", "crossfade"]),
        (("[morph]", "[morhp]"), ["morhp", "not a key"]),
        (("format = 1", "format = 1 1"), ["TOML", "line 2"]),
        (('{ block = "drive", drive_db = 10 }', "3"), ["tone.a.chain[0]"]),
        (('[{ block = "drive", drive_db = 10 }]', "3"), ["tone.a.chain", "3"]),
        (
            ('{ block = "drive", drive_db = 10 }', '{ block = "cab", file = "none.wav" }'),
            ["tone.a.chain[0]", "none.wav", "does not exist"],
        ),
        (
            ('{ block = "drive", drive_db = 10 }', '{ block = "nam", file = "none.nam" }'),
            ["tone.a.chain[0]", "none.nam", "does not exist"],
        ),
        (
            ('{ block = "drive", drive_db = 10 }', '{ block = "cab" }'),
            ["tone.a.chain[0].file", "missing"],
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], words: list[str]) -> None:
    assert change[0] in GOOD
    sentence = problem(tmp_path, GOOD.replace(change[0], change[1], 1))
    for word in words:
        assert word in sentence


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "preset.toml"
    for content in (b"", b"\x89PNG\r\n\x1a\n\0\0", b"\xff\xfe", b"x" * 2_000_000, b"[" * 50_000):
        file.write_bytes(content)
        with pytest.raises(PresetError):
            read_preset(file)
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(PresetError):
            read_preset(path)


def test_a_chain_has_a_longest_length(tmp_path: Path) -> None:
    many = ", ".join(['{ block = "gain" }'] * 33)
    assert "tone.a.chain" in problem(
        tmp_path, GOOD.replace('{ block = "drive", drive_db = 10 }', many)
    )


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["nam", "cab", "../x", "", "\x00", "a" * 300])
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["block", "file", "a", "drive_db"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.sampled_from(["tone.a", "tone.b", "morph", "output", "input", "name", "format"]), VALUES)
def test_nothing_hostile_gets_past_as_another_error(tmp_path: Path, where: str, value: Any) -> None:
    text = f"{where} = {_toml(value)}\n{GOOD}" if "." not in where else GOOD + _toml_key(value)
    try:
        read_preset(written(tmp_path, text)).path()
    except PurgaError as error:
        assert "\n" not in str(error)


def _toml_key(value: Any) -> str:
    return f"\n[output]\nlevel_db = {_toml(value)}\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)


def test_every_effect_can_stand_in_a_preset(tmp_path: Path) -> None:
    chain = ", ".join(f'{{ block = "{kind}" }}' for kind in EFFECTS)
    text = GOOD.replace('{ block = "drive", drive_db = 10 }', chain)
    path = read_preset(written(tmp_path, text)).path()
    assert path.tones["A"] == list(EFFECTS)
