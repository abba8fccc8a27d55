"""The report as one page that needs no network: templates of ``hil/pages``, pictures inline."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hil import view as words
from hil.charts import svg
from hil.drawn import HEIGHT, WIDTH, loads, strip
from hil.histograms import jitter_picture, percentile_rows
from hil.plots import stage_picture
from hil.results import KINDS, ScenarioResult
from hil.runs.progress import clock
from hil.view import View, view

TEMPLATES = Path(__file__).parent / "pages"
WIDE, NARROW = 1060.0, 350.0
"""Pixels: each picture is drawn for a desk and for a telephone, so that letters stay letters."""


def page(
    report: Mapping[str, Any], results: Sequence[ScenarioResult], folder: Path | None = None
) -> str:
    """``index.html`` of what ``hil.report.summary`` gave; raw traces are read from ``folder``."""
    seen = view(report, results, folder)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            view=seen,
            style=Markup((TEMPLATES / "style.css").read_text("utf-8")),
            strips=[(each.name, each.failed_because, strip(each)) for each in seen.others],
            histograms=[found for found in map(loads, results) if found is not None],
            pictures=_pictures(seen),
            jitters=[Markup(svg(jitter_picture(trips))) for trips in seen.trips],
            percentiles=percentile_rows(seen.trips),
            kinds=KINDS,
            box=f"0 0 {WIDTH:g} {HEIGHT:g}",
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"number": words.number, "duration": words.duration, "path": Markup}
    environment.filters |= {"shown": words.shown, "listed": words.listed, "margin": words.margin}
    environment.filters |= {"clock": clock}
    return environment


def _pictures(seen: View) -> dict[str, tuple[Markup, Markup]]:
    """Of each stage: wide and narrow."""
    return {
        stage.result.name: (
            Markup(svg(stage_picture(stage.result, stage.rows, WIDE))),
            Markup(svg(stage_picture(stage.result, stage.rows, NARROW))),
        )
        for stage in seen.stages
    }
