"""A small capture for the virtual pedal: an LSTM of one layer, as ``.nam`` (nam format 0.5)."""

import json
import random

HIDDEN = 8


def write_capture(seed: int = 0) -> str:
    """The text of a ``.nam`` file with seeded weights: its load is real, its tone nobody's amp.

    The weights lie in the order of the NAM core's LSTM: input and recurrent matrix side by side
    ``(4 × hidden, 1 + hidden)``, biases, initial hidden and cell state, head and its bias.
    """
    generator = random.Random(seed)
    count = 4 * HIDDEN * (1 + HIDDEN) + 4 * HIDDEN + 2 * HIDDEN + HIDDEN + 1
    scale = 0.5 / HIDDEN**0.5
    weights = [round(generator.uniform(-scale, scale), 6) for _ in range(count)]
    return json.dumps(
        {
            "version": "0.5.2",
            "architecture": "LSTM",
            "config": {"input_size": 1, "hidden_size": HIDDEN, "num_layers": 1},
            "weights": weights,
            "sample_rate": 48000,
        }
    )
