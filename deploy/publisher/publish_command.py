"""``python -m deploy publish``: releases into a repository of plain files, and looking after it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuf.api.metadata import Targets

from deploy.chunks import describe
from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component
from deploy.publisher.check import Checked, check, expiring, expiry
from deploy.publisher.content import About
from deploy.publisher.folder import Folder, read
from deploy.publisher.inspection import INSPECT, units_of
from deploy.publisher.options import add_days, add_keys, finish, now, percentage, ring
from deploy.publisher.publish import begin, publish, refresh, roll_out, withdraw
from deploy.publisher.renewal import take_root
from deploy.publisher.root import parse_root
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import METADATA_BYTES, load, trusted_root
from deploy.publisher.tidy import KEEP_DAYS, tidy

OFFLINE = (Targets.type, *COMPONENTS)
"""What cron cannot renew, besides the root."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy publish",
        description="Publish releases into a repository: a folder of plain files.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, summary: str, run: object) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=summary, description=summary)
        made.set_defaults(run=run)
        return made

    init = command("init", "begin a repository under the root beside the keys", _init)
    add_days(init)

    for component in COMPONENTS:
        one = command(component, f"publish a folder as a release of {component}", _publish)
        one.add_argument("folder", type=Path, metavar="DIR", help="what goes into the slot")
        one.add_argument("--name", default="", help=f"by default '{component} VERSION'")
        one.add_argument(
            "--version",
            type=int,
            default=0,
            metavar="N",
            help="by default the next; a device takes none below its own",
        )
        _add_groups(one, required=False)
        one.add_argument(
            "--base",
            action="append",
            metavar="RELEASE",
            help="make differences from this release; may be given again; by default the last two",
        )
        if component == "models":
            one.add_argument(
                "--needs-firmware",
                type=int,
                default=0,
                metavar="N",
                help="the oldest firmware release that can play it",
            )
        one.set_defaults(component=component)

    rollout = command("rollout", "let other percentages of devices take a release", _rollout)
    _add_release(rollout)
    _add_groups(rollout, required=True)

    withdrawn = command("withdraw", "offer a release no more", _withdraw)
    _add_release(withdrawn)

    renewed = command("refresh", "renew snapshot and timestamp; for cron", _refresh)
    renewed.add_argument(
        "--also",
        action="append",
        default=[],
        choices=OFFLINE,
        help="renew this role too, whose key must be at hand",
    )

    root = command("root", "put a signed draft of the root into force", _root)
    root.add_argument("draft", type=Path, metavar="DRAFT")

    command("check", "read all of a repository as a pedal does", _check)

    tidied = command("tidy", "remove what no pedal asks for any more", _tidy)
    tidied.add_argument(
        "--days",
        type=int,
        default=KEEP_DAYS,
        metavar="N",
        help=f"keep what was in force in the last N days; by default {KEEP_DAYS}",
    )

    for each in commands.choices.values():
        each.add_argument("repository", type=Path, metavar="REPO", help="the repository's folder")
        add_keys(each)
    return parser


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("release", metavar="RELEASE", help="such as models/winter-set or models:7")


def _add_groups(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--group",
        type=percentage,
        action="append",
        required=required,
        metavar="GROUP=PERCENT",
        help="how many of a group's devices take it; may be given again; 'all' stands for groups "
        "that are not named" + ("" if required else "; by default all=100"),
    )


def main(argv: Sequence[str]) -> int:
    """Run one of the commands; returns 0. Raises ``UpdateError``."""
    options = _parser().parse_args(argv)
    result: int = options.run(options, Folder(options.repository))
    return result


def _init(options: argparse.Namespace, folder: Folder) -> int:
    begin(folder, ring(options), now(), dict(options.days))
    print(f"{folder.path}: is a repository now; publish something there.")
    return finish(options, {"repository": str(folder.path)})


def _publish(options: argparse.Namespace, folder: Folder) -> int:
    component: Component = options.component
    about = About(
        component=component,
        version=options.version,
        name=options.name,
        needs_firmware=getattr(options, "needs_firmware", 0),
        units_sha256=units_of(options.folder, component),
    )
    path, made = publish(
        options.folder,
        about,
        dict(options.group or [("all", 100)]),
        folder,
        ring(options),
        now(),
        describe,
        INSPECT[component],
        options.base,
    )
    print(
        f"{path}: version {made.release.version}, {len(made.release.files)} files, "
        f"{made.full_bytes} bytes for a device with nothing; {made.new_bytes} of them are new"
    )
    figures = {
        "release": path,
        "version": made.release.version,
        "files": len(made.release.files),
        "full_bytes": made.full_bytes,
        "new_bytes": made.new_bytes,
    }
    return finish(options, figures)


def _rollout(options: argparse.Namespace, folder: Folder) -> int:
    offered = roll_out(options.release, dict(options.group), folder, ring(options), now())
    groups = offered.rollout.groups
    print(f"{offered.path}: " + ", ".join(f"{name} {part} %" for name, part in groups.items()))
    return finish(options, {"release": offered.path, "groups": groups})


def _withdraw(options: argparse.Namespace, folder: Folder) -> int:
    offered = withdraw(options.release, folder, ring(options), now())
    print(
        f"{offered.path}: is not offered any more. Devices that have it keep it: to take it back, "
        "publish what was good again, as the next version."
    )
    return finish(options, {"release": offered.path})


def _refresh(options: argparse.Namespace, folder: Folder) -> int:
    keys = ring(options)
    done = refresh(folder, keys, now(), options.also)
    state = load(folder, keys)
    expires = state.timestamp.signed.expires
    # On stderr, so that cron's mail comes when somebody has to bring a key, and only then.
    roles = {"root": state.root.signed, **{each: state.of(each).signed for each in OFFLINE}}
    due = expiring([expiry(role, signed, now()) for role, signed in roles.items()])
    for line in due:
        print(line, file=sys.stderr)
    print(f"{', '.join(done.roles)}: signed anew; the repository holds until {expires:%Y-%m-%d}")
    return finish(options, {"signed": done.roles, "expires": expires.isoformat(), "due": due})


def _root(options: argparse.Namespace, folder: Folder) -> int:
    draft = parse_root(read(options.draft, METADATA_BYTES, "a root"), str(options.draft))
    done = take_root(draft, folder, ring(options), now())
    print(f"root {draft.signed.version} is in force; signed anew: {', '.join(done.roles)}")
    if not done.smooth:
        print("An old key was not at hand; pedals that looked in this moment look again later.")
    return finish(
        options, {"version": draft.signed.version, "signed": done.roles, "smooth": done.smooth}
    )


def _check(options: argparse.Namespace, folder: Folder) -> int:
    if not options.keys and options.root is None:
        raise UpdateError(
            "Name the root that you trust with --root, or its folder with --keys: a repository "
            "that is checked against its own root proves nothing."
        )
    checked = check(folder, to_bytes(trusted_root(ring(options))), now())
    for line in _lines(checked):
        print(line)
    for warning in expiring(checked.expiries):
        print(warning)
    figures = {
        "releases": [
            {"release": path, "version": rollout.version, "groups": rollout.groups}
            for path, rollout, _ in checked.releases
        ],
        "expires": {each.role: each.expires.isoformat() for each in checked.expiries},
        "soon": [each.role for each in checked.expiries if each.soon],
        "stored_bytes": checked.stored_bytes,
    }
    return finish(options, figures)


def _lines(checked: Checked) -> list[str]:
    lines = [
        f"{each.role:10} {each.version:5}  until {each.expires:%Y-%m-%d}"
        for each in checked.expiries
    ]
    for path, rollout, release in checked.releases:
        groups = ", ".join(f"{name} {part} %" for name, part in rollout.groups.items())
        lines.append(
            f"{path}: version {rollout.version}, {len(release.files)} files, to {groups or 'none'}"
        )
    return [*lines, f"every chunk is right: {checked.stored_bytes} bytes"]


def _tidy(options: argparse.Namespace, folder: Folder) -> int:
    freed = tidy(folder, ring(options), now(), options.days)
    print(f"{folder.path}: {freed} bytes freed")
    return finish(options, {"freed_bytes": freed})
