"""The dry guitar in the place of a preset that cannot be played."""

from typing import TYPE_CHECKING

import numpy as np

from device.engine_kinds import Ceiling
from device.sound.block import Resettable
from device.sound.ramp import Curve
from device.sound.steering import Steering
from models.units import Audio

if TYPE_CHECKING:
    from models.path import Way


class DryPath:
    """A ``Playable`` that lets the guitar through as it is, without latency."""

    parts: tuple[Resettable, ...] = ()
    steering: Steering | None = None
    way: "Way | None" = None
    latency_frames = 0
    nan_periods = 0

    def __init__(self, name: str) -> None:
        """Take the name that a player knows the preset by."""
        self.name = name

    @property
    def tones(self) -> dict[str, list[str]]:
        """No blocks."""
        return {"A": [], "B": []}

    def latency_table(self) -> list[tuple[str, str, int]]:
        """No rows."""
        return []

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Nothing to prepare."""

    def limit(self, ceiling: Ceiling) -> None:
        """Nothing is cheaper."""

    def process(self, source: Audio, positions: Curve, wet: Audio, dry: Audio) -> None:
        """Copy the period."""
        np.copyto(wet, source)
        np.copyto(dry, source)
