"""What keeps power cuts from being tried here."""

from typing import ClassVar

from models.errors import PurgaError


class PowerCutError(PurgaError):
    """The machine, or what was to be cut, does not do what it takes."""

    exit_code: ClassVar[int] = 1
