"""Releases made on the spot: files by name, as a publisher and a slot have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.chunks.describing import Frames, describe
from deploy.chunks.planning import Base, Plan
from deploy.chunks.store import Store
from deploy.places import Component
from deploy.release import Blob, Release

Files = Mapping[str, bytes]


def release_of(
    files: Files,
    bases: Sequence[Files] = (),
    version: int = 1,
    component: Component = "models",
    executable: Sequence[str] = (),
) -> tuple[Release, Frames]:
    """A release of ``files``, with differences from the files of the same name in ``bases``."""
    described, frames = [], Frames()
    for path, content in files.items():
        older = [base[path] for base in bases if path in base]
        file, more = describe(path, content, path in executable, older)
        described.append(file)
        frames.update(more)
    release = Release(
        component=component, version=version, name=f"v{version}", files=tuple(described)
    )
    return release, frames


def slot_of(folder: Path, files: Files) -> Base:
    """A slot that holds ``files``."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return Base(folder, release_of(files)[0])


def fetch(plan: Plan, frames: Frames, store: Store) -> int:
    """Put what the plan needs into the store; how many bytes that were."""
    for blob in plan.need.blobs:
        store.put(blob, frames[blob.stored_sha256])
    return plan.need.stored_bytes


def held(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by path."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def blobs_of(release: Release) -> list[Blob]:
    """Every blob that a release names."""
    return [
        blob
        for file in release.files
        for blobs in (file.blobs, *(difference.blobs for difference in file.differences))
        for blob in blobs
    ]
