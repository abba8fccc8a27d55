"""From a capture to a streaming ONNX graph: any period, all memory in explicit tensors."""

from pathlib import Path

import numpy as np

from models.nam.capture import Capture, Network, Sequence, read_capture
from models.nam.filters import ConvNet, Linear, add_convnet, add_linear
from models.nam.lstm import Lstm, add_lstm
from models.nam.wavenet import WaveNet
from models.nam.wavenet_graph import add_wavenet
from models.runtime import StreamingModel
from models.streaming.builder import SOURCE, Builder


def streaming_onnx(capture: Capture) -> bytes:
    """The capture as a serialised ONNX model for ``models.runtime.StreamingModel``.

    ``source`` and ``target`` are ``(1, 1, period)`` float32, full scale ±1, any period;
    ``models.streaming.builder`` states how memory is named. Nothing is lost: the graph holds the
    capture's weights in float32.
    """
    graph = Builder()
    # Absurd weights may overflow here; a network of such never settles, and is refused for it.
    with np.errstate(all="ignore"):
        target = _add_network(graph, capture.network, SOURCE)
    return graph.finish(target, capture.prewarm_frames)


def load(path: str | Path, period_frames: int, size: float = 1.0) -> StreamingModel:
    """Read a .nam capture and prepare it for one period length, settled.

    Raises ``ModelError`` and ``ValueError`` as ``read_capture`` and ``StreamingModel`` do.
    """
    return StreamingModel(streaming_onnx(read_capture(path, size)), period_frames)


def _add_network(graph: Builder, network: Network, source: str) -> str:
    if isinstance(network, WaveNet):
        condition = source
        if network.condition is not None:
            condition = _add_network(graph, network.condition, source)
        return add_wavenet(graph, network, source, condition)
    if isinstance(network, Lstm):
        return add_lstm(graph, network, source)
    if isinstance(network, ConvNet):
        return add_convnet(graph, network, source)
    if isinstance(network, Sequence):
        for part in network.parts:
            source = _add_network(graph, part, source)
        return source
    assert isinstance(network, Linear)
    return add_linear(graph, network, source)
