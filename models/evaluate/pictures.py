"""The evaluation's pictures: what happens along a knob, and what a sound looks like.

Curves are inline SVG in the manner of ``device/tools/pictures.py`` (whose colour table is repeated
here, since ``models`` may not import it): drawn in stand-in colours that become CSS variables of
the page, once for a wide page and once for a telephone.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from models.evaluate.result import MONOTONE_SLACK, PairRow, Plane
from models.units import Audio

# Stand-in colour → variable of the page. Near black, and used for nothing else.
_COLOURS = {
    "#010101": "ink",
    "#020202": "muted",
    "#030303": "wet",
    "#040404": "dry",
    "#050505": "knob",
    "#060606": "grid",
    "#070707": "calm",
    "#080808": "violet",
    "#090909": "alarm",
}
INK, MUTED, WET, DRY, KNOB, GRID, CALM, VIOLET, ALARM = _COLOURS
_STYLES = (
    (DRY, "o", "-"), (WET, "s", "--"), (KNOB, "^", "-"), (VIOLET, "D", "-."), (CALM, "v", ":"),
    (ALARM, "P", "--"), (INK, "X", "-"),
)  # fmt: skip
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
_WINDOW_FRAMES, _HOP_FRAMES = 4096, 1024
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
_ROWS, _COLUMNS, _DEPTH_DB = 132, 220, 84.0


def spectrogram_db(sound: Audio, rate_hz: int) -> npt.NDArray[np.float64]:
    """Levels in dB (a full-scale sine is 0), ``(132, 220)``, rows from 40 Hz up to 16 kHz.

    85 ms Hann windows at 48 kHz; each column is the mean power of its part of the time, each row
    the strongest bin in its part of the logarithmic frequency scale.
    """
    fill = np.zeros(_WINDOW_FRAMES // 2, np.float32)
    padded = np.concatenate([fill, sound[0], fill])
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_FRAMES)[::_HOP_FRAMES]
    shape = np.hanning(_WINDOW_FRAMES)
    power = np.abs(np.fft.rfft(pieces * shape, axis=1)) ** 2 / (shape.sum() / 2.0) ** 2
    at = np.geomspace(LOWEST_HZ, HIGHEST_HZ, _ROWS + 1) * _WINDOW_FRAMES / rate_hz
    first = np.round(at[:-1]).astype(np.intp)
    last = np.maximum(np.round(at[1:]).astype(np.intp), first + 1)
    bins = power.shape[1]
    rows = np.stack(
        [power[:, low:high].max(axis=1) if low < bins else np.zeros(len(power))
         for low, high in zip(first, last, strict=True)]
    )  # fmt: skip
    starts = np.linspace(0, len(power), _COLUMNS, endpoint=False).astype(np.intp)
    ends = np.maximum(np.append(starts[1:], len(power)), starts + 1)
    sums = np.concatenate([np.zeros((_ROWS, 1)), np.cumsum(rows, axis=1)], axis=1)
    means = (sums[:, ends] - sums[:, starts]) / (ends - starts)
    return np.asarray(10.0 * np.log10(np.maximum(means, 1e-20)))


def spectrogram_png(level_db: npt.NDArray[np.float64], top_db: float) -> bytes:
    """The picture of :func:`spectrogram_db` from ``top_db`` down to 84 dB below it."""
    file = io.BytesIO()
    matplotlib.image.imsave(
        file, level_db, vmin=top_db - _DEPTH_DB, vmax=top_db, cmap="magma", origin="lower",
        format="png", metadata={"Software": ""},
    )  # fmt: skip
    return file.getvalue()


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


def pair_picture(rows: Sequence[PairRow], plane: Plane | None, name: str, wide: bool) -> str:
    """All ways between the same two tones, as inline SVG: the plane, and four curves.

    ``name`` sets the picture's ids apart from others on its page.
    """
    settings: Any = {**_SETTINGS, "font.size": 10.5 if wide else 9.5}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(13.4, 7.0) if wide else (5.0, 18.0))
        figure.patch.set_alpha(0.0)
        places = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)] if wide else [(n, 0) for n in range(5)]
        heights = None if wide else (2.6, 1.0, 1.0, 1.0, 1.0)
        grid = figure.add_gridspec(2 if wide else 5, 3 if wide else 1, height_ratios=heights)
        if wide:
            figure.subplots_adjust(0.05, 0.08, 0.985, 0.87, wspace=0.24, hspace=0.42)
        else:
            figure.subplots_adjust(0.13, 0.03, 0.97, 0.925, hspace=0.4)
        first = grid[:, 0] if wide else grid[0, 0]
        _draw_plane(figure, figure.add_subplot(first), rows, plane)
        panels = [figure.add_subplot(grid[place]) for place in places[1:]]
        _draw_curves(panels, rows)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", ncols=5 if wide else 2, frameon=False,
            labelcolor=INK, bbox_to_anchor=(0.03 if wide else 0.02, 1.0),
        )  # fmt: skip
        label = f"{rows[0].a} to {rows[0].b}: " + "; ".join(
            f"{row.label}: mean {row.lsd.mean_nearest_db:.2f} dB from the nearest real tone, "
            f"{row.lsd.length_db:.1f} dB long"
            for row in rows
        )
        return _inline(figure, f"{name}-{'wide' if wide else 'narrow'}", label)


def _draw_plane(figure: Figure, axes: Axes, rows: Sequence[PairRow], plane: Plane | None) -> None:
    """Drive of A across, drive of B up; the colour of a point is the blend there."""
    axes.set_title("drive plane", loc="left", fontsize="medium")
    axes.set_xlabel(f"drive of A ({rows[0].a}), dB")
    axes.set_ylabel(f"drive of B ({rows[0].b}), dB")
    axes.set_box_aspect(1.0)
    axes.set_anchor("N")
    if plane is not None:
        # A cell around each grid point, so that the path runs through the points.
        drives = np.asarray(plane.drives_db)
        half = 0.5 * (drives[1] - drives[0]) if len(drives) > 1 else 1.0
        reach = (drives[0] - half, drives[-1] + half)
        image = axes.imshow(
            np.asarray(plane.lsd_db).T, origin="lower", extent=(*reach, *reach), cmap="bone",
            interpolation="nearest", aspect="auto",
        )  # fmt: skip
        bar = figure.colorbar(image, ax=axes, orientation="horizontal", pad=0.13, shrink=0.85)
        bar.set_label("distance of A and B there (log-spectral), dB")
        bar.outline.set_visible(False)
    axes.grid(visible=False)
    casing = [Stroke(linewidth=4.0, foreground="#000000"), Normal()]
    drawn = set()
    for row in rows:
        at_a = np.array([point.drive_a_db for point in row.way])
        at_b = np.array([point.drive_b_db for point in row.way])
        blend = [point.blend for point in row.way]
        if row.path in drawn or not row.way:
            continue  # the same way, walked by another morph or at another pace
        drawn.add(row.path)
        if np.ptp(at_a) + np.ptp(at_b) > 0.0:
            axes.plot(at_a, at_b, color="#ffffff", linewidth=1.8, path_effects=casing)
        axes.scatter(
            at_a, at_b, c=blend, cmap="coolwarm", vmin=0.0, vmax=1.0, s=64, zorder=3,
            edgecolors="#000000", linewidths=1.0, clip_on=False,
        )  # fmt: skip
    if plane is None:  # room around a way that moves one drive only
        for low, high, limit in (
            (*axes.get_xlim(), axes.set_xlim),
            (*axes.get_ylim(), axes.set_ylim),
        ):
            spare = max(0.0, 12.0 - (high - low)) / 2.0
            limit(low - spare, high + spare)
    if not drawn:
        axes.text(0.5, 0.5, "no drives on this way", ha="center", transform=axes.transAxes)


def _draw_curves(panels: Sequence[Axes], rows: Sequence[PairRow]) -> None:
    nearest, steps, saturation, loudness = panels
    for place, row in enumerate(rows):
        colour, marker, line = _STYLES[place % len(_STYLES)]
        look: Any = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4.5,
                     "linewidth": 1.7}  # fmt: skip
        at = np.asarray(row.positions)
        nearest.plot(at, row.lsd.nearest_db, label=row.label, **look)
        steps.plot((at[1:] + at[:-1]) / 2.0, row.lsd.steps_db, label=row.label, **look)
        saturation.plot(at, row.saturation, label=row.label, **look)
        loudness.plot(at, row.loudness_error_lu, label=row.label, **look)
    loudness.axhspan(-0.5, 0.5, color=GRID, alpha=0.35, linewidth=0)
    titles = (
        "distance to the nearest real tone, dB", "step to the next position, dB",
        "saturation, 0 … 1", "loudness error, LU (band: ±0.5)",
    )  # fmt: skip
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_xticks((0.0, 0.25, 0.5, 0.75, 1.0), ("A", "¼", "½", "¾", "B"))
        axes.set_xlim(-0.03, 1.03)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    for axes in (nearest, steps):
        axes.set_ylim(0.0, max(1.0, 1.08 * axes.get_ylim()[1]))  # from zero: lengths compare
    low, high = saturation.get_ylim()
    saturation.set_ylim(min(low, 0.0) - MONOTONE_SLACK, max(high, 1.0))
    low, high = loudness.get_ylim()
    loudness.set_ylim(min(low, -1.0), max(high, 1.0))
