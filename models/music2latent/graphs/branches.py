"""Two-sided adapters in the graph: thin branches beside layers, mixed by the knob's position.

A layer with the weight W gives W·x + (1 − p)·sA·(upA·downA)·x + p·sB·(upB·downB)·x. Both thin
convolutions are one, ``rank A + rank B`` channels wide; the knob scales its channels; ``up`` is a
convolution of one tap. So the knob moves between the adapters while the engine runs, which merged
weights cannot.
"""

from collections.abc import Callable

import numpy as np

from models.music2latent.adapters import Adapter
from models.music2latent.architecture import Tensor
from models.music2latent.graphs.writer import Writer

Branch = tuple[Tensor, Tensor]
"""``down`` ``(ranks, in, …)`` and ``up`` ``(out, ranks)``."""


class Branches:
    """What tone A's and tone B's adapters add to a decoder's layers."""

    def __init__(
        self,
        writer: Writer,
        position: str,
        adapters: tuple[Adapter, Adapter],
        fold: Callable[[str], Tensor | float],
    ) -> None:
        """``fold`` tells by what a layer's output is multiplied beyond its stored weights."""
        self._adapters = adapters
        self._fold = fold
        a, b = adapters
        self._ranks = a.rank + b.rank
        if not self._ranks:
            return
        one = writer.scalar(1.0)
        shares = (
            (writer.node("Sub", "knob/away", one, position), a),
            (position, b),
        )
        parts = [
            writer.node(
                "Mul",
                f"knob/share{side}",
                share,
                writer.constant(np.full((1, adapter.rank, 1, 1), adapter.scale, np.float32)),
            )
            for side, (share, adapter) in enumerate(shares)
            if adapter.rank
        ]
        if len(parts) == 1:
            self._mix = parts[0]
        else:
            self._mix = writer.node("Concat", "knob/mix", *parts, axis=1)

    def of(self, layer: str) -> Branch | None:
        """The branch beside a layer; None where both adapters leave it alone."""
        name = f"{layer}_weight" if layer.endswith(".mha.in_proj") else f"{layer}.weight"
        given = [adapter.factors.get(name) for adapter in self._adapters]
        known = next((factors for factors in given if factors is not None), None)
        if known is None or not self._ranks:
            return None
        downs, ups = [], []
        for adapter, factors in zip(self._adapters, given, strict=True):
            if factors is None:
                down = np.zeros((adapter.rank, *known[0].shape[1:]), np.float32)
                factors = down, np.zeros((known[1].shape[0], adapter.rank), np.float32)
            downs.append(factors[0])
            ups.append(factors[1])
        up = np.concatenate(ups, axis=1) * self._fold(layer)
        return np.concatenate(downs), np.asarray(up, np.float32)

    def add(
        self,
        writer: Writer,
        layer: str,
        out: str,
        branch: Branch,
        beside: Callable[[str, Tensor], str],
    ) -> str:
        """Write a layer's branch; ``beside`` writes its first convolution under a name."""
        down, up = branch
        low = beside(f"{layer}/down", down)
        mixed = writer.node("Mul", f"{layer}/mixed", low, self._mix)
        wide = writer.convolution(f"{layer}/up", mixed, up[:, :, None, None], None, (0, 0, 0, 0))
        return writer.node("Add", f"{layer}/adapted", out, wide)
