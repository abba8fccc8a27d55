"""What must never be forgotten: how old is too old, and what was spent.

It survives the loss of TUF's own metadata. Every change is on the disk before it counts.
"""

import errno
import secrets
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from deploy.client.durable import put
from deploy.errors import UpdateFailedError
from deploy.places import Component
from models.errors import ModelError
from models.facts import Sha256
from models.record import Record, parse_record, write_record

_MOST_BYTES = 1_000_000
Count = Annotated[int, Field(ge=0)]


class Floors(Record):
    """The content of ``floors.json``."""

    format: Literal[1] = 1
    device: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = Field(
        default_factory=lambda: secrets.token_hex(16)
    )
    """Drawn once; places this device in a percentage. Never sent anywhere."""
    trust: Sha256 | None = None
    """Hash of the root of trust that the rest was accepted under."""
    signers: tuple[str, ...] = ()
    """Ids of the keys of timestamp and snapshot that ``metadata`` and ``time`` were signed by."""
    metadata: dict[str, Count] = Field(default_factory=dict)
    """Newest accepted version of each role's metadata."""
    time: datetime | None = None
    """It was no earlier than this when the newest accepted metadata were signed."""
    versions: dict[Component, Count] = Field(default_factory=dict)
    """Highest release of each component that was ever marked good."""
    offered: dict[Component, Count] = Field(default_factory=dict)
    """Highest release that the repository had for this device, when it was last asked."""
    asked: datetime | None = None
    """When that was, as the clock had it."""
    month: Annotated[str, Field(pattern=r"^(\d{4}-\d{2})?$")] = ""
    spent_bytes: Count = 0
    """Received over a link in ``month``."""


class FloorsFile:
    """``floors.json`` and its changes. One process writes it: whoever holds the update lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        """Why what was there could not be read; None where it could, or nothing was there."""
        self.is_new = not path.exists()
        self._floors = self._read()
        self.is_new = self.is_new or self.problem is not None

    @property
    def now(self) -> Floors:
        """As it stands on the disk."""
        return self._floors

    def change(self, **fields: object) -> Floors:
        """Set some of the fields, durably. Raises ``UpdateFailedError`` where the disk refuses."""
        # Read anew: the budget's object and the repository's each change what is theirs.
        before = self._read() if self.path.exists() else self._floors
        changed = Floors.model_validate({**dict(before), **fields})
        if changed != before or not self.path.exists():
            try:
                put(self.path, write_record(changed))
            except OSError as problem:
                advice = "free space" if problem.errno == errno.ENOSPC else "check the disk"
                raise UpdateFailedError(
                    f"{self.path}: cannot be written ({problem.strerror}), so nothing was updated; "
                    f"{advice} and update again."
                ) from None
        self._floors = changed
        return changed

    def raise_version(self, component: Component, version: int) -> None:
        """No release of ``component`` below ``version`` is taken from now on."""
        versions = self._floors.versions
        if version > versions.get(component, 0):
            self.change(versions={**versions, component: version})

    def _read(self) -> Floors:
        try:
            with self.path.open("rb") as file:
                content = file.read(_MOST_BYTES)
            return parse_record(
                content, Floors, str(self.path), "the floors of updates", "it is made anew"
            )
        except FileNotFoundError:
            pass
        except (ModelError, OSError) as problem:
            self.problem = str(problem)
        return Floors()
