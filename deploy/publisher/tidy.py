"""Removing what no pedal asks for any more: old metadata, withdrawn releases, their chunks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Snapshot, Targets

from deploy.errors import UpdateFailedError
from deploy.places import COMPONENTS
from deploy.publisher.folder import Folder, read
from deploy.publisher.ring import Ring
from deploy.publisher.signing import from_bytes
from deploy.publisher.state import METADATA_BYTES, load
from deploy.release import RELEASE_BYTES, parse_release

KEEP_DAYS = 30
"""A pedal that began with older metadata may still be fetching."""


def tidy(folder: Folder, ring: Ring, now: datetime, days: int = KEEP_DAYS) -> int:
    """Remove files that have not been in force for ``days``; returns how many bytes.

    Roots stay for ever: a pedal follows them one by one. Raises ``UpdateError``.
    """
    oldest = (now - timedelta(days=days)).timestamp()
    with folder.alone():
        state = load(folder, ring)
        versions = {
            "snapshot": state.snapshot.signed.version,
            **{role: state.of(role).signed.version for role in ("targets", *COMPONENTS)},
        }
        gone: list[Path] = []
        stays: list[Path] = []
        for role, version in versions.items():
            for path, left in _versions(folder, role, version):
                (gone if left is not None and left < oldest else stays).append(path)
        releases = {path for file in stays for path in _named(folder, file)}
        chunks = {folder.chunk(name) for path in releases for name in _chunks(path)}
        gone += _forgotten(folder.targets, releases | _frames(folder, releases), oldest)
        gone += _forgotten(folder.chunks, chunks, oldest)
        try:
            freed = sum(path.stat().st_size for path in gone)
            # Metadata first: what is still named is still there if this is interrupted.
            for path in gone:
                path.unlink(missing_ok=True)
        except OSError as problem:
            raise UpdateFailedError(
                f"{folder.path}: could not be tidied ({problem.strerror})."
            ) from None
        folder.remove_partial()
        return freed


def _versions(folder: Folder, role: str, current: int) -> Iterator[tuple[Path, float | None]]:
    """A role's files up to the one in force, and when the next one took the place of each.

    What is above the one in force was never in force: it is written again by the next who signs.
    """
    numbers = [int(path.name.split(".")[0]) for path in folder.metadata.glob(f"*.{role}.json")]
    paths = [folder.role(role, number) for number in sorted(numbers) if number <= current]
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        yield path, None if following is None else following.stat().st_mtime


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _forgotten(folder: Path, kept: set[Path], oldest: float) -> list[Path]:
    return [path for path in _files(folder) if path not in kept and path.stat().st_mtime < oldest]


def _frames(folder: Folder, releases: set[Path]) -> set[Path]:
    """What release files are packed as, beside them."""
    return {
        path for path in folder.targets.rglob("*.zst") if any(_packs(path, r) for r in releases)
    }


def _packs(frame: Path, release: Path) -> bool:
    return frame.parent == release.parent and frame.name.startswith(f"{release.name}.")


def _named(folder: Folder, metadata: Path) -> list[Path]:
    """The release files that a component's metadata name, as far as they are there."""
    content = read(metadata, METADATA_BYTES, "metadata")
    if metadata.name.endswith(f".{Snapshot.type}.json"):
        return []
    targets = from_bytes(content, Targets, str(metadata)).signed.targets
    paths = (folder.target(path, target.hashes["sha256"]) for path, target in targets.items())
    return [path for path in paths if path.exists()]


def _chunks(release: Path) -> Iterator[str]:
    content = read(release, RELEASE_BYTES, "a release file")
    for file in parse_release(content, str(release)).files:
        for blobs in (file.blobs, *(difference.blobs for difference in file.differences)):
            yield from (blob.stored_sha256 for blob in blobs)
