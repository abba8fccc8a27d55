"""A stage's raw trace as one picture: temperatures, ramp, current, states, over the same time."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hil.budgets import BUDGETS
from hil.charts import (
    NORMAL,
    SMALL,
    Box,
    Line,
    Picture,
    Scale,
    Text,
    thinned,
    ticks,
    time_ticks,
    wide,
)
from hil.results import Mark, ScenarioResult
from hil.suites.trace import rates_k_per_min

Rows = Sequence[Mapping[str, Any]]

_COUPLES = ("module", "die", "enclosure", "board", "adc", "interface", "display", "battery")
"""Of the product, in the order of their colours; further positions follow."""
_STATES: Mapping[str, str] = {
    "play": "wet",
    "warm-up": "c6",
    "hot": "c2",
    "ready": "dry",
    "hold": "relay",
    "dew": "c4",
    "fault": "alarm",
}
_LEFT, _RIGHT, _GAP = 46.0, 10.0, 26.0
_MOST_RATE = 1.5
"""Of the limit: as far as the ramp's panel reaches at least."""
_KEYS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Noted:
    """A mark with its letter."""

    key: str
    time_s: float
    label: str


def noted(marks: Sequence[Mark], start_s: float) -> list[Noted]:
    """Marks with letters, in the order of time, seconds since ``start_s``."""
    found = sorted(marks, key=lambda each: each.time_s)
    return [
        Noted(_letter(order), each.time_s - start_s, each.label.replace(" -", " −"))
        for order, each in enumerate(found)
    ]


def _letter(order: int) -> str:
    return _KEYS[order % len(_KEYS)] + (str(order // len(_KEYS)) if order >= len(_KEYS) else "")


def start_of(rows: Rows) -> float:
    """When a trace begins, s on the bench's clock."""
    return float(rows[0]["time_s"])


def stage_picture(result: ScenarioResult, rows: Rows, width: float) -> Picture:
    """All panels of a stage, ``width`` wide. ``rows`` are its trace, at least two."""
    page = _Page(result, rows, width)
    page.temperatures()
    if page.moves:
        page.ramp()
    if page.damp:
        page.humidity()
    page.supply()
    page.strips()
    page.marks()
    return page.done()


class _Page:
    """Panels below each other, on one time axis."""

    def __init__(self, result: ScenarioResult, rows: Rows, width: float) -> None:
        self.rows = rows
        self.start_s = start_of(rows)
        marks = [each.time_s for each in result.marks]
        self.start_s = min([self.start_s, *marks])
        end_s = max([float(rows[-1]["time_s"]), *marks])
        self.x = Scale(0.0, max(1.0, end_s - self.start_s), _LEFT, width - _RIGHT)
        self.noted = noted(result.marks, self.start_s)
        self.picture = Picture(width, 0.0, f"Trace of {result.name}")
        self.narrow = width < 600.0
        self.top = 18.0
        self.frames: list[tuple[float, float]] = []
        air = self.column("air_c") or self.column("chamber_c")
        self.moves = bool(air) and max(y for _, y in air) - min(y for _, y in air) > 5.0
        self.damp = max((y for _, y in self.column("humidity_percent")), default=0.0) > 60.0

    # -- data -------------------------------------------------------------------------------------

    def column(self, name: str) -> list[tuple[float, float]]:
        """(s since the start, figure), those left out that are no numbers."""
        found = []
        for row in self.rows:
            value = row.get(name)
            if isinstance(value, float) and math.isfinite(value):
                found.append((float(row["time_s"]) - self.start_s, value))
        return found

    # -- panels -----------------------------------------------------------------------------------

    def temperatures(self) -> None:
        """Air, setpoint, and every couple on the product."""
        positions = [name for name in _COUPLES if f"{name}_c" in self.rows[0]]
        known = {*(f"{name}_c" for name in _COUPLES), "air_c", "chamber_c", "setpoint_c"}
        others = [name for name in self.rows[0] if name.endswith("_c") and name not in known]
        positions += [name[:-2] for name in others if name != "hottest_c"]
        lines = [("setpoint", self.column("setpoint_c"), "ink", 1.0, True)]
        lines += [
            (name, self.column(f"{name}_c"), f"c{1 + order % 8}", 1.0, False)
            for order, name in enumerate(positions)
        ]
        air = "air_c" if self.column("air_c") else "chamber_c"
        lines.append(("air", self.column(air), "ink", 1.8, False))
        self._panel("Temperature, °C", 190.0, [each for each in lines if each[1]])

    def ramp(self) -> None:
        """The audited rate of the air, with its limit."""
        limit = BUDGETS["ramp"].limit
        rates = self._rates("air_c" if self.column("air_c") else "chamber_c")
        top = max([_MOST_RATE * limit, *(y for _, y in rates)])
        self._panel(
            "Rate of the air, K/min (mean of 5 min)",
            64.0,
            [("rate", rates, "c1", 1.0, False)],
            low=0.0,
            high=top,
            limit=limit,
            legend=False,
        )

    def humidity(self) -> None:
        """Of the chamber."""
        points = self.column("humidity_percent")
        lines = [("humidity", points, "c6", 1.2, False)]
        self._panel("Relative humidity, %", 64.0, lines, low=0.0, high=100.0, legend=False)

    def supply(self) -> None:
        """Current and voltage as the supply measures them."""
        current, volts = self.column("amperes"), self.column("volts")
        limit = BUDGETS["current"].limit
        self._panel(
            "Supply current, A",
            64.0,
            [("current", current, "c2", 1.0, False)],
            low=0.0,
            high=1.1 * max([limit, *(y for _, y in current)]),
            limit=limit,
            legend=False,
        )
        self._panel(
            "Supply voltage, V",
            48.0,
            [("voltage", volts, "c4", 1.0, False)],
            low=0.0,
            high=1.1 * max([1.0, *(y for _, y in volts)]),
            legend=False,
        )

    def strips(self) -> None:
        """Key, heater, relay and state, one bar each."""
        names = (("key", "key"), ("heater", "heater"), ("relay", "relay held"), ("state", "state"))
        self.top += 4.0
        seen: dict[str, str] = {}
        top = self.top
        for column, title in names:
            self.picture.add(Text(_LEFT - 6.0, self.top + 9.5, title.split()[0], anchor="end"))
            span = self.x.end - self.x.start
            self.picture.add(Box(self.x.start, self.top, span, 12.0, "soak"))
            for first_s, last_s, value in self._runs(column):
                if not value:
                    continue
                colour = _STATES.get(value, "c8") if column == "state" else "ink"
                if column == "state":
                    seen[value] = colour
                x = self.x(first_s)
                title_ = f"{value if column == 'state' else title} from {first_s:.0f} s"
                self.picture.add(
                    Box(x, self.top, max(0.8, self.x(last_s) - x), 12.0, colour, title_)
                )
            self.top += 16.0
        self.frames.append((top, self.top - 4.0))
        self._time_axis()
        if seen:
            self._legend([(name, colour, False) for name, colour in seen.items()], blocks=True)

    def marks(self) -> None:
        """What was done, as lines with letters through all panels."""
        last_x = -math.inf
        for each in self.noted:
            x = self.x(each.time_s)
            for top, bottom in self.frames:
                self.picture.add(Line([(x, top), (x, bottom)], "alarm", 0.7, dashed=True))
            if x - last_x > wide(each.key, SMALL) + 1.0:
                self.picture.add(
                    Text(x, self.frames[0][0] - 4.0, each.key, "alarm", SMALL, "middle", True)
                )
                last_x = x

    def done(self) -> Picture:
        """With the height that it has come to."""
        self.picture.height = self.top
        return self.picture

    # -- parts ------------------------------------------------------------------------------------

    def _panel(
        self,
        title: str,
        height: float,
        lines: Sequence[tuple[str, list[tuple[float, float]], str, float, bool]],
        *,
        low: float | None = None,
        high: float | None = None,
        limit: float | None = None,
        legend: bool = True,
    ) -> None:
        values = [y for line in lines for _, y in line[1]] or [0.0]
        low = min(values) - 2.0 if low is None else low
        high = max(values) + 2.0 if high is None else high
        self.top += 14.0
        self.picture.add(Text(self.x.start, self.top - 5.0, title, "ink", NORMAL, bold=True))
        if legend:
            self._legend([(name, colour, dash) for name, _, colour, _, dash in lines])
        self.top += 10.0 if not self.frames else 0.0
        top, bottom = self.top, self.top + height
        y = Scale(low, high, bottom, top)
        for first_s, last_s in self._soaks():
            x = self.x(first_s)
            self.picture.add(Box(x, top, self.x(last_s) - x, height, "soak", "soak"))
        for value in ticks(low, high, max(2, int(height // 26))):
            at = y(value)
            self.picture.add(Line([(self.x.start, at), (self.x.end, at)], "grid", 0.6))
            label = f"{value:g}".replace("-", "−")
            self.picture.add(Text(self.x.start - 6.0, at + 3.3, label, anchor="end"))
        for _, points, colour, thickness, dashed in lines:
            drawn = thinned([(self.x(x), y(value)) for x, value in points])
            self.picture.add(Line(drawn, colour, thickness, dashed))
        if limit is not None:
            self.picture.add(
                Line([(self.x.start, y(limit)), (self.x.end, y(limit))], "alarm", 1.0, dashed=True),
                Text(self.x.end, y(limit) - 3.0, f"limit {limit:g}", "alarm", anchor="end"),
            )
        self.frames.append((top, bottom))
        self.top = bottom + _GAP / 2.0

    def _time_axis(self) -> None:
        for at_s, label in time_ticks(self.x.high, 5 if self.narrow else 9):
            x = self.x(at_s)
            anchor = "start" if x - _LEFT < 8.0 else "end" if x > self.x.end - 12.0 else "middle"
            self.picture.add(Line([(x, self.top - 4.0), (x, self.top)], "muted", 0.8))
            self.picture.add(Text(x, self.top + 10.0, label, anchor=anchor))
        self.top += 18.0

    def _legend(self, items: Sequence[tuple[str, str, bool]], blocks: bool = False) -> None:
        x = self.x.start
        self.top += 10.0
        for name, colour, dashed in items:
            needs = 20.0 + wide(name)
            if x + needs > self.x.end:
                x, self.top = self.x.start, self.top + 13.0
            if blocks:
                self.picture.add(Box(x, self.top - 8.0, 12.0, 8.0, colour))
            else:
                middle = self.top - 3.5
                self.picture.add(Line([(x, middle), (x + 13.0, middle)], colour, 2.0, dashed))
            self.picture.add(Text(x + 17.0, self.top, name))
            x += needs + 6.0
        self.top += 8.0

    def _soaks(self) -> list[tuple[float, float]]:
        """From stabilisation on, as long as was planned."""
        found = []
        for each in self.noted:
            if hours := re.fullmatch(r"soaks for ([\d.]+) h", each.label):
                end_s = each.time_s + 3600.0 * float(hours[1])
                found.append((each.time_s, min(end_s, self.x.high)))
        return found

    def _rates(self, name: str) -> list[tuple[float, float]]:
        """The same means that are judged, at the times at which they end."""
        times = [x for x, _ in self.column(name)]
        rates = list(rates_k_per_min(list(self.rows), name))
        return list(zip(times[len(times) - len(rates) :], rates, strict=True))

    def _runs(self, name: str) -> list[tuple[float, float, str]]:
        """From when to when a column had which value; empty for 0 and nothing."""
        runs: list[tuple[float, float, str]] = []
        before, since_s = "", 0.0
        for row in self.rows:
            value = row.get(name, "")
            word = value if isinstance(value, str) else ("on" if value == 1.0 else "")
            time_s = float(row["time_s"]) - self.start_s
            if word != before:
                if before:
                    runs.append((since_s, time_s, before))
                before, since_s = word, time_s
        if before:
            runs.append((since_s, float(self.rows[-1]["time_s"]) - self.start_s, before))
        return runs
