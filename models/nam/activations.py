"""Activation functions of captures: read from JSON, written as ONNX nodes.

Names and defaults are NeuralAmpModelerCore's (``NAM/activations.cpp``). All are exact: the
reference's ``Fasttanh`` is kept as the rational function that it is.
"""

from dataclasses import dataclass

import numpy as np

from models.nam import limits
from models.nam.fields import Fields, Place, describe, entries, number, text
from models.streaming.builder import Builder

NAMES = (
    "Tanh",
    "Hardtanh",
    "Fasttanh",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "Sigmoid",
    "SiLU",
    "Hardswish",
    "LeakyHardtanh",
    "LeakyHardTanh",
    "Softsign",
)
"""Every activation that a capture may name; ``LeakyHardtanh`` has two spellings."""


@dataclass(frozen=True)
class Activation:
    """One activation and its parameters; each kind uses the fields that it has.

    ``slopes`` are the slopes below zero of LeakyReLU (one) and PReLU (one, or one per channel);
    ``low``, ``high``, ``low_slope`` and ``high_slope`` are LeakyHardtanh's.
    """

    kind: str
    slopes: tuple[float, ...] = (0.01,)
    low: float = -1.0
    high: float = 1.0
    low_slope: float = 0.01
    high_slope: float = 0.01


def read_activation(value: object, place: Place, channels: int) -> Activation:
    """An activation for ``channels`` channels, from its name or its ``{"type": …}`` object.

    Raises ``ModelError`` for an unknown name, a wrong parameter or a wrong number of slopes.
    """
    if isinstance(value, str):
        return Activation(_kind(value, place))
    if not isinstance(value, dict):
        raise place.fault(describe(value), "the name of an activation or an object with a type")
    fields = Fields(value, place)
    kind = _kind(fields.text("type"), place.child("type"))
    if kind == "LeakyReLU":
        return Activation(kind, slopes=(fields.number("negative_slope", default=0.01),))
    if kind == "PReLU":
        return Activation(kind, slopes=_prelu_slopes(fields, channels))
    if kind == "LeakyHardtanh":
        return Activation(
            kind,
            low=fields.number("min_val", default=-1.0),
            high=fields.number("max_val", default=1.0),
            low_slope=fields.number("min_slope", default=0.01),
            high_slope=fields.number("max_slope", default=0.01),
        )
    return Activation(kind)


def _kind(name: str, place: Place) -> str:
    kind = text(name, place, NAMES)
    return "LeakyHardtanh" if kind == "LeakyHardTanh" else kind


def _prelu_slopes(fields: Fields, channels: int) -> tuple[float, ...]:
    if fields.has("negative_slope") or not fields.has("negative_slopes"):
        return (fields.number("negative_slope", default=0.01),)
    place = fields.place.child("negative_slopes")
    values = entries(fields.raw("negative_slopes"), place, 1, limits.CHANNELS)
    if len(values) not in (1, channels):
        raise place.fault(describe(values), f"one slope for each of the {channels} channels")
    return tuple(number(value, place.child(index)) for index, value in enumerate(values))


def add_activation(graph: Builder, activation: Activation, signal: str) -> str:
    """Add the nodes that apply ``activation`` to ``signal`` ``(1, channels, frames)``."""
    kind = activation.kind
    if kind == "Tanh":
        return graph.node("Tanh", signal)
    if kind == "Hardtanh":
        return graph.node("Clip", signal, graph.scalar(-1.0), graph.scalar(1.0))
    if kind == "ReLU":
        return graph.node("Relu", signal)
    if kind == "LeakyReLU" or (kind == "PReLU" and len(activation.slopes) == 1):
        return graph.node("LeakyRelu", signal, alpha=activation.slopes[0])
    if kind == "PReLU":
        slopes = np.array(activation.slopes, np.float32).reshape(-1, 1)
        return graph.node("PRelu", signal, graph.constant(slopes))
    if kind == "Sigmoid":
        return graph.node("Sigmoid", signal)
    if kind == "SiLU":
        return graph.node("Mul", signal, graph.node("Sigmoid", signal))
    if kind == "Hardswish":
        return graph.node("HardSwish", signal)
    if kind == "Softsign":
        return graph.node("Softsign", signal)
    if kind == "LeakyHardtanh":
        return _leaky_hardtanh(graph, activation, signal)
    return _fast_tanh(graph, signal)


def _leaky_hardtanh(graph: Builder, activation: Activation, signal: str) -> str:
    low, high = graph.scalar(activation.low), graph.scalar(activation.high)

    def line(edge: str, slope: float) -> str:
        beyond = graph.node("Sub", signal, edge)
        return graph.node("Add", graph.node("Mul", beyond, graph.scalar(slope)), edge)

    below = graph.node("Less", signal, low)
    above = graph.node("Greater", signal, high)
    upper = graph.node("Where", above, line(high, activation.high_slope), signal)
    return graph.node("Where", below, line(low, activation.low_slope), upper)


def _fast_tanh(graph: Builder, signal: str) -> str:
    def times(left: str, right: str) -> str:
        return graph.node("Mul", left, right)

    def plus(left: str, right: str) -> str:
        return graph.node("Add", left, right)

    first, second = graph.scalar(2.45550750702956), graph.scalar(2.44506634652299)
    size = graph.node("Abs", signal)
    square = times(signal, signal)
    inner = plus(graph.scalar(0.893229853513558), times(graph.scalar(0.821226666969744), size))
    upper = times(signal, plus(plus(first, times(first, size)), times(inner, square)))
    bent = plus(signal, times(graph.scalar(0.814642734961073), times(signal, size)))
    lower = plus(second, times(plus(second, square), graph.node("Abs", bent)))
    return graph.node("Div", upper, lower)
