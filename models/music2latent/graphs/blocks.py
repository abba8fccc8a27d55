"""The blocks that encoder, decoder and U-net are made of, as ONNX nodes.

Signals inside the graphs are ``(batch, channels, frames, bins)``: frequency lies last, because
there are 1024 bins at most and 2 frames at least, and attention runs across it. The checkpoint's
kernels have frequency first and are turned.
"""

from collections.abc import Callable, Mapping

import numpy as np

from models.music2latent.architecture import NORM_EPSILON, Architecture, Tensor, Weights, groups
from models.music2latent.graphs.branches import Branches
from models.music2latent.graphs.writer import Writer


class Blocks:
    """Writes blocks of one network into a ``Writer``, and knows their signals' shapes.

    ``batch`` networks run side by side. Names of nodes are the checkpoint's names of layers.
    """

    def __init__(
        self,
        writer: Writer,
        weights: Weights,
        architecture: Architecture,
        batch: int,
        conditions: Mapping[str, Tensor] | None = None,
        branches: Branches | None = None,
    ) -> None:
        """Take the weights to write.

        ``conditions`` are biases by the name of a block, ``branches`` what stands beside layers
        and is moved by the knob.
        """
        self.writer = writer
        self.weights = weights
        self.of = architecture
        self.batch = batch
        self._conditions = conditions or {}
        self._branches = branches

    # ---- convolutions ---------------------------------------------------------------------------

    def conv2d(
        self,
        name: str,
        signal: str,
        extra_bias: Tensor | None = None,
        strides: tuple[int, int] = (1, 1),
    ) -> str:
        """A convolution over frames and bins that keeps their number, but for ``strides``."""
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        turned = weight.transpose(0, 1, 3, 2)
        ahead, below = turned.shape[2] // 2, turned.shape[3] // 2
        if extra_bias is not None:
            bias = bias + extra_bias
        pads = (ahead, below, ahead, below)
        out = self.writer.convolution(name, signal, turned, bias, pads, strides)

        def beside(low: str, down: Tensor) -> str:
            return self.writer.convolution(
                low, signal, down.transpose(0, 1, 3, 2), None, pads, strides
            )

        return self._with_branch(name, out, beside)

    def conv1d(self, name: str, signal: str) -> str:
        """A convolution over latents ``(batch, channels, latents, 1)``.

        Written over two dimensions: of quantised convolutions over one, TensorRT's importer
        reshapes the weights behind their DequantizeLinear and then finds no kernel.
        """
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        pads = (weight.shape[2] // 2, 0) * 2
        out = self.writer.convolution(name, signal, weight[..., None], bias, pads)

        def beside(low: str, down: Tensor) -> str:
            return self.writer.convolution(low, signal, down[..., None], None, pads)

        return self._with_branch(name, out, beside)

    def _with_branch(self, name: str, out: str, beside: Callable[[str, Tensor], str]) -> str:
        """A layer's output with what its branch adds; ``beside`` writes the thin convolution."""
        branch = None if self._branches is None else self._branches.of(name)
        if self._branches is None or branch is None:
            return out
        return self._branches.add(self.writer, name, out, branch, beside)

    def narrow(self, name: str, signal: str, level: int) -> str:
        """The step from a level down to the next: fewer bins; fewer frames but for the first."""
        return self.conv2d(name, signal, strides=(1, 4) if level == 0 else (2, 2))

    def widen(self, name: str, signal: str, level: int, frames: int, bins: int) -> str:
        """The step from a level up to the one before: repeat bins and frames, then convolve.

        Written as what it is, without the repeated values: every output is a sum of two
        neighbours a side, so four small convolutions (each a phase of the output) do with 4/9 of
        the multiplications (2/5 for the first level) and give the same sums.
        """
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        shape = (level, frames, bins)
        out = self._widened(name, signal, weight, bias, shape)

        def beside(low: str, down: Tensor) -> str:
            return self._widened(low, signal, down, None, shape)

        return self._with_branch(name, out, beside)

    def _widened(
        self,
        name: str,
        signal: str,
        weight: Tensor,
        bias: Tensor | None,
        shape: tuple[int, int, int],
    ) -> str:
        level, frames, bins = shape
        turned = weight.transpose(0, 1, 3, 2)
        up_frames, up_bins = (2, 2) if level > 1 else (1, 4)
        phases = []
        for phase_frames in range(up_frames):
            for phase_bins in range(up_bins):
                kernel, before_f, after_f = _phase(turned, 2, up_frames, phase_frames)
                kernel, before_b, after_b = _phase(kernel, 3, up_bins, phase_bins)
                phases.append(
                    self.writer.convolution(
                        f"{name}.phase{phase_frames}{phase_bins}",
                        signal,
                        kernel,
                        bias,
                        (before_f, before_b, after_f, after_b),
                    )
                )
        return self._interleave(name, phases, weight.shape[0], (frames, bins), (up_frames, up_bins))

    def _interleave(
        self,
        name: str,
        phases: list[str],
        channels: int,
        shape: tuple[int, int],
        factors: tuple[int, int],
    ) -> str:
        """Phases ``(batch, channels, frames, bins)`` of one signal, put between each other."""
        writer, (frames, bins), (up_frames, up_bins) = self.writer, shape, factors
        rows = []
        for phase_frames in range(up_frames):
            columns = [
                writer.reshape(f"{phase}/last", phase, self.batch, channels, frames, bins, 1)
                for phase in phases[phase_frames * up_bins : (phase_frames + 1) * up_bins]
            ]
            rows.append(writer.node("Concat", f"{name}/bins{phase_frames}", *columns, axis=4))
        out = (self.batch, channels, frames * up_frames, bins * up_bins)
        if up_frames == 1:
            return writer.reshape(f"{name}/wide", rows[0], *out)
        lines = [
            writer.reshape(f"{row}/row", row, self.batch, channels, frames, 1, bins * up_bins)
            for row in rows
        ]
        stacked = writer.node("Concat", f"{name}/frames", *lines, axis=3)
        return writer.reshape(f"{name}/wide", stacked, *out)

    # ---- normalisation and activation -----------------------------------------------------------

    def norm(self, name: str, signal: str, channels: int, *shape: int) -> str:
        """Group normalisation of a signal ``(batch, channels, *shape)``."""
        writer, count = self.writer, groups(channels)
        flat = writer.reshape(f"{name}/groups", signal, self.batch, count, -1)
        even = writer.node(
            "InstanceNormalization",
            f"{name}/even",
            flat,
            writer.constant(np.ones(count, np.float32)),
            writer.constant(np.zeros(count, np.float32)),
            epsilon=NORM_EPSILON,
        )
        back = writer.reshape(f"{name}/back", even, self.batch, channels, *shape)
        along = (1, channels) + (1,) * len(shape)
        scale = writer.weight(f"{name}.scale", self.weights[name + ".weight"].reshape(along))
        shift = writer.weight(f"{name}.shift", self.weights[name + ".bias"].reshape(along))
        scaled = writer.node("Mul", f"{name}/scaled", back, scale)
        return writer.node("Add", name, scaled, shift)

    def silu(self, name: str, signal: str) -> str:
        """Sigmoid linear unit: x · sigmoid(x)."""
        gate = self.writer.node("Sigmoid", f"{name}/gate", signal)
        return self.writer.node("Mul", f"{name}/silu", signal, gate)

    # ---- blocks ---------------------------------------------------------------------------------

    def block(self, name: str, signal: str, level: int, frames: int, bins: int) -> str:
        """A residual block at a level, with attention where the level has it."""
        writer, channels = self.writer, self.weights[name + ".conv1.weight"].shape
        shape = (frames, bins)
        first = self.norm(f"{name}.norm1", signal, channels[1], *shape)
        first = self.conv2d(
            f"{name}.conv1", self.silu(f"{name}.norm1", first), self._conditions.get(name)
        )
        second = self.norm(f"{name}.norm2", first, channels[0], *shape)
        second = self.conv2d(f"{name}.conv2", self.silu(f"{name}.norm2", second))
        rest = signal
        if channels[0] != channels[1]:
            rest = self.conv2d(f"{name}.res_conv", signal)
        out = writer.node("Add", f"{name}/sum", second, rest)
        return self.attention(name, out, frames, bins) if self.of.attends(level) else out

    def block_1d(self, name: str, signal: str, latents: int) -> str:
        """A residual block over latents ``(batch, channels, latents, 1)``."""
        channels = self.weights[name + ".conv1.weight"].shape[0]
        first = self.norm(f"{name}.norm1", signal, channels, latents, 1)
        first = self.conv1d(f"{name}.conv1", self.silu(f"{name}.norm1", first))
        second = self.norm(f"{name}.norm2", first, channels, latents, 1)
        second = self.conv1d(f"{name}.conv2", self.silu(f"{name}.norm2", second))
        return self.writer.node("Add", f"{name}/sum", second, signal)

    def attention(self, block: str, signal: str, frames: int, bins: int) -> str:
        """Self-attention across bins, frame by frame, added to the signal.

        The projections are convolutions of one tap, so they need no turning and are quantised
        as the others; 1/√d is in the queries' weights.
        """
        writer, name, heads = self.writer, f"{block}.att", self.of.heads
        weight = self.weights[f"{name}.mha.in_proj_weight"]
        bias = self.weights[f"{name}.mha.in_proj_bias"]
        channels = weight.shape[1]
        each = channels // heads
        scale = query_scale(channels, heads)
        even = self.norm(f"{name}.norm", signal, channels, frames, bins)
        projected = self._project(f"{name}.mha.in_proj", even, weight * scale, bias * scale[:, 0])
        parts = writer.reshape(
            f"{name}/heads", projected, self.batch, 3 * heads, each, frames * bins
        )
        parts = writer.reshape(f"{name}/frames", parts, self.batch, 3 * heads, each, frames, bins)
        # (batch, 3 · heads, frames, each, bins)
        by_frame = writer.node("Transpose", f"{name}/by_frame", parts, perm=[0, 1, 3, 2, 4])
        query, key, value = (
            writer.node(
                "Slice",
                f"{name}/{which}",
                by_frame,
                writer.integers(index * heads),
                writer.integers((index + 1) * heads),
                writer.integers(1),
            )
            for index, which in enumerate(("query", "key", "value"))
        )
        queries = writer.node("Transpose", f"{name}/queries", query, perm=[0, 1, 2, 4, 3])
        scores = writer.node("MatMul", f"{name}/scores", queries, key)
        shares = writer.node("Softmax", f"{name}/shares", scores, axis=-1)
        values = writer.node("Transpose", f"{name}/values", value, perm=[0, 1, 2, 4, 3])
        mixed = writer.node("MatMul", f"{name}/mixed", shares, values)
        # (batch, heads, frames, bins, each) → (batch, channels, frames, bins)
        turned = writer.node("Transpose", f"{name}/turned", mixed, perm=[0, 1, 4, 2, 3])
        joined = writer.reshape(f"{name}/joined", turned, self.batch, channels, frames, bins)
        out = self._project(
            f"{name}.mha.out_proj",
            joined,
            self.weights[f"{name}.mha.out_proj.weight"],
            self.weights[f"{name}.mha.out_proj.bias"],
        )
        return writer.node("Add", f"{name}/sum", out, signal)

    def _project(self, name: str, signal: str, weight: Tensor, bias: Tensor) -> str:
        """A matrix ``(out, in)`` at every frame and bin: a convolution of one tap."""
        none = (0, 0, 0, 0)
        out = self.writer.convolution(name, signal, weight[:, :, None, None], bias, none)

        def beside(low: str, down: Tensor) -> str:
            return self.writer.convolution(low, signal, down[:, :, None, None], None, none)

        return self._with_branch(name, out, beside)


def query_scale(channels: int, heads: int) -> Tensor:
    """1/√d for the queries' rows of an attention's input projection, ``(3 · channels, 1)``."""
    scale = np.ones((3 * channels, 1), np.float32)
    scale[:channels] = 1.0 / np.sqrt(channels // heads)
    return scale


def _phase(weight: Tensor, axis: int, factor: int, phase: int) -> tuple[Tensor, int, int]:
    """The kernel that makes every ``factor``-th output from values not repeated.

    ``weight`` is a kernel over values repeated ``factor`` times along ``axis``. Returns the
    kernel, and how many values before and after it needs.
    """
    taps = weight.shape[axis]
    if factor == 1:
        return weight, taps // 2, taps // 2
    # Which value each tap falls on, seen from the output's own.
    places = [(phase + tap - taps // 2) // factor for tap in range(taps)]
    parts = [
        np.take(weight, [tap for tap in range(taps) if places[tap] == place], axis).sum(axis)
        for place in range(places[0], places[-1] + 1)
    ]
    return np.stack(parts, axis), -places[0], places[-1]
