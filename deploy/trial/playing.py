"""The whole self-test of a models slot; runs in the child process."""

from pathlib import Path

from deploy.trial.contents import STAGE, STUDIO
from deploy.trial.limits import Here, Limits
from deploy.trial.preset_trial import try_presets
from deploy.trial.stage_trial import try_stage
from deploy.trial.studio_trial import try_studio
from deploy.trial.verdict import Figures, RefusedError


def try_slot(folder: Path, limits: Limits, here: Here) -> Figures:
    """Play everything that a slot brings, dearest last; returns what was measured.

    Raises ``RefusedError`` with what was measured so far, or what a library makes of a model.
    """
    figures: Figures = {}
    try:
        if (folder / STAGE).exists():
            figures.update(try_stage(folder / STAGE, _present_stage(here), limits, here))
        if (folder / STUDIO).exists():
            figures.update(try_studio(folder, here.present, limits))
        figures.update(try_presets(folder, limits, here))
    except RefusedError as problem:
        raise RefusedError(str(problem), {**figures, **problem.figures}) from None
    return figures


def _present_stage(here: Here) -> Path | None:
    """The network that plays now; None for the one that is bundled."""
    if here.present is None or not (here.present / STAGE).is_file():
        return None
    return here.present / STAGE
