"""What the exchange between guest and plant shows: the pedal's states at its own thresholds.

Every threshold is the firmware's (``device.states.Limits``); nothing here says at what temperature
the pedal should do something. All times are the guest's.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from device.states import Limits
from hil.raw import Csv
from hil.virtual.heat import Checks, effects, settled, switched
from hil.virtual.led import Programme, Record, Row
from hil.virtual.scenarios.report import check, fact, mark, span

EXCHANGE_S = 0.2
"""From one question to the next."""
RAW = "exchanges.csv"
_GROUP, _CLOCKS = "climate", "climate: clocks"
_LATE_S = 2.0
"""From a threshold to the state: 1.0 s is confirmed, up to 0.5 s until the sensor is read, 0.1 s
until it is reported, one exchange until it is seen."""
_REPORT_S = 2.5
"""Age of the oldest temperature that control's report may hold: 1 s, 0.5 s, and an exchange."""
_RESOLUTION_K = 0.0015
"""A thermal zone counts millikelvins."""


def judge(record: Record) -> dict[str, Any]:
    """What a scenario's result holds: checks, timeline, marks and figures of the exchange."""
    rows, limits = record.rows, Limits()
    if len(rows) < 2:
        return {"failed_because": record.failed or "guest and plant exchanged nothing"}
    first_s, last_s = rows[0].asked.time_s, rows[-1].asked.time_s
    return {
        "checks": [
            _order(record),
            *_states(record, limits),
            *switched(rows, limits),
            *effects(rows),
            *_music(rows),
            *_clocks(record),
        ],
        "timeline": list(_timeline(rows)),
        "marks": [mark(at_s, name) for at_s, name in record.legs],
        "figures": {
            "plant seconds in a guest second": record.programme.factor,
            "plant_s": rows[-1].plant_s,
            "guest_s": last_s - first_s,
            "exchanges": len(rows),
            "coldest_c": min(row.given_c for row in rows),
            "hottest_c": max(row.given_c for row in rows),
        },
        "failed_because": record.failed or None,
    }


def write_raw(record: Record, file: Path) -> None:
    """Every exchange as a row of CSV. Raises ``OSError``."""
    rows = Csv(file)
    for row in record.rows:
        asked = row.asked
        rows.add(
            {
                "guest_s": asked.time_s,
                "applied_s": float("nan") if asked.applied_s is None else asked.applied_s,
                "plant_s": row.plant_s,
                "air_c": row.air_c,
                "enclosure_c": row.enclosure_c,
                "die_c": row.given_c,
                "zone_c": float("nan") if asked.zone_c is None else asked.zone_c,
                "state": asked.state,
                "heater": float(asked.heater),
                "relay": float(asked.relay),
                "gap_s": asked.gap_s,
                "load": asked.load,
                "plays": float(asked.plays),
                "xruns": float(asked.xruns),
                "leg": row.leg,
            }
        )
    rows.close()


# -- states ---------------------------------------------------------------------------------------


def _way(limits: Limits) -> list[tuple[str, str, Callable[[float], bool]]]:
    """State, what leads to it, and whether a temperature is on that side."""
    held_c, from_c = limits.hold_below_c, limits.hold_below_c + limits.cold_hysteresis_k
    warm_c, hot_c = limits.warm_from_c, limits.stage_from_c
    cool_c = hot_c - limits.hot_hysteresis_k
    return [
        ("hold", f"below {held_c:g} °C", lambda celsius: celsius < held_c),
        ("warm-up", f"from {from_c:g} °C", lambda celsius: celsius >= from_c),
        ("play", f"from {warm_c:g} °C", lambda celsius: celsius >= warm_c),
        ("hot", f"from {hot_c:g} °C", lambda celsius: celsius >= hot_c),
        ("play", f"below {cool_c:g} °C", lambda celsius: celsius < cool_c),
    ]


def _asked(programme: Programme) -> list[tuple[str, str, Callable[[float], bool]]]:
    """The part of the way that a programme's legs lead along."""
    left, found = [leg.state for leg in programme.legs], []
    for step in _way(Limits()):
        if left:
            found.append(step)
            left = left[1:] if step[0] == left[0] else left
    return found


def _changes(rows: Sequence[Row]) -> list[int]:
    """Where a state is seen that the row before did not have."""
    return [
        index + 1
        for index, (before, row) in enumerate(pairwise(rows))
        if row.asked.state and row.asked.state != before.asked.state
    ]


def _order(record: Record) -> dict[str, Any]:
    rows = record.rows
    walked = [rows[index].asked.state for index in _changes(rows)]
    wanted = [state for state, *_ in _asked(record.programme)]
    note = " → ".join([rows[0].asked.state, *walked])
    return fact(
        "climate-order",
        _GROUP,
        f"the way of the states is {' → '.join(wanted)}",
        walked == wanted and not record.missed,
        note=f"{note}; {record.missed}" if record.missed else note,
    )


def _states(record: Record, limits: Limits) -> Checks:
    """Each state of the way: how long after its threshold it was seen, and not before."""
    found: Checks = []
    rows = record.rows
    changes = iter(_changes(rows))
    for number, (state, where, beyond) in enumerate(_asked(record.programme)):
        index = next((each for each in changes if rows[each].asked.state == state), None)
        late_s, note = None, "was not seen"
        if index is not None:
            late_s = _since(rows, index, beyond)
            row = rows[index]
            note = f"at {row.given_c:.1f} °C, the air {row.air_c:.1f} °C"
            if late_s is None or late_s < limits.confirm_s:
                note += "; before it was there for long enough"
        one = check(
            f"climate-{number}-{state}",
            _GROUP,
            f"{state}, {where}: this long after the module got there",
            _LATE_S,
            late_s,
            "s",
            note=note,
        )
        found.append(one | {"ok": one["ok"] and (late_s or 0.0) >= limits.confirm_s})
    return found


def _since(rows: Sequence[Row], index: int, beyond: Callable[[float], bool]) -> float | None:
    """How long the temperatures given before row ``index`` have been on a side, s."""
    first = None
    for row in reversed(rows[:index]):
        if not beyond(row.given_c):
            break
        first = row
    return None if first is None else rows[index].asked.time_s - first.asked.time_s


# -- music ----------------------------------------------------------------------------------------


def _music(rows: Sequence[Row]) -> Checks:
    plays = list(settled(rows, lambda row: row.asked.state in ("warm-up", "play", "hot")))
    holds = list(settled(rows, lambda row: row.asked.state == "hold"))
    return [
        check(
            "climate-relay",
            _GROUP,
            "longest time the relay was without current while music should play",
            0,
            max((row.asked.gap_s for row in plays), default=None),
            "s",
            note=f"{len(plays)} exchanges; the circuit that lets go soonest",
        ),
        check(
            "climate-relay-hold",
            _GROUP,
            "exchanges in hold with the relay held",
            0,
            sum(row.asked.relay for row in holds) if holds else None,
            "",
            note=f"of {len(holds)}",
        ),
        check(
            "climate-plays",
            _GROUP,
            "exchanges in which no preset was played",
            0,
            sum(not row.asked.plays for row in rows[1:]),
            "",
            note=f"of {len(rows) - 1}",
        ),
        check(
            "climate-xruns",
            _GROUP,
            "xruns meanwhile",
            0,
            rows[-1].asked.xruns - rows[0].asked.xruns,
            "",
        ),
    ]


# -- clocks ---------------------------------------------------------------------------------------


def _clocks(record: Record) -> Checks:
    rows, factor = record.rows, record.programme.factor
    first = rows[0]
    apart_s, wrong_k = [], []
    for row, later in pairwise(rows):
        if later.asked.applied_s is not None:
            guest_s = later.asked.applied_s - first.asked.time_s
            apart_s.append(abs(guest_s - (row.plant_s - first.plant_s) / factor))
        if later.asked.zone_c is not None:
            wrong_k.append(abs(later.asked.zone_c - row.given_c))
    whole = len(apart_s) == len(wrong_k) == len(rows) - 1
    unread = _unread(rows)
    return [
        check(
            "climate-clocks",
            _CLOCKS,
            "the guest's clock and the plant's apart, whenever a temperature was applied",
            EXCHANGE_S,
            max(apart_s) if whole else None,
            "s",
            note=f"one exchange; {factor:g} plant seconds in a guest second",
        ),
        check(
            "climate-applied",
            _CLOCKS,
            "what the thermal zone reads off what the plant answered",
            _RESOLUTION_K,
            max(wrong_k) if whole else None,
            "K",
            note=f"{len(wrong_k)} answers",
        ),
        check(
            "climate-read",
            _CLOCKS,
            f"reports of control with a temperature not answered in the {_REPORT_S:g} s before",
            0,
            unread,
            "",
        ),
    ]


def _unread(rows: Sequence[Row]) -> int | None:
    """Reports whose temperature was not among those just answered."""
    wrong = told = 0
    for index, row in enumerate(rows):
        now_s, read_c = row.asked.time_s, row.asked.read_c
        if now_s - rows[0].asked.time_s < _REPORT_S or read_c is None:
            continue
        told += 1
        near = False
        for earlier in reversed(rows[:index]):
            if now_s - earlier.asked.time_s > _REPORT_S:
                break
            near = near or abs(earlier.given_c - read_c) <= _RESOLUTION_K
        wrong += not near
    return wrong if told else None


def _timeline(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """What was heard, from the relay and what audio says."""
    start = rows[0]
    for row in rows[1:]:
        if row.asked.relay != start.asked.relay or row is rows[-1]:
            kind = "wet" if start.asked.relay else "relay"
            yield span(kind, start.asked.time_s, row.asked.time_s)
            start = row
