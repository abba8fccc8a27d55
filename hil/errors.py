"""What goes wrong on the bench, each in one sentence with the exit code its command ends with."""

from typing import ClassVar

from models.errors import PurgaError


class BenchError(PurgaError, ValueError):
    """A bench, a limit or a recording that cannot be used; refused before anything moves."""


class InstrumentError(PurgaError, OSError):
    """An instrument that cannot be reached, refuses, fails or does not tell the truth."""

    exit_code: ClassVar[int] = 1
