"""The decoder: latents and noise to compressed spectra in one step, one graph of static shapes.

The consistency model is asked once, at the largest sigma (one-step decoding, Pasini et al. 2024,
section 3), so all that depends on sigma only is worked out here and is part of the weights: the
time embedding lies in the blocks' biases, both frequency scales are constants, and the scalings of
a consistency model (c_skip, c_out, c_in; Song et al. 2023) are in the first and last convolution.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import onnx

from models.music2latent.adapters import Adapter
from models.music2latent.architecture import (
    DATA_CHANNELS,
    Architecture,
    Tensor,
    Weights,
    recognise,
)
from models.music2latent.graphs.blocks import Blocks, query_scale
from models.music2latent.graphs.branches import Branches
from models.music2latent.graphs.encoder import whole_latents
from models.music2latent.graphs.writer import Writer

Wide = npt.NDArray[np.float64]


def decoder_onnx(
    weights: Weights, window_frames: int, adapters: tuple[Adapter, Adapter] | None = None
) -> onnx.ModelProto:
    """``latents`` ``(1, channels, frames / 8)`` and ``noise`` to ``spectra``.

    Both are ``(1, 2, bins, frames)``; ``noise`` is standard normal. With the adapters of tone A
    and tone B there is a third input, ``position`` ``(1, 1, 1, 1)``, which moves from the one to
    the other. Raises ``ModelError`` for weights of another architecture, ``ValueError`` for a
    window that is not a whole number of latents.
    """
    of = recognise(weights)
    latents = whole_latents(window_frames, of.frames_per_latent)
    return _Decoder(weights, of, window_frames, latents, adapters).write()


class _Decoder:
    def __init__(
        self,
        weights: Weights,
        of: Architecture,
        frames: int,
        latents: int,
        adapters: tuple[Adapter, Adapter] | None,
    ) -> None:
        self._of, self._frames, self._latents = of, frames, latents
        self._writer = Writer("decoder")
        sigma = _AtSigma(weights, of)
        self._weights = sigma.folded()
        self._sigma = sigma
        conditions = {name: sigma.condition(name) for name in sigma.blocks()}
        branches = None
        if adapters is not None:
            position = self._writer.input("position", (1, 1, 1, 1))
            branches = Branches(self._writer, position, adapters, sigma.folds(of.heads))
        self._net = Blocks(self._writer, self._weights, of, 1, conditions, branches)

    def write(self) -> onnx.ModelProto:
        of, writer = self._of, self._writer
        latents = writer.input("latents", (1, of.latent_channels, self._latents))
        shape = (1, DATA_CHANNELS, of.bins, self._frames)
        noise = writer.input("noise", shape)
        noise = writer.node("Transpose", "noise/turned", noise, perm=[0, 1, 3, 2])
        pyramid = self._pyramid(latents)
        signal = self._unet(noise, pyramid)
        kept = writer.node("Mul", "noise/kept", noise, writer.scalar(self._sigma.keeps))
        signal = writer.node("Add", "spectra/sum", signal, kept)
        signal = writer.node("Transpose", "spectra/turned", signal, perm=[0, 1, 3, 2])
        writer.output("spectra", signal, shape)
        return writer.model()

    def _size(self, level: int) -> tuple[int, int]:
        """Frames and bins at a level."""
        if level == 0:
            return self._frames, self._of.bins
        return self._frames >> (level - 1), self._of.bins >> (level + 1)

    def _pyramid(self, latents: str) -> list[str]:
        """What the latents say, at every level; 0 is the one with all bins."""
        of, writer, net = self._of, self._writer, self._net
        shape = (1, of.latent_channels, self._latents, 1)
        signal = net.conv1d("decoder.conv_inp", writer.reshape("latents/column", latents, *shape))
        for block in range(of.bottleneck_blocks):
            signal = net.block_1d(f"decoder.bottleneck_layers.{block}", signal, self._latents)
        signal = net.conv1d("decoder.conv_out_bottleneck", signal)
        last = of.levels - 1
        # The checkpoint's rows run over bins, then channels.
        signal = writer.reshape(
            "decoder.wide/split", signal, 1, of.narrow_bins, of.channels(last), self._latents
        )
        signal = writer.node("Transpose", "decoder.wide", signal, perm=[0, 2, 3, 1])
        levels = [""] * of.levels
        for layer, level in enumerate(reversed(range(of.levels))):
            signal = net.block(f"decoder.up_layers.{2 * layer}", signal, level, *self._size(level))
            levels[level] = signal
            if level:
                step = f"decoder.up_layers.{2 * layer + 1}.c"
                signal = net.widen(step, signal, level, *self._size(level))
        return levels

    def _unet(self, noise: str, pyramid: list[str]) -> str:
        of, writer, net = self._of, self._writer, self._net
        signal = net.conv2d("conv_inp", noise)
        scale = writer.weight("scale_inp", self._sigma.scale("scale_inp"))
        signal = writer.node("Mul", "conv_inp/scaled", signal, scale)
        skips = []
        layer = 0
        for level in range(of.levels):
            for _ in range(of.blocks_unet):
                signal = self._injected(f"down_layers.{layer}", pyramid[level], signal)
                signal = net.block(f"down_layers.{layer + 1}", signal, level, *self._size(level))
                skips.append(signal)
                layer += 2
            if level < of.levels - 1:
                signal = net.narrow(f"down_layers.{layer}.c", signal, level)
                layer += 1
        layer = 0
        for level in reversed(range(of.levels)):
            for _ in range(of.blocks_unet):
                signal = self._injected(f"up_layers.{layer}", pyramid[level], signal, skips.pop())
                signal = net.block(f"up_layers.{layer + 1}", signal, level, *self._size(level))
                layer += 2
            if level:
                signal = net.widen(f"up_layers.{layer}.c", signal, level, *self._size(level))
                layer += 1
        signal = self._injected("conv_decoded", pyramid[0], signal)
        signal = net.norm("norm_out", signal, of.channels(0), *self._size(0))
        signal = net.silu("norm_out", signal)
        scale = writer.weight("scale_out", self._sigma.scale("scale_out"))
        signal = writer.node("Mul", "scale_out/scaled", signal, scale)
        return net.conv2d("conv_out", signal)

    def _injected(self, name: str, pyramid: str, *signals: str) -> str:
        """The pyramid through one tap, added to the signals, at the level of one of them."""
        total = self._net.conv2d(name, pyramid)
        for index, signal in enumerate(signals):
            total = self._writer.node("Add", f"{name}/sum{index}", total, signal)
        share = 1.0 / math.sqrt(1 + len(signals))
        return self._writer.node("Mul", f"{name}/level", total, self._writer.scalar(share))


class _AtSigma:
    """What the weights come to at the largest sigma."""

    def __init__(self, weights: Weights, of: Architecture) -> None:
        self._weights, self._of = weights, of
        spread, floor, data = of.sigma_max, of.sigma_min, of.sigma_data
        both = spread**2 + data**2
        self._out = data * (spread - floor) / math.sqrt(both)
        self._in = spread / math.sqrt(both)
        self.keeps = spread * data**2 / ((spread - floor) ** 2 + data**2)
        """How much of the noise is in the output."""
        self._place = _sine_embedding(math.log(spread) / 4.0, of.condition_channels)
        self._time = self._mlp("emb_proj", self._place)

    def blocks(self) -> Iterator[str]:
        """The blocks that are told the time."""
        for name in self._weights:
            if name.endswith(".proj_emb.weight") and not name.startswith("decoder."):
                yield name.removesuffix(".proj_emb.weight")

    def condition(self, block: str) -> Tensor:
        """What the time adds to a block's first convolution, ``(channels,)``."""
        return self._linear(f"{block}.proj_emb", self._time).astype(np.float32)

    def scale(self, name: str) -> Tensor:
        """A frequency scale ``(1, 1, 1, bins)``."""
        return (1.0 + self._mlp(name, self._place)).reshape(1, 1, 1, -1).astype(np.float32)

    def folded(self) -> dict[str, Tensor]:
        """The weights with c_in in the first and c_out in the last convolution."""
        folded = dict(self._weights)
        folded["conv_inp.weight"] = self._weights["conv_inp.weight"] * np.float32(self._in)
        for name in ("conv_out.weight", "conv_out.bias"):
            folded[name] = self._weights[name] * np.float32(self._out)
        return folded

    def folds(self, heads: int) -> Callable[[str], Tensor | float]:
        """What a layer's output is multiplied by, beyond its stored weights; ``(out, 1)`` or 1."""

        def fold(layer: str) -> Tensor | float:
            if layer.endswith(".mha.in_proj"):
                return query_scale(self._weights[f"{layer}_weight"].shape[1], heads)
            return {"conv_inp": self._in, "conv_out": self._out}.get(layer, 1.0)

        return fold

    def _mlp(self, name: str, signal: Wide) -> Wide:
        """Linear layers with SiLU after each but a third, which is a scale's last."""
        for layer in (0, 2, 4):
            if f"{name}.{layer}.weight" not in self._weights:
                break
            signal = self._linear(f"{name}.{layer}", signal)
            if layer < 4:
                signal = signal / (1.0 + np.exp(-signal))
        return signal

    def _linear(self, name: str, signal: Wide) -> Wide:
        weight = self._weights[name + ".weight"].astype(np.float64)
        return weight @ signal + self._weights[name + ".bias"]


def _sine_embedding(value: float, size: int) -> Wide:
    """Sines, then cosines, of ``value`` at ``size / 2`` frequencies from 1 to 1/10000."""
    half = size // 2
    phases = value * (1e-4) ** (np.arange(half) / (half - 1))
    return np.concatenate([np.sin(phases), np.cos(phases)])
