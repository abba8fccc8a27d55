"""The way from one tone to another: through drive, and with even steps (README.md)."""

from models.path.measure import Figures
from models.path.tone import DRIVES_DB, Tone
from models.path.way import DrivePath, Law, Way, even_positions, find_path, way_along

__all__ = [
    "DRIVES_DB",
    "DrivePath",
    "Figures",
    "Law",
    "Tone",
    "Way",
    "even_positions",
    "find_path",
    "way_along",
]
