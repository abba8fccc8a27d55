"""What comes of a trial: a verdict with its figures, for the record and for ``status``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import UpdateError

Figures = dict[str, float | str]

LONGEST = 400
"""Characters of a sentence; what others wrote must not flood a terminal or the record."""


@dataclass(frozen=True)
class Verdict:
    """Whether a slot may go on, and why not."""

    ok: bool
    why: str
    """One sentence; of what is well, what was looked at."""
    figures: Figures = field(default_factory=dict)
    again: bool = False
    """Not ok, but nothing is proven against the slot: the trial itself could not be held (the
    machine was too busy, or somebody ended it). It may be held again."""


class RefusedError(UpdateError):
    """A model that failed its trial, in one sentence; with what was measured until then."""

    def __init__(self, why: str, figures: Mapping[str, object] | None = None) -> None:
        super().__init__(why)
        self.figures = dict(figures or {})


def one_line(text: str, folder: Path | None = None) -> str:
    """``text`` as one short line; files of ``folder`` are named as they lie in it."""
    if folder is not None:
        for where in {str(folder), str(folder.resolve())}:
            text = text.replace(f"{where}/", "")
    line = " ".join(text.split())
    line = "".join(sign if sign.isprintable() else "?" for sign in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def plain_figures(figures: Mapping[str, object]) -> Figures:
    """Figures as they go into JSON: numbers short, all else as text, neither NaN nor infinity."""
    plain: Figures = {}
    for name, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            plain[name] = one_line(str(value))
        elif value != value or value in (float("inf"), float("-inf")):
            plain[name] = str(value)
        else:
            plain[name] = round(float(value), 4)
    return plain
