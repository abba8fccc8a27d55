"""The errors that cross a public edge, each with the exit code its command ends with."""

from typing import ClassVar


class PurgaError(Exception):
    """What was given, what was expected and what to do, in one sentence."""

    exit_code: ClassVar[int] = 2


class ModelError(PurgaError, ValueError):
    """A model or capture file that is missing, damaged, foreign or not supported."""
