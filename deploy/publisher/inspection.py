"""What a release's folder must pass before it is signed: nothing goes out that pedals refuse."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from deploy.errors import UpdateError
from deploy.firmware.folder import SOURCE
from deploy.firmware.units import units_sha256
from deploy.places import Component
from deploy.publisher.publish import Inspect
from deploy.release import Release
from deploy.trial import inspect

_NEEDED = ("deploy/__main__.py", "device/__main__.py", "pyproject.toml")
"""Files without which no firmware starts."""


def inspect_firmware(folder: Path, release: Release) -> None:
    """Refuse a folder that `python -m deploy firmware` did not make. Raises ``UpdateError``."""
    named = {file.path for file in release.files}
    for needed in _NEEDED:
        if f"{SOURCE}/{needed}" not in named:
            raise UpdateError(
                f"{folder}: has no {SOURCE}/{needed}; `python -m deploy firmware` makes a folder "
                "that has everything."
            )


def units_of(folder: Path, component: Component) -> str | None:
    """The hash of the units that a firmware was made for; None for models."""
    return units_sha256(folder / SOURCE) if component == "firmware" else None


INSPECT: Mapping[Component, Inspect] = MappingProxyType(
    {"models": inspect, "firmware": inspect_firmware}
)
