"""A drawing of few kinds of shape, and as SVG; ``hil/pdf.py`` puts the same shapes on paper.

Lengths are points (1/72 inch) on paper and pixels on a page; y runs down. Colours are names: a page
has them as CSS variables for light and dark, paper as ``PALETTE``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

PALETTE: Mapping[str, str] = {
    "ink": "#18212e",
    "muted": "#566274",
    "grid": "#d5dbe3",
    "paper": "#ffffff",
    "alarm": "#b3202c",
    "calm": "#22734a",
    "soak": "#e8eef6",
    "wet": "#1b66ad",
    "dry": "#8592a2",
    "relay": "#d98a1f",
    "absent": "#e3b8bc",
    "c1": "#1b66ad",
    "c2": "#c2410c",
    "c3": "#15803d",
    "c4": "#7e3fb0",
    "c5": "#a16207",
    "c6": "#0e7490",
    "c7": "#be185d",
    "c8": "#57534e",
}
"""On white paper; a page's dark scheme has its own."""

SMALL, NORMAL = 9.5, 11.0
"""Sizes of letters."""


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: Sequence[tuple[float, float]]
    colour: str = "ink"
    width: float = 1.2
    dashed: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    title: str = ""
    """What it is, where one may point at it."""


@dataclass(frozen=True)
class Text:
    """A line of text that stands on y; ``anchor`` is start, middle or end."""

    x: float
    y: float
    text: str
    colour: str = "muted"
    size: float = SMALL
    anchor: str = "start"
    bold: bool = False


@dataclass
class Picture:
    """Shapes in the order in which they are drawn, and what they show, in words."""

    width: float
    height: float
    says: str
    shapes: list[Line | Box | Text] = field(default_factory=list)

    def add(self, *shapes: Line | Box | Text) -> None:
        """Draw them over what is there."""
        self.shapes += shapes


def svg(picture: Picture) -> str:
    """Inline SVG; letters are text, colours the page's."""
    size = f"{picture.width:g} {picture.height:g}"
    parts = [
        f'<svg class="chart" viewBox="0 0 {size}" width="{picture.width:g}" '
        f'height="{picture.height:g}" role="img" aria-label="{escape(picture.says)}">'
    ]
    parts += [_SVG[type(shape)](shape) for shape in picture.shapes]
    return "".join([*parts, "</svg>"])


def _line(shape: Line) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
    dashed = ' stroke-dasharray="4 3"' if shape.dashed else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="var(--{shape.colour})" '
        f'stroke-width="{shape.width:g}"{dashed}/>'
    )


def _box(shape: Box) -> str:
    title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    return (
        f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{max(0.0, shape.width):.2f}" '
        f'height="{max(0.0, shape.height):.2f}" fill="var(--{shape.colour})">{title}</rect>'
    )


def _text(shape: Text) -> str:
    anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
    bold = ' font-weight="600"' if shape.bold else ""
    return (
        f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" '
        f'fill="var(--{shape.colour})"{anchor}{bold}>{escape(shape.text)}</text>'
    )


_SVG: Mapping[type, Callable[..., str]] = {Line: _line, Box: _box, Text: _text}


def wide(text: str, size: float = SMALL) -> float:
    """About how wide a text is; a little more, rather than less."""
    return 0.6 * size * len(text)


# ---- scales -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From a figure to a place: ``low`` at ``start``, ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a figure lies; what is beyond the ends lies at them."""
        if self.high <= self.low:
            return self.start
        part = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two, ``most`` of them at the most."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


_TIMES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)


def time_ticks(length_s: float, most: int = 9) -> list[tuple[float, str]]:
    """Round times from 0 on, with their names: ``30 s``, ``20 min``, ``4 h``."""
    step_s = next((step for step in _TIMES_S if length_s / step <= most), _TIMES_S[-1])
    size, unit = (1, "s") if step_s < 60 else (60, "min") if step_s < 3600 else (3600, "h")
    count = math.floor(length_s / step_s + 1e-9)
    return [
        (float(index * step_s), f"{index * step_s / size:g} {unit}") for index in range(count + 1)
    ]


def thinned(points: Sequence[tuple[float, float]], off: float = 0.35) -> list[tuple[float, float]]:
    """Fewer points, x rising, from which the line is nowhere off by more than ``off`` in y.

    In one pass: from the last point that was kept, a cone of slopes that miss none of those since.
    """
    if len(points) < 3:
        return list(points)
    kept = [points[0]]
    x0, y0 = before = points[0]
    low, high = -math.inf, math.inf
    for x, y in points[1:]:
        if x <= x0:
            if abs(y - y0) > off:
                kept += [before, (x, y)] if before != (x0, y0) else [(x, y)]
                x0, y0 = before = x, y
                low, high = -math.inf, math.inf
            continue
        if not low <= (y - y0) / (x - x0) <= high:
            kept.append(before)
            x0, y0 = before
            low, high = -math.inf, math.inf
            if x <= x0:
                kept.append((x, y))
                x0, y0 = before = x, y
                continue
        low = max(low, (y - off - y0) / (x - x0))
        high = min(high, (y + off - y0) / (x - x0))
        before = (x, y)
    if kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept
