"""Where updates keep things on the pedal, and who may write there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Component = Literal["models", "firmware"]
COMPONENTS: tuple[Component, ...] = get_args(Component)
SlotName = Literal["a", "b"]
SLOT_NAMES: tuple[SlotName, ...] = get_args(SlotName)

USER = "purga-update"
"""Writes below ``ROOT`` and nowhere else; the pedal's own user only reads there."""
ROOT = Path("/var/lib/purga-update")
SETTINGS = Path("/etc/purga/update.toml")


@dataclass(frozen=True)
class Places:
    """The files and folders of updates below one root."""

    root: Path = ROOT

    @property
    def trusted_root(self) -> Path:
        """The root of trust that the pedal came with, or that its owner put there."""
        return self.root / "trust" / "root.json"

    @property
    def metadata(self) -> Path:
        """The newest metadata that was accepted (TUF's)."""
        return self.root / "trust" / "metadata"

    @property
    def floors(self) -> Path:
        """The oldest time and versions that are still accepted, what was spent, what was tried."""
        return self.root / "floors.json"

    @property
    def store(self) -> Path:
        """Chunks by content, as they were fetched."""
        return self.root / "chunks"

    @property
    def record(self) -> Path:
        """The append-only record of what was installed and how it went."""
        return self.root / "record.jsonl"

    def slots(self, component: Component) -> Path:
        """The folder of ``a``, ``b``, ``active`` → one of them, and their state."""
        return self.root / component
