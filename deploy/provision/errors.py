"""What provisioning cannot do, in one sentence."""

from typing import ClassVar

from models.errors import PurgaError


class ProvisionError(PurgaError, OSError):
    """A step that could not be done, or a machine that it cannot be done on."""

    exit_code: ClassVar[int] = 1


class ProvisionInputError(ProvisionError):
    """Something given to provisioning that it cannot use."""

    exit_code: ClassVar[int] = 2
