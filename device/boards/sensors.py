"""Temperatures and humidity from sysfs."""

from pathlib import Path

from device.states import Temperatures


class SysfsSensors:
    """Thermal zones, power monitors and humidity sensors below a ``/sys``."""

    def read(self, now_s: float) -> Temperatures:
        """Return the latest reading, renewed at most twice a second. Never raises."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the files back."""


def open_sensors(root: Path = Path("/sys")) -> SysfsSensors:
    """Find what can be read below ``root``; nothing there is no error."""
    raise NotImplementedError
