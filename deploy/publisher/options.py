"""What the commands of the publisher have in common: arguments, the last line."""

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from deploy.publisher.key_files import KeyFolders
from deploy.publisher.passphrase import SHORTEST, VARIABLE, Passphrases
from deploy.publisher.roles import MOST_DAYS, PLAN, as_role


def now() -> datetime:
    """The publisher's clock, UTC; unlike a pedal's, it is right."""
    return datetime.now(UTC)


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")


def add_keys(parser: argparse.ArgumentParser) -> None:
    """``--keys``, ``--root``, ``--passphrase-file``, ``--json``."""
    parser.add_argument(
        "--keys",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder or stick with keys, or the folder above such; may be given again",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FILE",
        help="the root that you trust; by default root.json beside the keys",
    )
    add_passphrase(parser)
    add_json(parser)


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """``--passphrase-file``."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the passphrase of the keys is its first line; may be given again. Else "
        f"{VARIABLE} is used, or it is asked for. New keys take the first one ({SHORTEST} "
        "characters or more); a file that is not there is made for them, with a random one",
    )


def add_days(parser: argparse.ArgumentParser) -> None:
    """``--days``."""
    usual = ", ".join(f"{role} {plan.days}" for role, plan in PLAN.items())
    parser.add_argument(
        "--days",
        type=days_of,
        action="append",
        default=[],
        metavar="ROLE=N",
        help=f"for how many days a role's metadata hold; by default {usual}",
    )


def days_of(text: str) -> tuple[str, int]:
    """``ROLE=N``."""
    role, _, days = text.partition("=")
    if role not in PLAN or not days.isdecimal() or not 1 <= int(days) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ROLE=N with N from 1 to {MOST_DAYS}, such as timestamp=14"
        )
    return as_role(role), int(days)


def percentage(text: str) -> tuple[str, int]:
    """``GROUP=PERCENT``."""
    group, _, percent = text.partition("=")
    if not group or not percent.isdecimal() or int(percent) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not GROUP=PERCENT, such as all=100")
    return group, int(percent)


def ring(options: argparse.Namespace) -> KeyFolders:
    """The keys at hand. Raises ``UpdateError``."""
    return KeyFolders(options.keys, Passphrases(options.passphrase_file), options.root)


def finish(options: argparse.Namespace, figures: Mapping[str, object]) -> int:
    """The last line; returns 0."""
    if options.json:
        print(json.dumps(figures))
    return 0
