"""The functional check: the same few minutes before, during and after every stress."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.errors import InstrumentError
from hil.suites.rig import QUICK_S, Rig, middle
from hil.suites.trace import Row, number

SHOTS = 20
_KNOB_DB = 3.0
_NOTHING_A = 0.05
_NEAR = 0.2


@dataclass(frozen=True)
class Found:
    """What the pedal sounded like."""

    frames: float | None
    spread_frames: float | None
    gain_db: float | None


def key_on(rig: Rig, at: str, *, cold: bool) -> None:
    """Switch the pedal on and time it to dry and to processed sound, listening all the time."""
    product = rig.bench.product
    rig.bench.supply.set(product.volts, product.limit_a)
    rig.bench.clock.sleep(1.0)
    passes = rig.heard() == "relay"
    rig.check("off-passes", passes, at)
    rig.mark("key on")
    key_s = rig.now_s()
    rig.bench.supply.switch(True)
    silent = 0
    dry_s = wet_s = None
    module_c: float | None = None
    limit_s = 900.0 if cold else 90.0
    recorded_s = listened_s = key_s
    while rig.now_s() - key_s < limit_s and wet_s is None:
        rig.bench.clock.sleep(QUICK_S)
        now_s = rig.now_s()
        status = rig.status()
        control = status.get("control") or {}
        if module_c is None and _module_on(rig):
            module_c = rig.couples().get("module")
        if control.get("relay") and dry_s is None and rig.heard() == "pedal":
            dry_s = now_s - key_s
        if dry_s is not None and not status.get("loading") and rig.heard() == "pedal":
            wet_s = now_s - key_s
        if now_s - listened_s >= 5.0:
            listened_s = now_s
            silent += rig.heard() == "silence"
        if now_s - recorded_s >= 10.0:
            recorded_s = now_s
            rig.look()
    rig.check("cold-dry" if cold else "room-dry", dry_s, at)
    rig.check("cold-wet" if cold else "room-wet", wet_s, at)
    rig.check("passes", silent == 0, at, note=f"{silent} looks of silence" if silent else "")
    if cold:
        rig.check("module-powered", module_c, at, note="by the thermocouple on the module")
    rig.mark("plays" if wet_s is not None else "does not play")


def _module_on(rig: Rig) -> bool:
    """Whether the module has power: whether another current flows than the pre-heater's alone."""
    amperes = rig.bench.supply.read().amperes
    pre_heater_a = rig.bench.product.pre_heater_a
    return amperes > _NOTHING_A and abs(amperes - pre_heater_a) > _NEAR * pre_heater_a


def key_off(rig: Rig) -> None:
    """Switch it off."""
    rig.bench.supply.switch(False)
    rig.mark("key off")


def listen(rig: Rig, at: str, reference: Found | None = None, seconds: float = 300.0) -> Found:
    """Play for ``seconds``; judge what was lost, the delay, the level, the clock and the knob.

    Against ``reference``, the same at room temperature, where there is one.
    """
    before = rig.status()
    delays = rig.shots(SHOTS)
    rig.wait(seconds)
    delays += rig.shots(SHOTS)
    after = rig.status()
    rig.check("xruns", _rise(before, after, "xruns"), at)
    spread = None
    if delays:
        frames = sorted(each.frames for each in delays)
        spread = frames[-1] - frames[0]
    shot = middle(delays)
    rig.check("latency-spread", spread, at, note=f"{len(delays)} shots")
    ppm = slope_ppm(unbroken(rig.trace.rows), before.get("period_frames"), before.get("rate_hz"))
    rig.check(
        "drift", None if ppm is None else abs(ppm), at, note="" if ppm is None else f"{ppm:+.1f}"
    )
    rig.check("knob", _knob(rig), at)
    found = Found(
        None if shot is None else shot.frames, spread, None if shot is None else shot.gain_db
    )
    if reference is not None:
        shift = gain = None
        if found.frames is not None and reference.frames is not None:
            shift = abs(found.frames - reference.frames)
        if found.gain_db is not None and reference.gain_db is not None:
            gain = abs(found.gain_db - reference.gain_db)
        rig.check("latency-shift", shift, at)
        rig.check("level-shift", gain, at)
    control = after.get("control") or {}
    rig.check("relay-agrees", bool(control.get("relay")) == (rig.heard() == "pedal"), at)
    rig.check("restarts-unasked", control.get("restarts"), at)
    return found


def slope_ppm(rows: list[Row], period_frames: object, rate_hz: object) -> float | None:
    """How much the interface runs off the bench's clock: a line through its counted periods.

    A count is whole periods, so a line of many rows is far finer than their first and last.
    """
    points = [(number(row, "time_s"), number(row, "periods")) for row in rows]
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) < 8 or not isinstance(period_frames, int) or not isinstance(rate_hz, int):
        return None
    times, counts = np.array(points).T
    per_s = float(np.polyfit(times - times[0], counts, 1)[0])
    return (per_s * period_frames / rate_hz - 1.0) * 1e6


def unbroken(rows: list[Row]) -> list[Row]:
    """The latest rows in which the count of periods never began anew."""
    first = len(rows)
    after = math.inf
    while first and 0.0 < number(rows[first - 1], "periods") < after:
        after = number(rows[first - 1], "periods")
        first -= 1
    return rows[first:]


def _rise(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> float | None:
    if name not in before or name not in after:
        return None
    return float(after[name] - before[name])


def _knob(rig: Rig) -> bool | None:
    """Whether both ends of the knob sound otherwise; left where it was. None: not measured."""
    unit = rig.bench.unit
    was = rig.status().get("position", 0.5)
    levels = []
    for position in (0.0, 1.0):
        try:
            unit.turn(position)
        except InstrumentError:
            return None  # nothing turns this bench's knob
        rig.bench.clock.sleep(1.0)
        shot = rig.shot()
        levels.append(None if shot is None else shot.gain_db)
    unit.turn(was)
    rig.bench.clock.sleep(1.0)
    if levels[0] is None or levels[1] is None:
        return False
    return abs(levels[0] - levels[1]) >= _KNOB_DB
