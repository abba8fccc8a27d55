"""The client behind the arguments of TUF's official conformance suite: ``deploy/tuf-client``.

    tuf-client --metadata-dir D init ROOT
    tuf-client --metadata-dir D --metadata-url U refresh
    tuf-client --metadata-dir D --metadata-url U --target-name T … --target-base-url B \
               --target-dir X download

The same link, limits and updater as on the pedal; but time is the machine's alone, because the
suite fakes it, and there are no slots.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError

from deploy.client.clock import SystemClock
from deploy.client.durable import put
from deploy.client.limits import Limits
from deploy.client.link import Link
from deploy.client.sources import LinkFetcher
from deploy.client.tuf_updater import DurableUpdater
from deploy.errors import UpdateError

LIMITS = Limits(deadline_s=300.0)


def main(argv: Sequence[str]) -> int:
    """Run a command; returns 0, or 1 for anything that did not go well."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return 0 if end.code == 0 else 1
    link = Link(LIMITS, SystemClock(), lambda count: None)
    try:
        COMMANDS[options.command](options, link)
    except (RepositoryError, DownloadError, UpdateError, OSError, ValueError) as problem:
        print(f"tuf-client {options.command}: {problem}", file=sys.stderr)
        return 1
    finally:
        link.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tuf-client", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--metadata-dir", type=Path, required=True, help="trusted metadata")
    parser.add_argument("--metadata-url", help="of the repository's metadata")
    parser.add_argument("--target-name", action="append", default=[], help="may be repeated")
    parser.add_argument("--target-base-url", help="of the repository's targets")
    parser.add_argument("--target-dir", type=Path, help="where targets are put")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="trust a root; makes no request")
    init.add_argument("root", type=Path)
    commands.add_parser("refresh", help="fetch and verify the newest metadata")
    commands.add_parser("download", help="refresh, and fetch targets that are not there yet")
    return parser


def _init(options: argparse.Namespace, link: Link) -> None:
    root = options.root.read_bytes()
    options.metadata_dir.mkdir(parents=True, exist_ok=True)
    # Made and thrown away: whether the root can be trusted shows here, and root.json is there.
    DurableUpdater(options.metadata_dir, "http://localhost/", LinkFetcher(link), root)
    put(_trusted(options), root)


def _refresh(options: argparse.Namespace, link: Link) -> None:
    _updater(options, link).refresh()


def _download(options: argparse.Namespace, link: Link) -> None:
    for name in ("target_base_url", "target_dir", "target_name"):
        if not getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')} is missing")
    updater = _updater(options, link)
    updater.refresh()
    options.target_dir.mkdir(parents=True, exist_ok=True)
    for name in options.target_name:
        target = updater.get_targetinfo(name)
        if target is None:
            raise ValueError(f"there is no target {name!r}")
        if updater.find_cached_target(target) is None:
            updater.download_target(target)


def _updater(options: argparse.Namespace, link: Link) -> DurableUpdater:
    if not options.metadata_url:
        raise ValueError("--metadata-url is missing")
    return DurableUpdater(
        options.metadata_dir,
        options.metadata_url,
        LinkFetcher(link),
        _trusted(options).read_bytes(),
        targets=options.target_dir,
        targets_url=options.target_base_url,
    )


def _trusted(options: argparse.Namespace) -> Path:
    """The root that everything is trusted by; below, so that the folder holds only metadata."""
    folder: Path = options.metadata_dir
    return folder / "trust" / "root.json"


COMMANDS = {"init": _init, "refresh": _refresh, "download": _download}
