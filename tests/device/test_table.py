"""``pedal.toml`` is checked without pydantic: every value, and one sentence for what is wrong."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigError
from device.table import Range, Size, read_table


@dataclass(frozen=True)
class Inner:
    level: Annotated[float, Range(-1.0, 1.0)] = 0.5
    name: Annotated[str, Size(1, 4)] | None = None

    def __post_init__(self) -> None:
        if self.level == 0.25:
            raise ValueError("0.25 is not liked")


@dataclass(frozen=True)
class Outer:
    need: int
    on: bool = False
    kind: Literal["a", "b"] = "a"
    pin: Annotated[int, Range(1, 40)] | str = 29
    inner: Inner = field(default_factory=Inner)
    list: Annotated[tuple[Inner, ...], Size(0, 2)] = ()
    pair: tuple[float, bool] = (0.0, False)


def read(text: str, folder: Path) -> Outer:
    (folder / "t.toml").write_text(text)
    return read_table(folder / "t.toml", Outer, ConfigError, "table")


def test_values_and_defaults_arrive(tmp_path: Path) -> None:
    assert read("need = 3", tmp_path) == Outer(3)
    text = (
        'need = -1\non = true\nkind = "b"\npin = "GPIO5"\npair = [1, true]\n'
        '[inner]\nlevel = 1\nname = "ab"\n[[list]]\n[[list]]\nlevel = -1.0\n'
    )
    expected = Outer(-1, True, "b", "GPIO5", Inner(1.0, "ab"), (Inner(), Inner(-1.0)), (1.0, True))
    got = read(text, tmp_path)
    assert got == expected and isinstance(got.inner.level, float)
    assert read("need = 1\npin = 7", tmp_path).pin == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "need is missing; add it"),
        ("need = 1\nneeed = 1", "neeed is not a key that exists here"),
        ("need = 1.0", "need is 1.0, but should be an integer"),
        ("need = true", "need is True, but should be an integer"),
        ("need = 1\non = 1", "on is 1, but should be true or false"),
        ("need = 1\nkind = 'c'", "kind is 'c', but must be 'a' or 'b'"),
        ("need = 1\npin = 41", "pin is 41, but should be an integer from 1 to 40"),
        ("need = 1\npin = 1.5", "pin is 1.5, but should be"),
        ("need = 1\n[inner]\nlevel = nan", "inner.level is nan, but should be a number"),
        ("need = 1\n[inner]\nlevel = 1.5", "from -1 to 1"),
        ("need = 1\n[inner]\nlevel = 0.25", "inner cannot be used: 0.25 is not liked"),
        ("need = 1\n[inner]\nname = ''", "inner.name is '', but should be a text of 1 to 4"),
        ("need = 1\ninner = 3", "inner is 3, but should be a table"),
        ("need = 1\nlist = [{}, {}, {}]", "list holds 3 entries, but should hold 0 to 2"),
        ("need = 1\nlist = [{}, {lev = 1}]", "list[1].lev is not a key"),
        ("need = 1\npair = [1]", "pair is [1], but should be an array of 2"),
        ("need = 1\npair = 1", "pair is 1, but should be an array"),
        ("need = 1\npair = [1, 0]", "pair[1] is 0, but should be true or false"),
        ("need =", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text, tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / 't.toml'}: ")
    assert sentence in str(raised.value)


_TOML: Any = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["level", "name", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["need", "on", "pin", "inner", "list", "pair"]), _TOML))
def test_whatever_stands_in_it_is_taken_or_named(data: dict[str, Any]) -> None:
    from device import table

    try:
        outer = table._table(Outer, data, "")
    except table._ProblemError as problem:
        assert str(problem)
    else:
        assert type(outer.need) is int and -1.0 <= outer.inner.level <= 1.0
        assert type(outer.pair[1]) is bool and len(outer.list) <= 2
