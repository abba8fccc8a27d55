"""How large a capture may be. Beyond these it is refused before memory is taken for it.

The largest captures in circulation have 16 channels, 23 layers, 13,802 weights and a receptive
field of 6,347 frames; each limit leaves a wide margin above that and keeps the worst accepted
file within what a pedal can hold.
"""

FILE_BYTES = 32 * 1024 * 1024
"""Size of the .nam file; the usual one has 0.4 MB."""

CHANNELS = 1024
"""Channels of any signal inside a network, and hidden units of an LSTM."""

LAYERS = 256
"""Layers in one array, blocks in a ConvNet, cells in an LSTM."""

ARRAYS = 16
"""Layer arrays in one WaveNet."""

KERNEL = 65_536
"""Taps of one convolution; a Linear capture is one convolution."""

LOOKBACK_FRAMES = 96_000
"""Frames that one convolution, and that a whole network, may look back."""

WEIGHTS = 1_000_000
"""Weights after groups are written out as full matrices; no processor plays as many at 48 kHz."""

HISTORY = 4_000_000
"""Samples of history that all convolutions hold together: 16 MB."""

SETTLING_WORK = 20_000_000_000
"""Work to settle a network: frames of silence × (weights + 1000 for each array of them).

It takes a few seconds at 16 frames per period; a WaveNet standard counts 0.4 billion. The 1000
stand for what a node costs besides its arithmetic.
"""

SUBMODELS = 64
"""Sizes in one container, models in one chain."""

DEPTH = 4
"""Models inside models: containers, chains and condition networks."""

RATE_HZ = (8_000, 384_000)
"""Sample rates, lowest and highest."""
