"""The report's picture of the knob's way: over the plane of both drives, and over the knob."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedLocator

from device.tools import pictures
from device.tools.pictures import DRY, INK, KNOB, PAPER, WET, Picture

_LOWEST_DB = -37.5


def drive_plane(way: Mapping[str, Sequence[float]], wide: bool) -> Picture:
    """Draw ``drive_a_db``, ``drive_b_db`` and ``blend``, each at as many even positions."""
    a, b, blend = (np.array(way[name]) for name in ("drive_a_db", "drive_b_db", "blend"))
    knob = np.linspace(0.0, 1.0, len(blend))
    marks = np.round(np.linspace(0, len(blend) - 1, 11)).astype(int)
    with mpl.rc_context(pictures._settings(wide)):
        figure = pictures._figure(wide, 4.4, 7.4)
        plane, along = figure.subplots(*((1, 2) if wide else (2, 1)))
        left, right = (0.065, 0.94) if wide else (0.14, 0.87)
        figure.subplots_adjust(left, 0.14 if wide else 0.07, right, 0.96, wspace=0.2, hspace=0.25)
        plane.plot(a, b, color=KNOB, linewidth=2.0)
        # The larger a mark, the more of tone B is in the blend.
        plane.scatter(a[marks], b[marks], 25 + 110 * blend[marks], PAPER, edgecolors=KNOB, zorder=3)
        for place, text in ((0, "A"), (-1, "B")):
            plane.annotate(
                text, (a[place], b[place]), (7, 7), textcoords="offset points", color=INK
            )
        plane.set(xlim=(_LOWEST_DB, 4.0), ylim=(_LOWEST_DB, 4.0))
        plane.set(xlabel="drive of tone A, dB", ylabel="drive of tone B, dB")
        along.plot(knob, a, color=WET, linewidth=2.0, label="drive of A")
        along.plot(knob, b, color=DRY, linewidth=2.0, label="drive of B")
        along.set(xlim=(-0.02, 1.02), ylim=(_LOWEST_DB, 9.0), ylabel="drive, dB")
        along.set_xlabel("knob position")
        along.xaxis.set_major_locator(FixedLocator((0.0, 0.25, 0.5, 0.75, 1.0)))
        along.set_xticklabels(["0 (A)", "¼", "½", "¾", "1 (B)"])
        share = along.twinx()
        share.plot(knob, blend, color=KNOB, linewidth=2.0, linestyle="--", label="blend")
        share.set_ylim(-0.04, 1.26)
        share.set_ylabel("blend, 0 (A) … 1 (B)", color=KNOB)
        share.grid(visible=False)
        lines = [*along.lines, *share.lines]
        along.legend(
            lines,
            [str(line.get_label()) for line in lines],
            frameon=False,
            labelcolor=INK,
            ncols=3,
            loc="upper center",
        )
        label = (
            f"The knob's way: drive of tone A down to {a.min():.0f} dB and of tone B from "
            f"{b.min():.0f} dB, and the blend, over the knob."
        )
        name = "way" if wide else "way-narrow"
        return Picture(pictures._inline(figure, name, label), left, right)
