"""What the control process says of itself: a file beside the meters, whole at every moment.

``status`` shows it, ``learn`` watches it, and a control process that was started again goes on
with the wishes in it. It lies in memory (``/run``), so it is gone with the power, and nobody need
wait for a disk.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from device.processes.beside import replace_json

FORMAT = 1
LEARN_REQUEST = "learn"
"""A file of this name beside it asks the control process to learn until it is taken away."""


class Kept(NamedTuple):
    """What was asked for when the process ended."""

    preset: int | None = None
    bypass: bool = False
    position: float | None = None


def write_report(file: Path, report: Mapping[str, object]) -> None:
    """Replace the report. Raises ``OSError``; the one before is then still there."""
    replace_json(file, {"format": FORMAT, **report})


def read_report(file: Path) -> dict[str, Any] | None:
    """The report; None where there is none, or none that can be read."""
    try:
        report = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) and report.get("format") == FORMAT else None


def kept(file: Path) -> Kept:
    """What was asked for when the process ended; nothing where it is not known."""
    report = read_report(file) or {}
    preset, position = report.get("preset"), report.get("position")
    whole = isinstance(preset, int) and not isinstance(preset, bool) and 0 <= preset <= 0xFFFF
    placed = isinstance(position, float) and 0.0 <= position <= 1.0
    return Kept(
        preset if whole else None,
        report.get("bypass") is True,
        position if placed else None,
    )
