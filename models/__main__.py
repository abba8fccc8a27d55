"""The models' commands: ``python -m models COMMAND``."""

import sys
from collections.abc import Sequence

from models.command import run_command
from models.commands import COMMANDS


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed work, 2 wrong input."""
    return run_command("models", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
