"""Reading a TOML file into a checked model, and saying in one sentence what is wrong with it."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import PurgaError

MAXIMUM_BYTES = 1_000_000


class Table(BaseModel):
    """A TOML table: unknown keys, wrong types, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Table)


def read_toml(path: Path, model: type[Model], error: type[PurgaError], what: str) -> Model:
    """Read and check ``path``; raise ``error`` with one sentence, ``what`` names its kind."""
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise error(f"{path}: {state}; name a {what} (a TOML file)")
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise error(f"{path}: is larger than {MAXIMUM_BYTES} bytes, so it is no {what}")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path}: is not valid TOML: {problem}; mend that line") from None
    except (UnicodeDecodeError, RecursionError):
        raise error(f"{path}: is not a TOML text file; name a {what}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}); check it") from None
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
    given = _given(first["input"])
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
            return f"{where} is {given}, but must be {context['expected']}"
        case _:
            expected = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
            return f"{where} is {given}, but {expected[:1].lower()}{expected[1:]}"


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


def _given(value: object) -> str:
    """What was found, shortened so that a hostile file cannot flood the terminal."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
