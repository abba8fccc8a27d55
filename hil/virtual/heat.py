"""The heater in the loop: when the pedal switches it, and what the plant makes of that."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from device.states import Limits
from hil.virtual.led import Row
from hil.virtual.scenarios.report import check

_GROUP, _LOOP = "climate", "climate: the loop"
SETTLE_S = 1.5
"""From a threshold to the heater, from a state to the relay: sensor, edges that arm, exchange."""
_EFFECT_S = 20.0
"""Plant seconds before and after the heater is switched: less than a time constant of the module on
its plate (160 J/K, 1.2 W/K)."""
_EFFECT_K_PER_MIN = 3.0
"""The heater's 18 W are 6.7 K/min there; what else changes is a watt or two."""

Checks = list[dict[str, Any]]


def switched(rows: Sequence[Row], limits: Limits) -> Checks:
    """On below its threshold and off above it; in between it may be either."""
    # Without a sensor on the board the firmware takes the zone, less the module's own heat.
    on_c = limits.heater_below_c + limits.self_heating_k
    off_c = on_c + limits.cold_hysteresis_k
    rests_until_s = _rests(rows, limits.heater_pause_s)
    cold = [
        row
        for row in settled(rows, lambda row: row.given_c < on_c)
        if row.asked.time_s >= rests_until_s[row.asked.number]
    ]
    warm = list(settled(rows, lambda row: row.given_c >= off_c))
    return [
        _none("climate-heats", f"exchanges below {on_c:g} °C without the heater", cold, False),
        _none("climate-heats-not", f"exchanges from {off_c:g} °C with the heater", warm, True),
    ]


def _none(name: str, what: str, rows: Sequence[Row], heater: bool) -> dict[str, Any]:
    wrong = [row for row in rows if row.asked.heater is heater]
    note = f"of {len(rows)}"
    if wrong:
        note += f", the first at {wrong[0].given_c:.1f} °C"
    return check(name, _GROUP, what, 0, len(wrong) if rows else None, "", note=note)


def settled(rows: Sequence[Row], holds: Callable[[Row], bool]) -> Iterator[Row]:
    """Rows in which something has been so for long enough that the pedal must have followed."""
    since_s: float | None = None
    for row in rows:
        if not holds(row):
            since_s = None
        elif since_s is None:
            since_s = row.asked.time_s
        elif row.asked.time_s - since_s >= SETTLE_S:
            yield row


def _rests(rows: Sequence[Row], pause_s: float) -> list[float]:
    """Until when the heater may rest after it was on, s, for each row."""
    until_s = [0.0]
    for before, row in pairwise(rows):
        ended = before.asked.heater and not row.asked.heater
        until_s.append(row.asked.time_s + pause_s + SETTLE_S if ended else until_s[-1])
    return until_s


def effects(rows: Sequence[Row]) -> Checks:
    """What the heater's being switched does to the module: the plant's answer to the pedal."""
    warms: list[float] = []
    cools: list[float] = []
    for index in range(1, len(rows)):
        heater = rows[index].asked.heater
        if heater == rows[index - 1].asked.heater:
            continue
        before = _rate(rows[index::-1])
        after = _rate(rows[index:])
        if before is not None and after is not None:
            (warms if heater else cools).append(after - before if heater else before - after)
    return [
        check(
            f"climate-{name}",
            _LOOP,
            f"heater {name}: the module warms by so much {more} than just before, over its box",
            _EFFECT_K_PER_MIN,
            min(changes, default=None),
            "K/min",
            least=True,
            note=f"least of {len(changes)}, in the plant's minutes",
        )
        for name, more, changes in (("on", "more", warms), ("off", "less", cools))
    ]


def _rate(rows: Sequence[Row]) -> float | None:
    """How fast the module warms over its box from the first row on, K per plant minute.

    ``rows`` may go back in time. None where they are too few, or the heater is switched between.
    """
    first = rows[0]
    for row in rows[2:]:
        passed_s = row.plant_s - first.plant_s
        if row.asked.heater != rows[1].asked.heater:
            return None
        if abs(passed_s) >= _EFFECT_S:
            return 60.0 * (_above(row) - _above(first)) / passed_s
    return None


def _above(row: Row) -> float:
    return row.given_c - row.enclosure_c
