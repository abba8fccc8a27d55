"""Raw data: what a stage read and heard, as CSV, and the hashes that tell when a byte changes.

``manifest.sha256`` has the form of ``sha256sum``, so that also ``sha256sum --check`` reads it.
"""

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from device.files import whole_file
from hil.suites.delay import Delay
from hil.suites.rig import Rig
from hil.suites.trace import Row, Trace
from models.errors import PurgaError

MANIFEST = "manifest.sha256"
TRACE, SHOTS = "trace.csv", "shots.csv"


class RawError(PurgaError, ValueError):
    """Raw data that is not there, or no longer what was measured."""

    exit_code: ClassVar[int] = 2


class Csv:
    """Rows of a file; each is on its way to the disk before the next is read."""

    def __init__(self, file: Path) -> None:
        """Begin anew. Raises ``OSError``."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("w", newline="", encoding="utf-8")
        self._writer: csv.DictWriter[str] | None = None

    def add(self, row: Row) -> None:
        """Append a row; the first decides the columns."""
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), restval="", extrasaction="ignore")
            self._writer.writeheader()
        self._writer.writerow({name: _written(value) for name, value in row.items()})
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _written(value: float | str) -> str:
    """Ten digits: a count of periods stays whole, and what was computed can be computed again."""
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.10g}"


class RawTrace(Trace):
    """A trace whose file loses nothing: not digits, and not its last rows to a crash."""

    def __init__(self, file: Path) -> None:
        """Append each row to ``file``."""
        super().__init__()
        self._csv = Csv(file)

    def add(self, row: Row) -> None:
        """See ``Trace.add``."""
        super().add(row)
        self._csv.add(row)

    def close(self) -> None:
        """See ``Trace.close``."""
        self._csv.close()


@dataclass
class RawRig(Rig):
    """A rig that writes each shot down, and tells somebody each mark."""

    folder: Path | None = None
    """Where ``shots.csv`` goes; None: nowhere."""
    _shots: Csv | None = None

    def shot(self) -> Delay | None:
        """See ``Rig.shot``."""
        time_s = self.now_s()
        found = super().shot()
        if self.folder is not None:
            self._shots = self._shots or Csv(self.folder / SHOTS)
            self._shots.add(_shot(time_s, found))
        return found

    def close(self) -> None:
        """Have all of it in the files."""
        self.trace.close()
        if self._shots is not None:
            self._shots.close()


def _shot(time_s: float, found: Delay | None) -> Row:
    nothing = math.nan
    return {
        "time_s": time_s,
        "heard": float(found is not None),
        "frames": nothing if found is None else found.frames,
        "gain_db": nothing if found is None else found.gain_db,
        "snr_db": nothing if found is None else found.snr_db,
    }


def read_trace(file: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file: numbers as numbers, what is empty as NaN. Raises ``RawError``."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            return [
                {name: _read(name, value) for name, value in row.items() if name is not None}
                for row in csv.DictReader(lines)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RawError(f"{file}: it cannot be read as a trace ({error})") from None


_WORDS = frozenset({"state", "ceiling"})


def _read(name: str, value: str | None) -> float | str:
    if name in _WORDS:
        return value or ""
    try:
        return float(value or "nan")
    except ValueError:
        return math.nan


# ---- hashes -------------------------------------------------------------------------------------


def sha256(file: Path) -> str:
    """Of a file's bytes, hexadecimal. Raises ``OSError``."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Hash by name of those files of ``folder`` that are there."""
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


def write_manifest(folder: Path, names: Iterable[str]) -> Path:
    """List these files with their hashes; returns the manifest's path."""
    lines = [f"{digest}  {name}\n" for name, digest in sorted(hashes(folder, names).items())]
    with whole_file(folder / MANIFEST) as temporary:
        temporary.write_text("".join(lines), "utf-8")
    return folder / MANIFEST


def check_manifest(folder: Path) -> tuple[int, Sequence[str]]:
    """How many files are as they were written, and a sentence for each that is not.

    Raises ``RawError`` where ``folder`` has no manifest, or one that cannot be read.
    """
    file = folder / MANIFEST
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RawError(
            f"{file}: it cannot be read ({reason}); name the folder of a report, out/hil by default"
        ) from None
    wrong = []
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise RawError(f"{file}, line {number}: it is no hash and file name; make the run anew")
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name}: it is missing")
        elif sha256(path) != digest:
            wrong.append(f"{name}: it is not what was written")
    if not lines:
        raise RawError(f"{file}: it lists no file; make the run anew")
    return len(lines) - len(wrong), wrong
