"""A release: what one signed file says of everything that goes into a slot.

Its name among TUF's targets is ``models/NAME.json`` or ``firmware/NAME.json``; the metadata sign
its bytes, and it names every file by hash, and every stretch of it (a *blob*) as it lies,
compressed, in the store beside the metadata. Nothing unsigned is unpacked, opened or named.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from deploy.errors import UpdateError
from deploy.places import Component
from models.errors import ModelError
from models.facts import Sha256
from models.record import Record, parse_record

RELEASE_BYTES = 8_000_000
"""The longest release file."""
BLOB_BYTES = 1 << 20
"""The longest blob, unpacked; so much memory is the most that unpacking takes."""
FILE_BYTES = 1 << 30
TOTAL_BYTES = 4 << 30
MOST_FILES = 4096

_PART = re.compile(r"[A-Za-z0-9_+.~@ ()\[\]=,!-]{1,120}")
_FORBIDDEN = frozenset({"", ".", ".."})

ROOMS: dict[Component, tuple[re.Pattern[str], ...]] = {
    "models": (
        re.compile(r"stage\.onnx"),
        re.compile(r"studio/[^/]+"),
        re.compile(r"presets/.+\.(toml|nam|wav|flac|onnx|npz)"),
    ),
    "firmware": (re.compile(r"source/.+"), re.compile(r"wheels/[^/]+\.whl")),
}
"""What a slot of each component may hold; ``release.json`` and what is built there come besides."""


def relative_path(path: str) -> str:
    """A path below a slot; raises ``ValueError`` where it could lead elsewhere."""
    parts = path.split("/")
    bad = next((part for part in parts if part in _FORBIDDEN or not _PART.fullmatch(part)), None)
    if bad is not None or len(parts) > 12 or len(path) > 240:
        raise ValueError(f"the path {path[:60]!r} is not plain and relative")
    return path


RelativePath = Annotated[str, AfterValidator(relative_path)]
Count = Annotated[int, Field(ge=0)]


class Blob(Record):
    """A stretch of bytes, and the zstd frame that it is stored as."""

    sha256: Sha256
    """Of the bytes."""
    bytes: Annotated[int, Field(ge=1, le=BLOB_BYTES)]
    stored_sha256: Sha256
    """Of the frame; names it in the store."""
    stored_bytes: Annotated[int, Field(ge=1, le=BLOB_BYTES + (BLOB_BYTES >> 4) + 1024)]


class Difference(Record):
    """Another way to a file: what changes an older one into it."""

    base_sha256: Sha256
    base_bytes: Count
    bytes: Annotated[int, Field(ge=1, le=FILE_BYTES)]
    """Of the difference, unpacked."""
    sha256: Sha256
    blobs: tuple[Blob, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> "Difference":
        _check_sum(self.blobs, self.bytes, "a difference")
        return self


class ReleaseFile(Record):
    """One file of the slot."""

    path: RelativePath
    bytes: Annotated[int, Field(ge=0, le=FILE_BYTES)]
    sha256: Sha256
    executable: bool = False
    blobs: tuple[Blob, ...]
    """All of it, in order."""
    differences: tuple[Difference, ...] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> "ReleaseFile":
        _check_sum(self.blobs, self.bytes, self.path)
        return self


class Release(Record):
    """The signed file."""

    format: Literal[1] = 1
    component: Component
    version: Annotated[int, Field(ge=1, le=2**53)]
    """Grows; a device takes none below its floor."""
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,80}$")]
    files: tuple[ReleaseFile, ...]
    needs_firmware: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Models only: the oldest firmware release that can play it."""
    units_sha256: Sha256 | None = None
    """Firmware only: of the units and settings that it was made for; only provisioning brings
    others, because they are root's."""

    @model_validator(mode="after")
    def _is_one_slot(self) -> "Release":
        if not 1 <= len(self.files) <= MOST_FILES:
            raise ValueError(f"files holds {len(self.files)} entries, expected 1 to {MOST_FILES}")
        rooms = ROOMS[self.component]
        seen: set[str] = set()
        for file in self.files:
            if not any(room.fullmatch(file.path) for room in rooms):
                raise ValueError(f"{file.path!r} has no place in a slot of {self.component}")
            # A file system that ignores case would make one of two.
            if file.path.lower() in seen:
                raise ValueError(f"{file.path!r} stands there twice")
            seen.add(file.path.lower())
        for file in self.files:
            above = file.path.lower().rpartition("/")[0]
            while above:
                if above in seen:
                    raise ValueError(f"{file.path!r} lies below another file")
                above = above.rpartition("/")[0]
        if sum(file.bytes for file in self.files) > TOTAL_BYTES:
            raise ValueError(f"the files have more than {TOTAL_BYTES} bytes together")
        return self


class Rollout(Record):
    """What the metadata say of a release besides its hash: TUF's ``custom`` of its target."""

    component: Component
    version: Annotated[int, Field(ge=1, le=2**53)]
    groups: dict[
        Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], Annotated[int, Field(ge=0, le=100)]
    ] = Field(default_factory=dict)
    """Percentage of each group's devices that take it; ``all`` for groups that are not named."""


def parse_release(content: bytes, where: str) -> Release:
    """Read a release file. Raises ``UpdateError`` with one sentence."""
    if len(content) > RELEASE_BYTES:
        raise UpdateError(f"{where}: has {len(content)} bytes, at most {RELEASE_BYTES} are read.")
    try:
        return parse_record(content, Release, where, "a release", "publish it again")
    except ModelError as problem:
        raise UpdateError(str(problem)) from None


def _check_sum(blobs: Iterable[Blob], expected: int, what: str) -> None:
    total = sum(blob.bytes for blob in blobs)
    if total != expected:
        raise ValueError(f"the blobs of {what} have {total} bytes, expected {expected}")
