"""Small files beside the meters, whole at every moment, in which a process says how it is."""

import json
import os
from pathlib import Path


def replace_json(file: Path, value: object) -> None:
    """Replace the file. Raises ``OSError``; the one before is then still there."""
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.write_text(json.dumps(value), "utf-8")
        os.replace(temporary, file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
