"""Geometry of the report's pictures: what was heard over time, and loads. The page draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device.processes.meters import BINS_PER_PERIOD, Reading
from hil.results import KINDS, ScenarioResult

_MOST_TICKS = 8
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_KEYS = "abcdefghijklmnopqrstuvwxyz"

HEIGHT, WIDTH = 100.0, 1000.0
"""Of a histogram's drawing, which the page stretches to its own width."""


@dataclass(frozen=True)
class Piece:
    """A span: its place in percent of the strip, and its words."""

    kind: str
    left: float
    width: float
    title: str


@dataclass(frozen=True)
class Flag:
    """A mark: its place in percent, and the letter of what was done; empty if as before it."""

    left: float
    key: str
    title: str


@dataclass(frozen=True)
class Strip:
    """A scenario's time as one bar from its first span or mark to its last."""

    length_s: float
    pieces: Sequence[Piece]
    flags: Sequence[Flag]
    ticks: Sequence[tuple[float, str]]
    """Places in percent, and the seconds since the start that stand there."""
    keys: Sequence[tuple[str, str, int]]
    """Letter, what was done, how often."""
    heard: Mapping[str, float]
    """Seconds by kind, in the order of ``KINDS``."""


def strip(result: ScenarioResult) -> Strip | None:
    """The scenario's timeline; None where it has none, or one without length."""
    times_s = [each.start_s for each in result.timeline] + [each.end_s for each in result.timeline]
    times_s += [each.time_s for each in result.marks]
    if not times_s or max(times_s) <= min(times_s):
        return None
    first_s, length_s = min(times_s), max(times_s) - min(times_s)

    def place(time_s: float) -> float:
        return 100.0 * (time_s - first_s) / length_s

    # Short ones last: a gap of the relay must not lie under the sound around it.
    spans = sorted(result.timeline, key=lambda each: each.start_s - each.end_s)
    pieces = [
        Piece(
            each.kind,
            place(each.start_s),
            100.0 * (each.end_s - each.start_s) / length_s,
            f"{KINDS[each.kind]}: {each.start_s - first_s:.2f} to {each.end_s - first_s:.2f} s",
        )
        for each in spans
    ]
    labels: dict[str, int] = {}
    flags = []
    label = ""
    for each in sorted(result.marks, key=lambda each: each.time_s):
        again, label = each.label in ("", label), each.label or label
        labels[label] = labels.get(label, 0) + 1
        # Of several in a row the first has the letter: twenty letters would lie on each other.
        key = "" if again else _key([name for name in labels if name].index(label))
        title = f"{label} at {each.time_s - first_s:.2f} s".strip()
        flags.append(Flag(place(each.time_s), key, title))
    named = [name for name in labels if name]
    keys = [(_key(order), name, labels[name]) for order, name in enumerate(named)]
    heard = {
        kind: sum(each.end_s - each.start_s for each in result.timeline if each.kind == kind)
        for kind in KINDS
        if any(each.kind == kind for each in result.timeline)
    }
    return Strip(length_s, pieces, flags, _ticks(length_s), keys, heard)


def _key(order: int) -> str:
    """Letters from a to z, then a1 to z1 and so on."""
    again = order // len(_KEYS)
    return _KEYS[order % len(_KEYS)] + (str(again) if again else "")


def _ticks(length_s: float) -> list[tuple[float, str]]:
    step_s = next((step for step in _STEPS_S if length_s / step <= _MOST_TICKS), _STEPS_S[-1])
    count = math.floor(length_s / step_s * (1.0 + 1e-9)) + 1
    return [(100.0 * index * step_s / length_s, f"{index * step_s:g} s") for index in range(count)]


@dataclass(frozen=True)
class Loads:
    """One configuration's periods by load, for a drawing ``WIDTH`` × ``HEIGHT``."""

    name: str
    path: str
    """SVG path of the bars; their height is the logarithm of the count."""
    periods: int
    most: int
    end_percent: float
    """Load at the right edge."""
    ticks: Sequence[tuple[float, str]]
    percentiles: Mapping[str, float]
    """p50, p99, p99.9 and max in % of the period: the upper edge of their bin."""
    period_ms: float | None


def loads(result: ScenarioResult) -> Loads | None:
    """The scenario's load histogram; None where it has none, or an empty one."""
    found = _histogram(result.figures)
    if found is None or not found.any():
        return None
    counts = np.asarray(found, np.int64)
    reading = Reading({}, counts, "")
    used = np.flatnonzero(counts)
    largest = 100.0 * (int(used[-1]) + 1) / BINS_PER_PERIOD
    end_percent = 100.0 if largest <= 100.0 else 100.0 * len(counts) / BINS_PER_PERIOD
    shown = counts[: math.ceil(end_percent * BINS_PER_PERIOD / 100.0)]
    step = WIDTH / len(shown)
    # The logarithm of a little more than the count, so that a single period is seen.
    scale = HEIGHT / math.log(2.0 * float(shown.max()) + 1.0)
    bars = [
        f"M{index * step:.1f} {HEIGHT:g}V{HEIGHT - scale * math.log(2.0 * count + 1.0):.1f}"
        f"h{step:.1f}V{HEIGHT:g}z"
        for index, count in enumerate(shown.tolist())
        if count
    ]
    period_ms = result.figures.get("period_ms")
    marks = range(0, int(end_percent) + 1, 25 if end_percent == 100.0 else 50)
    return Loads(
        name=result.name,
        path="".join(bars),
        periods=int(counts.sum()),
        most=int(shown.max()),
        end_percent=end_percent,
        ticks=[(100.0 * each / end_percent, f"{each} %") for each in marks],
        percentiles={
            **{f"p{part:g}": reading.load_percentile(part) for part in (50.0, 99.0, 99.9)},
            "max": largest,
        },
        period_ms=float(period_ms) if isinstance(period_ms, (int, float)) else None,
    )


def _histogram(figures: Mapping[str, Any]) -> Any | None:
    """Whole numbers, one a bin; what is none is not drawn, for a picture is not worth a report."""
    inner = figures.get("loads")
    found = inner.get("histogram") if isinstance(inner, Mapping) else None
    found = found if found is not None else figures.get("histogram")
    try:
        counts = np.asarray(found, np.float64)
    except (TypeError, ValueError):
        return None
    fits = counts.ndim == 1 and counts.size > 0 and bool(np.all(counts >= 0))
    return counts if fits else None
