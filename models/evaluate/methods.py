"""The morphs that are judged: one name each, all of one shape."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.errors import ModelError
from models.morph import crossfade, select_ends
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
    if importlib.util.find_spec("models.stage.model") is None:
        raise MethodMissingError("The stage network is left out: models/stage/model.py is missing.")
    raise MethodMissingError("The stage network is left out: it has no wrapper here.")


METHODS: dict[str, Callable[[Path | None], Morph]] = {REFERENCE: _crossfade, "stage": _stage}
"""How each method is made, given the stage network's file (``None`` for the one that ships)."""


def find_methods(stage: Path | None) -> tuple[dict[str, Morph], list[str]]:
    """Every method that can run here, and a sentence for each that cannot.

    Raises ``ModelError`` where ``stage`` is given and cannot be played.
    """
    methods: dict[str, Morph] = {}
    missing = []
    for name, make in METHODS.items():
        try:
            methods[name] = make(stage)
        except MethodMissingError as error:
            if stage is not None:
                raise ModelError(f"{stage} cannot be judged: {error}") from error
            missing.append(str(error))
    return methods, missing


def sha256(file: Path) -> str:
    """The file's hash, hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
