"""What the client's commands share on their command lines."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from deploy.client.settings import Settings, read_settings
from deploy.places import COMPONENTS, ROOT, SETTINGS, Places


def parser(command: str, about: str) -> argparse.ArgumentParser:
    """A parser with the options that all have."""
    made = argparse.ArgumentParser(prog=f"python -m deploy {command}", description=about)
    made.add_argument(
        "--root", type=Path, default=ROOT, metavar="DIR", help=f"folder of updates; {ROOT}"
    )
    made.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return made


def add_settings(made: argparse.ArgumentParser) -> None:
    """``--settings``."""
    made.add_argument(
        "--settings", type=Path, default=SETTINGS, metavar="F", help=f"by default {SETTINGS}"
    )


def add_components(made: argparse.ArgumentParser) -> None:
    """``--component``, perhaps several times."""
    made.add_argument(
        "--component",
        action="append",
        choices=COMPONENTS,
        help="only this one; by default all that the settings name",
    )


def add_watch(made: argparse.ArgumentParser) -> None:
    """``--watch``."""
    made.add_argument(
        "--watch",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="wait so many seconds for a new release to prove itself; later runs look again",
    )


def places_of(options: argparse.Namespace) -> Places:
    """Where updates are kept."""
    return Places(options.root)


def settings_of(options: argparse.Namespace) -> Settings:
    """``update.toml``, or the defaults where there is none. Raises ``UpdateError``."""
    return read_settings(options.settings)


def print_json(data: Mapping[str, object]) -> None:
    """The last line, for scripts."""
    print(json.dumps(data), flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return value
