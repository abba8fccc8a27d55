"""The report's pictures: inline SVG whose colours follow the page's light or dark scheme.

Matplotlib draws in stand-in colours, which are then replaced by CSS variables of the page; text
stays text. Every picture is drawn twice, for a wide page and for a telephone, because an SVG that
shrinks takes its letters with it. No pyplot, and so no global figures; the settings are put back.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from models.units import Audio

Array = npt.NDArray[np.float64]

# Stand-in colour → variable of the page. Near black, and used for nothing else.
_COLOURS = {
    "#010101": "ink",
    "#020202": "muted",
    "#030303": "wet",
    "#040404": "dry",
    "#050505": "knob",
    "#060606": "grid",
    "#070707": "alarm",
    "#080808": "paper",
}
INK, MUTED, WET, DRY, KNOB, GRID, ALARM, PAPER = _COLOURS
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16000.0
_ROWS = 176  # of the spectrogram: 20 to the octave
_DEPTH_DB = 84.0
_WINDOW_S = 4096 / 48000
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "purga",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Picture:
    """Inline SVG, and where its time axis lies: fractions of its width."""

    svg: str
    left: float
    right: float


@dataclass(frozen=True)
class Spectrogram:
    """Levels in dB (a full-scale sine is 0), ``(rows, columns)``, rows from 40 Hz to 16 kHz."""

    level_db: Array
    length_s: float


def envelope(sound: Audio, columns: int) -> tuple[Array, Array]:
    """Lowest and highest sample of each of at most ``columns`` equal parts, ``(columns,)`` each.

    ``sound`` is ``(1, frames)`` with at least one frame.
    """
    frames = sound.shape[1]
    edges = np.unique(np.linspace(0, frames, min(columns, frames) + 1).astype(np.intp))[:-1]
    low = np.minimum.reduceat(sound[0], edges).astype(np.float64)
    high = np.maximum.reduceat(sound[0], edges).astype(np.float64)
    return low, high


def spectrogram(sound: Audio, rate_hz: int, columns: int) -> Spectrogram:
    """Mean power of each part of the time, on a logarithmic frequency scale.

    85 ms Hann windows, as many as one every 21 ms; a sound of ten minutes is averaged into
    ``columns``, a short one keeps its windows.
    """
    size = 1 << round(math.log2(_WINDOW_S * rate_hz))
    hop = size // 4
    padded = np.concatenate((np.zeros(size // 2, np.float32), sound[0], np.zeros(size, np.float32)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    windows = windows[: math.ceil(sound.shape[1] / hop)]
    shape = np.hanning(size)
    rows_hz = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _ROWS)
    at = np.minimum(rows_hz * size / rate_hz, size / 2 - 1)
    whole = at.astype(np.intp)
    part = (at - whole)[:, np.newaxis]
    # Between bins at the low end; the strongest of a row's bins at the high end.
    step = rows_hz[1] / rows_hz[0]
    reach = np.maximum(1, np.round(at * (step - 1.0))).astype(np.intp)
    count = min(columns, len(windows))
    edges = np.linspace(0, len(windows), count + 1).astype(np.intp)
    power = np.empty((_ROWS, count))
    for column in range(count):
        chunk = windows[edges[column] : edges[column + 1]]
        mean = np.mean(np.abs(np.fft.rfft(chunk * shape, axis=1)) ** 2, axis=0)[:, np.newaxis]
        fine = (1.0 - part) * mean[whole] + part * mean[np.minimum(whole + 1, size // 2)]
        for row in np.flatnonzero(reach > 1):
            fine[row] = mean[whole[row] : whole[row] + reach[row]].max()
        power[:, column] = fine[:, 0]
    power[rows_hz > rate_hz / 2] = 0.0
    full_scale = (shape.sum() / 2.0) ** 2
    return Spectrogram(10.0 * np.log10(power / full_scale + 1e-20), len(windows) * hop / rate_hz)


def _figure(wide: bool, height_wide: float, height_narrow: float) -> Figure:
    figure = Figure(figsize=(13.4 if wide else 5.0, height_wide if wide else height_narrow))
    figure.patch.set_alpha(0.0)
    return figure


def _settings(wide: bool) -> Any:  # what rc_context wants differs between its versions
    return {**_SETTINGS, "font.size": 11 if wide else 9.5}


def _inline(figure: Figure, name: str, label: str) -> str:
    """Turn the figure into an SVG element for a page: no outside names, ids of its own."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable})")
    head = re.match(r"<svg [^>]*>", svg)
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert head is not None and box is not None
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    start = f'<svg viewBox="{box[1]}" role="img" aria-label="{escaped}">'
    return start + svg[head.end() :]


def _time_axis(axes: Axes, length_s: float, most: int) -> None:
    """Put marks and a name on a time axis: ms, s or minutes, whichever suits the length."""
    axes.set_xlim(0.0, length_s)
    if length_s >= 60.0:
        steps = (10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
        step = next((step for step in steps if length_s / step <= most), length_s)
        axes.set_xticks(
            np.arange(0.0, length_s, step),
            [f"{second // 60:.0f}:{second % 60:02.0f}" for second in np.arange(0, length_s, step)],
        )
        axes.set_xlabel("time, min:s")
        return
    factor, unit = (1000.0, "ms") if length_s < 0.5 else (1.0, "s")
    axes.xaxis.set_major_locator(MaxNLocator(most))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{factor * value:g}"))
    axes.set_xlabel(f"time, {unit}")


def _draw_knob(axes: Axes, times_s: Array, positions: Array, over_image: bool) -> None:
    """Draw the knob's path on a scale of its own, 0 (tone A) … 1 (tone B)."""
    colour, casing = ("#ffffff", "#000000") if over_image else (KNOB, PAPER)
    restless = float(np.abs(np.diff(positions)).sum()) > 40.0  # must not cover the picture
    effects = [Stroke(linewidth=4.2, foreground=casing, alpha=0.75), Normal()]
    axes.plot(
        times_s,
        positions,
        color=colour,
        linewidth=0.7 if restless else 1.8,
        path_effects=[] if restless else effects,
    )
    axes.set_ylim(-0.04, 1.04)
    axes.grid(visible=False)


def timeline(
    sound: Audio,
    dry: Audio,
    image: Spectrogram,
    knob: tuple[Array, Array],
    rate_hz: int,
    wide: bool,
) -> Picture:
    """Waveform, spectrogram and knob over one time axis.

    ``knob`` is times in s and positions 0…1, already thinned out to what can be seen.
    """
    length_s = max(sound.shape[1] / rate_hz, 1.0 / rate_hz)
    left, right = (0.062, 0.928) if wide else (0.125, 0.855)
    with mpl.rc_context(_settings(wide)):
        figure = _figure(wide, 6.6, 5.6)
        wave, colour = figure.subplots(2, 1, height_ratios=(1.0, 1.35), sharex=True)
        figure.subplots_adjust(left, 0.085 if wide else 0.1, right, 0.965, hspace=0.09)
        peak = max(float(np.abs(sound).max()), float(np.abs(dry).max()), 1e-4)
        for samples, shade, alpha in ((sound, WET, 0.9), (dry, DRY, 0.85)):
            low, high = envelope(samples, 1100 if wide else 420)
            times_s = (np.arange(len(low)) + 0.5) * (samples.shape[1] / rate_hz / len(low))
            wave.fill_between(times_s, low, high, color=shade, alpha=alpha, linewidth=0.4)
        wave.set_ylim(-1.06 * peak, 1.06 * peak)
        wave.set_ylabel("full scale ±1")
        wave.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
        scale = wave.twinx()
        _draw_knob(scale, *knob, over_image=False)
        scale.set_yticks([0.0, 0.5, 1.0], ["A", "½", "B"], color=KNOB)
        scale.set_ylabel("position", color=KNOB, labelpad=2)
        top = max(6.0 * math.ceil(float(image.level_db.max()) / 6.0), -60.0)
        octaves = math.log2(_HIGHEST_HZ / _LOWEST_HZ)
        drawn = colour.imshow(
            np.clip(image.level_db, top - _DEPTH_DB, top),
            aspect="auto",
            origin="lower",
            extent=(0.0, image.length_s, 0.0, octaves),
            cmap="magma",
            vmin=top - _DEPTH_DB,
            vmax=top,
            interpolation="none",
        )
        colour.grid(visible=False)
        marks = (50, 100, 200, 500, 1000, 2000, 5000, 10000)
        colour.set_yticks(
            [math.log2(mark / _LOWEST_HZ) for mark in marks],
            [f"{mark // 1000} k" if mark >= 1000 else str(mark) for mark in marks],
        )
        colour.set_ylim(0.0, octaves)
        colour.set_ylabel("Hz")
        _draw_knob(over := colour.twinx(), *knob, over_image=True)
        over.set_yticks([])
        _time_axis(colour, length_s, 12 if wide else 6)
        place = colour.get_position()
        bar_axes = figure.add_axes((right + 0.012, place.y0, 0.011, place.height))
        bar = figure.colorbar(drawn, cax=bar_axes)
        bar.set_ticks([top - step for step in (0.0, 24.0, 48.0, 72.0)])
        bar.outline.set_visible(False)
        bar_axes.tick_params(length=0)
        bar.set_label("dBFS", labelpad=2)
        label = (
            f"Waveform of the dry guitar and of what was played, and the spectrogram of what was "
            f"played, over {length_s:.1f} seconds; the line is the position from tone A to tone B."
        )
        name = "time" if wide else "time-narrow"
        return Picture(_inline(figure, name, label), left, right)


def level_along_knob(levels: Sequence[Mapping[str, Any]], wide: bool) -> Picture:
    """Short-term level against the knob: median and the span of 10 to 90 %, sound and dry."""
    with mpl.rc_context(_settings(wide)):
        figure = _figure(wide, 3.6, 3.4)
        axes = figure.subplots()
        left, right = (0.075, 0.985) if wide else (0.13, 0.97)
        figure.subplots_adjust(left, 0.17, right, 0.95)
        at = np.array([level["position"] for level in levels])
        for key, colour, text in (("dry_dbfs", DRY, "dry guitar"), ("sound_dbfs", WET, "played")):
            low, middle, high = (
                np.array([level[key][part] for level in levels]) for part in ("p10", "p50", "p90")
            )
            if len(at) == 1:
                axes.vlines(at, low, high, color=colour, linewidth=9, alpha=0.3)
            else:
                axes.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(at, middle, color=colour, linewidth=2, marker="o", markersize=4, label=text)
        axes.set_xlim(-0.03, 1.03)
        lowest, highest = axes.get_ylim()
        spare = max(0.0, 12.0 - (highest - lowest)) / 2.0  # noise must not look like a hill
        axes.set_ylim(lowest - spare, highest + spare)
        ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.set_xticklabels(["0 (A)", "¼", "½", "¾", "1 (B)"])
        axes.set_xlabel("knob position")
        axes.set_ylabel("level, dBFS")
        axes.legend(frameon=False, labelcolor=INK, loc="best", ncols=2)
        label = "Median level and its 10 to 90 percent span along the knob, dry and played."
        name = "level" if wide else "level-narrow"
        return Picture(_inline(figure, name, label), left, right)


def _merged(marks: Mapping[str, float], limit_ms: float) -> list[tuple[str, float]]:
    """List the marks, those that would read the same joined into one, and the period."""
    lines: dict[str, tuple[str, float]] = {}
    for name, value in marks.items():
        text = f"{value:.3g}"
        lines[text] = (f"{lines[text][0]} = {name}" if text in lines else name, value)
    return [*lines.values(), ("period", limit_ms)]


def period_times(
    period_ms: Array, limit_ms: float, marks: Mapping[str, float], wide: bool
) -> Picture:
    """Histogram of the processing time of every period, logarithmic count, with ``marks`` in ms."""
    with mpl.rc_context(_settings(wide)):
        figure = _figure(wide, 3.6, 3.6)
        axes = figure.subplots()
        left, right = (0.075, 0.985) if wide else (0.13, 0.97)
        end = 1.04 * max(limit_ms, float(period_ms.max()))
        counts, edges = np.histogram(period_ms, bins=120 if wide else 60, range=(0.0, end))
        axes.stairs(counts, edges, fill=True, color=WET, alpha=0.85)
        axes.set_yscale("log")
        axes.set_ylim(0.6, max(10.0, 2.0 * float(counts.max())))
        axes.set_xlim(0.0, end)
        axes.set_xlabel("processing time of one period, ms")
        axes.set_ylabel("periods")
        rows = 0
        lines = _merged(marks, limit_ms)
        for order, (text, value) in enumerate(lines):
            colour = ALARM if value == limit_ms else INK
            axes.axvline(value, color=colour, linewidth=1.6 if value == limit_ms else 1.0)
            # Labels that would lie on each other take turns in height.
            reach = (0.1 if wide else 0.23) * end
            near = sum(abs(value - other) < reach for _, other in lines[:order])
            rows = max(rows, near + 1)
            side = "right" if value > 0.85 * end else "left" if value < 0.1 * end else "center"
            axes.annotate(
                f"{text} {value:.3g}",
                (value, 1.0),
                (0.0, 4.0 + 13.0 * near),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                color=colour,
                ha=side,
                fontsize=10 if wide else 8.5,
            )
        figure.subplots_adjust(left, 0.17, right, 1.0 - (10 + 13 * rows) / (3.6 * 72.0))
        label = (
            f"Histogram of {len(period_ms)} processing times against the period of "
            f"{limit_ms:.3f} ms: "
            + ", ".join(f"{text} {value:.3f} ms" for text, value in marks.items())
        )
        name = "period" if wide else "period-narrow"
        return Picture(_inline(figure, name, label), left, right)
