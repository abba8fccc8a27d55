"""What a bench may do: the range and the pace that neither chamber nor product may leave."""

import math
from dataclasses import dataclass

from hil.errors import BenchError
from hil.instruments.protocols import ChamberReading, SupplyReading


@dataclass(frozen=True)
class Bounds:
    """Where chamber and product overlap. °C, K/min, V, A."""

    lowest_c: float
    highest_c: float
    ramp_k_per_min: float
    highest_v: float
    limit_a: float
    beyond_k: float = 5.0
    """So far the air may overshoot the range, before it counts as run away."""

    def check_setpoint(self, celsius: float, humidity_percent: float | None) -> None:
        """Raise ``BenchError`` for what may not be set."""
        if not self.lowest_c <= celsius <= self.highest_c:
            raise BenchError(
                f"a setpoint of {celsius:g} °C is outside of {self.lowest_c:g} to "
                f"{self.highest_c:g} °C, which chamber and product both bear; nothing was set."
            )
        if humidity_percent is not None and not 0.0 <= humidity_percent <= 100.0:
            raise BenchError(f"a humidity of {humidity_percent:g} % is none; nothing was set.")

    def check_supply(self, volts: float, limit_a: float) -> None:
        """Raise ``BenchError`` for what may not be set."""
        if not 0.0 <= volts <= self.highest_v:
            raise BenchError(
                f"{volts:g} V is outside of 0 to {self.highest_v:g} V, which the product bears; "
                "nothing was set."
            )
        if not 0.0 < limit_a <= self.limit_a:
            raise BenchError(
                f"a current limit of {limit_a:g} A is not within {self.limit_a:g} A, the product's "
                "fuse; nothing was set."
            )

    def wrong_with(self, reading: ChamberReading) -> str:
        """Why the chamber must be stopped; empty where it need not."""
        if reading.alarms:
            return f"alarm: {', '.join(reading.alarms)}"
        if reading.door_open:
            return "its door is open"
        return self.wrong_with_air(reading.air_c)

    def wrong_with_air(self, air_c: float) -> str:
        """The same for the air alone, whoever reads it."""
        low_c, high_c = self.lowest_c - self.beyond_k, self.highest_c + self.beyond_k
        if not low_c <= air_c <= high_c:
            return f"the air is at {air_c:g} °C, outside of {low_c:g} to {high_c:g} °C"
        return ""

    def wrong_with_supply(self, reading: SupplyReading) -> str:
        """Why the supply must be switched off; empty where it need not."""
        if reading.volts > 1.05 * self.highest_v:
            return f"it gives {reading.volts:g} V, more than {self.highest_v:g} V"
        if reading.amperes > 1.1 * self.limit_a:
            return f"it gives {reading.amperes:g} A, more than {self.limit_a:g} A"
        return ""


class Ramp:
    """Leads a setpoint to its goal no faster than asked: at most a minute's worth at once.

    So the mean over five minutes is 1.2 times the pace at most.
    """

    def __init__(self, k_per_min: float) -> None:
        """Nothing is led yet."""
        self._k_per_min = k_per_min
        self._at_c = math.nan
        self._ready_k = k_per_min
        self._when_s = -math.inf

    def begin(self, air_c: float, now_s: float) -> None:
        """From where the air is."""
        self._at_c, self._when_s = air_c, now_s
        self._ready_k = self._k_per_min

    def toward(self, goal_c: float, now_s: float) -> float:
        """The setpoint that is due now."""
        gained_k = self._k_per_min * max(0.0, now_s - self._when_s) / 60.0
        self._ready_k = min(self._k_per_min, self._ready_k + gained_k)
        self._when_s = now_s
        away_k = goal_c - self._at_c
        step_k = max(-self._ready_k, min(self._ready_k, away_k))
        self._ready_k -= abs(step_k)
        # Exactly there at the end, whatever the sums have rounded.
        self._at_c = goal_c if step_k == away_k else self._at_c + step_k
        return self._at_c
