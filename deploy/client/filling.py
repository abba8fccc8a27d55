"""Fetching what a release needs and putting it together in the inactive slot."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.chunks import Base, Plan, Store, assemble, plan
from deploy.client.durable import put
from deploy.client.journal import Journal, about
from deploy.client.judging import RELEASE
from deploy.client.limits import Limits
from deploy.client.seams import Trial
from deploy.client.sources import Source
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Component, Places
from deploy.release import Blob, Release, parse_release
from deploy.slots import Slots, SlotState

ROUNDS = 3
"""Plans for one release in one run: a chunk or a base that turns out damaged asks for another."""

FILLED = ("ready", "trial", "good")
ROOM_BYTES = 32 << 20
"""Left free for everybody else while chunks and files are written."""


@dataclass(frozen=True)
class Chosen:
    """A release to have."""

    component: Component
    release_sha256: str
    release: Release
    content: bytes
    """The signed release file."""


class Filling:
    """One run's way from a release file to a slot that is ready."""

    def __init__(
        self,
        places: Places,
        slots: Mapping[Component, Slots],
        trials: Mapping[Component, Trial],
        journal: Journal,
        limits: Limits,
    ) -> None:
        self._places = places
        self._store = Store(places.store)
        self._slots = slots
        self._trials = trials
        self._journal = journal
        self._limits = limits
        self._bad_chunks = 0

    def tidy(self, chosen: Iterable[Chosen]) -> None:
        """Drop every chunk that is for none of these, or for one that is in its slot by now."""
        wanted = [each.release for each in chosen if not self._is_there(each)]
        self._store.keep_only({name for release in wanted for name in _frames(release)})

    def _is_there(self, chosen: Chosen) -> bool:
        filled = (slot for slot in self._slots[chosen.component].both if slot.state in FILLED)
        return any(slot.release_sha256 == chosen.release_sha256 for slot in filled)

    def fill(self, chosen: Chosen, source: Source) -> None:
        """Have the inactive slot ready with the release; nothing to do where it is.

        Raises ``UpdateError`` where the release or what is sent for it is refused,
        ``UpdateFailedError`` where it could not be had this time.
        """
        slots = self._slots[chosen.component]
        inactive = slots.inactive
        if inactive.state == "ready":
            if inactive.release_sha256 == chosen.release_sha256:
                return
            slots.abandon()
        self.admit(chosen)
        for last in (False,) * (ROUNDS - 1) + (True,):
            try:
                self._fill(chosen, source, slots)
                return
            except DamagedError as problem:
                if last:
                    raise UpdateFailedError(str(problem)) from None

    def admit(self, chosen: Chosen) -> None:
        """Raise ``UpdateError`` for what this device cannot take, before any of it is fetched."""
        release = chosen.release
        self._trials[chosen.component].admit(release)
        firmware = self._slots["firmware"].active
        # Code that is from no release may be newer than all; the self-test shows what it can play.
        if firmware is not None and release.needs_firmware > (firmware.version or 0):
            raise UpdateError(
                f"{chosen.component}: release {release.version} needs firmware "
                f"{release.needs_firmware}, and this pedal has {firmware.version}; update the "
                "firmware first."
            )

    def _fill(self, chosen: Chosen, source: Source, slots: Slots) -> None:
        release, component = chosen.release, chosen.component
        way = self._plan(chosen, slots)
        self._journal.say(
            f"{component}: release {release.version} ({release.name}): fetching "
            f"{way.need.stored_bytes / 1e6:.2f} of {way.need.full_bytes / 1e6:.2f} million bytes "
            f"from {source.name}."
        )
        # The other slot is good until then, so it is kept while the link takes its time.
        begun = self._lacks_room(way)
        try:
            folder = slots.begin(release.version, chosen.release_sha256) if begun else None
            for blob in way.need.blobs:
                self._fetch(blob, source)
            folder = folder or slots.begin(release.version, chosen.release_sha256)
            begun = True
            self._assemble(way, chosen, slots, folder)
            self._keep(folder, chosen)
            slots.ready()
        except UpdateError:
            if begun:
                slots.abandon()
            raise
        self._journal.note(
            "assembled",
            f"{component}: release {release.version} is in slot {slots.inactive.name}.",
            **about(component, slots.inactive),
            source=source.name,
            fetched_bytes=way.need.stored_bytes,
            full_bytes=way.need.full_bytes,
        )

    def _plan(self, chosen: Chosen, slots: Slots) -> Plan:
        return plan(chosen.release, self._store, self._bases(slots))

    def _lacks_room(self, way: Plan) -> bool:
        """Whether the disk takes chunks and files only once the inactive slot is emptied."""
        disk = os.statvfs(self._places.root)
        asked = way.need.stored_bytes + sum(file.bytes for file in way.release.files)
        return disk.f_bavail * disk.f_frsize < asked + ROOM_BYTES

    def _fetch(self, blob: Blob, source: Source) -> None:
        """One chunk into the store, where it stays whatever happens next."""
        while True:
            try:
                self._store.put(blob, source.blob(blob))
                return
            except UpdateFailedError:
                raise
            except UpdateError as problem:
                # It came whole but is another: a proxy's doing, or a mirror that lies.
                self._bad_chunks += 1
                if self._bad_chunks >= self._limits.bad_chunks:
                    said = f"{source.name} keeps sending chunks that are not the signed ones"
                    raise UpdateError(f"{said}: {problem}") from None

    def _assemble(self, way: Plan, chosen: Chosen, slots: Slots, folder: Path) -> None:
        try:
            assemble(way, self._store, folder)
        except UpdateFailedError as problem:
            # A chunk that lay damaged in the store is gone from it now, and a file of the other
            # slot counts no more: is there something to fetch instead?
            if self._plan(chosen, slots).need.blobs:
                raise DamagedError(str(problem)) from None
            raise

    def _keep(self, folder: Path, chosen: Chosen) -> None:
        try:
            put(folder / RELEASE, chosen.content)
        except OSError as problem:
            raise UpdateFailedError(
                f"{folder}: cannot be written ({problem.strerror}); free space and update again."
            ) from None

    def _bases(self, slots: Slots) -> list[Base]:
        """What lies in the slot that is not filled, good or not: by its hashes it is what it is.

        The other one is emptied before anything could be taken from it.
        """
        filled = slots.inactive.name
        bases: list[Base] = []
        for slot in slots.both:
            content = None if slot.name == filled else self.release_file(slot)
            with suppress(UpdateError):
                if content is not None:
                    release = parse_release(content, str(slot.folder / RELEASE))
                    bases.append(Base(slot.folder, release))
        return bases

    @staticmethod
    def release_file(slot: SlotState | None) -> bytes | None:
        """The signed release file that a slot was filled with; None where it is not whole."""
        if slot is None:
            return None
        try:
            content = (slot.folder / RELEASE).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == slot.release_sha256 else None


class DamagedError(UpdateFailedError):
    """Something at hand turned out damaged; another plan does without it."""


def _frames(release: Release) -> Iterable[str]:
    for file in release.files:
        for blob in file.blobs:
            yield blob.stored_sha256
        for difference in file.differences:
            for blob in difference.blobs:
                yield blob.stored_sha256
