"""The morphs that are judged: one name each, all of one shape."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.morph import crossfade, select_ends
from models.stage.colour import Colour
from models.stage.model import STAGE_FILE, StageModel, morph, read_stage
from models.units import Audio

Morph = Callable[[Audio, Audio, float], Audio]
"""``morph(a, b, position)``: two tones ``(1, frames)`` of one performance at 48 kHz, the knob held
at a position in 0…1; gives ``(1, frames)``, no delay, always from rest."""

REFERENCE = "crossfade"
"""What every other method is compared with."""


class MethodMissingError(Exception):
    """A method cannot take part here; the message says why, in one sentence."""


def blend(a: Audio, b: Audio, position: float) -> Audio:
    """The crossfade as it ships, ends exact."""
    target = np.empty_like(a)
    positions = np.full(a.shape[1], position, np.float32)
    crossfade(a, b, positions, target)
    select_ends(a, b, positions, target, np.empty(a.shape[1], np.bool_))
    return target


def _crossfade(_stage: Path | None) -> Morph:
    return blend


def _stage(file: Path | None) -> Morph:
    if file is None and not STAGE_FILE.is_file():
        raise MethodMissingError(
            f"The stage network is left out: there is no {STAGE_FILE.name} in models/stage; "
            "make one by python -m models train, or name one by --stage."
        )
    model = read_stage(file or STAGE_FILE)
    StageModel(model, Colour.plain(), 64)  # a foreign file is refused before minutes are spent

    def morph_by_stage(a: Audio, b: Audio, position: float) -> Audio:
        return morph(model, a, b, position)

    return morph_by_stage


METHODS: dict[str, Callable[[Path | None], Morph]] = {REFERENCE: _crossfade, "stage": _stage}
"""How each method is made, given the stage network's file (``None`` for the one that ships)."""


def find_methods(stage: Path | None) -> tuple[dict[str, Morph], list[str]]:
    """Every method that can run here, and a sentence for each that cannot.

    Raises ``ModelError`` where the stage network's file is damaged or foreign.
    """
    methods: dict[str, Morph] = {}
    missing = []
    for name, make in METHODS.items():
        try:
            methods[name] = make(stage)
        except MethodMissingError as error:
            missing.append(str(error))
    return methods, missing


def describe_stage(stage: Path | None) -> tuple[str, str]:
    """Name and SHA-256 of the stage network's file that plays, both empty where none does."""
    file = stage or STAGE_FILE
    if not file.is_file():
        return "", ""
    return file.name, hashlib.sha256(file.read_bytes()).hexdigest()
