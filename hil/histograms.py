"""Latency as pictures: how often which round trip; and the percentiles as rows of a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hil.charts import NORMAL, Box, Line, Picture, Scale, Text, ticks
from hil.results import ScenarioResult


@dataclass(frozen=True)
class Trips:
    """The round trips of one engine with one period, frames."""

    at: str
    shots: int
    ms: float
    frames: Mapping[str, float]
    """median, p1, p99, p99.9, lowest, highest."""
    edges: Sequence[float]
    """Of the jitter's bins, frames off the median; one more than ``counts``."""
    counts: Sequence[float]


def trips_of(result: ScenarioResult) -> list[Trips]:
    """What the latency suite found; what is none of its figures is left out."""
    found = []
    table = result.figures.get("round_trips")
    for at, one in table.items() if isinstance(table, Mapping) else ():
        try:
            jitter: Mapping[str, Any] = one["jitter"]
            trips = Trips(
                str(at),
                int(one["shots"]),
                float(one["ms"]),
                {str(name): float(value) for name, value in one["frames"].items()},
                [float(edge) for edge in jitter["frames"]],
                [float(count) for count in jitter["shots"]],
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if len(trips.edges) == len(trips.counts) + 1 and len(trips.counts) > 0:
            found.append(trips)
    return found


def jitter_picture(trips: Trips, width: float = 330.0, height: float = 132.0) -> Picture:
    """Shots by how far they are off the median; dashed: the 1st and the 99th percentile."""
    picture = Picture(width, height, f"Jitter of {trips.shots} shots, {trips.at}")
    left, right, top, bottom = 38.0, width - 8.0, 22.0, height - 28.0
    reach, unit = _unit(max(abs(trips.edges[0]), abs(trips.edges[-1])))
    x = Scale(trips.edges[0], trips.edges[-1], left, right)
    y = Scale(0.0, max(1.0, *trips.counts), bottom, top)
    picture.add(Text(0.0, 11.0, trips.at, "ink", NORMAL, bold=True))
    for value in ticks(0.0, y.high, 3):
        picture.add(Line([(left, y(value)), (right, y(value))], "grid", 0.6))
        picture.add(Text(left - 5.0, y(value) + 3.3, f"{value:g}", anchor="end"))
    for first, last, count in zip(trips.edges, trips.edges[1:], trips.counts, strict=False):
        if count:
            title = f"{count:g} shots"
            bar = Box(x(first), y(count), x(last) - x(first) - 0.4, bottom - y(count), "wet", title)
            picture.add(bar)
    for name in ("p1", "p99"):
        if name in trips.frames and "median" in trips.frames:
            at = x(trips.frames[name] - trips.frames["median"])
            picture.add(Line([(at, top), (at, bottom)], "ink", 0.9, dashed=True))
    for value in ticks(-reach, reach, 4):
        label = f"{value:+g}".replace("-", "−") if value else "0"
        at = x(value * (trips.edges[-1] / reach))
        anchor = "start" if at < left + 10 else "end" if at > right - 10 else "middle"
        picture.add(Text(at, bottom + 12.0, label, anchor=anchor))
    picture.add(
        Text((left + right) / 2.0, bottom + 24.0, f"{unit} off the median", anchor="middle")
    )
    return picture


def _unit(reach: float) -> tuple[float, str]:
    """In units that people read: a simulation's jitter is of millionths of a frame."""
    for factor, unit in ((1.0, "frames"), (1e3, "thousandths of a frame")):
        if reach * factor >= 0.1:
            return reach * factor, unit
    return max(1e-9, reach * 1e6), "millionths of a frame"


def percentile_rows(trips: Sequence[Trips]) -> list[tuple[str, str, str, str, str, str]]:
    """Name, shots, median in ms, median in frames, 1st to 99th, lowest to highest."""
    return [
        (
            each.at,
            f"{each.shots}",
            f"{each.ms:.3f}",
            f"{each.frames.get('median', math.nan):.2f}",
            _span(each.frames, "p1", "p99"),
            _span(each.frames, "lowest", "highest"),
        )
        for each in trips
    ]


def _span(frames: Mapping[str, float], low: str, high: str) -> str:
    middle = frames.get("median", math.nan)
    ends = [frames.get(name, math.nan) - middle for name in (low, high)]
    return " … ".join(f"{each:+.2g}".replace("-", "−") for each in ends)
