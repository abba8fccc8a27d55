"""Reading a repository as a pedal does, and everything in it: what is signed is there and right."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Signed

from deploy.chunks import apply
from deploy.client.sources import FolderSource
from deploy.client.tuf_updater import DurableUpdater
from deploy.errors import UpdateError
from deploy.places import COMPONENTS
from deploy.publisher.content import patch_of, whole
from deploy.publisher.folder import Folder, read
from deploy.publisher.roles import DAYS
from deploy.release import RELEASE_BYTES, Release, Rollout, parse_release

SOON_DAYS = 30
"""One is warned so long before a role expires, or at half of its time where that is short."""


@dataclass(frozen=True)
class Expiry:
    """Until when a role holds."""

    role: str
    version: int
    expires: datetime
    soon: bool


@dataclass(frozen=True)
class Checked:
    """What was found in order."""

    expiries: tuple[Expiry, ...]
    releases: tuple[tuple[str, Rollout, Release], ...]
    stored_bytes: int
    """Of all chunks that releases name, each once."""


def check(folder: Folder, root: bytes, now: datetime) -> Checked:
    """Read all of a repository, trusting ``root``. Raises ``UpdateError`` with what is wrong."""
    source = FolderSource(folder.path)
    with tempfile.TemporaryDirectory(prefix="purga-check-") as home:
        try:
            updater = DurableUpdater(
                Path(home), f"{source.url}metadata/", source.fetcher(), root, moment=lambda _: now
            )
            updater.refresh()
            for component in COMPONENTS:
                updater.get_targetinfo(f"{component}/")
        except (RepositoryError, DownloadError) as problem:
            raise UpdateError(f"{folder.path}: a pedal refuses it: {problem}.") from None
        signed: list[tuple[str, Signed]] = [
            ("root", updater.root),
            ("timestamp", updater.timestamp),
            ("snapshot", updater.snapshot),
        ]
        releases = []
        for role in ("targets", *COMPONENTS):
            targets = updater.role(role)
            if targets is None:
                raise UpdateError(f"{folder.path}: a pedal finds no {role} metadata there.")
            signed.append((role, targets))
            for path in targets.targets:
                releases.append(_release(updater, path, folder))
    stored = _contents(folder, [release for _, _, release in releases])
    expiries = tuple(expiry(role, each, now) for role, each in signed)
    return Checked(expiries, tuple(releases), stored)


def expiring(expiries: Sequence[Expiry]) -> list[str]:
    """A sentence for each role that somebody should sign anew now."""
    remedies = {
        "root": "draft the next root with `keys renew`",
        "snapshot": "run `publish refresh`, better from cron",
        "timestamp": "run `publish refresh`, better from cron",
    }
    return [
        f"{each.role} expires at {each.expires:%Y-%m-%d %H:%M} UTC; "
        + remedies.get(each.role, f"run `publish refresh --also {each.role}`")
        for each in expiries
        if each.soon
    ]


def expiry(role: str, signed: Signed, now: datetime) -> Expiry:
    """Until when a role holds, and whether that is soon."""
    days = signed.unrecognized_fields.get(DAYS)
    warning = min(SOON_DAYS, days / 2) if type(days) is int else SOON_DAYS
    soon = signed.expires - now < timedelta(days=warning)
    return Expiry(role, signed.version, signed.expires, soon)


def _release(updater: DurableUpdater, path: str, folder: Folder) -> tuple[str, Rollout, Release]:
    try:
        target = updater.get_targetinfo(path)
        if target is None:
            raise UpdateError(f"{path}: is named by a role that may not name it.")
        file = folder.target(path, next(iter(target.hashes.values())))
        content = read(file, RELEASE_BYTES, "a release file")
        target.verify_length_and_hashes(content)
    except (RepositoryError, DownloadError) as problem:
        raise UpdateError(f"{path}: {problem}.") from None
    try:
        rollout = Rollout.model_validate(target.unrecognized_fields["custom"]["purga"])
    except (KeyError, TypeError, ValidationError):
        raise UpdateError(f"{path}: the metadata do not say how it is rolled out.") from None
    release = parse_release(content, path)
    if (release.component, release.version) != (rollout.component, rollout.version):
        raise UpdateError(f"{path}: the metadata and the release say different versions of it.")
    return path, rollout, release


def _contents(folder: Folder, releases: Sequence[Release]) -> int:
    """Put every file together, also by its differences; returns the bytes of all chunks."""
    stored: dict[str, int] = {}
    files = {file.sha256: file for release in releases for file in release.files}
    for release in releases:
        for file in release.files:
            content = whole(folder, file)
            for difference in file.differences:
                patch = patch_of(folder, difference)
                base = files.get(difference.base_sha256)
                # A withdrawn release's devices may still have the base; nobody here does.
                if base is not None and apply(whole(folder, base), patch, file.bytes) != content:
                    raise UpdateError(f"{file.path}: a difference makes another file of its base.")
            for blobs in (file.blobs, *(each.blobs for each in file.differences)):
                stored |= {blob.stored_sha256: blob.stored_bytes for blob in blobs}
    return sum(stored.values())
