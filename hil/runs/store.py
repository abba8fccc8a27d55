"""What a stage found, kept on the disk whole as it ends, so that a run can go on after a break.

Beside ``result.json`` lie the raw data with the hashes that they had. What was made by other
software, on another bench or unit, or of which a byte has changed, is not taken up again.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device.files import whole_file
from hil.raw import hashes
from hil.results import ResultsError, ScenarioResult, from_json, to_json

RESULT = "result.json"
_FORMAT = 1


@dataclass(frozen=True)
class Key:
    """Where a result comes from. Only the same is the same."""

    software: str
    """Of the bench and, in a simulation, of the pedal: ``software_hash``."""
    bench: str
    """Hash of the ``bench.toml``, or ``simulated``."""
    unit: str
    """Serial and software of the pedal under test."""
    profile: str


_WORDS = {
    "software": "other software",
    "bench": "another bench file",
    "unit": "another unit, or other software on it",
    "profile": "another profile",
}


def keep(folder: Path, result: ScenarioResult, key: Key) -> Path:
    """Write ``folder/NAME/result.json``; its raw data must be complete. Whole or not at all."""
    own = folder / result.name
    own.mkdir(parents=True, exist_ok=True)
    names = [each.name for each in own.iterdir() if each.suffix == ".csv"]
    content = {
        "format": _FORMAT,
        "key": asdict(key),
        "raw": hashes(own, names),
        "result": to_json(result),
    }
    with whole_file(own / RESULT) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")
    return own / RESULT


def forget(folder: Path, name: str) -> None:
    """Remove what an earlier run left of a stage."""
    shutil.rmtree(folder / name, ignore_errors=True)


def read(folder: Path, name: str) -> ScenarioResult | None:
    """What lies there of a stage, wherever it comes from; None where it cannot be read."""
    try:
        content = json.loads((folder / name / RESULT).read_text("utf-8"))
        return from_json(content["result"])
    except (OSError, ValueError, KeyError, TypeError, ResultsError):
        return None


def kept(folder: Path, name: str, key: Key) -> tuple[ScenarioResult | None, str]:
    """An earlier run's result, or None and why it cannot be taken up; empty: there is none."""
    file = folder / name / RESULT
    if not file.is_file():
        return None, ""
    try:
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if content["format"] != _FORMAT:
            return None, "it was written by another version of the bench"
        result = from_json(content["result"])
        made, raw = content["key"], dict(content["raw"])
        for field, mine in asdict(key).items():
            if made[field] != mine:
                return None, f"it was made by {_WORDS[field]} ({made[field]}, now {mine})"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ResultsError) as error:
        return None, f"{file} cannot be read ({type(error).__name__}: {error})"
    if result.stopped:
        return None, f"it was stopped ({result.stopped})"
    if changed := sorted(set(raw.items()) - set(hashes(file.parent, raw).items())):
        return None, f"its {changed[0][0]} is not what was written"
    return result, ""
