"""What is known of two slots, and the JSON that it is kept as."""

import json
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from deploy.places import SLOT_NAMES, Component, SlotName

State = Literal["empty", "writing", "ready", "trial", "good", "bad"]
"""``writing``: being filled; ``ready``: whole, never active; ``trial``: active, not yet proven;
``good``: proven; ``bad``: gone wrong, never active again."""
STATES: tuple[State, ...] = get_args(State)
MOST_REFUSED = 16
"""So many releases that went wrong are remembered; older ones are below the floor by then."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedStateError(ValueError):
    """The file of states holds something else."""


@dataclass(frozen=True)
class Slot:
    """One slot, as it is kept."""

    state: State = "empty"
    version: int | None = None
    """Of the release in it; None where it is empty."""
    release_sha256: str | None = None
    """Of the signed release file, ``release.json`` in the slot."""
    why: str = ""
    """What went wrong, or what was found out about it."""


@dataclass(frozen=True)
class SlotState:
    """One slot as it is now, and where."""

    name: SlotName
    folder: Path
    version: int | None
    release_sha256: str | None
    state: State
    why: str


@dataclass(frozen=True)
class Refused:
    """A release that went wrong here."""

    release_sha256: str
    version: int
    why: str


@dataclass(frozen=True)
class Book:
    """All that is kept of one component's slots besides which one is active."""

    component: Component
    slots: dict[SlotName, Slot] = field(
        default_factory=lambda: {name: Slot() for name in SLOT_NAMES}
    )
    boots: int = 0
    """Boots of the active trial slot since it last came alive."""
    refused: tuple[Refused, ...] = ()

    def put(self, name: SlotName, state: Slot) -> "Book":
        """The same with one slot in another state."""
        return replace(self, slots={**self.slots, name: state})

    def condemn(self, name: SlotName, why: str) -> "Book":
        """The same with a slot that has gone wrong, and its release refused from now on."""
        slot = self.slots[name]
        refused = self.refused
        if slot.version is not None and slot.release_sha256 is not None:
            refused = tuple(one for one in refused if one.release_sha256 != slot.release_sha256)
            refused = (*refused, Refused(slot.release_sha256, slot.version, why))[-MOST_REFUSED:]
        return replace(self.put(name, replace(slot, state="bad", why=why)), refused=refused)


def write_book(book: Book) -> bytes:
    """The JSON, indented, with a newline at its end."""
    data = {
        "format": 1,
        "component": book.component,
        "boots": book.boots,
        "slots": {name: vars(book.slots[name]) for name in SLOT_NAMES},
        "refused": [vars(one) for one in book.refused],
    }
    return (json.dumps(data, indent=1) + "\n").encode()


def read_book(content: bytes, component: Component) -> Book:
    """The other way. Raises ``DamagedStateError`` for anything that ``write_book`` never writes."""
    try:
        data = json.loads(content)
        if set(data) != {"format", "component", "boots", "slots", "refused"}:
            raise DamagedStateError("it has other keys")
        if data["format"] != 1 or data["component"] != component:
            raise DamagedStateError(f"it is not of {component}")
        book = Book(
            component=component,
            slots={name: _read(Slot, data["slots"][name]) for name in SLOT_NAMES},
            boots=data["boots"],
            refused=tuple(_read(Refused, each) for each in data["refused"]),
        )
        _check(book)
    except DamagedStateError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise DamagedStateError(f"it cannot be read ({problem})") from None
    return book


Kept = TypeVar("Kept", Slot, Refused)


def _read(kind: type[Kept], data: dict) -> Kept:
    if set(data) != {one.name for one in fields(kind)}:
        raise DamagedStateError("an entry has other keys")
    return kind(**data)


def _check(book: Book) -> None:
    """Raises ``DamagedStateError``."""
    if type(book.boots) is not int or book.boots < 0:
        raise DamagedStateError(f"boots is {book.boots!r}")
    for slot in book.slots.values():
        if slot.state not in STATES:
            raise DamagedStateError(f"a slot is {slot.state!r}")
        if (slot.version is None) != (slot.release_sha256 is None):
            raise DamagedStateError("a slot has a version without a release, or a release without")
        if slot.version is None and slot.state not in ("empty", "bad"):
            raise DamagedStateError(f"a slot is {slot.state}, of no release")
        if slot.version is not None:
            _check_release(slot.version, slot.release_sha256)
    for one in book.refused:
        _check_release(one.version, one.release_sha256)
    reasons = [slot.why for slot in book.slots.values()] + [one.why for one in book.refused]
    for why in reasons:
        if not isinstance(why, str):
            raise DamagedStateError(f"why is {why!r}")


def _check_release(version: object, sha256: object) -> None:
    if type(version) is not int or version < 1:
        raise DamagedStateError(f"a version is {version!r}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise DamagedStateError("a release's hash is none")
