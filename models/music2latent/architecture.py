"""What Music2Latent's generator is made of: sizes, and every tensor of a checkpoint by its name.

Pasini, Lattner, Fazekas, *Music2Latent: Consistency Autoencoders for Latent Audio Compression*,
ISMIR 2024. The names are those of the official checkpoint, which this project does not contain.
Three networks share the weights' dictionary: the encoder (spectra to latents), the decoder
(latents to a pyramid of features) and the U-net (noise and pyramid to spectra).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

Tensor = npt.NDArray[np.float32]
Weights = Mapping[str, Tensor]
"""A generator's tensors, float32, by the checkpoint's names."""
Shapes = dict[str, tuple[int, ...]]

NORM_EPSILON = 1e-5
"""What group normalisation adds to the variance."""

DATA_CHANNELS = 2
"""Real and imaginary part."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of a generator, whose topology is always the same.

    Five levels: the first step down is four times narrower in frequency, the others twice in
    frequency and time.
    """

    base_channels: int = 64
    multipliers: tuple[int, ...] = (1, 2, 4, 4, 4)
    bins: int = 1024
    bottleneck_base_channels: int = 512
    bottleneck_blocks: int = 4
    latent_channels: int = 64
    condition_channels: int = 256
    heads: int = 4
    blocks_unet: int = 2
    attention_from: int = 2
    sigma_max: float = 80.0
    sigma_min: float = 0.002
    sigma_data: float = 0.5

    @property
    def levels(self) -> int:
        """Levels of the pyramid."""
        return len(self.multipliers)

    @property
    def frames_per_latent(self) -> int:
        """STFT frames that one latent stands for."""
        return int(2 ** (self.levels - 2))

    @property
    def narrow_bins(self) -> int:
        """Frequency bins of the lowest level."""
        return self.bins // (4 * self.frames_per_latent)

    def channels(self, level: int) -> int:
        """Channels at a level; 0 is the one with all bins."""
        return self.base_channels * self.multipliers[level]

    def attends(self, level: int) -> bool:
        """Whether blocks at a level attend across frequency."""
        return level >= self.attention_from


OFFICIAL = Architecture()
"""The published network: 58 million parameters."""

TINY = Architecture(
    base_channels=8,
    bottleneck_base_channels=16,
    bottleneck_blocks=1,
    condition_channels=16,
    blocks_unet=1,
)
"""The same topology with few channels, for tests that need a network and not this one."""


def groups(channels: int) -> int:
    """Groups of a group normalisation over so many channels."""
    return min(channels // 4, 32)


def shapes(architecture: Architecture) -> Shapes:
    """Every tensor of a checkpoint's state dictionary and its shape."""
    return dict(_Names(architecture).all())


class _Names:
    def __init__(self, architecture: Architecture) -> None:
        self._of = architecture

    def all(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from self._encoder("encoder.")
        yield from self._decoder("decoder.")
        yield from self._unet()

    def _encoder(self, name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        of, last = self._of, self._of.levels - 1
        yield name + "gain.scale", (1, 1, of.bins, 1)
        yield from _conv(name + "conv_inp", DATA_CHANNELS, of.channels(0), 3, 3)
        layer, channels = 0, of.channels(0)
        for level in range(of.levels):
            yield from self._block(
                f"{name}down_layers.{layer}", channels, of.channels(level), of.attends(level)
            )
            channels = of.channels(level)
            if level < last:
                step = f"{name}down_layers.{layer + 1}"
                yield from _norm(step + ".norm", channels)
                yield from _conv(step + ".c", channels, channels, *_step_kernel(level))
            layer += 2
        yield from _norm(name + "prenorm_1d_to_2d", channels)
        wide = of.bottleneck_base_channels
        yield from _conv(name + "bottleneck_layers.0", channels * of.narrow_bins, wide, 1)
        for block in range(of.bottleneck_blocks):
            yield from self._block_1d(f"{name}bottleneck_layers.{block + 1}", conditioned=False)
        yield from _norm(name + "norm_out", wide)
        yield from _conv(name + "conv_out", wide, of.latent_channels, 1)

    def _decoder(self, name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        of, last = self._of, self._of.levels - 1
        wide, channels = of.bottleneck_base_channels, of.channels(last)
        yield from _conv(name + "conv_inp", of.latent_channels, wide, 1)
        for block in range(of.bottleneck_blocks):
            yield from self._block_1d(f"{name}bottleneck_layers.{block}", conditioned=True)
        yield from _conv(name + "conv_out_bottleneck", wide, channels * of.narrow_bins, 1)
        layer = 0
        for level in reversed(range(of.levels)):
            channels = of.channels(level)
            yield from self._block(
                f"{name}up_layers.{layer}", channels, channels, of.attends(level)
            )
            if level:
                step = f"{name}up_layers.{layer + 1}.c"
                yield from _conv(step, channels, of.channels(level - 1), *_step_kernel(level - 1))
            layer += 2

    def _unet(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        of, last = self._of, self._of.levels - 1
        condition = of.condition_channels
        for layer in (0, 2):
            yield from _linear(f"emb_proj.{layer}", condition, condition)
        for name in ("scale_inp", "scale_out"):
            for layer, out in ((0, condition), (2, condition), (4, of.bins)):
                yield from _linear(f"{name}.{layer}", condition, out)
        yield from _conv("conv_inp", DATA_CHANNELS, of.channels(0), 3, 3)
        layer = 0
        for level in range(of.levels):
            channels = of.channels(level)
            for _ in range(of.blocks_unet):
                yield from self._injected(f"down_layers.{layer}", f"down_layers.{layer + 1}", level)
                layer += 2
            if level < last:
                step = f"down_layers.{layer}.c"
                yield from _conv(step, channels, of.channels(level + 1), *_step_kernel(level))
                layer += 1
        layer = 0
        for level in reversed(range(of.levels)):
            channels = of.channels(level)
            for _ in range(of.blocks_unet):
                yield from self._injected(f"up_layers.{layer}", f"up_layers.{layer + 1}", level)
                layer += 2
            if level:
                step = f"up_layers.{layer}.c"
                yield from _conv(step, channels, of.channels(level - 1), *_step_kernel(level - 1))
                layer += 1
        channels = of.channels(0)
        yield from _conv("conv_decoded", channels, channels, 1, 1)
        yield from _norm("norm_out", channels)
        yield from _conv("conv_out", channels, DATA_CHANNELS, 3, 3)

    def _injected(
        self, inject: str, block: str, level: int
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        of = self._of
        channels = of.channels(level)
        yield from _conv(inject, channels, channels, 1, 1)
        yield from self._block(
            block, channels, channels, of.attends(level), condition=of.condition_channels
        )

    def _block(
        self, name: str, channels: int, out: int, attention: bool, condition: int = 0
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from _conv(name + ".conv1", channels, out, 3, 3)
        yield from _conv(name + ".conv2", out, out, 3, 3)
        if channels != out:
            yield from _conv(name + ".res_conv", channels, out, 1, 1)
        yield from _norm(name + ".norm1", channels)
        yield from _norm(name + ".norm2", out)
        if condition:
            yield from _linear(name + ".proj_emb", condition, out)
        if attention:
            yield name + ".att.mha.in_proj_weight", (3 * out, out)
            yield name + ".att.mha.in_proj_bias", (3 * out,)
            yield from _linear(name + ".att.mha.out_proj", out, out)
            yield from _norm(name + ".att.norm", out)

    def _block_1d(self, name: str, conditioned: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        wide = self._of.bottleneck_base_channels
        yield from _conv(name + ".conv1", wide, wide, 3)
        yield from _conv(name + ".conv2", wide, wide, 3)
        yield from _norm(name + ".norm1", wide)
        yield from _norm(name + ".norm2", wide)
        if conditioned:  # made, saved, and never used: these blocks are called without a time
            yield from _linear(name + ".proj_emb", self._of.condition_channels, wide)


def _step_kernel(level: int) -> tuple[int, int]:
    """The kernel between a level and the next narrower one."""
    return (5, 1) if level == 0 else (3, 3)


def _conv(
    name: str, channels: int, out: int, *kernel: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name + ".weight", (out, channels, *kernel)
    yield name + ".bias", (out,)


def _linear(name: str, channels: int, out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name + ".weight", (out, channels)
    yield name + ".bias", (out,)


def _norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name + ".weight", (channels,)
    yield name + ".bias", (channels,)


def random_weights(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """A generator nobody trained, the same for the same seed: for tests and for timing.

    Uniform within 1/√fan-in as in a fresh network; normalisations lie about 1. What the published
    one starts at zero for training, the last layer of each branch beside the stream, is drawn at
    a fifth, so that every layer counts and the stream still leads.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    weights = {}
    for name, shape in shapes(architecture).items():
        if "norm" in name or name.endswith("gain.scale"):
            low, high = (0.8, 1.2) if name.endswith(("weight", "scale")) else (-0.1, 0.1)
        else:
            weight = shape if len(shape) > 1 else (1, architecture.base_channels)
            bound = 1.0 / math.sqrt(math.prod(weight[1:]))
            if name.endswith(_STARTED_AT_ZERO):
                bound *= 0.2
            low, high = -bound, bound
        values = generator.random(shape, np.float32)
        weights[name] = np.asarray(low + (high - low) * values, np.float32)
    return weights


_STARTED_AT_ZERO = (".conv2.weight", ".out_proj.weight", ".proj_emb.weight")


def recognise(weights: Weights) -> Architecture:
    """The architecture that these weights fit. Raises ``ModelError`` where none does."""
    for architecture in (OFFICIAL, TINY):
        if {name: value.shape for name, value in weights.items()} == shapes(architecture):
            return architecture
    raise ModelError(_difference(weights, shapes(OFFICIAL)))


def _difference(weights: Weights, expected: Shapes) -> str:
    wrong = [
        f"{name} has the shape {weights[name].shape}, expected {shape}"
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    missing = [f"{name} is missing" for name in expected if name not in weights]
    foreign = [f"{name} is foreign" for name in weights if name not in expected]
    all_of_them = [*missing, *wrong, *foreign]
    more = f" (and {len(all_of_them) - 1} more)" if len(all_of_them) > 1 else ""
    return (
        f"The weights are of another architecture than Music2Latent's: {all_of_them[0]}{more}; "
        "use the official checkpoint or one trained with its architecture."
    )
