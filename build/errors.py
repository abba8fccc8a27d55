"""The errors of building; see ``models.errors`` for the common base and ``ModelError``."""

from models.errors import PurgaError


class TargetError(PurgaError, ValueError):
    """A version of TensorRT about which ``build/operators.toml`` says nothing."""
