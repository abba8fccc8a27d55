"""When this code was made: no moment in which it runs lies before that.

A release folder and a provisioned pedal have it in a file beside the code: the day of the commit
that they were made from, so that nobody has to think of it. Standard library only, as provisioning
runs it.
"""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

DAY_FILE = "built.txt"
"""Beside ``pyproject.toml``: a day, as 2026-11-21. Not in a checkout, which has its commits."""
BUILT = datetime(2026, 11, 21, tzinfo=UTC)
"""Before this the code did not exist, whatever a file says. All that is known without one."""

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}")
_HERE = Path(__file__).resolve().parents[2]


def built_at(code: Path = _HERE) -> datetime:
    """The beginning of the day, UTC, on which the code below a folder was made, or an earlier one.

    Never before ``BUILT``: whoever can write into a slot cannot make the code older than it is.
    """
    return max(BUILT, _kept(code) or BUILT)


def day_of(source: Path) -> bytes | None:
    """What ``DAY_FILE`` has to hold in a copy of ``source``; None where nobody knows.

    A checkout's day is its commit's, or today's by this machine's clock if that is earlier: a day
    that has not come yet would make every signature look expired. Other code keeps what it has.
    """
    committed = _committed(source)
    day = _kept(source) if committed is None else min(committed, datetime.now(UTC))
    return None if day is None else f"{day:%Y-%m-%d}\n".encode()


def _kept(folder: Path) -> datetime | None:
    try:
        with (folder / DAY_FILE).open(encoding="ascii") as file:
            text = file.read(100).strip()
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if _FORM.fullmatch(text) else None
    except (OSError, ValueError):
        return None


def _committed(checkout: Path) -> datetime | None:
    if not (checkout / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", checkout, "log", "-1", "--format=%cI"],
            capture_output=True,
            text=True,
            check=False,
        )
        return datetime.fromisoformat(done.stdout.strip()).astimezone(UTC)
    except (OSError, ValueError):
        return None
