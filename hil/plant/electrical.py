"""Voltage at the pedal: supply or battery, what sags in the cold, and when that is too little."""

import math
from dataclasses import dataclass

from hil.plant.parameters import Parameters


@dataclass
class Source:
    """A bench supply, or the battery: what the pedal's jack is connected to."""

    parameters: Parameters
    volts: float = 12.0
    limit_a: float = 5.0
    on: bool = False
    battery: bool = False
    """Whether it is the battery, which gets weak in the cold, instead of the supply."""

    def open_v(self, battery_c: float) -> float:
        """Without a load."""
        if not self.on:
            return 0.0
        if not self.battery:
            return self.volts
        p = self.parameters
        return p.battery_open_v - p.battery_open_v_per_k * max(0.0, 25.0 - battery_c)

    def ohm(self, battery_c: float) -> float:
        """Between it and the pedal."""
        p = self.parameters
        if not self.battery:
            return p.cable_ohm
        return p.cable_ohm + p.battery_ohm_25c * math.exp(p.battery_ohm_per_k * (25.0 - battery_c))


@dataclass(frozen=True)
class Load:
    """What flows: at the pedal's jack."""

    volts: float
    amperes: float


def load(source: Source, watts: float, battery_c: float) -> Load:
    """The working point of converters that take a constant power.

    Where the source cannot give it, the voltage collapses and the limit's current flows.
    """
    open_v, ohm = source.open_v(battery_c), source.ohm(battery_c)
    if open_v <= 0.0 or watts <= 0.0:
        return Load(max(0.0, open_v), 0.0)
    root = open_v * open_v - 4.0 * ohm * watts
    if root <= 0.0:
        amperes = min(open_v / (2.0 * ohm), source.limit_a)
        return Load(open_v - amperes * ohm, amperes)
    volts = 0.5 * (open_v + math.sqrt(root))
    amperes = watts / volts
    if amperes > source.limit_a:
        # A supply that limits its current lets the voltage fall; converters then take more: down.
        return Load(0.0, source.limit_a)
    return Load(volts, amperes)


def inrush_v(source: Source, watts: float, battery_c: float, bulk_c: float) -> float:
    """The lowest voltage while converters start: the bulk capacitor is what is left of it.

    The source gives its share through its resistance; the capacitor the rest, and what it lost in
    the cold it cannot give: its own resistance drops at once, its charge over the inrush.
    """
    p = source.parameters
    steady = load(source, watts, battery_c)
    cold = max(0.0, 25.0 - bulk_c)
    left = max(0.05, 1.0 - (1.0 - p.bulk_left_at_minus_55c) * cold / 80.0)
    farad = p.bulk_uf_25c * 1e-6 * left
    esr = p.bulk_esr_ohm_25c * math.exp(p.bulk_esr_ohm_per_k * cold)
    ohm = source.ohm(battery_c)
    # The share that comes through the capacitor's own resistance, and what that takes out of it.
    share_a = p.inrush_a * ohm / (ohm + esr)
    dip = share_a * esr + share_a * p.inrush_ms * 1e-3 / farad
    limited = min(dip, p.inrush_a * ohm)
    return max(0.0, steady.volts - limited)
