"""LSTM captures: cells in a row and a linear head, read and written as ONNX."""

from dataclasses import dataclass

import numpy as np

from models.nam import limits
from models.nam.fields import Fields
from models.nam.weights import Source
from models.streaming.builder import Builder
from models.streaming.convolution import Array, Convolution


@dataclass(frozen=True, eq=False)
class Cell:
    """One LSTM cell of ``hidden`` units.

    ``weight`` is ``(4·hidden, inputs)``, ``recurrence`` ``(4·hidden, hidden)``, ``bias``
    ``(4·hidden,)``, rows in the file's gate order: input, forget, cell, output;
    ``hidden_before`` and ``cell_before`` ``(hidden,)`` are the state to start in.
    """

    weight: Array
    recurrence: Array
    bias: Array
    hidden_before: Array
    cell_before: Array


@dataclass(frozen=True, eq=False)
class Lstm:
    """Cells in a row and a linear head."""

    cells: tuple[Cell, ...]
    head: Convolution

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.head.weight.shape[0])

    @property
    def receptive_field_frames(self) -> int:
        """One: an LSTM keeps its history in its state, without end."""
        return 1


def read_lstm(config: Fields, weights: Source) -> Lstm:
    """An LSTM capture; weights: per cell the matrix, the bias and the state; then the head."""
    inputs = config.whole("input_size", 1, 1)
    config.whole("in_channels", 1, 1, default=1)
    hidden = config.whole("hidden_size", 1, limits.CHANNELS)
    count = config.whole("num_layers", 1, limits.LAYERS)
    outputs = config.whole("out_channels", 1, limits.CHANNELS, default=1)
    cells = []
    for _ in range(count):
        matrix = weights.take(4 * hidden, inputs + hidden)
        bias = weights.take(4 * hidden)
        state = weights.take(2, hidden)
        cells.append(Cell(matrix[:, :inputs], matrix[:, inputs:], bias, state[0], state[1]))
        inputs = hidden
    return Lstm(tuple(cells), weights.convolution(hidden, outputs, bias=True))


def add_lstm(graph: Builder, network: Lstm, source: str) -> str:
    """Add an LSTM's nodes; the result has ``network.outputs`` channels."""
    # ONNX's operator wants time first: (1, channels, frames) becomes (frames, 1, channels).
    signal = graph.node("Transpose", source, perm=[2, 0, 1])
    for cell in network.cells:
        signal = _add_cell(graph, cell, signal)
    # From (frames, 1, hidden) back to (1, hidden, frames).
    signal = graph.node("Transpose", signal, perm=[1, 2, 0])
    return graph.convolution(signal, network.head)


def _add_cell(graph: Builder, cell: Cell, signal: str) -> str:
    hidden = cell.recurrence.shape[1]
    both_biases = np.concatenate([_gates(cell.bias), np.zeros(4 * hidden, np.float32)])
    state = [
        graph.memory(before.reshape(1, 1, hidden))
        for before in (cell.hidden_before, cell.cell_before)
    ]
    every = graph.multiple(
        "LSTM",
        [
            signal,
            graph.constant(_gates(cell.weight)[np.newaxis]),
            graph.constant(_gates(cell.recurrence)[np.newaxis]),
            graph.constant(both_biases[np.newaxis]),
            "",
            f"{state[0]}@1",
            f"{state[1]}@1",
        ],
        ["", *state],
        hidden_size=hidden,
    )
    # (frames, directions, 1, hidden): one direction.
    return graph.node("Squeeze", every, graph.indices(1))


def _gates(rows: Array) -> Array:
    """Rows from the file's gate order (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    entry, forget, cell, output = np.split(rows, 4)
    return np.concatenate([entry, output, forget, cell])
