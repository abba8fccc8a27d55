"""Long commands of a build: progress while they run, their last lines when they fail."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hil.virtual.errors import VirtualError

_EVERY_S = 20.0
_LAST_LINES = 12


def say(line: str) -> None:
    """A line of progress."""
    print(f"virtual pedal: {line}", file=sys.stderr, flush=True)


def run(
    what: str,
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> str:
    """Run a command to its end, saying how far it is; return what it printed.

    ``text`` goes to its standard input. Raises ``VirtualError`` with its last lines.
    """
    start_s = said_s = time.monotonic()
    lines: list[str] = []
    say(what)
    try:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise VirtualError(f"{what}: {command[0]} cannot be run ({error.strerror})") from None
    with child:
        assert child.stdout is not None
        if text is not None:
            assert child.stdin is not None
            child.stdin.write(text)
            child.stdin.close()
        for line in child.stdout:
            lines.append(line.rstrip())
            now_s = time.monotonic()
            if now_s - said_s > _EVERY_S:
                said_s = now_s
                say(f"  {now_s - start_s:.0f} s, {len(lines)} lines: {lines[-1][:90]}")
    if child.wait() != 0:
        tail = "\n  ".join(lines[-_LAST_LINES:])
        raise VirtualError(f"{what} failed with exit code {child.returncode}:\n  {tail}")
    say(f"  done in {time.monotonic() - start_s:.0f} s")
    return "\n".join(lines)
