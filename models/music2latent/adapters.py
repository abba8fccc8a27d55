"""Low-rank adapters of the decoder: what they are, their file, and how they meet the weights.

Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, 2021: beside a frozen weight
``W`` a product of two thin matrices is learnt, ``ΔW = (alpha / rank) · up · down``. Here ``W`` is
every convolution kernel, flattened behind its outputs, and both projections of every attention
on the way from latents to spectra (``adapts``). A merged adapter costs nothing when played.

Two-sided: one adapter learnt on tone A, one on tone B, and the knob between them,
``(1 − position) · ΔA + position · ΔB``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelError
from models.music2latent.architecture import Tensor, Weights
from models.music2latent.checkpoint import weights_sha256, write_whole

METADATA = "purga"
"""The file's metadata under this name is JSON: format, rank, alpha, base_sha256, note."""

FORMAT = "music2latent adapter 1"

HIGHEST_RANK = 256
"""Beyond it an adapter is larger than most of what it adapts."""

_TRAIN = "make one with python -m build train-adapter"


@dataclass(frozen=True)
class Adapter:
    """Thin factors for some of the decoder's weights.

    ``factors`` holds ``(down, up)`` by the names of the state dictionary: for a convolution with
    the kernel ``(out, in, *k)`` down is ``(rank, in, *k)``, itself a convolution to ``rank``
    channels, and up is ``(out, rank)``; for an attention's projection ``(out, in)`` down is
    ``(rank, in)``. Rank 0 has no factors and changes nothing.
    """

    rank: int
    alpha: float
    factors: Mapping[str, tuple[Tensor, Tensor]] = field(repr=False)
    base_sha256: str
    """``weights_sha256`` of the weights that it was learnt beside, which it fits alone."""
    note: str = ""
    """What it was learnt from, in words."""

    @property
    def scale(self) -> float:
        """What the factors' product is multiplied by."""
        return self.alpha / self.rank if self.rank else 0.0

    def delta(self, name: str) -> Tensor | None:
        """``ΔW`` of one weight in that weight's shape; ``None`` where nothing is added."""
        if name not in self.factors:
            return None
        down, up = self.factors[name]
        if not up.any() or not down.any():
            return None
        product = up @ down.reshape(self.rank, -1)
        return np.asarray(np.float32(self.scale) * product, np.float32).reshape(
            up.shape[0], *down.shape[1:]
        )

    def check(self, weights: Weights) -> None:
        """Raise ``ModelError`` unless the adapter was learnt beside exactly these weights."""
        for name, (down, up) in self.factors.items():
            if name not in weights or weights[name].shape != (up.shape[0], *down.shape[1:]):
                raise ModelError(
                    f"The adapter does not fit the weights at {name}; it was learnt beside "
                    f"another checkpoint: give that one, or {_TRAIN}."
                )
        here = weights_sha256(weights)
        if here != self.base_sha256:
            raise ModelError(
                f"The adapter was learnt beside the weights {self.base_sha256[:12]}…, these are "
                f"{here[:12]}…; give the checkpoint it belongs to, or {_TRAIN}."
            )


def adapts(name: str, shape: tuple[int, ...]) -> bool:
    """Whether adapters may change a weight.

    The kernels of all convolutions and the input and output projections of all attentions, of the
    latents' decoder and of the U-net. Not the encoder, so that latents keep their meaning; not
    biases, norms and what the noise level alone decides, which is folded into constants.
    """
    if name.startswith("encoder.") or not name.endswith("weight"):
        return False
    return len(shape) > 2 or name.endswith((".mha.in_proj_weight", ".mha.out_proj.weight"))


def merge(weights: Weights, adapter: Adapter, strength: float = 1.0) -> dict[str, Tensor]:
    """The weights with ``strength · ΔW`` added; what is not adapted is the very same array.

    Raises ``ModelError`` for an adapter of other weights.
    """
    return _added(weights, [(adapter, strength)])


def between(weights: Weights, a: Adapter, b: Adapter, position: float) -> dict[str, Tensor]:
    """The weights with ``(1 − position) · ΔA + position · ΔB`` added; each end is that merge.

    Raises ``ModelError`` for an adapter of other weights.
    """
    return _added(weights, [(a, 1.0 - position), (b, position)])


def _added(weights: Weights, parts: list[tuple[Adapter, float]]) -> dict[str, Tensor]:
    merged = dict(weights)
    for adapter, share in parts:
        adapter.check(weights)
        if share == 0.0:
            continue
        for name in adapter.factors:
            delta = adapter.delta(name)
            if delta is not None:
                merged[name] = merged[name] + np.float32(share) * delta
    return merged


def write_adapter(adapter: Adapter, file: Path) -> None:
    """Write safetensors: ``NAME.down``, ``NAME.up`` and metadata; whole or not at all."""
    from safetensors.numpy import save_file

    tensors = {}
    for name, (down, up) in sorted(adapter.factors.items()):
        tensors[f"{name}.down"] = np.ascontiguousarray(down)
        tensors[f"{name}.up"] = np.ascontiguousarray(up)
    about = {
        "format": FORMAT,
        "rank": adapter.rank,
        "alpha": float(adapter.alpha),
        "base_sha256": adapter.base_sha256,
        "note": adapter.note,
    }
    # Under one name, as the library writes several in any order: the same adapter, the same bytes.
    metadata = {METADATA: json.dumps(about, ensure_ascii=False)}
    write_whole(file, lambda beside: save_file(tensors, beside, metadata=metadata))


def read_adapter(file: Path, weights: Weights | None = None) -> Adapter:
    """Read an adapter; with ``weights`` also check that it belongs to them.

    Raises ``ModelError`` for a file that is missing, damaged, foreign, whose factors contradict
    each other or are not finite, or that belongs to other weights.
    """
    metadata, tensors = _read(file)
    try:
        adapter = _adapter(metadata, tensors)
        if weights is not None:
            adapter.check(weights)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    return adapter


def _read(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise ModelError(f"{file}: {what}, expected an adapter; {_TRAIN}.")
    try:
        with safe_open(file, framework="numpy") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return dict(opened.metadata() or {}), tensors
    except (SafetensorError, OSError, TypeError, ValueError, KeyError) as error:
        raise ModelError(
            f"{file}: is truncated, damaged or no safetensors file, expected an adapter; {_TRAIN}."
        ) from error


def _adapter(metadata: Mapping[str, str], tensors: Mapping[str, Any]) -> Adapter:
    about = _about(metadata.get(METADATA, ""))
    stated: list[Any] = [about.get(name) for name in ("rank", "alpha", "base_sha256", "note")]
    # Exactly these types: True is an int, too.
    if [type(each) for each in stated] != [int, float, str, str]:
        raise ModelError(
            "The adapter does not state its rank, alpha, base_sha256 and note as number, number, "
            f"text and text; {_TRAIN}."
        )
    rank, alpha, base, note = stated
    if not 0 <= rank <= HIGHEST_RANK or not math.isfinite(alpha):
        raise ModelError(
            f"The adapter's rank is {rank} and its alpha {alpha:g}, expected a rank of "
            f"0…{HIGHEST_RANK} and a finite alpha; {_TRAIN}."
        )
    factors = {}
    for name in sorted({key.rpartition(".")[0] for key in tensors}):
        down, up = tensors.get(f"{name}.down"), tensors.get(f"{name}.up")
        if down is None or up is None:
            raise ModelError(f"The adapter's {name} is not a pair of .down and .up; {_TRAIN}.")
        _check_factors(name, down, up, rank)
        factors[name] = (down, up)
    if len(tensors) != 2 * len(factors):
        raise ModelError(f"The adapter holds more than pairs of .down and .up; {_TRAIN}.")
    return Adapter(rank, alpha, factors, base, note)


def _about(text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        about = None
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT or not isinstance(about, dict):
        raise ModelError(
            f"The file's format is {found or 'not stated'!r}, expected {FORMAT!r}; {_TRAIN}."
        )
    return about


def _check_factors(name: str, down: Any, up: Any, rank: int) -> None:
    if down.dtype != np.float32 or up.dtype != np.float32:
        raise ModelError(f"The adapter's {name} is not of float32; {_TRAIN}.")
    if rank == 0 or down.ndim < 2 or down.shape[0] != rank or up.shape[1:] != (rank,):
        raise ModelError(
            f"The adapter's {name} has factors of the shapes {down.shape} and {up.shape}, expected "
            f"rank {rank} first and last; {_TRAIN}."
        )
    if not adapts(name, (up.shape[0], *down.shape[1:])):
        raise ModelError(
            f"The adapter would change {name}, which is no convolution and no attention of the "
            f"decoder; {_TRAIN}."
        )
    if not (np.isfinite(down).all() and np.isfinite(up).all()):
        raise ModelError(f"The adapter's {name} holds values that are not finite; {_TRAIN}.")
