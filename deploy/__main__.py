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
        "keys": Command(
            "deploy.publisher.keys_command",
            "make the keys that sign releases, and change who signs",
            "deploy/host-setup update",
        ),
        "publish": Command(
            "deploy.publisher.publish_command",
            "releases into a repository of plain files",
            "deploy/host-setup update",
        ),
        "update": Command(
            "deploy.client.update_command",
            "bring this pedal up to date, safely",
            "deploy/host-setup update",
        ),
        "import": Command(
            "deploy.client.import_command",
            "the same from a folder, such as a USB stick's",
            "deploy/host-setup update",
        ),
        "status": Command(
            "deploy.client.status_command",
            "what plays, what is offered, what happened",
            "deploy/host-setup update",
        ),
        "rollback": Command(
            "deploy.client.rollback_command",
            "back to what played before",
            "deploy/host-setup update",
        ),
        "firmware": Command(
            "deploy.firmware.command",
            "the firmware's release folder, of this checkout",
            "deploy/host-setup board",
        ),
        "trust": Command(
            "deploy.trust",
            "whose updates this pedal takes, or have it take your own",
            "deploy/host-setup update",
        ),
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed work, 2 wrong input."""
    return run_command("deploy", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
