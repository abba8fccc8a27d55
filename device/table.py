"""Tables of a TOML file as frozen dataclasses, checked against their own annotations.

For ``pedal.toml`` and presets, which are read while somebody waits for the sound. Importing
pydantic alone takes 0.5 thousand million instructions, which is as long as everything else that
control does to start.

What an annotation may be: ``bool``, ``int``, ``float``, ``str``, a ``Literal``, a table, one of
these ``| None`` or ``| str``, ``tuple[X, ...]`` for an array, ``tuple[X, Y]`` for an array of just
these; each perhaps ``Annotated`` with a ``Range`` or a ``Size``. A key that is no name in Python
stands in the table's class variable ``KEYS``, by the field's name. A table that comes in kinds has
a static ``choose``, which finds the kind that the data are, or raises ``ValueError`` with the end
of a sentence. What depends on several keys is checked by the table's ``__post_init__``, which
raises the same.
"""

import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from device.plain import MISSING, Field, fields, is_record
from device.toml_file import given, load_toml
from models.errors import PurgaError

TableT = TypeVar("TableT")


class Range(NamedTuple):
    """Bounds of a number, both allowed."""

    lowest: float
    highest: float


class Size(NamedTuple):
    """Bounds of a text's or an array's length, both allowed."""

    fewest: int
    most: int


class _ProblemError(Exception):
    """The end of the sentence about one value: where, and what is wrong with it."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} {what}".strip())


def read_table(path: Path, kind: type[TableT], error: type[PurgaError], what: str) -> TableT:
    """Read and check ``path``; raise ``error`` with one sentence, ``what`` names its kind."""
    data = load_toml(path, error, what)
    try:
        return _table(kind, data, "")
    except _ProblemError as problem:
        raise error(f"{path}: {problem}") from None


def _table(kind: type[TableT], data: object, place: str) -> TableT:
    if not isinstance(data, Mapping):
        raise _ProblemError(place, f"is {given(data)}, but should be a table")
    choose = getattr(kind, "choose", None)
    if choose is not None:
        try:
            kind = choose(data)
        except ValueError as problem:
            raise _ProblemError(place, str(problem)) from None
    hints = typing.get_type_hints(kind, include_extras=True)
    known = _known(kind)
    for key in data:
        if key not in known:
            what = "is not a key that exists here; check its spelling or remove it"
            raise _ProblemError(_inside(place, key), what)
    values = {
        known[key].name: _value(hints[known[key].name], value, _inside(place, key))
        for key, value in data.items()
    }
    for name, each in known.items():
        if name not in data and each.default is each.default_factory is MISSING:
            raise _ProblemError(_inside(place, name), "is missing; add it")
    try:
        return kind(**values)
    except PurgaError as problem:
        raise _ProblemError("", str(problem)) from None
    except ValueError as problem:
        raise _ProblemError(place, f"cannot be used: {problem}") from None


def _known(kind: Any) -> Mapping[str, Field]:
    """The fields of a table by their keys; it may be a record of either kind."""
    if is_record(kind):
        keys: Mapping[str, str] = getattr(kind, "KEYS", {})
        return {keys.get(each.name, each.name): each for each in fields(kind)}
    import dataclasses  # here, because processes that start fast have none of them

    def own(default: object) -> object:
        return MISSING if default is dataclasses.MISSING else default

    return {
        each.name: Field(each.name, own(each.default), own(each.default_factory))
        for each in dataclasses.fields(kind)
    }


def _inside(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _value(hint: Any, value: object, place: str) -> Any:
    """The value as its annotation wants it."""
    bounds: Any = None
    if typing.get_origin(hint) is Annotated:
        hint, bounds = typing.get_args(hint)
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case None:
            pass
        case types.UnionType | typing.Union:
            hint = _member(arguments, value)
            return _value(hint if bounds is None else Annotated[hint, bounds], value, place)
        case typing.Literal:
            # True equals 1, and is no format.
            if not any(type(value) is type(each) and value == each for each in arguments):
                choices = " or ".join(repr(each) for each in arguments)
                raise _ProblemError(place, f"is {given(value)}, but must be {choices}")
            return value
        case _:
            return _array(arguments, bounds, value, place)
    if is_record(hint) or hasattr(hint, "__dataclass_fields__"):
        return _table(hint, value, place)
    return _plain(hint, bounds, value, place)


def _member(hints: tuple[Any, ...], value: object) -> Any:
    """Which of several kinds a value should be: its own kind, else the first."""
    kinds = {hint: typing.get_args(hint)[0] if typing.get_args(hint) else hint for hint in hints}
    return next((hint for hint, kind in kinds.items() if kind is type(value)), hints[0])


def _plain(hint: Any, bounds: Any, value: object, place: str) -> Any:
    """A text, a truth or a number."""
    if hint is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    # type() and not isinstance: True is no number here.
    good = type(value) is hint and (hint is not float or math.isfinite(value))  # type: ignore[arg-type]
    expected = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}[hint]
    if isinstance(bounds, Range):
        good = good and bounds.lowest <= value <= bounds.highest  # type: ignore[operator]
        expected += f" from {bounds.lowest:g} to {bounds.highest:g}"
    elif isinstance(bounds, Size):
        good = good and bounds.fewest <= len(value) <= bounds.most  # type: ignore[arg-type]
        expected += f" of {bounds.fewest} to {bounds.most} characters"
    if not good:
        raise _ProblemError(place, f"is {given(value)}, but should be {expected}")
    return value


def _array(hints: tuple[Any, ...], bounds: Any, value: object, place: str) -> tuple[Any, ...]:
    """An array: any number of one kind, or one of each."""
    if not isinstance(value, list):
        raise _ProblemError(place, f"is {given(value)}, but should be an array")
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise _ProblemError(place, f"is {given(value)}, but should be an array of {len(hints)}")
    if isinstance(bounds, Size) and not bounds.fewest <= len(value) <= bounds.most:
        raise _ProblemError(
            place, f"holds {len(value)} entries, but should hold {bounds.fewest} to {bounds.most}"
        )
    return tuple(
        _value(hint, each, f"{place}[{index}]")
        for index, (hint, each) in enumerate(zip(hints, value, strict=True))
    )
