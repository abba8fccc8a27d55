"""The chamber: its air, its moisture, its door; how fast it gets where it is told to go."""

import random
from dataclasses import dataclass

from hil.plant.moisture import dew_point_c, saturation_pa
from hil.plant.parameters import Parameters

_FULL_K_PER_MIN_FROM_K = 2.0
"""Nearer to the setpoint its controller gives way."""


@dataclass
class ChamberPlant:
    """The air in the chamber. Setpoints are what its own controller was told."""

    parameters: Parameters
    random: random.Random
    air_c: float = 23.0
    vapour_pa: float = 0.0
    setpoint_c: float = 23.0
    humidity_setpoint_percent: float | None = None
    running: bool = False
    door_open: bool = False
    ramp_k_per_min: float | None = None
    """Gradient that was programmed; None: as fast as it can."""
    alarm: str = ""
    dead: bool = False
    """Neither cools nor heats, whatever it says."""

    def __post_init__(self) -> None:
        """Begin with the room's air."""
        p = self.parameters
        self.air_c = p.room_c
        self.vapour_pa = self.room_pa
        self._wander = 0.0

    @property
    def room_pa(self) -> float:
        """Vapour in the room."""
        p = self.parameters
        return saturation_pa(p.room_c) * p.room_humidity_percent / 100.0

    @property
    def humidity_percent(self) -> float:
        """Relative to saturation over water, as instruments give it also below zero."""
        over_water = 611.2 * 2.718281828459045 ** (17.62 * self.air_c / (243.12 + self.air_c))
        return min(100.0, 100.0 * self.vapour_pa / over_water)

    @property
    def dew_point_c(self) -> float:
        """Of its air."""
        return dew_point_c(self.vapour_pa)

    @property
    def power_percent(self) -> float:
        """What its heater does: −100 cools as it can, 100 heats as it can."""
        if not self.running or self.dead:
            return 0.0
        away_k = self.setpoint_c - self.air_c
        return max(-100.0, min(100.0, 100.0 * away_k / _FULL_K_PER_MIN_FROM_K))

    def advance(self, seconds: float) -> None:
        """Go on for ``seconds``."""
        p = self.parameters
        if self.door_open:
            self._toward(p.room_c, seconds, p.door_s)
            self._mix(self.room_pa, seconds, p.door_s)
        elif self.running and not self.dead:
            self._control(seconds)
        else:
            self._toward(p.room_c, seconds, p.chamber_off_s)
            self._mix(self.room_pa, seconds, p.chamber_off_s)
        self._dry()

    def _control(self, seconds: float) -> None:
        p = self.parameters
        # A slow wander of the regulated air, of the same size whatever the step.
        kept = max(0.0, 1.0 - seconds / p.chamber_lag_s)
        self._wander = kept * self._wander + (1.0 - kept * kept) ** 0.5 * self.random.gauss(
            0.0, p.chamber_wanders_k
        )
        goal_c = min(p.chamber_highest_c, max(p.chamber_lowest_c, self.setpoint_c)) + self._wander
        away_k = goal_c - self.air_c
        most = p.chamber_heating_k_per_min if away_k > 0 else p.chamber_cooling_k_per_min
        if self.ramp_k_per_min is not None:
            most = min(most, self.ramp_k_per_min)
        wanted_k = away_k * min(1.0, seconds / p.chamber_lag_s)
        largest_k = most / 60.0 * seconds
        self.air_c += max(-largest_k, min(largest_k, wanted_k))
        if self.humidity_setpoint_percent is not None and self.air_c > 5.0:
            wanted_pa = saturation_pa(self.air_c) * self.humidity_setpoint_percent / 100.0
            self._mix(wanted_pa, seconds, p.humidity_lag_s)

    def _dry(self) -> None:
        """A coil that cools dries the air; no air holds more than it can."""
        p = self.parameters
        self.vapour_pa = min(self.vapour_pa, saturation_pa(self.air_c))
        cools = self.running and self.setpoint_c < self.air_c + 1.0
        if cools and self.humidity_setpoint_percent is None and self.air_c < p.room_c - 1.0:
            self.vapour_pa = min(self.vapour_pa, saturation_pa(self.air_c - p.coil_below_air_k))

    def _toward(self, goal_c: float, seconds: float, constant_s: float) -> None:
        self.air_c += (goal_c - self.air_c) * min(1.0, seconds / constant_s)

    def _mix(self, goal_pa: float, seconds: float, constant_s: float) -> None:
        self.vapour_pa += (goal_pa - self.vapour_pa) * min(1.0, seconds / constant_s)
