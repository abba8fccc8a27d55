"""``pedal.toml`` as a unit's process takes it: a file that cannot be used must not end the pedal.

In the foreground a wrong file ends the command with one sentence. On stage nobody reads it: the
process goes on with the defaults, in bypass, says the sentence in the journal and on ``status``,
and ends by itself once the file has changed, for the service manager to start it anew.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from device.config import Config, load_config
from device.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def unit_config(options: "argparse.Namespace") -> tuple[Config, str]:
    """The configuration, and why the file could not be used; empty where it could.

    Raises ``ConfigError`` where no service manager waits for the process (``NOTIFY_SOCKET``).
    """
    try:
        config = load_config(
            options.config, options.board, options.preset, options.runtime, options.bundle
        )
    except ConfigError as error:
        if not os.environ.get("NOTIFY_SOCKET"):
            raise
        return load_config(None, options.board or "jetson", None, options.runtime), str(error)
    return config, ""


class FileChange:
    """Tells that a file was written, replaced, made or removed since the first look."""

    def __init__(self, file: Path | None) -> None:
        """Remember the file as it is; None: nothing ever changes."""
        self._file = file
        self._before = self._seen()

    def changed(self) -> bool:
        """Look again."""
        return self._seen() != self._before

    def _seen(self) -> tuple[int, int, int] | None:
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
