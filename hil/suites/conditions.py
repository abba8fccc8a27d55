"""Conditions: ramps that are limited and audited, stabilisation that is found, soaks that count."""

import math
from dataclasses import dataclass

from hil.errors import BenchError
from hil.suites.rig import LOOK_S, Rig
from hil.suites.trace import column, number, rates_k_per_min

RAMP_K_PER_MIN = 2.0
"""What is asked of the chamber: below the limit of 3 K/min, which is then audited."""
STABLE_K = 3.0
"""Every product couple within this of the air (IEC 60068-2-1: 3 K of the conditioning)."""
STABLE_K_PER_HOUR = 2.0
"""And changing by less (MIL-STD-810H, part one, 5.4: 2.0 °C an hour)."""
_STABLE_WINDOW_S = 900.0
_STABLE_LIMIT_S = 6 * 3600.0
_HONEST_K = 2.0


@dataclass(frozen=True)
class Soak:
    """One condition."""

    at: str
    """Its name in the report."""
    celsius: float
    hours: float
    humidity_percent: float | None = None
    operating: bool = False
    """Whether the pedal is on: then it warms itself, and only rates are asked of it."""


def check_reach(rig: Rig, soak: Soak) -> None:
    """Refuse what the chamber or the product cannot take, before anything moves.

    Raises ``BenchError``.
    """
    product, chamber = rig.bench.product, rig.bench.chamber
    low, high = (
        (product.operation_lowest_c, product.operation_highest_c)
        if soak.operating
        else (product.storage_lowest_c, product.storage_highest_c)
    )
    if not low <= soak.celsius <= high:
        raise BenchError(
            f"{soak.at}: {soak.celsius:g} °C is outside of what the pedal may be given "
            f"({low:g} to {high:g} °C, product in bench.toml)."
        )
    limits = chamber.limits
    if not limits.lowest_c <= soak.celsius <= limits.highest_c:
        raise BenchError(
            f"{soak.at}: {chamber.model} reaches {limits.lowest_c:g} to {limits.highest_c:g} °C, "
            f"not {soak.celsius:g} °C; use another chamber."
        )
    if soak.humidity_percent is not None and not limits.humidity:
        raise BenchError(
            f"{soak.at}: {chamber.model} does not regulate humidity; leave the damp stages out "
            "(only = …) or use another chamber."
        )


def go_to(rig: Rig, celsius: float, humidity_percent: float | None = None) -> None:
    """Lead the chamber there in small steps, so that no chamber ramps faster than asked."""
    chamber = rig.bench.chamber
    # Air that stands a tenth beyond a limit is no setpoint that may be asked for.
    limits = chamber.limits
    now_c = min(limits.highest_c, max(limits.lowest_c, chamber.read().air_c))
    rig.mark(f"to {celsius:g} °C")
    chamber.set(now_c, humidity_percent)
    chamber.start()
    step_s = 30.0
    while abs(celsius - now_c) > 1e-9:
        step_k = RAMP_K_PER_MIN * step_s / 60.0
        now_c += max(-step_k, min(step_k, celsius - now_c))
        chamber.set(now_c, humidity_percent)
        rig.wait(step_s)
        # A chamber that lags is waited for, or the ramp would end as a step.
        behind = abs(chamber.read().air_c - now_c) > 2.5
        waited_s = 0.0
        while behind and waited_s < 1800.0:
            rig.wait(step_s)
            waited_s += step_s
            behind = abs(chamber.read().air_c - now_c) > 2.5
        if behind:
            break


def soak(rig: Rig, asked: Soak) -> None:
    """Go there, wait until the product is there too, and stay; judge each of it."""
    check_reach(rig, asked)
    start_s = rig.now_s()
    go_to(rig, asked.celsius, asked.humidity_percent)
    took_s = rig.wait_until(
        f"stabilised at {asked.celsius:g} °C",
        lambda: stable(rig, asked),
        _STABLE_LIMIT_S,
        LOOK_S,
    )
    rig.check("stabilised", took_s is not None, asked.at)
    soak_s = rig.now_s()
    rig.mark(f"soaks for {asked.hours:g} h")
    rig.wait(asked.hours * 3600.0)
    judge_conditions(rig, asked, start_s, soak_s)


def judge_conditions(rig: Rig, asked: Soak, start_s: float, soak_s: float) -> None:
    """Audit the trace: ramp, soak, and whether the chamber tells the truth."""
    rows, soaking = rig.trace.between(start_s), rig.trace.between(soak_s)
    rate = max(rates_k_per_min(rows, "air_c"), default=math.nan)
    rig.check("ramp", None if math.isnan(rate) else rate, asked.at)
    off = [abs(celsius - asked.celsius) for celsius in column(soaking, "air_c")]
    rig.check("soak-air", max(off) if off else None, asked.at)
    times = column(soaking, "time_s")
    lasted_s = times[-1] - soak_s if times else 0.0
    planned_s = asked.hours * 3600.0
    rig.check("soak", 100.0 * lasted_s / planned_s if planned_s else None, asked.at)
    apart = [abs(number(row, "air_c") - number(row, "chamber_c")) for row in soaking]
    apart = [each for each in apart if math.isfinite(each)]
    honest = bool(apart) and sorted(apart)[len(apart) // 2] <= _HONEST_K
    rig.check("chamber-honest", honest, asked.at)


def stable(rig: Rig, asked: Soak) -> bool:
    """Whether the product itself is at temperature, by its own couples and not by a timer."""
    rows = rig.trace.between(rig.now_s() - _STABLE_WINDOW_S)
    times = column(rows, "time_s")
    if len(times) < 10 or times[-1] - times[0] < 0.8 * _STABLE_WINDOW_S:
        return False
    hours = (times[-1] - times[0]) / 3600.0
    names = [name for name in rows[-1] if name.endswith("_c") and name not in _NOT_PRODUCT]
    if asked.operating:
        # What warms itself goes up and down with its thermostat; the slowest parts tell.
        names = [name for name in names if name in _SLOWEST] or names
    for name in names:
        values = column(rows, name)
        if len(values) < len(rows) // 2:
            continue  # an open couple says nothing; its gap is in the trace
        quarter = max(1, len(values) // 4)
        first, last = sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter
        if abs(last - first) / (0.75 * hours) > STABLE_K_PER_HOUR:
            return False
        if not asked.operating and abs(last - asked.celsius) > STABLE_K:
            return False
    return bool(names)


_SLOWEST = frozenset({"enclosure_c", "battery_c"})
_NOT_PRODUCT = frozenset({"chamber_c", "setpoint_c", "hottest_c", "air_c"})
