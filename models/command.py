"""A package's commands as a table, each imported when it is called: not all need what one needs."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from models.errors import PurgaError

OURS = frozenset({"build", "device", "models"})
"""Packages whose missing modules are defects, not something to install."""


class PackageMissingError(PurgaError, ImportError):
    """A command whose packages are not installed."""


@dataclass(frozen=True)
class Command:
    """One command: where it lives, what it does, and what installs its packages."""

    module: str
    summary: str
    target: str

    def __call__(self, argv: Sequence[str]) -> int:
        """Run it; returns the exit status. Raises ``PurgaError`` for wrong input."""
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in OURS:
                raise
            raise PackageMissingError(
                f"The package {error.name} is not installed; {self.target} installs it."
            ) from error
        run = cast(Callable[[Sequence[str]], int], module.main)
        return run(argv)


def run_command(
    package: str, commands: Mapping[str, Command], argv: Sequence[str] | None = None
) -> int:
    """``python -m PACKAGE COMMAND …``; returns the exit status.

    0 done, 1 failed work, 2 wrong input, 130 interrupted; an error is one sentence on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    usage = f"usage: python -m {package} COMMAND [--help]\n\n" + "".join(
        f"  {name:14}{command.summary}\n" for name, command in commands.items()
    )
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage, end="")
        return 0
    if not arguments or arguments[0] not in commands:
        print(usage, end="", file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]](arguments[1:])
    except PurgaError as error:
        print(f"python -m {package} {arguments[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
