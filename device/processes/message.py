"""The line of text at the end of the meters: why the interface was last lost.

Apart from ``meters`` because ``control`` reads it, which must not wait for NumPy at its start.
"""

import os
from pathlib import Path

MESSAGE_BYTES = 256
"""Room for the line."""


def last_message(meters: Path) -> str:
    """The line, empty where there is none or no meters are there."""
    try:
        with meters.open("rb") as file:
            file.seek(-MESSAGE_BYTES, os.SEEK_END)
            return file.read().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""
