"""The chamber's own controller, whatever it speaks: what it was told, what it shows and does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hil.plant.plant import Plant
from hil.servers.faults import ChamberFaults

FAST_K_PER_MIN = 8.0
AHEAD_K = 30.0
"""How far a controller that runs ahead goes beyond what it was told."""
DOOR = "door open"
OUT_OF_LIMITS = "temperature out of its limits"


@dataclass
class Segment:
    """Of a programme: to these setpoints, in that time. None: humidity stays as it is."""

    celsius: float
    seconds: float
    humidity_percent: float | None = None


@dataclass
class Programme:
    """Segments one after another; the last setpoint stays. ``number`` is the controller's."""

    segments: Sequence[Segment]
    number: int = 0
    paused: bool = False
    at: int = 0
    """Which segment, from 0; as many as there are: over."""
    for_s: float = 0.0
    from_c: float = math.nan
    from_percent: float = math.nan

    @property
    def over(self) -> bool:
        """Whether its last setpoint has been reached."""
        return self.at >= len(self.segments)


class Controller:
    """In the plant's chamber. All of it is called while the plant stands still."""

    def __init__(self, plant: Plant, faults: ChamberFaults) -> None:
        """As the plant's chamber is. It watches each of the plant's steps from now on."""
        self.plant, self.faults = plant, faults
        self.low_c = plant.parameters.chamber_lowest_c
        self.high_c = plant.parameters.chamber_highest_c
        self.band_c = (self.low_c, self.high_c)
        """Limits of its own alarm; it stops by itself where the air leaves them."""
        self.rise_k_per_min = self.fall_k_per_min = 0.0
        """Gradients of its own; 0 is none."""
        self.programme: Programme | None = None
        self._tripped = ""
        self._ahead_k = 0.0
        self._stuck_at_c: float | None = None
        self._before_s = plant.now_s()
        plant.watchers.append(self._watch)

    def close(self) -> None:
        """Watch no more."""
        self.plant.watchers.remove(self._watch)

    # -- what it shows ----------------------------------------------------------------------------

    @property
    def air(self) -> float:
        """Its air, in the unit that it is switched to."""
        air_c = self.plant.chamber.air_c
        if self.faults.stuck:
            self._stuck_at_c = air_c if self._stuck_at_c is None else self._stuck_at_c
            air_c = self._stuck_at_c
        else:
            self._stuck_at_c = None
        return self.shown(self._told_c if self.faults.lies else air_c)

    @property
    def setpoint(self) -> float:
        """What it was told, in its unit."""
        return self.shown(self._told_c)

    @property
    def humidity_percent(self) -> float:
        """Of its air."""
        told = self.humidity_setpoint_percent
        if self.faults.lies and told is not None:
            return told
        return self.plant.chamber.humidity_percent

    @property
    def humidity_setpoint_percent(self) -> float | None:
        """What it was told; None where it does not regulate it."""
        return self.plant.chamber.humidity_setpoint_percent

    @property
    def running(self) -> bool:
        """Whether it regulates."""
        return self.plant.chamber.running

    @property
    def power_percent(self) -> float:
        """What it does for the temperature, −100…100."""
        return self.plant.chamber.power_percent

    @property
    def alarms(self) -> tuple[str, ...]:
        """What it complains of."""
        door = DOOR if self.plant.chamber.door_open or self.faults.door_open else ""
        found = (self.plant.chamber.alarm, self.faults.alarm, self._tripped, door)
        return tuple(dict.fromkeys(each for each in found if each))

    def shown(self, celsius: float) -> float:
        """A temperature in the unit that it is switched to."""
        return celsius * 1.8 + 32.0 if self.faults.fahrenheit else celsius

    def meant(self, value: float) -> float:
        """°C of a temperature in that unit."""
        return (value - 32.0) / 1.8 if self.faults.fahrenheit else value

    # -- what it does -----------------------------------------------------------------------------

    def takes(self, temperature: float) -> bool:
        """Whether a setpoint is within what it is set to."""
        return math.isfinite(temperature) and self.low_c <= self.meant(temperature) <= self.high_c

    def set_temperature(self, temperature: float) -> None:
        """A setpoint, in its unit; one that it does not take is left out. Ends a programme."""
        if self.faults.ignores_writes or not self.takes(temperature):
            return
        self.programme = None
        self._lead(self.meant(temperature))

    def set_humidity(self, percent: float | None) -> None:
        """A setpoint 0…100 %; None: not regulated."""
        if self.faults.ignores_writes:
            return
        if percent is None or 0.0 <= percent <= 100.0:
            self.plant.chamber.humidity_setpoint_percent = percent

    def start(self) -> None:
        """Regulate. What it tripped over is acknowledged by that."""
        if not self.faults.ignores_writes:
            self._tripped = ""
            self.plant.chamber.running = True

    def stop(self) -> None:
        """Regulate no more."""
        if not self.faults.ignores_writes:
            self.programme = None
            self.plant.chamber.running = False

    def set_gradients(self, rise_k_per_min: float, fall_k_per_min: float) -> None:
        """How fast it goes to a setpoint; 0 is as fast as it can."""
        if not self.faults.ignores_writes:
            self.rise_k_per_min, self.fall_k_per_min = rise_k_per_min, fall_k_per_min
            self.plant.chamber.ramp_k_per_min = None

    def run(self, programme: Programme) -> None:
        """Run a programme from where the setpoints are."""
        if not self.faults.ignores_writes:
            self.programme = programme
            self.start()

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _told_c(self) -> float:
        return self.plant.chamber.setpoint_c - self._ahead_k

    def _lead(self, celsius: float) -> None:
        chamber = self.plant.chamber
        step_k = celsius - self._told_c
        self._ahead_k = 0.0
        if self.faults.runs_ahead and step_k:
            chamber.parameters = replace(
                chamber.parameters,
                chamber_cooling_k_per_min=FAST_K_PER_MIN,
                chamber_heating_k_per_min=FAST_K_PER_MIN,
            )
            self._ahead_k = math.copysign(AHEAD_K, step_k)
        chamber.setpoint_c = celsius + self._ahead_k

    def _watch(self, now_s: float) -> None:
        """After each of the plant's steps."""
        step_s, self._before_s = now_s - self._before_s, now_s
        chamber = self.plant.chamber
        if self.faults.door_open:
            chamber.door_open = True
        if not chamber.running:
            return
        if not self.band_c[0] <= chamber.air_c <= self.band_c[1]:
            self._tripped, chamber.running, self.programme = OUT_OF_LIMITS, False, None
            return
        if self.programme is not None and not self.programme.paused:
            self._go_on(self.programme, step_s)
        if self.rise_k_per_min or self.fall_k_per_min:
            rises = chamber.setpoint_c > chamber.air_c
            chamber.ramp_k_per_min = (self.rise_k_per_min if rises else self.fall_k_per_min) or None

    def _go_on(self, programme: Programme, step_s: float) -> None:
        chamber = self.plant.chamber
        if programme.over:
            return
        segment = programme.segments[programme.at]
        if math.isnan(programme.from_c):
            programme.from_c = self._told_c
            told = chamber.humidity_setpoint_percent
            programme.from_percent = chamber.humidity_percent if told is None else told
        programme.for_s += step_s
        share = min(1.0, programme.for_s / segment.seconds) if segment.seconds > 0 else 1.0
        self._lead(programme.from_c + share * (segment.celsius - programme.from_c))
        if segment.humidity_percent is not None:
            gone = segment.humidity_percent - programme.from_percent
            chamber.humidity_setpoint_percent = programme.from_percent + share * gone
        if share >= 1.0:
            programme.at, programme.for_s, programme.from_c = programme.at + 1, 0.0, math.nan
