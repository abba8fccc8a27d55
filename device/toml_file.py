"""Reading a TOML file, and saying in one sentence why it is none."""

import tomllib
from pathlib import Path
from typing import Any

from models.errors import PurgaError

MAXIMUM_BYTES = 1_000_000


def load_toml(path: Path, error: type[PurgaError], what: str) -> dict[str, Any]:
    """Read ``path``, unchecked but for being TOML; ``what`` names its kind in the sentence.

    Raises ``error`` for a file that is missing, larger than ``MAXIMUM_BYTES``, no TOML or cannot
    be read.
    """
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise error(f"{path}: {state}; name a {what} (a TOML file)")
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise error(f"{path}: is larger than {MAXIMUM_BYTES} bytes, so it is no {what}")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path}: is not valid TOML: {problem}; mend that line") from None
    except (UnicodeDecodeError, RecursionError):
        raise error(f"{path}: is not a TOML text file; name a {what}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}); check it") from None


def given(value: object) -> str:
    """What was found, shortened so that a hostile file cannot flood the terminal."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
