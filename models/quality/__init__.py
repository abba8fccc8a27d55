"""How far two tones are apart, and how loud they are: the measures everything is judged by."""

from models.quality.loudness import loudness_lufs, straight_line_error_lu
from models.quality.spectral import (
    Decibels,
    Spectra,
    at_level,
    distance_db,
    log_spectral_distance,
    log_spectrum_db,
    mel_spectral_distance,
    mel_spectrum_db,
    spectra,
    spectral_convergence,
)

__all__ = [
    "Decibels",
    "Spectra",
    "at_level",
    "distance_db",
    "log_spectral_distance",
    "log_spectrum_db",
    "loudness_lufs",
    "mel_spectral_distance",
    "mel_spectrum_db",
    "spectra",
    "spectral_convergence",
    "straight_line_error_lu",
]
