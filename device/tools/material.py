"""Sound material the project makes itself: cabinets for its own presets, and the probe phrase.

``python -m device.tools.material FOLDER`` writes what ``device/presets`` and ``device`` carry.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from device.files import write_sound
from device.tools.riff import riff
from models.minimum_phase import faded, minimum_phase
from models.units import Audio

RATE_HZ = 48000
FRAMES = 8192

PROBE_S = ((0.2, 1.2), (2.0, 2.7), (9.0, 10.0), (14.5, 15.5))
"""Pieces of the riff that are tried: picked strings, a chord that rings, palm mutes, a lead."""

_FADE_S = 0.010

# (frequency in Hz, level in dB): what guitar speakers do, drawn by hand after the published
# curves of common 12-inch drivers: no bass below the cone's resonance, presence at 2–4 kHz,
# a steep fall above 5 kHz with break-up ripples.
_RESPONSES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "open-1x12": (
            (20, -38), (50, -18), (80, -6), (110, 0), (160, 1), (250, -2), (400, -4), (700, -3),
            (1000, -1), (1500, 2), (2200, 5), (2700, 7), (3300, 4), (4000, 5), (4800, 1),
            (5600, -7), (6500, -15), (8000, -22), (10000, -32), (14000, -44), (24000, -60),
        ),
        "closed-4x12": (
            (20, -32), (45, -14), (70, -2), (95, 4), (130, 4), (200, 1), (350, -4), (500, -5),
            (800, -2), (1200, 0), (1700, 3), (2300, 6), (2900, 5), (3500, 6), (4200, 2),
            (4900, -5), (5700, -13), (7000, -20), (9000, -32), (13000, -46), (24000, -64),
        ),
    }
)  # fmt: skip


def cabinet_response(kind: str) -> Audio:
    """Impulse response ``(1, FRAMES)`` of a made-up cabinet, minimum phase, unit energy.

    The minimum phase is made from the log magnitude by the real cepstrum (Oppenheim & Schafer,
    Discrete-Time Signal Processing, §13). Raises ``KeyError`` for an unknown kind.
    """
    frequencies, levels = np.array(_RESPONSES[kind]).T
    size = 4 * FRAMES
    grid = np.fft.rfftfreq(size, 1.0 / RATE_HZ)
    level_db = np.interp(np.log(np.maximum(grid, 1.0)), np.log(frequencies), levels)
    # Cone break-up: narrow, irregular ripples that grow with frequency, fixed by the seed.
    generator = np.random.default_rng(len(kind))
    for centre_hz, depth_db in zip(
        np.geomspace(900.0, 7000.0, 14), generator.normal(0.0, 2.0, 14), strict=True
    ):
        level_db += depth_db * np.exp(-0.5 * ((grid - centre_hz) / (0.05 * centre_hz)) ** 2)
    cepstrum = np.fft.irfft(level_db * np.log(10.0) / 20.0, size)
    response = faded(minimum_phase(cepstrum)[:FRAMES])
    response /= np.sqrt(np.sum(response**2))
    return response[None, :].astype(np.float32)


def cabinet(target: Path, kind: str) -> None:
    """Write a cabinet, WAV or FLAC."""
    write_sound(target, cabinet_response(kind), RATE_HZ)


def probe_phrase() -> Audio:
    """What presets are tried on (``device.probe``), ``(1, frames)``: pieces of the riff, faded."""
    whole = riff(RATE_HZ)
    ramp = np.linspace(0.0, 1.0, round(_FADE_S * RATE_HZ), dtype=np.float32)
    pieces = []
    for start_s, stop_s in PROBE_S:
        piece = whole[0, round(start_s * RATE_HZ) : round(stop_s * RATE_HZ)].copy()
        piece[: ramp.size] *= ramp
        piece[-ramp.size :] *= ramp[::-1]
        pieces.append(piece)
    return np.concatenate(pieces)[None, :]


if __name__ == "__main__":
    for name in _RESPONSES:
        cabinet(Path(sys.argv[1]) / f"{name}.flac", name)
    write_sound(Path(sys.argv[1]) / "probe.flac", probe_phrase(), RATE_HZ)
