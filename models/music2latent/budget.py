"""The paper budget: what the codec is expected to take on Jetson modules.

Nothing here is measured: the modules' figures are data sheets', how much of them a network of
this kind reaches is one public measurement of another network, and the tables say so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.music2latent.cost import GraphCost

HOP_MS = 1000.0 * 512 / 44_100
"""One short-time frame of the network."""

STFT_TAIL_SAMPLES = 1536
"""Of the network's rate: what the last full overlap-add trails the input by."""

ADMISSIBLE = 0.6
"""The most of a hop that encode A, encode B and decode may take together."""


@dataclass(frozen=True)
class Module:
    """A Jetson module by its data sheet."""

    name: str
    dense_tops: float
    """INT8, without sparsity, of the GPU alone, in 10¹² operations a second."""
    bandwidth_gb_s: float
    note: str


MODULES = (
    Module("Orin Nano 8 GB Super", 33.0, 102.0, "67 sparse TOPS"),
    Module("Orin NX 16 GB", 50.0, 102.0, "100 sparse TOPS; bandwidth unverified"),
    Module("AGX Orin 64 GB, MAXN", 85.0, 204.8, "171 sparse TOPS of the GPU; bandwidth unverified"),
    Module("AGX Orin 64 GB, 30 W", 20.5, 204.8, "41 sparse TOPS of the GPU; bandwidth unverified"),
)
"""NVIDIA's data sheets; dense is half of sparse."""

REACHED = 2.5 / 33.0
"""Share of the dense INT8 figure that a convolutional network reaches.

YOLOv8n INT8 in TensorRT takes 3.5 ms for 8.7 GFLOP at 640² on Orin Nano: 2.5 TOPS.
"""

BANDWIDTH_REACHED = 0.7
"""Share of the data sheet's bandwidth that kernels reach: an assumption."""

LAUNCH_US = 5.0
"""From one kernel to the next on a Jetson's CPU without a CUDA graph: an assumption."""

WEIGHT_BYTES, ACTIVATION_BYTES = 1, 2
"""INT8 weights, and fp16 between the kernels (INT8 where Q/DQ allows: less)."""


@dataclass(frozen=True)
class Estimate:
    """What one run is expected to take, in ms."""

    compute_ms: float
    memory_ms: float
    launch_ms: float

    @property
    def total_ms(self) -> float:
        """The slower of computing and moving, and every kernel's launch."""
        return max(self.compute_ms, self.memory_ms) + self.launch_ms

    def __add__(self, other: "Estimate") -> "Estimate":
        """One run after another."""
        return Estimate(
            self.compute_ms + other.compute_ms,
            self.memory_ms + other.memory_ms,
            self.launch_ms + other.launch_ms,
        )


def estimate(cost: GraphCost, module: Module) -> Estimate:
    """Expected time of one run of an INT8 graph on a module."""
    moved = cost.weights * WEIGHT_BYTES + cost.traffic * ACTIVATION_BYTES
    return Estimate(
        compute_ms=1e3 * cost.flop / (module.dense_tops * REACHED * 1e12),
        memory_ms=1e3 * moved / (module.bandwidth_gb_s * BANDWIDTH_REACHED * 1e9),
        launch_ms=1e-3 * LAUNCH_US * cost.kernels,
    )


def smallest_hop(cost_ms: float, window_frames: int) -> int | None:
    """The fewest frames of a hop in 0.6 of which a window's cost fits; None beyond the window.

    The cost does not depend on the hop: the window is encoded and decoded anew at each.
    """
    frames = max(1, math.ceil(cost_ms / (ADMISSIBLE * HOP_MS)))
    return frames if frames <= window_frames else None


def latency_ms(hop_frames: int, look_ahead_frames: int = 0) -> float:
    """What ``models.music2latent.stream`` trails by, fed at 44.1 kHz, without computing."""
    return (STFT_TAIL_SAMPLES - 1) / 44.1 + (hop_frames + look_ahead_frames) * HOP_MS


def budget_markdown(
    costs: Mapping[int, tuple[GraphCost, GraphCost]], modules: Sequence[Module] = MODULES
) -> str:
    """The paper budget: per window the encoder's cost (both tones) and the decoder's.

    Markdown: what is counted, and what each module is expected to take.
    """
    lines = [
        "**Computed, not measured.** Operations are counted in the graphs (a multiply and an add "
        "are two). A streaming encoder sees a window of which most was there before, and encodes "
        "all of it again at each hop, both tones in one run.",
        "",
        "| window | encode A + B | decode | weights | kernels |",
        "|---|---|---|---|---|",
    ]
    for window, (encoder, decoder) in sorted(costs.items()):
        lines.append(
            f"| {window} frames, {window * HOP_MS:.0f} ms | {encoder.flop / 1e9:.1f} GFLOP "
            f"| {decoder.flop / 1e9:.1f} GFLOP "
            f"| {(encoder.weights + decoder.weights) / 1e6:.1f} M "
            f"| {encoder.kernels} + {decoder.kernels} |"
        )
    lines += [
        "",
        "| module | window | compute | memory | launches | expected | smallest hop "
        "| its latency | and the computing |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for module in modules:
        for window, (encoder, decoder) in sorted(costs.items()):
            both = estimate(encoder, module), estimate(decoder, module)
            lines.append(_row(module, window, both))
    lines += [
        "",
        "Expected is the slower of compute and memory, encoder and decoder each, and the launches. "
        f"Compute: {REACHED:.1%} of the dense INT8 figure, as YOLOv8n INT8 reaches on Orin Nano "
        "(3.5 ms for 8.7 GFLOP, 2.5 TOPS). Memory: the weights once as INT8 and the tensors "
        f"between kernels as fp16, at {BANDWIDTH_REACHED:.0%} of the data sheet's bandwidth; "
        "pointwise nodes belong to the kernel before them. Launches: "
        f"{LAUNCH_US:g} µs a kernel. The smallest hop is the first in {ADMISSIBLE:g} of which "
        "the expected time fits. Its latency is the stream's own, fed at 44.1 kHz; a converter "
        "from 48 kHz, look-ahead and the interface come on top.",
        "",
        *(
            f"- {each.name}: {each.dense_tops:g} TOPS dense INT8 ({each.note}), "
            f"{each.bandwidth_gb_s:g} GB/s"
            for each in modules
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(module: Module, window: int, both: tuple[Estimate, Estimate]) -> str:
    expected_ms = both[0].total_ms + both[1].total_ms
    parts = both[0] + both[1]
    hop = smallest_hop(expected_ms, window)
    if hop is None:
        end = "none | – | –"
    else:
        trails_ms = latency_ms(hop)
        end = (
            f"{hop} frame{'s' if hop > 1 else ''}, {hop * HOP_MS:.1f} ms | {trails_ms:.1f} ms "
            f"| {trails_ms + expected_ms:.1f} ms"
        )
    return (
        f"| {module.name} | {window} | {parts.compute_ms:.1f} ms | {parts.memory_ms:.1f} ms "
        f"| {parts.launch_ms:.1f} ms | {expected_ms:.1f} ms | {end} |"
    )
