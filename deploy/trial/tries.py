"""How often a release's trial was begun and came to no end; it outlasts the process and the power.

"Not now" may be for ever: TensorRT does not read a graph, a build takes all memory and the machine
with it. Nobody can tell who is at fault, but it must not be tried for ever.
"""

import contextlib
import json
from pathlib import Path

from deploy.errors import UpdateError
from deploy.slots.disk import put, remove
from deploy.trial.verdict import one_line

MOST_TRIES = 12
"""With the timer's forty minutes between them, about four evenings."""
_LONGEST_BYTES = 1 << 14


class Tries:
    """Counts in a file. One that cannot be read or written counts nothing."""

    def __init__(self, file: Path, most: int = MOST_TRIES) -> None:
        self._file, self._most = file, most

    def begin(self, release_sha256: str) -> None:
        """Count a try before it is made: it may end with the machine's.

        Raises ``UpdateError`` where the release has had as many as it may.
        """
        tries, why = self._read(release_sha256)
        if tries >= self._most:
            last = f", the last time because of this: {why}" if why else "."
            raise UpdateError(f"Its trial came to no end on this pedal {tries} times{last}")
        self._write(release_sha256, tries + 1, why)

    def put_off(self, release_sha256: str, why: str) -> None:
        """Keep why the try that was begun came to no end."""
        self._write(release_sha256, max(1, self._read(release_sha256)[0]), one_line(why))

    def end(self) -> None:
        """The trial came to an end."""
        with contextlib.suppress(OSError):
            remove(self._file)

    def _read(self, release_sha256: str) -> tuple[int, str]:
        """Tries of the release so far, and why the latest came to no end."""
        try:
            with self._file.open("rb") as file:
                data = json.loads(file.read(_LONGEST_BYTES))
            tries, why = data["tries"], data["why"]
            fits = data["release_sha256"] == release_sha256
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return 0, ""
        good = fits and type(tries) is int and tries >= 0 and isinstance(why, str)
        return (tries, one_line(why)) if good else (0, "")

    def _write(self, release_sha256: str, tries: int, why: str) -> None:
        data = {"release_sha256": release_sha256, "tries": tries, "why": why}
        with contextlib.suppress(OSError):
            put(self._file, json.dumps(data, indent=1).encode() + b"\n")
