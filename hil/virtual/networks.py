"""A stage network of a few nodes for the guest, which is no Jetson.

The real one takes 113 nodes, more than half of a period there. What is proven around it (who
stands in when, what a slot's switch costs) does not depend on what it computes.
"""

from pathlib import Path

import numpy as np

from hil.virtual.cache import digest, kept
from models.stage.colour import SHAPE_TAPS, TRAIT_BANDS, TRAIT_ROWS, WHITEN_TAPS
from models.stage.graph import SHAPE, TRAITS, WHITEN
from models.streaming.builder import Builder

_ROOT = Path(__file__).resolve().parents[2]


def light_stage() -> Path:
    """The file of the network; made once for each state of the code that makes it."""
    sources = [Path(__file__), *(_ROOT / "models" / "streaming").glob("*.py")]
    return kept("stage", digest(sorted(sources)), _write) / "stage.onnx"


def _write(target: Path) -> None:
    (target / "stage.onnx").write_bytes(light_stage_onnx())


def light_stage_onnx(depth: float = 0.05) -> bytes:
    """``out = (1−p)·a + p·b + 4p(1−p)·depth·tanh(a − b)``: exact at both ends, as the real one."""
    graph = Builder(rows_in=3)
    # A pair's colour is put into these.
    graph.initializer(WHITEN, np.eye(1, WHITEN_TAPS, WHITEN_TAPS - 1, np.float32)[None])
    graph.initializer(SHAPE, np.eye(1, SHAPE_TAPS, SHAPE_TAPS - 1, np.float32)[None])
    graph.initializer(TRAITS, np.zeros((2, TRAIT_ROWS * 2 * TRAIT_BANDS), np.float32))
    a, b, position = graph.split("source", [1, 1, 1])
    unheard = _unheard(graph, position)
    apart = graph.node("Sub", b, a)
    blend = graph.node("Add", a, graph.node("Mul", position, apart))
    rest = graph.node("Sub", graph.scalar(4.0), graph.node("Mul", position, graph.scalar(4.0)))
    share = graph.node("Mul", graph.node("Mul", position, rest), graph.scalar(depth))
    bent = graph.node("Mul", share, graph.node("Tanh", apart))
    heard = graph.node("Add", blend, bent)
    return graph.finish(graph.node("Add", heard, unheard), prewarm_frames=0)


def _unheard(graph: Builder, position: str) -> str:
    """Zero, made of the colour: laying the network out drops what nothing listens to."""
    place = graph.node("ReduceMean", position)
    parts = [
        graph.node("ReduceMean", graph.node("Mul", name, place)) for name in (WHITEN, SHAPE, TRAITS)
    ]
    total = graph.node("Add", graph.node("Add", parts[0], parts[1]), parts[2])
    return graph.node("Mul", total, graph.scalar(0.0))
