"""The build's commands: ``python -m build COMMAND``."""

import sys
from collections.abc import Sequence

from build.commands import COMMANDS
from models.command import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed work, 2 wrong input."""
    return run_command("build", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
