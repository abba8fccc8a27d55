"""What a capture costs: ``python -m models.nam.bench CAPTURE [--periods 32 64 128 1024]``.

Prints, per period length, the thread CPU time of three graphs of the same capture, measured in
turns in one process, so that their ratios hold on a busy machine:

- *textbook*: one node per operation of the architecture, as papers draw it (classic WaveNets
  without gates only);
- *any period*: what ``streaming_onnx`` writes, run as it stands;
- *prepared*: what ``StreamingModel`` makes of it for the period, copies in and out included.

With ``--pair OTHER``: both captures as two graphs, and as one (``models.nam.pair``).
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from models.errors import PurgaError
from models.nam.capture import Capture, read_capture
from models.nam.graph import streaming_onnx
from models.nam.pair import pair_onnx
from models.nam.wavenet import WaveNet
from models.runtime import StreamingModel
from models.streaming.builder import SOURCE, Builder
from models.streaming.convolution import Convolution

ROUNDS = 9
SECONDS_PER_ROUND = 0.15
OTHERS_BYTES = 1 << 19
"""What the rest of a preset, two cabinets foremost, reads and writes between two captures."""


def textbook(capture: Capture) -> bytes | None:
    """The capture as a graph of single operations, or ``None`` where this is not written out."""
    network = capture.network
    if not isinstance(network, WaveNet) or network.head or network.condition is not None:
        return None
    graph = Builder()
    signal, head = SOURCE, ""
    for array in network.arrays:
        signal = graph.convolution(signal, array.rechannel)
        for layer in array.layers:
            plain = layer.residual is not None and layer.head is None and not layer.films
            if not plain or layer.gating != "none" or layer.activation.kind != "Tanh":
                return None
            mixed = graph.convolution(signal, layer.dilated)
            mixin = graph.convolution(SOURCE, layer.mixin)
            active = graph.node("Tanh", graph.node("Add", mixed, mixin))
            head = graph.node("Add", head, active) if head else active
            assert layer.residual is not None
            signal = graph.node("Add", signal, graph.convolution(active, layer.residual))
        head = graph.convolution(head, array.head)
    scaled = graph.convolution(head, _factor(network.head_scale))
    return graph.finish(scaled, capture.prewarm_frames)


def _factor(scale: float) -> Convolution:
    return Convolution(np.full((1, 1, 1), scale, np.float32), None)


def _unprepared(model: bytes) -> bytes:
    """The graph with its delay lines unnamed, so that nothing is rewritten for the period."""
    graph = onnx.load_model_from_string(model)
    for node in graph.graph.node:
        node.name = ""
    return bytes(graph.SerializeToString())


def _steps(model: StreamingModel) -> Callable[[], None]:
    shape = (model.channels, model.period_frames)
    source = np.random.default_rng(0).normal(0.0, 0.1, shape)
    source32, target = source.astype(np.float32), np.zeros(source.shape, np.float32)
    return lambda: model.process(source32, target)


def _measure(
    steps: dict[str, Callable[[], None]], between: Callable[[], object] = lambda: None
) -> dict[str, list[int]]:
    """Thread CPU nanoseconds of single periods, the candidates in turns; ``between`` is free."""
    times: dict[str, list[int]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            step()
            end = time.monotonic() + SECONDS_PER_ROUND
            while time.monotonic() < end:
                between()
                start = time.thread_time_ns()
                step()
                times[name].append(time.thread_time_ns() - start)
    return times


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _memory_mb(graph: bytes, period: int) -> float:
    """What one more prepared model adds to the resident memory, the mean of eight."""
    kept = [StreamingModel(graph, period)]
    before = _resident_mb()
    kept += [StreamingModel(graph, period) for _ in range(8)]
    return (_resident_mb() - before) / (len(kept) - 1)


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _print_pair(capture: Capture, other: Capture, periods: list[int]) -> None:
    """Two captures as two graphs and as one; between periods, others have used the caches."""
    pair = pair_onnx(capture, other)
    if pair is None:
        print("the two captures cannot share a graph")
        return
    others = np.zeros(OTHERS_BYTES // 4, np.float32)
    print("frames  two graphs p50 µs  one graph p50 µs   of two")
    for period in periods:
        first = _steps(StreamingModel(streaming_onnx(capture), period))
        second = _steps(StreamingModel(streaming_onnx(other), period))
        steps: dict[str, Callable[[], None]] = {
            "two": partial(_both, first, second),
            "one": _steps(StreamingModel(pair, period)),
        }
        times = _measure(steps, lambda: np.add(others, 1.0, out=others))
        two, one = (float(np.median(times[name])) / 1000.0 for name in ("two", "one"))
        print(f"{period:6d}  {two:17.1f}  {one:16.1f}  {one / two:7.2f}")


def main() -> int:
    """Print the table; 0, or 2 for a capture that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m models.nam.bench", description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("--size", type=float, default=1.0, help="slim size, 0 to 1")
    parser.add_argument("--pair", metavar="OTHER", help="two captures as one graph, instead")
    parser.add_argument("--periods", type=int, nargs="+", default=[32, 64, 128, 1024])
    arguments = parser.parse_args()
    try:
        capture = read_capture(arguments.capture, arguments.size)
        other = arguments.pair and read_capture(arguments.pair, arguments.size)
    except (PurgaError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if other is not None:
        _print_pair(capture, other, arguments.periods)
        return 0
    graph = streaming_onnx(capture)
    print("frames  graph       p50 µs   p99 µs   CPU s per s   of textbook")
    for period in arguments.periods:
        memory_mb = _memory_mb(graph, period)
        models = {"any period": _unprepared(graph), "prepared": graph}
        plain = textbook(capture)
        if plain is not None:
            models = {"textbook": _unprepared(plain), **models}
        steps = {name: _steps(StreamingModel(model, period)) for name, model in models.items()}
        times = _measure(steps)
        first = float(np.median(times.get("textbook", [0]))) or float("nan")
        for name, values in times.items():
            middle, slow = np.percentile(values, [50, 99]) / 1000.0
            load = middle * 1e-6 * capture.sample_rate_hz / period
            ratio = middle * 1000.0 / first
            print(
                f"{period:6d}  {name:10s} {middle:7.1f}  {slow:7.1f}   {load:11.4f}  {ratio:8.2f}"
            )
        print(f"{period:6d}  one more prepared model: {memory_mb:.1f} MB resident")
    return 0


if __name__ == "__main__":
    sys.exit(main())
