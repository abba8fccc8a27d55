"""A component's two slots: filled, tried, proven or rolled back, in steps no power cut can tear.

The truth is the link ``active`` and, for what it does not say, ``slots.json``. Each is replaced
whole. Where a step changes both, the file goes first, so that what is found between the two says
which way it was going: a slot on ``trial`` that is not active was about to be, an active one that
is ``bad`` was about to be left. ``recover`` finishes or undoes that.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import SLOT_NAMES, Component, SlotName
from deploy.slots import disk
from deploy.slots.repair import linked, rebuilt, repaired
from deploy.slots.state import (
    Book,
    DamagedStateError,
    Slot,
    SlotState,
    State,
    read_book,
    write_book,
)
from deploy.slots.whole import RELEASE, release_of

MOST_BOOTS = 3
"""Boots that a trial slot may take to come alive."""
ACTIVE, STATES = "active", "slots.json"


class Slots:
    """The slots of one component below ``folder``: ``a``, ``b``, ``active``, ``slots.json``.

    Making one touches nothing, and reading its properties takes no lock. Every method that
    changes something has it on the disk before it returns, and raises ``UpdateError`` where the
    step is not to be taken now, ``UpdateFailedError`` where the disk refuses; then nothing has
    changed. Several processes may hold one; a slot is filled by one at a time.
    """

    def __init__(self, folder: Path, component: Component) -> None:
        self.folder = folder
        self.component: Component = component
        self._writer: int | None = None

    # ---- what there is --------------------------------------------------------------------------

    @property
    def active(self) -> SlotState | None:
        """The slot that plays; None where the factory's content does."""
        name = linked(self.folder / ACTIVE)
        return None if name is None else self._described(self._book(), name)

    @property
    def inactive(self) -> SlotState:
        """The slot that the next release goes into, or has gone into."""
        book = self._book()
        return self._described(book, self._inactive(book))

    @property
    def both(self) -> tuple[SlotState, SlotState]:
        """Slot a and slot b."""
        book = self._book()
        return self._described(book, "a"), self._described(book, "b")

    def refused(self, release_sha256: str) -> str | None:
        """Why a release is not to be taken again; None where nothing speaks against it."""
        refused = self._book().refused
        return next((one.why for one in refused if one.release_sha256 == release_sha256), None)

    # ---- filling one ----------------------------------------------------------------------------

    def begin(self, version: int, release_sha256: str) -> Path:
        """Empty the inactive slot for a release, and give its folder.

        From now on it is ``writing``, kept from other processes until ``ready``, ``reject`` or
        ``abandon``, or until this process ends. Refused while the active slot is on trial: the
        other one is all there is to go back to.
        """
        with self._changing("begin") as book:
            book = self._repaired(book, [])
            name = self._inactive(book)
            active = linked(self.folder / ACTIVE)
            if active is not None and book.slots[active].state == "trial":
                raise UpdateFailedError(
                    f"{self.component}: release {book.slots[active].version} is still on trial, "
                    "and the other slot is what it would go back to; try again once it is proven."
                )
            why = next((x.why for x in book.refused if x.release_sha256 == release_sha256), None)
            if why is not None:
                raise UpdateError(
                    f"{self.component}: release {version} went wrong here before ({why}); "
                    "wait for a newer one."
                )
            self._take(name)
            self._save(book.put(name, Slot("writing", version, release_sha256)))
            folder = self.folder / name
            # Nobody else empties or fills it while it is taken, so the others need not wait.
        with self._explaining("empty the inactive slot"):
            disk.empty_folder(folder)
        return folder

    def ready(self) -> None:
        """The inactive slot is whole: have all of it on the disk, then say so.

        Its ``release.json`` must be the release's that it was begun with.
        """
        writing = self._filled("writing")
        with self._explaining("write the inactive slot out"):
            disk.sync_below(writing.folder)
        with self._changing("finish the inactive slot") as book:
            slot = book.slots[writing.name]
            if slot.state != "writing":
                raise UpdateError(f"{self.component}: slot {writing.name} is {slot.state} by now.")
            self._check(writing.name, slot)
            self._save(book.put(writing.name, replace(slot, state="ready")))
        self._release()

    def abandon(self) -> None:
        """Give up filling the inactive slot; it is empty then. The same release may come again.

        Nothing is written before something is removed: the disk may be full of it.
        """
        try:
            with self._changing("give up the inactive slot") as book:
                name = self._inactive(book)
                if book.slots[name].state in ("writing", "ready"):
                    if disk.remove(self.folder / name / RELEASE):  # half of it is never ready
                        disk.sync_folder(self.folder / name)
                    disk.empty_folder(self.folder / name)
                    self._save(book.put(name, Slot()))
        finally:
            self._release()

    def reject(self, why: str) -> None:
        """The inactive slot did not stand the test: bad, and its release is not taken again."""
        with self._changing("reject the inactive slot") as book:
            name = self._inactive(book)
            state = book.slots[name].state
            if state not in ("writing", "ready"):
                raise UpdateError(f"{self.component}: slot {name} is {state}, not to be rejected.")
            self._save(book.condemn(name, why))
        self._release()

    # ---- trying and judging it ------------------------------------------------------------------

    def activate(self) -> None:
        """Let the ready slot play, on trial; the one before stays good."""
        with self._changing("activate the new slot") as book:
            book = self._repaired(book, [])
            name = self._inactive(book)
            slot = book.slots[name]
            if slot.state != "ready":
                raise UpdateError(
                    f"{self.component}: slot {name} is {slot.state}; only a ready one is activated."
                )
            self._check(name, slot)
            # What the device built in it since it was ready counts as much as what was fetched.
            disk.sync_below(self.folder / name)
            self._save(replace(book.put(name, replace(slot, state="trial")), boots=0))
            disk.point(self.folder / ACTIVE, name)

    def mark_good(self) -> None:
        """The active slot has proven itself; once more is no error."""
        with self._changing("mark the active slot good") as book:
            name = linked(self.folder / ACTIVE)
            if name is None:
                raise UpdateError(f"{self.component}: the factory's content plays; it is good.")
            slot = book.slots[name]
            if slot.state not in ("trial", "good"):
                raise UpdateError(f"{self.component}: the active slot is {slot.state}, not tried.")
            if slot.state == "trial":
                proven = book.put(name, replace(slot, state="good", why=""))
                self._save(replace(proven, boots=0))

    def roll_back(self, why: str) -> None:
        """Leave the active slot for the other, or for the factory's content where that is not good.

        The slot is bad then, and its release not taken again.
        """
        with self._changing("roll back") as book:
            name = linked(self.folder / ACTIVE)
            if name is None:
                raise UpdateError(
                    f"{self.component}: the factory's content plays; there is nothing before it."
                )
            self._leave(book, name, why)

    # ---- starting -------------------------------------------------------------------------------

    def recover(self) -> list[str]:
        """Finish or undo what a power cut interrupted; says what it did, nothing as a rule.

        To be called at each start. What another process is filling is left alone. A file of
        states that cannot be read is written anew from what lies in the slots.
        """
        said: list[str] = []
        with self._changing("look after the slots", said) as book:
            self._repaired(book, said)
            for stale in (f".{ACTIVE}.new", f".{STATES}.new"):
                disk.remove(self.folder / stale)
            disk.reserve(self.folder)
        return said

    def boot(self) -> list[str]:
        """Recover at boot, and count it; says what was done.

        Firmware on trial that has not come alive in ``MOST_BOOTS`` boots is left for the other
        slot. A good slot is never left, however often the power goes.
        """
        said = self.recover()
        if self.component != "firmware":
            return said
        with self._changing("count this boot") as book:
            name = linked(self.folder / ACTIVE)
            if name is None or book.slots[name].state != "trial":
                return said
            if book.boots < MOST_BOOTS:
                self._save(replace(book, boots=book.boots + 1))
                return said
            why = f"it was booted {book.boots} times and never came alive"
            version = book.slots[name].version
            self._leave(book, name, why)
        return [*said, f"{self.component}: left release {version}, because {why}."]

    def alive(self) -> None:
        """The system came up: its boots count from the start again. Not yet proof that it is good.

        Writes only for a slot on trial.
        """
        with self._changing("note that the system is alive") as book:
            if book.boots:
                self._save(replace(book, boots=0))

    # ---- inside ---------------------------------------------------------------------------------

    def _described(self, book: Book, name: SlotName) -> SlotState:
        slot = book.slots[name]
        folder = self.folder / name
        return SlotState(name, folder, slot.version, slot.release_sha256, slot.state, slot.why)

    def _book(self) -> Book:
        try:
            return self._read()
        except DamagedStateError:
            return rebuilt(self.folder, self.component)

    def _read(self) -> Book:
        """Raises ``DamagedStateError``, also where the file is gone and something is there."""
        try:
            return read_book((self.folder / STATES).read_bytes(), self.component)
        except FileNotFoundError:
            there = [name for name in SLOT_NAMES if disk.any_in(self.folder / name)]
            if there or (self.folder / ACTIVE).is_symlink():
                raise DamagedStateError("it is gone") from None
            return Book(self.component)
        except OSError as problem:
            raise UpdateFailedError(
                f"{self.folder / STATES}: cannot be read ({problem.strerror}); check the disk."
            ) from None

    def _save(self, book: Book) -> None:
        disk.put_though_full(self.folder / STATES, write_book(book))

    def _inactive(self, book: Book) -> SlotName:
        active = linked(self.folder / ACTIVE)
        # With both inactive: the one that is being filled or is filled, so that steps go together.
        order = ("trial", "ready", "writing", "empty", "bad", "good")
        rest = [name for name in SLOT_NAMES if name != active]
        return min(rest, key=lambda name: order.index(book.slots[name].state))

    def _filled(self, state: State) -> SlotState:
        slot = self.inactive
        if slot.state != state:
            raise UpdateError(f"{self.component}: slot {slot.name} is {slot.state}, not {state}.")
        return slot

    def _check(self, name: SlotName, slot: Slot) -> None:
        if release_of(self.folder / name, self.component) != (slot.version, slot.release_sha256):
            raise UpdateError(
                f"{self.folder / name}: holds no release.json of release {slot.version}; "
                "fetch the update again."
            )

    def _repaired(self, book: Book, said: list[str]) -> Book:
        """The states made to agree with what is there, on the disk."""
        for name in SLOT_NAMES:
            if (self.folder / name).is_symlink():  # what it leads to is not ours to empty
                disk.remove(self.folder / name)
            disk.make_folder(self.folder / name)
        busy = {name for name in SLOT_NAMES if self._is_taken(name)}
        mended, active, sentences = repaired(self.folder, book, busy)
        for name in SLOT_NAMES:
            empty = name not in busy and mended.slots[name].state == "empty"
            if empty and disk.any_in(self.folder / name):
                disk.empty_folder(self.folder / name)
        if mended != book:
            self._save(mended)
        self._lead(active)
        said += sentences
        return mended

    def _is_taken(self, name: SlotName) -> bool:
        """Whether somebody is filling it, this object included."""
        handle = disk.try_lock(self.folder / name)
        if handle is not None:
            os.close(handle)
        return handle is None

    def _leave(self, book: Book, name: SlotName, why: str) -> None:
        """Condemn the active slot, then play the other one where it is good."""
        left = replace(book.condemn(name, why), boots=0)
        self._save(left)
        self._lead(repaired(self.folder, left, set())[1])

    def _lead(self, active: SlotName | None) -> None:
        if active is None:
            disk.unpoint(self.folder / ACTIVE)
        elif linked(self.folder / ACTIVE) != active:
            disk.point(self.folder / ACTIVE, active)

    def _take(self, name: SlotName) -> None:
        self._release()
        self._writer = disk.try_lock(self.folder / name)
        if self._writer is None:
            raise UpdateFailedError(
                f"{self.folder / name}: another update is filling it; wait until that has ended."
            )

    def _release(self) -> None:
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    @contextmanager
    def _changing(self, what: str, said: list[str] | None = None) -> Iterator[Book]:
        """The states, while nobody else changes them."""
        with self._explaining(what):
            disk.make_folder(self.folder)
            with disk.locked(self.folder):
                try:
                    book = self._read()
                except DamagedStateError as damage:
                    book = rebuilt(self.folder, self.component)
                    self._save(book)
                    if said is not None:
                        said.append(f"{self.folder / STATES}: {damage}; written anew.")
                yield book

    @contextmanager
    def _explaining(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            full = "free some space" if problem.errno in disk.FULL else "check the disk"
            raise UpdateFailedError(
                f"{self.folder}: could not {what} ({problem.strerror or problem}); "
                f"{full} and try again."
            ) from problem
