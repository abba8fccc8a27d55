"""The encoder: compressed spectra of both tones to latents, one graph of static shapes."""

import onnx

from models.music2latent.architecture import DATA_CHANNELS, Weights, recognise
from models.music2latent.graphs.blocks import Blocks
from models.music2latent.graphs.writer import Writer

TONES = 2
"""Both tones are encoded at once."""


def encoder_onnx(weights: Weights, window_frames: int, batch: int = TONES) -> onnx.ModelProto:
    """``spectra`` ``(batch, 2, bins, frames)`` to ``latents`` ``(batch, channels, frames / 8)``.

    Raises ``ModelError`` for weights of another architecture, ``ValueError`` for a window that
    is not a whole number of latents.
    """
    of = recognise(weights)
    latents = whole_latents(window_frames, of.frames_per_latent)
    writer = Writer("encoder")
    net = Blocks(writer, {k: v for k, v in weights.items() if k.startswith("encoder.")}, of, batch)
    signal = writer.input("spectra", (batch, DATA_CHANNELS, of.bins, window_frames))
    signal = writer.node("Transpose", "spectra/turned", signal, perm=[0, 1, 3, 2])
    signal = net.conv2d("encoder.conv_inp", signal)
    gain = writer.weight("encoder.gain", weights["encoder.gain.scale"].transpose(0, 1, 3, 2))
    signal = writer.node("Mul", "encoder.gain/scaled", signal, gain)
    frames, bins, layer = window_frames, of.bins, 0
    for level in range(of.levels):
        signal = net.block(f"encoder.down_layers.{layer}", signal, level, frames, bins)
        if level < of.levels - 1:
            step = f"encoder.down_layers.{layer + 1}"
            signal = net.norm(f"{step}.norm", signal, of.channels(level), frames, bins)
            signal = net.narrow(f"{step}.c", signal, level)
            frames, bins = (frames, bins // 4) if level == 0 else (frames // 2, bins // 2)
        layer += 2
    channels = of.channels(of.levels - 1)
    signal = net.norm("encoder.prenorm_1d_to_2d", signal, channels, frames, bins)
    # The checkpoint's columns run over channels, then bins.
    signal = writer.node("Transpose", "encoder.narrow/turned", signal, perm=[0, 1, 3, 2])
    signal = writer.reshape("encoder.narrow", signal, batch, channels * bins, latents, 1)
    signal = net.conv1d("encoder.bottleneck_layers.0", signal)
    for block in range(of.bottleneck_blocks):
        signal = net.block_1d(f"encoder.bottleneck_layers.{block + 1}", signal, latents)
    signal = net.norm("encoder.norm_out", signal, of.bottleneck_base_channels, latents, 1)
    signal = net.conv1d("encoder.conv_out", net.silu("encoder.norm_out", signal))
    signal = writer.node("Tanh", "encoder.latents", signal)
    signal = writer.reshape("latents/flat", signal, batch, of.latent_channels, latents)
    writer.output("latents", signal, (batch, of.latent_channels, latents))
    return writer.model()


def whole_latents(window_frames: int, frames_per_latent: int) -> int:
    """How many latents a window is. Raises ``ValueError`` where that is no whole number."""
    if window_frames < frames_per_latent or window_frames % frames_per_latent:
        raise ValueError(
            f"The window is {window_frames} frames, expected a multiple of {frames_per_latent}."
        )
    return window_frames // frames_per_latent
