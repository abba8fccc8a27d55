"""Shipping's commands: ``python -m deploy COMMAND``."""

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from models.command import Command, run_command

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "provision": Command(
            "deploy.provision.command",
            "make this machine a pedal, or say what it lacks",
            "deploy/host-setup run",
        ),
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed work, 2 wrong input."""
    return run_command("deploy", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
