"""The arithmetic of ``deploy/hardware.md``: ``python -m deploy.hardware_figures`` prints it.

Worst cases are sums of tolerances at -40…+85 °C, not statistics. Values of parts are those of the
page's bill of materials; where a figure comes from is said there.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from device.pump import EDGES_TO_ARM, HALF_PERIOD_S

COLD_C, HOT_C, ROOM_C = -40.0, 85.0, 25.0
COPPER_PER_K = 0.00393
"""Temperature coefficient of a coil's resistance, at 20 °C."""


@dataclass(frozen=True)
class Spread:
    """Least, nominal and greatest value."""

    low: float
    nominal: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3g} … {self.nominal:.3g} … {self.high:.3g}"


def resistor(tolerance: float, ppm_per_k: float = 100.0) -> float:
    """Greatest relative error of a resistor over the whole range of temperature."""
    return tolerance + ppm_per_k * 1e-6 * (ROOM_C - COLD_C)


def hold_ms(set_ohm: float = 243e3 / 2.0, divider: int = 32768) -> Spread:
    """LTC6993-2: ``t = N_DIV * R_SET / 50 kohm * 1 us``, 2.3 % for pulses over 512 us.

    0.3 % more for the supply. R_SET is two resistors of 1 %.
    """
    nominal = divider * set_ohm / 50e3 * 1e-3
    error = 0.023 + 0.003 + resistor(0.01)
    return Spread(nominal * (1.0 - error), nominal, nominal * (1.0 + error))


def divider_code(high_ohm: float = 100e3, low_ohm: float = 52.3e3) -> Spread:
    """DIV pin: code n stands for ``(n + 0.5) / 16`` of the supply; as codes, 5 is wanted."""

    def code(high: float, low: float) -> float:
        return low / (high + low) * 16.0 - 0.5

    error = resistor(0.01)
    return Spread(
        code(high_ohm * (1 + error), low_ohm * (1 - error)),
        code(high_ohm, low_ohm),
        code(high_ohm * (1 - error), low_ohm * (1 + error)),
    )


def last_edge_ms() -> Spread:
    """Hold after the line's last edge of either kind: the last rising one is up to 10 ms older."""
    hold = hold_ms()
    return Spread(hold.low - HALF_PERIOD_S * 1e3, hold.nominal, hold.high)


@dataclass(frozen=True)
class Filter:
    """RC low-pass and 74LVC1G17, whose thresholds at 3.0 V and -40…+85 °C are the data sheet's."""

    ohm: float = 15e3
    farad: float = 100e-9
    error: float = resistor(0.01) + 0.05 + 30e-6 * 65.0
    supply_v: float = 3.0
    rising_max_v: float = 2.2
    falling_min_v: float = 0.6
    hysteresis_min_v: float = 0.4
    leakage_a: float = 5e-6

    def passes_ms(self) -> float:
        """Shortest half period of a square wave that surely gets through."""
        shift_v = self.leakage_a * self.ohm
        reach = [
            (self.supply_v - level) / level
            for level in (self.falling_min_v - shift_v, self.supply_v - self.rising_max_v - shift_v)
        ]
        return math.log(max(reach)) * self.ohm * self.farad * (1.0 + self.error) * 1e3

    def stops_hz(self, amplitude_v: float = 3.47) -> float:
        """Frequency above which no square wave of this amplitude gets through."""
        half_of_tau = 2.0 * math.atanh(self.hysteresis_min_v / amplitude_v)
        tau_s = self.ohm * self.farad * (1.0 - self.error)
        return 1.0 / (2.0 * half_of_tau * tau_s)


@dataclass(frozen=True)
class Coil:
    """A monostable relay's coil: values at 23 °C, supply at the coil."""

    ohm: float = 145.0
    ohm_tolerance: float = 0.10
    operate_v: float = 3.375
    kelvin_per_watt: float = 150.0
    supply_v: Spread = Spread(4.75, 5.0, 5.25)

    def greatest_ma(self) -> float:
        """Cold coil, least resistance, greatest supply."""
        ohm = self.ohm * (1 - self.ohm_tolerance) * (1 + COPPER_PER_K * (COLD_C - 23.0))
        return self.supply_v.high / ohm * 1e3

    def hottest_c(self, air_c: float = HOT_C) -> float:
        """Temperature of the coil in that air, least resistance, greatest supply."""
        coil_c = air_c
        for _ in range(50):
            ohm = self.ohm * (1 - self.ohm_tolerance) * (1 + COPPER_PER_K * (coil_c - 23.0))
            coil_c = air_c + self.kelvin_per_watt * self.supply_v.high**2 / ohm
        return coil_c

    def operate_hot_v(self, air_c: float = HOT_C) -> float:
        """Voltage at which it operates again, warm from having been energised."""
        return self.operate_v * (1 + COPPER_PER_K * (self.hottest_c(air_c) - 23.0))


def knob_codes(track_ohm: float = 10e3, end_ohm: float = 100.0) -> Spread:
    """MCP3008's code at the lower end of the travel; the upper end is as far from 1023."""

    def code(track: float) -> float:
        return 1023.0 * end_ohm / (track + 2.0 * end_ohm)

    error_lsb = 2.5  # offset 1.5, integral nonlinearity 1
    return Spread(code(1.2 * track_ohm) - error_lsb, code(track_ohm), code(0.8 * track_ohm) + 2.5)


def thermistor_c(ohm: float) -> float:
    """NTCLE100E3103 (10 kohm, B25/85 = 3977 K): temperature at a resistance."""
    x = math.log(ohm / 10e3)
    kelvin = 1.0 / (3.354016e-3 + 2.569850e-4 * x + 2.620131e-6 * x**2 + 6.383091e-8 * x**3)
    return kelvin - 273.15


def hold_off_c(top_ohm: float = 71.5e3, feedback_ohm: float = 1e6) -> tuple[Spread, Spread]:
    """Temperatures at which the module's power is released, and held off again.

    Comparator against half the supply (2 x 100 kohm), hysteresis by ``feedback_ohm``.
    """
    share = 50e3 / (50e3 + feedback_ohm)
    spreads = []
    for ratio in (0.5 * (1.0 - share), 0.5 * (1.0 + share)):
        ohm = top_ohm * ratio / (1.0 - ratio)
        # Thermistor 2 % and B 0.75 % (3 % more at -15 °C), three resistors, comparator 5 mV of 5 V.
        error = 0.02 + 0.0075 * 3977.0 * (1 / 258.15 - 1 / 298.15) + 2 * resistor(0.01) + 0.004
        spreads.append(
            Spread(
                thermistor_c(ohm * (1 + error)), thermistor_c(ohm), thermistor_c(ohm * (1 - error))
            )
        )
    return spreads[0], spreads[1]


def preheat_min(
    watt: float, loss_w_per_k: float, capacity_j_per_k: float = 300.0, from_c: float = COLD_C
) -> float:
    """Minutes until the hold-off releases; ``inf`` where the heater is too weak for the losses."""
    rise_k = hold_off_c()[0].high - from_c
    reached = rise_k * loss_w_per_k / watt
    if reached >= 1.0:
        return math.inf
    return -math.log(1.0 - reached) * capacity_j_per_k / loss_w_per_k / 60.0


def lines() -> Iterator[str]:
    """All figures of the page."""
    hold, low_pass, coil = hold_ms(), Filter(), Coil()
    yield f"hold after the last rising edge     {hold} ms"
    yield f"hold after the last edge            {last_edge_ms()} ms"
    yield f"hold with one of R_SET's two open   {hold_ms(243e3)} ms"
    yield f"divider code (5 wanted)             {divider_code()}"
    period_ms, arm = 2e3 * HALF_PERIOD_S, EDGES_TO_ARM - 1
    arming = f"{arm * period_ms:.0f} … {(arm + 1) * period_ms:.0f} ms"
    yield f"contact moves after edges for       {arming}"
    yield f"control may be late by              {hold.low - period_ms:.0f} ms"
    yield f"slower edges never hold             {1e3 / hold.high:.1f} Hz"
    yield f"filter passes half periods from     {low_pass.passes_ms():.2f} ms"
    yield f"filter stops square waves above     {low_pass.stops_hz():.0f} Hz"
    yield f"coil current, greatest              {coil.greatest_ma():.1f} mA"
    yield f"coil in 85 °C air                   {coil.hottest_c():.0f} °C"
    yield f"operates again, warm, at            {coil.operate_hot_v():.2f} V"
    five = Coil(178.0, operate_v=3.75)
    yield f"the 5 V coil would need             {five.operate_hot_v():.2f} V"
    yield f"knob's code at the end of travel    {knob_codes()}"
    yield f"expression pedal 50 kohm, 470 ohm   {knob_codes(50e3, 470.0)}"
    release, again = hold_off_c()
    yield f"hold-off releases at                {release} °C"
    yield f"hold-off holds again at             {again} °C"
    for loss in (0.2, 0.3, 0.5, 0.75):
        yield f"preheat 20 W, losses {loss:.2f} W/K       {preheat_min(20.0, loss):.1f} min"


if __name__ == "__main__":
    print("\n".join(lines()))
