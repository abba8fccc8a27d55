"""``python -m deploy update``: from the network, or from a folder that ``--source`` names."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deploy.client.alone import become_owner
from deploy.client.budget import Budget
from deploy.client.clock import SystemClock
from deploy.client.floors import FloorsFile
from deploy.client.limits import Limits
from deploy.client.options import (
    add_components,
    add_settings,
    add_watch,
    parser,
    places_of,
    print_json,
    settings_of,
)
from deploy.client.settings import MB, Settings, check_url
from deploy.client.sources import FolderSource, HttpSource, Source
from deploy.client.trials import trials_here
from deploy.client.update import Outcome, update
from deploy.errors import UpdateError
from deploy.places import Component, Places


def main(argv: Sequence[str]) -> int:
    """Update; returns 0. Raises ``UpdateError`` (2: refused) or ``UpdateFailedError`` (1)."""
    made = parser(
        "update",
        "Fetch, verify and try what is newer, and judge what is on trial. It may be interrupted "
        "at any time; the next one goes on.",
    )
    made.add_argument(
        "--source", metavar="URL|DIR", help="a repository; by default url of the settings"
    )
    made.add_argument(
        "--automatic",
        action="store_true",
        help="nobody asked: keep to automatic and budget_mb_per_month of the settings",
    )
    add_components(made)
    add_settings(made)
    add_watch(made)
    options = made.parse_args(argv)
    places = places_of(options)
    become_owner(places)
    settings = settings_of(options)
    asked = not options.automatic
    source = source_of(options.source, places, settings, asked)
    if source is None and asked:
        raise UpdateError(
            f"{options.settings}: has no url to update from; set it, or name one with --source."
        )
    return run(options, places, source, settings, options.component, asked)


def source_of(given: str | None, places: Places, settings: Settings, asked: bool) -> Source | None:
    """The repository that is named, or the settings'; None where neither names one."""
    address = settings.url if given is None else given
    if not address:
        return None
    if "://" not in address:
        return folder_source(Path(address))
    try:
        check_url(address)
    except ValueError as problem:
        raise UpdateError(f"--source: {problem}.") from None
    clock = SystemClock()
    most = None if asked else settings.budget_mb_per_month * MB
    spent = Budget(FloorsFile(places.floors), most, clock)
    return HttpSource(address, Limits(deadline_s=settings.deadline_s), spent, clock)


def folder_source(folder: Path) -> FolderSource:
    """A repository's folder. Raises ``UpdateError`` for what is none."""
    if not (folder / "metadata").is_dir():
        what = "there is no such folder" if not folder.is_dir() else "it has no metadata/"
        raise UpdateError(f"{folder}: is no repository, {what}; name the folder that has one.")
    return FolderSource(folder.absolute())


def run(
    options: argparse.Namespace,
    places: Places,
    source: Source | None,
    settings: Settings,
    components: Sequence[Component] | None,
    asked: bool,
) -> int:
    """Update, and say how it went."""
    try:
        outcome = update(
            places,
            source,
            settings,
            trials_here(places),
            components=components,
            asked=asked,
            watch_s=options.watch,
            say=lambda line: print(line, flush=True),
        )
    except UpdateError as problem:
        if options.json:
            print_json({"done": False, "error": str(problem), "steps": []})
        raise
    _show(options, outcome)
    return 0


def _show(options: argparse.Namespace, outcome: Outcome) -> None:
    for step in outcome.steps:
        print(step.said)
    if options.json:
        steps = [asdict(step) for step in outcome.steps]
        print_json({"done": True, "error": None, "steps": steps})
