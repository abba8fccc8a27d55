"""Families of tones whose in-between is known: what the stage network learns and is judged by."""

from models.stage.families.captures import CaptureFamily
from models.stage.families.case import Case, Family, Positions
from models.stage.families.drives import DriveFamily
from models.stage.families.filters import Cabinets
from models.stage.split import Split, Use

__all__ = ["Case", "Family", "Positions", "families"]


def families(split: Split, use: Use) -> list[Family]:
    """Every family, made of one side of the split.

    Raises ``ModelError`` if a capture, cabinet or space cannot be read.
    """
    half, training = split.half(use), use == "train"
    cabinets = Cabinets([split.audio / file for file in half.cabinets], resize=training)
    kinds = half.nonlinearities
    return [
        CaptureFamily([split.audio / file for file in half.captures], cabinets, training),
        DriveFamily(kinds, cabinets, training),
    ]
