"""What happens: said on the terminal, and kept in the record beside the signed release's hash."""

from collections.abc import Callable
from typing import Any

from deploy.client.clock import Clock
from deploy.places import Component, Places
from deploy.record import append, entries
from deploy.slots import SlotState


class Journal:
    """Lines of ``record.jsonl``: ``at`` (the device's clock, UTC), ``event``, ``said`` and more."""

    def __init__(self, places: Places, clock: Clock, say: Callable[[str], None]) -> None:
        self._file = places.record
        self._clock = clock
        self.say = say

    def note(self, event: str, said: str, **fields: Any) -> None:
        """Keep a line and say its sentence. Raises ``UpdateFailedError`` where the disk refuses."""
        at = self._clock.now().isoformat(timespec="seconds")
        append(self._file, {"at": at, "event": event, "said": said, **fields})
        self.say(said)

    def lines(self) -> list[dict[str, Any]]:
        """What was kept so far, oldest first. Raises ``UpdateFailedError``."""
        return entries(self._file)


def about(component: Component, slot: SlotState) -> dict[str, object]:
    """What binds a line to the release that a slot holds."""
    return {
        "component": component,
        "version": slot.version,
        "release_sha256": slot.release_sha256,
        "slot": slot.name,
    }
