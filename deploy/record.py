"""The record: one JSON line for each thing that was installed, tried or judged, never changed.

Every line holds the SHA-256 of the line before it, so that a line which was changed, taken out or
put in shows. Lines cut off at the end do not; nothing local can show that. A line is on the disk
before ``append`` returns; power lost on the way leaves a torn one, which the next call cuts off and
notes. The standard library is all this needs: a roll back at boot is recorded too.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.errors import UpdateError, UpdateFailedError

PREVIOUS = "previous"
"""The key of the hash; an entry may not have it."""
FIRST = "0" * 64
"""What the first line holds there."""


def append(file: Path, entry: Mapping[str, Any]) -> None:
    """Add a line, on the disk when this returns.

    Raises ``UpdateError`` for an entry that JSON cannot hold, ``UpdateFailedError`` where the disk
    does not take it; then what was recorded before is untouched.
    """
    if PREVIOUS in entry:
        raise UpdateError(f"an entry of the record has the key {PREVIOUS!r}; name it otherwise.")
    try:
        _append(file, entry)
    except (TypeError, ValueError) as problem:
        raise UpdateError(f"an entry of the record is not JSON ({problem}); correct it.") from None
    except OSError as problem:
        raise UpdateFailedError(
            f"{file}: cannot be written ({problem.strerror}); free some space or check the disk."
        ) from problem


def entries(file: Path) -> list[dict[str, Any]]:
    """Every line that can be read, oldest first, without its hash. Raises ``UpdateFailedError``."""
    return [
        {key: value for key, value in line.items() if key != PREVIOUS}
        for line in map(_parsed, _lines(_content(file)))
        if line is not None
    ]


def intact(file: Path) -> bool:
    """Whether each whole line holds the hash of the one before; a torn last one is no break.

    Raises ``UpdateFailedError`` where the file cannot be read.
    """
    previous = FIRST
    for raw in _lines(_content(file)):
        line = _parsed(raw)
        if line is None or line.get(PREVIOUS) != previous:
            return False
        previous = hashlib.sha256(raw).hexdigest()
    return True


def _append(file: Path, entry: Mapping[str, Any]) -> None:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        content = _read(handle)
        whole = content.rfind(b"\n") + 1
        lines = _lines(content)
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST
        added = b""
        if torn := len(content) - whole:
            note = f"the power went while a line was written: {torn} bytes of it are cut off"
            added = _line(previous, {"event": "torn", "why": note})
            previous = hashlib.sha256(added[:-1]).hexdigest()
        added += _line(previous, entry)
        _write(handle, whole, added)
    finally:
        os.close(handle)
    parent = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _write(handle: int, at: int, added: bytes) -> None:
    """Put lines behind the last whole one; on a full disk, leave that the last."""
    try:
        os.ftruncate(handle, at)
        done = 0
        while done < len(added):
            done += os.pwrite(handle, added[done:], at + done)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, at)
        raise


def _line(previous: str, entry: Mapping[str, Any]) -> bytes:
    text = json.dumps({PREVIOUS: previous, **entry}, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _lines(content: bytes) -> list[bytes]:
    """The whole lines, without their ends."""
    return content.split(b"\n")[:-1]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as problem:
        raise UpdateFailedError(
            f"{file}: cannot be read ({problem.strerror}); check the disk."
        ) from problem


def _read(handle: int) -> bytes:
    pieces = []
    while piece := os.read(handle, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)
