"""What can go wrong around the virtual pedal itself."""

from typing import ClassVar

from models.errors import PurgaError


class VirtualError(PurgaError, RuntimeError):
    """A virtual pedal that cannot be built or run."""

    exit_code: ClassVar[int] = 1


class ScenarioError(PurgaError, ValueError):
    """A scenario that does not exist."""
