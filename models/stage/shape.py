"""The stage network's dimensions and constants: what training and the pedal's graph agree on."""

from dataclasses import dataclass

BLOCK_FRAMES = 16
"""Gains are found at the end of each block, counted from the first frame that was played."""
FAST_BLOCKS, SLOW_BLOCKS = 16, 128
"""Levels are taken over 5 and over 43 ms."""
POWER_FLOOR = 1e-5
RATIO_FLOOR = 1e-3
PEAK_FRAMES = 256
MOST_GAIN, MOST_POWER = 1.41, 1.5
"""Of the peak of either tone in the last 5 ms, 3 dB, and of its power, 1.8 dB."""
QUIET_POWER = 1e-6
"""What nobody calls loud is not held down."""


@dataclass(frozen=True)
class Shape:
    """Widths in channels, taps in frames or blocks (48 kHz)."""

    bands: int = 20
    ear_taps: int = 64
    width: int = 48
    taps: int = 4
    dilation: int = 8
    """Of the one layer that hears earlier blocks."""
    gate: int = 16
