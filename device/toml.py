"""Reading a TOML file into a checked model, and saying in one sentence what is wrong with it.

``pedal.toml`` is read without pydantic, by ``table.py``, which says why.
"""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from device.toml_file import given, load_toml
from models.errors import PurgaError


class Table(BaseModel):
    """A TOML table: unknown keys, wrong types, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Table)


def read_toml(path: Path, model: type[Model], error: type[PurgaError], what: str) -> Model:
    """Read and check ``path``; raise ``error`` with one sentence, ``what`` names its kind."""
    data = load_toml(path, error, what)
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        raise error(f"{path}: {first_problem(problem)}") from None
    except RecursionError:
        raise error(f"{path}: is nested too deeply to be a {what}; simplify it") from None


def first_problem(problem: ValidationError) -> str:
    """One sentence for the first thing that is wrong: where, what was given, what is expected."""
    first = problem.errors(include_url=False)[0]
    where = _place(first["loc"])
    found = given(first["input"])
    context: dict[str, Any] = first.get("ctx", {})
    match first["type"]:
        case "extra_forbidden":
            return f"{where} is not a key that exists here; check its spelling or remove it"
        case "missing":
            return f"{where} is missing; add it"
        case "union_tag_not_found":
            return f'{where} names no block; add block = "…"'
        case "union_tag_invalid":
            return f"{where} has block = {context['tag']!r}; known are {context['expected_tags']}"
        case "literal_error":
            return f"{where} is {found}, but must be {context['expected']}"
        case _:
            expected = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
            return f"{where} is {found}, but {expected[:1].lower()}{expected[1:]}"


def _place(location: tuple[int | str, ...]) -> str:
    """``("tone", "a", "chain", 0, "nam", "file")`` → ``tone.a.chain[0].file``."""
    place = ""
    after_index = False
    for index, part in enumerate(location):
        if isinstance(part, int):
            place += f"[{part}]"
            after_index = True
            continue
        # pydantic puts the tag of a union between an index and a key; it is no key of the file.
        if not after_index or index == len(location) - 1:
            place += f".{part}" if place else part
        after_index = False
    return place or "the file"
