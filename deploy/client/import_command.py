"""``python -m deploy import``: the same update, from a stick that somebody brought."""

from collections.abc import Sequence
from pathlib import Path

from deploy.client.alone import become_owner
from deploy.client.options import (
    add_components,
    add_settings,
    add_watch,
    parser,
    places_of,
    settings_of,
)
from deploy.client.update_command import folder_source, run


def main(argv: Sequence[str]) -> int:
    """Import; returns 0. Raises ``UpdateError`` (2: refused) or ``UpdateFailedError`` (1)."""
    made = parser(
        "import",
        "Update from a folder, such as a USB stick's, that holds a repository: metadata/, "
        "targets/ and chunks/. What it holds is verified as from the network.",
    )
    made.add_argument("folder", type=Path, metavar="DIR", help="where the repository lies")
    add_components(made)
    add_settings(made)
    add_watch(made)
    options = made.parse_args(argv)
    places = places_of(options)
    become_owner(places)
    source = folder_source(options.folder)
    return run(options, places, source, settings_of(options), options.component, True)
