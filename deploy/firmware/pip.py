"""pip, run for its work and for its reason where that fails."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

from deploy.errors import UpdateFailedError
from deploy.resolve import Pin

_TIMEOUT_S = 900.0
_QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-color")


def pip(words: Sequence[object], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run this environment's pip, with the machine's settings of where packages come from.

    Raises ``UpdateFailedError`` with what was to be done and pip's reason.
    """
    first, *others = map(str, words)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", first, *_QUIET, *others],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise UpdateFailedError(f"{what} did not work: {problem}.") from None
    if done.returncode != 0:
        raise UpdateFailedError(f"{what} did not work: {reason_in(done.stderr)}")


def reason_in(said: str) -> str:
    """The line in which a command says why, as far as one can be found; ends with a full stop."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR:").strip()
    return text if re.search(r"[.!?]$", text) else text + "."


def requirement(pin: Pin) -> str:
    """The pin as a line for pip, with every hash that its file may have."""
    hashes = "".join(f" --hash=sha256:{each}" for each in sorted(pin.hashes))
    return f"{pin.name}=={pin.version}{hashes}\n"
