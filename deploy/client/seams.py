"""What the update needs of others: how a filled slot is tried, and how it does once it plays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deploy.release import Release
from deploy.slots import SlotState


class Verdict(Protocol):
    """Whether a slot may go on; ``deploy.trial.Verdict`` is one."""

    @property
    def ok(self) -> bool:
        """Whether it may."""

    @property
    def why(self) -> str:
        """One sentence."""

    @property
    def figures(self) -> Mapping[str, float | str]:
        """What was measured."""

    @property
    def again(self) -> bool:
        """Not ok, but nothing is proven against the slot: the trial could not be held now."""


class Trial(Protocol):
    """What a component's slot goes through. One for each component."""

    def admit(self, release: Release) -> None:
        """Raise ``UpdateError`` for what this device cannot take, before any of it is fetched."""

    def inspect(self, folder: Path, release: Release) -> None:
        """Raise ``UpdateError`` for an assembled slot that may not be opened by what plays."""

    def build(self, folder: Path) -> Mapping[str, str]:
        """Make in the slot what this device makes itself; the SHA-256 of each by its path.

        Done again after an interruption. Raises ``UpdateError`` where the release is at fault,
        ``UpdateFailedError`` where the device is.
        """

    def self_test(self, folder: Path) -> Verdict:
        """Let it play where nobody hears it."""

    def begin(self, slot: SlotState) -> None:
        """``slot`` is activated next: remember how the pedal is with the one that plays now.

        Called again where power was lost before the activation.
        """

    def look(self, slot: SlotState) -> Verdict | None:
        """How the active slot does; None while there is too little to say. Returns at once.

        Not ok and ``again``: it does not play, so there will hardly be a verdict, and a newer
        release may take its place without one. What it has seen so far outlasts this process.
        """
