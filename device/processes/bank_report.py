"""What ``audio`` says of its bank, in a small file beside the meters, for ``status``."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from device.plain import asdict, dataclass
from device.processes.beside import replace_json

BANK_FILE = "bank.json"
_MOST_BYTES = 1 << 18


@dataclass(frozen=True)
class BankEntry:
    """One preset of the bank."""

    name: str
    file: str
    latency_frames: int
    problem: str | None = None
    """Why it cannot be played, in one sentence; the dry guitar plays in its place."""


@dataclass(frozen=True)
class BankReport:
    """What was loaded."""

    pid: int
    presets: tuple[BankEntry, ...] = ()
    problem: str = ""
    """Why nothing was loaded: what is wrong with ``pedal.toml``, or a defect."""
    slot: str = ""
    """The folder of the models slot that plays, links resolved; empty: the pedal's own models."""
    version: int | None = None
    """Of the release in it, where it says."""
    release: str = ""
    """Its name."""
    rejected_slot: str = ""
    """The folder of a slot that could not be used or was left again …"""
    rejected: str = ""
    """… and why, in one sentence; both empty once another one plays."""


def write_bank(folder: Path, report: BankReport) -> None:
    """Replace the file, whole or not at all; a disk that does not take it costs ``status`` only."""
    with contextlib.suppress(OSError):
        replace_json(folder / BANK_FILE, asdict(report))


def read_bank(folder: Path) -> BankReport | None:
    """What an audio process wrote last; None where none has, or the file is foreign."""
    try:
        with (folder / BANK_FILE).open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
        entries: Sequence[dict[str, object]] = found.pop("presets")
        return BankReport(presets=tuple(BankEntry(**each) for each in entries), **found)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
