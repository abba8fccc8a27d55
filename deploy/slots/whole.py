"""Whether what lies in a slot is the release that it should be, by the release's own hashes.

The signed release file names the hash of every file; the slot's state names the release file's.
"""

import hashlib
import json
from pathlib import Path

from deploy.places import Component

RELEASE = "release.json"
"""The signed release file in the slot, byte for byte."""
_MOST_BYTES = 8_000_000
_PIECE_BYTES = 1 << 20


def release_of(folder: Path, component: Component) -> tuple[int, str] | None:
    """Version and SHA-256 of the release file in a slot; None where there is no sound one.

    Raises ``OSError`` where the disk does not answer: that is no reason to call a slot bad.
    """
    try:
        with (folder / RELEASE).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    data = _parsed(content)
    version = data.get("version")
    if data.get("component") != component or type(version) is not int or version < 1:
        return None
    return version, hashlib.sha256(content).hexdigest()


def is_whole(folder: Path) -> bool:
    """Whether every file that ``release.json`` names is there with its hash; reads all of them.

    What was built beside them on the device does not count. Raises ``OSError``.
    """
    try:
        data = _parsed((folder / RELEASE).read_bytes())
        files = data["files"]
        return len(files) > 0 and all(
            _holds(folder / each["path"], each["bytes"], each["sha256"]) for each in files
        )
    except (KeyError, TypeError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _parsed(content: bytes) -> dict:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _holds(path: Path, size: int, sha256: str) -> bool:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        seen = 0
        while piece := file.read(_PIECE_BYTES):
            hashed.update(piece)
            seen += len(piece)
    return seen == size and hashed.hexdigest() == sha256
