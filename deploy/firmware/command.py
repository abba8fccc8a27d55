"""``python -m deploy firmware DIR``: the folder that ``publish firmware`` signs."""

import argparse
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import UpdateError
from deploy.firmware import folder, kept
from deploy.lock import ROOT
from deploy.resolve import MACHINES, PYTHONS, Target


def built_folder() -> Path:
    """Where wheels that were built here are kept: below ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "purga" / "wheels"


def _target(options: argparse.Namespace) -> Target:
    version = tuple(int(part) for part in options.python.split("."))
    return Target((version[0], version[1]), options.machine)


def _parser() -> argparse.ArgumentParser:
    own = kept.this_machine()
    parser = argparse.ArgumentParser(
        prog="python -m deploy firmware",
        description="Make a folder of the firmware for one kind of pedal: this checkout's code, "
        "and a wheel of every locked package, so that it installs without a network. "
        "`python -m deploy publish firmware` signs it.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="is made, or replaced whole")
    parser.add_argument(
        "--machine",
        choices=MACHINES,
        default="aarch64",
        help="the pedal's processor; by default aarch64, a Jetson's",
    )
    parser.add_argument(
        "--python",
        choices=[f"{major}.{minor}" for major, minor in PYTHONS],
        default="3.12",
        help="the pedal's Python; by default 3.12, JetPack 7's. Debian 12 has 3.11",
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help=f"for this machine's own: {own.machine}, Python {own.version}",
    )
    parser.add_argument(
        "--built",
        type=Path,
        metavar="DIR",
        default=built_folder(),
        help="wheels of the packages that come as source only, such as a pedal's /opt/purga/wheels;"
        " without them each pedal takes those that it built when it was provisioned",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def main(argv: Sequence[str]) -> int:
    """Make the folder; returns 0. Raises ``UpdateError``."""
    options = _parser().parse_args(argv)
    target = kept.this_machine() if options.here else _target(options)
    if target.python not in PYTHONS or target.machine not in MACHINES:
        raise UpdateError(f"The pedal does not run on Python {target}; name another.")
    made = folder.make(
        ROOT, options.folder, target, options.built, lambda line: print(line, flush=True)
    )
    megabytes = made.bytes / 1e6
    print(
        f"{options.folder}: {made.files} files of code and {made.wheels} wheels for Python ", end=""
    )
    print(f"{made.target}, {megabytes:.0f} MB")
    if made.left_to_the_pedal:
        names = ", ".join(made.left_to_the_pedal)
        print(f"each pedal takes its own wheels, built when it was provisioned, of: {names}")
    if made.changed:
        print(f"the code differs from commit {made.commit}: publish what is committed")
    if options.json:
        figures = dataclasses.asdict(made) | {
            "target": str(made.target),
            "folder": str(options.folder.absolute()),
        }
        print(json.dumps(figures))
    return 0
