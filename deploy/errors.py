"""What goes wrong with updates, each in one sentence with the exit code its command ends with."""

from typing import ClassVar

from models.errors import PurgaError


class UpdateError(PurgaError, ValueError):
    """A release, a repository or a setting that is refused; the active slot is untouched."""


class UpdateFailedError(UpdateError):
    """An update that could not be done this time: the link, the disk, the time, the budget.

    What was fetched so far is kept for the next try.
    """

    exit_code: ClassVar[int] = 1
