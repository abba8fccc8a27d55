"""Driving blocks and players in tests, and listening to what comes out by numbers."""

import numpy as np
import scipy.signal

from device.sound.block import Block
from device.sound.player import Player
from models.units import Audio


def through(block: Block, sound: Audio, period_frames: int, rate_hz: int = 48000) -> Audio:
    """Prepare a block and run whole periods of ``sound`` through it."""
    block.prepare(rate_hz, period_frames)
    return run(block, sound, period_frames)


def run(block: Block, sound: Audio, period_frames: int) -> Audio:
    """Run whole periods through a prepared block."""
    frames = sound.shape[1] // period_frames * period_frames
    out = np.zeros((1, frames), np.float32)
    for start in range(0, frames, period_frames):
        piece = slice(start, start + period_frames)
        block.process(sound[:, piece], out[:, piece])
    return out


def play(player: Player, sound: Audio, period_frames: int, position: float) -> Audio:
    """Run whole periods through a prepared player with the knob at ``position``."""
    frames = sound.shape[1] // period_frames * period_frames
    out = np.zeros((1, frames), np.float32)
    for start in range(0, frames, period_frames):
        piece = slice(start, start + period_frames)
        player.process(sound[:, piece], position, out[:, piece])
    return out


def sine(frequency_hz: float, frames: int, level: float = 0.5, rate_hz: int = 48000) -> Audio:
    """A sine ``(1, frames)``."""
    phase = 2.0 * np.pi * frequency_hz * np.arange(frames) / rate_hz
    return (level * np.sin(phase)).astype(np.float32)[None, :]


def click_dbfs(sound: Audio, above_hz: float = 6000.0, rate_hz: int = 48000) -> float:
    """Peak of what lies above ``above_hz``, dBFS: where a bass sine has nothing, a click has."""
    filtered = scipy.signal.sosfilt(
        scipy.signal.butter(6, above_hz, "highpass", fs=rate_hz, output="sos"), sound[0]
    )
    # The filter's own start is no click.
    return float(20.0 * np.log10(np.abs(filtered[rate_hz // 20 :]).max() + 1e-12))
