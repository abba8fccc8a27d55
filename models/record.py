"""JSON files that others wrote: read whole or refused, with one sentence that says why."""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import ModelError


class Record(BaseModel):
    """A JSON object: unknown keys, wrong types, NaN and infinity are errors; never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Record)


def parse_record(content: bytes, model: type[Model], where: str, what: str, remedy: str) -> Model:
    """The record in ``content``, which is the file ``where``.

    Raises ``ModelError`` that names the file, ``what`` it should be and the ``remedy``.
    """
    try:
        data = json.loads(content, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        reason = "nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise ModelError(f"{where}: is not the JSON of {what} ({reason}); {remedy}.") from None
    if not isinstance(data, dict):
        raise ModelError(f"{where}: holds no JSON object, expected {what}; {remedy}.")
    if data.get("format") != 1:
        raise ModelError(
            f"{where}: has format {_given(data.get('format'))}, but {what} of format 1 is what "
            f"this version reads; {remedy}."
        )
    try:
        # From JSON again and not from data: strict Python has no tuples in JSON's lists.
        return model.model_validate_json(content)
    except ValidationError as problem:
        raise ModelError(f"{where}: {first_problem(problem)}; {remedy}.") from None


def write_record(record: Record) -> bytes:
    """A record as indented JSON with a newline at its end."""
    return (record.model_dump_json(indent=1) + "\n").encode()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key given twice would let two readers see two files."""
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key stands there twice")
    return keys


def _no_number(name: str) -> float:
    """NaN and infinities, which JSON does not have and Python reads."""
    raise ValueError(f"{name} is no number")


def first_problem(problem: ValidationError) -> str:
    """What is wrong first: where, what was given, what is expected."""
    first = problem.errors(include_url=False)[0]
    place = ".".join(_named(part) for part in first["loc"])
    where = f"{place} is" if place else "it is"
    if first["type"] == "extra_forbidden":
        return f"{place} is not a key that exists here"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] in ("value_error", "assertion_error"):  # a sentence of ours
        return str(first["msg"]).removeprefix("Value error, ")
    expected = str(first["msg"]).removeprefix("Input ")
    return f"{where} {_given(first['input'])}, but {expected[:1].lower()}{expected[1:]}"


def _named(part: int | str) -> str:
    """An index or a key; quoted where it is more than a short word, so that it cannot pass for it.

    A hostile file's keys may hold anything, also what clears a terminal.
    """
    plain = isinstance(part, int) or (part.isprintable() and re.fullmatch(r"\S{1,60}", part))
    return str(part) if plain else _given(part)


def _given(value: object) -> str:
    """What was found, shortened so that a hostile file cannot flood the terminal."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
