"""What was found for a preset, kept under a hash of all that it depends on."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from device.errors import AudioFileError
from device.files import whole_file
from device.plain import asdict
from device.preset import Preset

VERSION = 3
"""Of how things are found: a change of the method makes every kept one a stranger."""

Found = TypeVar("Found")


def default_cache() -> Path:
    """Folder of what has been found: systemd's, the user's, or below the home folder."""
    if "CACHE_DIRECTORY" in os.environ:
        return Path(os.environ["CACHE_DIRECTORY"].split(":")[0]) / "paths"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "purga" / "paths"


def writable(folder: Path | None = None) -> bool:
    """Whether what is found can be kept there, by default in ``default_cache()``."""
    folder = folder or default_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class Kept:
    """One file of the cache: what was found for a preset, by the hash of all it depends on."""

    def __init__(
        self,
        what: str,
        preset: Preset,
        rate_hz: int,
        interface_dbu: float | None,
        folder: Path | None,
    ) -> None:
        self._fingerprint = _fingerprint(what, preset, rate_hz, interface_dbu)
        self._file = (folder or default_cache()) / f"{self._fingerprint[:32]}.npz"

    @property
    def exists(self) -> bool:
        """Whether a file is there; what it holds shows when it is read."""
        return self._file.exists()

    def read(self, build: Callable[[Mapping[str, Any]], Found]) -> Found | None:
        """What is kept; None where nothing is, or what is damaged or foreign: told on stderr."""
        if not self.exists:
            return None
        import zipfile  # as with all here: most of a start is imports

        try:
            with self._file.open("rb") as source, np.load(source, allow_pickle=False) as kept:
                if str(kept["fingerprint"]) != self._fingerprint:
                    raise ValueError("it belongs to another preset")
                return build(kept)
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            print(
                f"{self._file}: cannot be used ({error}); the way of this preset is found anew",
                file=sys.stderr,
            )
            return None

    def write(self, arrays: Mapping[str, Any]) -> None:
        """Keep it, whole or not at all; a disk that does not take it costs time only."""
        try:
            with whole_file(self._file) as temporary, temporary.open("wb") as target:
                np.savez(target, fingerprint=np.array(self._fingerprint), **arrays)
        except AudioFileError as error:
            print(f"{error}; the way is found anew next time", file=sys.stderr)


def _fingerprint(what: str, preset: Preset, rate_hz: int, interface_dbu: float | None) -> str:
    """A hash of all that a way depends on: settings, files, rate, method."""
    import hashlib
    import json

    table = preset.table
    settings = {"input": asdict(table.input), "tone": asdict(table.tone)}
    about = [what, VERSION, rate_hz, interface_dbu, table.morph.path, settings]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for tone in (table.tone.a, table.tone.b):
        for block in tone.chain:
            name = getattr(block, "file", None)
            if name is not None:
                file = preset.file.parent / name
                digest.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return digest.hexdigest()
