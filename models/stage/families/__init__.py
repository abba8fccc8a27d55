"""Families of tones whose in-between is known: what the stage network learns and is judged by."""

from pathlib import Path

from models.errors import ModelError
from models.stage.families.captures import CaptureFamily
from models.stage.families.cascades import CascadeFamily
from models.stage.families.case import Case, Family, Positions
from models.stage.families.drives import DriveFamily
from models.stage.families.dynamics import SagFamily
from models.stage.families.filters import Cabinets
from models.stage.families.modulation import ModulationFamily
from models.stage.families.shapes import SHAPES
from models.stage.families.space import SpaceFamily
from models.stage.families.spectra import CabinetFamily, EqFamily
from models.stage.split import Split, Use

__all__ = ["Case", "Family", "Positions", "families"]


def families(split: Split, use: Use) -> list[Family]:
    """Every family, made of one side of the split.

    Raises ``ModelError`` if a capture, cabinet or space cannot be read, or a nonlinearity is none.
    """
    half, training = split.half(use), use == "train"
    for kind in half.nonlinearities:
        if kind not in SHAPES:
            raise ModelError(
                f"The split names the nonlinearity {kind}, which there is not; choose from "
                f"{', '.join(SHAPES)}."
            )
    cabinets = Cabinets([split.audio / file for file in half.cabinets], resize=training)
    without = Cabinets([], resize=False)
    kinds = half.nonlinearities
    captures = CaptureFamily([split.audio / file for file in half.captures], cabinets, training)
    spaces = [split.audio / space if "/" in space else Path(space) for space in half.spaces]
    return [
        captures,
        DriveFamily(kinds, cabinets, training),
        SagFamily(kinds, cabinets, training),
        CascadeFamily(kinds, captures, cabinets, training),
        ModulationFamily(kinds, cabinets),
        EqFamily(kinds, cabinets),
        CabinetFamily(kinds, cabinets, without),
        SpaceFamily(kinds, cabinets, spaces),
    ]
