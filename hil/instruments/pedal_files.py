"""What the bench has the pedal play: its presets, and a ``pedal.toml`` with other periods.

One preset for each engine, all of them two tones without a block, the second a quarter as loud: the
path keeps the guitar's phase, and the knob can be heard.
"""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

ENGINES = ("crossfade", "stage", "studio")
QUARTER_DB = -12.04
NAME = "bench "
"""Begins the presets' names: by them status says which engine was asked for."""


def preset(engine: str) -> str:
    """The bench's preset for an engine, TOML."""
    return f"""# The bench's: hil/instruments/pedal_files.py
format = 1
name = "{NAME}{engine}"

[tone.a]
chain = []

[tone.b]
chain = []
level_db = {QUARTER_DB}

[morph]
engine = "{engine}"
path = "direct"
"""


def bench_config(own: str, folder: str, engine: str, periods: tuple[int, int] | None = None) -> str:
    """The pedal's own ``pedal.toml`` with the bench's presets, from ``folder``, and periods.

    ``periods``: frames of one, and how many; None: as they were. Raises ``ValueError`` where
    ``own`` is no TOML.
    """
    table = tomllib.loads(own)
    table["bank"] = {
        "presets": [f"{folder}/bench-{each}.toml" for each in ENGINES],
        "start": ENGINES.index(engine),
    }
    if periods is not None:
        frames, count = periods
        table["audio"] = {**table.get("audio", {}), "period_frames": frames, "periods": count}
    return to_toml(table)


def to_toml(table: Mapping[str, Any], place: str = "") -> str:
    """A table as TOML: texts, numbers, truths, arrays, and tables in tables."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            inside = f"{place}.{_key(key)}" if place else _key(key)
            lines += ["", f"[{inside}]", to_toml(value, inside).rstrip("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for its pairs; DEL is what only TOML forbids bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return str(value)  # dates and times are written as they are


def _key(key: str) -> str:
    bare = key and all(char.isascii() and (char.isalnum() or char in "-_") for char in key)
    return key if bare else _value(key)
