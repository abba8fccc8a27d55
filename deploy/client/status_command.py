"""``python -m deploy status``: what plays, what is offered, what happened."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from deploy.client.options import add_settings, parser, places_of, settings_of
from deploy.client.status import status, text


def main(argv: Sequence[str]) -> int:
    """Show it; returns 0, or 1 where something of it is damaged."""
    made = parser("status", "What plays, what is beside it, what is offered, what happened.")
    made.add_argument(
        "--lines",
        type=_count,
        default=8,
        metavar="N",
        help="of the record, newest last; by default 8",
    )
    add_settings(made)
    options = made.parse_args(argv)
    found = status(places_of(options), settings_of(options), options.lines)
    print(text(found))
    if options.json:
        print(json.dumps(asdict(found), default=_plain), flush=True)
    return 1 if found.problems else 0


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _count(given: str) -> int:
    if not given.isascii() or not given.isdigit() or len(given) > 6:
        raise argparse.ArgumentTypeError(f"{given!r} is no number of lines")
    return int(given)
