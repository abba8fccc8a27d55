"""Driving a streaming model in tests."""

import numpy as np

from models.runtime import StreamingModel
from models.units import Audio


def play(model: StreamingModel, source: Audio) -> Audio:
    """The model's output for as many whole periods as ``source`` ``(channels, frames)`` holds."""
    period = model.period_frames
    target = np.zeros((model.channels, source.shape[1] // period * period), np.float32)
    for start in range(0, target.shape[1], period):
        span = slice(start, start + period)
        model.process(source[:, span], target[:, span])
    return target
