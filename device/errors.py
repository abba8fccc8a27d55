"""The device's errors; see ``models.errors`` for the common base and ``ModelError``."""

from typing import ClassVar

from models.errors import PurgaError


class ConfigError(PurgaError, ValueError):
    """A ``pedal.toml`` that cannot be used as it stands."""


class PresetError(PurgaError, ValueError):
    """A preset that cannot be played as it stands."""


class AudioFileError(PurgaError, ValueError, OSError):
    """A sound file that cannot be read or written as asked."""


class AudioError(PurgaError, OSError):
    """An audio interface that cannot do what was asked of it."""


class LinkError(PurgaError, OSError):
    """A process of the pedal that cannot be reached."""

    exit_code: ClassVar[int] = 1


class SlotError(PurgaError, ValueError):
    """A models slot that cannot be used; the pedal's own models play."""
