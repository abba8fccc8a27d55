"""What the slots should be said to be, given what is found: after a power cut, or worse.

Nothing here changes the disk.
"""

import os
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from deploy.places import SLOT_NAMES, Component, SlotName
from deploy.slots.state import Book, Slot
from deploy.slots.whole import is_whole, release_of


def linked(link: Path) -> SlotName | None:
    """The slot that ``active`` leads to; None where it is not there or leads elsewhere."""
    try:
        target = os.readlink(link)
    except OSError:
        return None
    return next((name for name in SLOT_NAMES if name == target), None)


def rebuilt(folder: Path, component: Component) -> Book:
    """The states by what lies in the slots, every file hashed: for when they are lost.

    What plays and is whole is good: it is not put on trial again by a file that was lost.
    What is whole and does not play is ready. Raises ``OSError``.
    """
    book = Book(component)
    active = linked(folder / "active")
    for name in SLOT_NAMES:
        found = release_of(folder / name, component)
        if found is not None and is_whole(folder / name):
            state = "good" if name == active else "ready"
            why = "found whole when its state was lost"
            book = book.put(name, Slot("good" if state == "good" else "ready", *found, why))
    return book


def repaired(
    folder: Path, book: Book, busy: Set[SlotName]
) -> tuple[Book, SlotName | None, list[str]]:
    """The states, the slot to be active (None: the factory's content), and what was wrong.

    ``busy`` slots are being filled right now and are left as they are. Raises ``OSError``.
    """
    said: list[str] = []
    was = linked(folder / "active")
    for name in SLOT_NAMES:
        if name not in busy:
            book = _one_repaired(folder, book, name, name == was, said)
    if was is not None and book.slots[was].state in ("good", "trial"):
        return book, was, said
    good = [name for name in SLOT_NAMES if book.slots[name].state == "good"]
    now = max(good, key=lambda name: book.slots[name].version or 0, default=None)
    if was is not None or now is not None:
        content = "the factory's content" if now is None else f"release {book.slots[now].version}"
        said.append(f"{book.component}: {content} plays again.")
    return book, now, said


def _one_repaired(folder: Path, book: Book, name: SlotName, active: bool, said: list[str]) -> Book:
    slot = book.slots[name]
    what = f"{book.component}: release {slot.version} in slot {name}"
    if slot.state in ("ready", "trial", "good"):
        if release_of(folder / name, book.component) != (slot.version, slot.release_sha256):
            said.append(f"{what} is damaged, and given up.")
            # Not the release's fault: it may be fetched again.
            lost = Slot("bad", None, None, "its files are damaged") if active else Slot()
            return book.put(name, lost)
        if slot.state == "trial" and not active:
            said.append(f"{what} was about to be activated; it is ready still.")
            return book.put(name, replace(slot, state="ready"))
        if slot.state == "ready" and active:
            said.append(f"{what} plays without having been activated; it is on trial.")
            return book.put(name, replace(slot, state="trial"))
        return book
    if slot.state in ("writing", "empty") and active:
        found = release_of(folder / name, book.component)
        if found is not None and is_whole(folder / name):
            said.append(f"{book.component}: slot {name} plays and is whole; it is good.")
            return book.put(name, Slot("good", *found, "found whole"))
        said.append(f"{book.component}: slot {name} plays and is not whole.")
        return book.put(name, Slot("bad", None, None, "its files are damaged"))
    if slot.state == "writing":
        said.append(f"{what} was not finished; the slot is emptied.")
        return book.put(name, Slot())
    return book
