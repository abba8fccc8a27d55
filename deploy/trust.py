"""``python -m deploy trust``: whose updates this pedal takes, and how it is made to take your own.

The pedal believes what a *root* says: public keys, how many of them have to sign, and until when.
An owner puts another one in its place and needs nobody's leave or key for it: what this pedal
installs is then what holders of those keys have signed, and nothing else.
"""

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

from deploy.client.alone import alone, become_owner
from deploy.client.clock import SystemClock
from deploy.client.durable import put
from deploy.client.journal import Journal
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Places
from models.replace import sync_folder

_MOST_BYTES = 512_000


@dataclass(frozen=True)
class Trust:
    """A root, read."""

    content: bytes
    root: Root

    @property
    def sha256(self) -> str:
        """Of the file: two people who read out the same have the same root."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def expired(self) -> bool:
        """By this machine's clock, which may be wrong."""
        return self.root.is_expired(datetime.now(UTC))

    def lines(self) -> list[str]:
        """For a person."""
        root = self.root
        said = [
            f"root {root.version}, until {root.expires:%Y-%m-%d}"
            + (" (over, by this machine's clock)" if self.expired else ""),
            f"  SHA-256 {self.sha256}",
        ]
        for name, role in sorted(root.roles.items()):
            said.append(f"  {name}: {role.threshold} of {len(role.keyids)} keys")
            said += [f"    {keyid}" for keyid in sorted(role.keyids)]
        return said

    def figures(self) -> dict[str, object]:
        """For a program."""
        return {
            "version": self.root.version,
            "expires": f"{self.root.expires:%Y-%m-%dT%H:%M:%SZ}",
            "expired": self.expired,
            "sha256": self.sha256,
            "roles": {
                name: {"threshold": role.threshold, "keys": sorted(role.keyids)}
                for name, role in sorted(self.root.roles.items())
            },
        }


def read_trust(content: bytes, where: str) -> Trust:
    """A root that can be trusted to begin with. Raises ``UpdateError`` with one sentence."""
    if len(content) > _MOST_BYTES:
        raise UpdateError(f"{where}: has {len(content)} bytes, a root at most {_MOST_BYTES}.")
    try:
        parsed = Metadata[Root].from_bytes(content)
    except (DeserializationError, RepositoryError, ValueError):
        raise UpdateError(
            f"{where}: is no root; give the root.json that python -m deploy keys made."
        ) from None
    root = parsed.signed
    if not isinstance(root, Root):
        raise UpdateError(f"{where}: is {parsed.signed.type} metadata; give root.json.")
    try:
        root.verify_delegate(Root.type, parsed.signed_bytes, parsed.signatures)
    except (UnsignedMetadataError, ValueError):
        role = root.roles[Root.type]
        raise UpdateError(
            f"{where}: is not signed by {role.threshold} of its own {len(role.keyids)} keys; "
            "have the others sign it first."
        ) from None
    if not root.consistent_snapshot:
        raise UpdateError(
            f"{where}: is of a repository without consistent snapshots, which this pedal cannot "
            "read; make it with python -m deploy keys."
        )
    return Trust(content, root)


def trusted(places: Places) -> Trust | None:
    """The root that the pedal began with; None where there is none, and so no updates."""
    try:
        content = places.trusted_root.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise UpdateError(
            f"{places.trusted_root}: cannot be read ({problem.strerror}); give another by --root."
        ) from None
    return read_trust(content, str(places.trusted_root))


def install_trust(places: Places, trust: Trust) -> None:
    """Have the pedal trust this root alone, and forget what it knew under the one before.

    Versions and times of the other's metadata say nothing about this one's. What is installed
    stays, and plays. The root goes first: power lost behind it leaves metadata that nobody
    believes any more, and the client begins anew. Raises ``UpdateFailedError``.
    """
    with alone(places), _explained(places):
        put(places.trusted_root, trust.content)
        for folder in (places.metadata, places.metadata.parent / "releases"):
            shutil.rmtree(folder, ignore_errors=True)
        sync_folder(places.metadata.parent)
        said = f"This pedal takes updates under root {trust.root.version} from now on."
        journal = Journal(places, SystemClock(), lambda line: None)
        journal.note("trust", said, sha256=trust.sha256)


@contextlib.contextmanager
def _explained(places: Places) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise UpdateFailedError(
            f"{places.root}: cannot be written ({problem.strerror or problem}); check the disk."
        ) from None


# ---- the command --------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy trust",
        description="Show whose updates this pedal takes. With --root, have it take those of "
        "another root, your own for example: it needs no key but yours, and nobody's leave. What "
        "is installed stays; what the pedal knew of the other repository is forgotten.",
    )
    parser.add_argument(
        "--root", metavar="FILE", help="root.json of python -m deploy keys; - reads it from stdin"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--state",
        type=Path,
        default=Places().root,
        metavar="DIR",
        help=f"where updates keep things; by default {Places().root}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def main(argv: Sequence[str]) -> int:
    """Show, or install; returns 0, or 1 where there is no root. Raises ``UpdateError``."""
    options = _parser().parse_args(argv)
    places = Places(options.state)
    changed = False
    # Read before root's rights are given up: the file may be one that only its owner reads.
    given = None if options.root is None else _given(options.root)
    become_owner(places)
    if given is not None and not _is_there(places, given):
        print("\n".join(given.lines()))
        _confirm(options.yes)
        install_trust(places, given)
        changed = True
    there = trusted(places)
    if there is None:
        print("there is no root of trust, so this pedal takes no updates; give one by --root")
    elif changed:
        print("this root is trusted from now on, and no other")
    else:
        print("\n".join(there.lines()))
    if options.json:
        figures = None if there is None else there.figures()
        print(json.dumps({"root": figures, "changed": changed}))
    return 0 if there is not None else 1


def _given(name: str) -> Trust:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with open(name, "rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise UpdateError(f"{name}: cannot be read ({problem.strerror}).") from None
    return read_trust(content, "the given root" if name == "-" else name)


def _is_there(places: Places, given: Trust) -> bool:
    try:
        return places.trusted_root.read_bytes() == given.content
    except OSError:
        return False


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _confirm(agreed: bool) -> None:
    """Raises ``UpdateError`` where the person does not agree, or is none."""
    if agreed:
        return
    if not _is_terminal():
        raise UpdateError("The root of trust would be replaced; say --yes to have that done.")
    print("Have this pedal take updates signed under this root, and no others? [y/N] ", end="")
    if input().strip().lower() not in ("y", "yes"):
        raise UpdateError("Nothing was changed.")
