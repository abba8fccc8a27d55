"""Streaming networks in ONNX Runtime: bound buffers, explicit memory, nothing allocated per period.

A streaming graph has one input ``source`` and one output ``target``; every other output is a
memory, and an input ``<memory>@<lag>`` is what that memory was ``lag`` periods ago
(``models.streaming.builder``). Each memory gets a ring of buffers, and every rotation of the
rings a binding of its own, all made when the model is loaded: a period is one copy in, one run
on buffers that are bound already, and one copy out.
"""

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from models.errors import ModelError
from models.streaming.builder import PREWARM, SOURCE, TARGET
from models.streaming.period import for_period
from models.units import Audio

LONGEST_PERIOD_FRAMES = 65_536
"""The longest period that a model is prepared for."""


class StreamingModel:
    """One streaming network, prepared for one period length. No algorithmic latency.

    Made from ONNX bytes such as ``models.nam.graph.streaming_onnx`` writes (one channel) or
    ``models.nam.pair.pair_onnx`` (two); after construction the model is settled: silence of the
    length that the model asks for has gone through it. Not for two threads at once.
    """

    def __init__(self, model: bytes, period_frames: int) -> None:
        """Load and settle. Raises ``ModelError`` for bytes that are no streaming model."""
        if not 1 <= period_frames <= LONGEST_PERIOD_FRAMES:
            raise ValueError(
                f"The period is {period_frames} frames, expected 1 to {LONGEST_PERIOD_FRAMES}."
            )
        try:
            graph = onnx.load_model_from_string(model)
            prewarm_frames = _prewarm_frames(graph)
            fixed = for_period(graph, period_frames)
            before = _take_defaults(fixed)
            self._session = onnxruntime.InferenceSession(
                fixed.SerializeToString(), _options(), providers=["CPUExecutionProvider"]
            )
            self._source_shape = (_channels(fixed.graph.input, SOURCE), period_frames)
            self._target_shape = (_channels(fixed.graph.output, TARGET), period_frames)
            self._source = np.zeros((1, *self._source_shape), np.float32)
            self._target = np.zeros((1, *self._target_shape), np.float32)
            # As callers shape their audio.
            self._entry, self._exit = self._source[0], self._target[0]
            self._rings = self._make_rings(before)
            self._settled = {
                name: [np.zeros_like(buffer) for buffer in ring]
                for name, ring in self._rings.items()
            }
            # Only where each channel has a network of its own can one be reset alone.
            alone = self._source_shape == self._target_shape
            self._parts = [self._parts_of(row) for row in range(self.channels if alone else 0)]
            self._bindings = self._bind()
        except Exception as error:
            # The libraries raise many kinds of their own; a damaged model is one kind to us.
            first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
            raise ModelError(
                f"The streaming model does not load ({type(error).__name__}: {first}), expected "
                "an ONNX graph with a source, a target and named memories; make it again."
            ) from error
        # Called without run options: given any, ONNX Runtime 1.31 looks one up, fails and catches
        # its own exception in every run, which takes 33 µs.
        self._run = self._session.run_with_iobinding
        self._turn = 0
        self._prewarm(prewarm_frames)

    @property
    def period_frames(self) -> int:
        """Frames in each period."""
        return self._source_shape[1]

    @property
    def channels(self) -> int:
        """Channels in: for captures, one for each that the model holds, and as many out."""
        return self._source_shape[0]

    def process(self, source: Audio, target: Audio, keep: bool = True) -> None:
        """Turn one period of ``source`` into ``target``, ``(channels, period_frames)`` float32.

        Full scale is ±1. Both may be the same array where as many channels go out as in. Without
        ``keep`` the period leaves no trace in the memories, so that it can be played again when
        more of it is known. Raises ``ValueError`` on another shape.
        """
        if source.shape != self._source_shape or target.shape != self._target_shape:
            raise ValueError(
                f"The period is {source.shape} to {target.shape}, expected {self._source_shape} "
                f"to {self._target_shape}."
            )
        np.copyto(self._entry, source)
        turn = self._turn
        self._run(self._bindings[turn])
        if keep:
            turn += 1
            self._turn = turn if turn < len(self._bindings) else 0
        np.copyto(target, self._exit)

    def reset(self) -> None:
        """Back to the settled state right after construction. Allocates nothing."""
        for ring, settled in zip(self._rings.values(), self._settled.values(), strict=True):
            for buffer, kept in zip(ring, settled, strict=True):
                np.copyto(buffer, kept)
        self._turn = self._settled_turn

    def reset_channel(self, channel: int) -> None:
        """Back to the settled state, one channel's capture only; the others play on.

        Allocates nothing. Raises ``IndexError`` for a channel that is not there.
        """
        # The rings go on turning for the others, so this part's settled state turns with them.
        ahead = self._turn - self._settled_turn
        for buffers, settled in self._parts[channel]:
            for index, kept in enumerate(settled):
                np.copyto(buffers[(index + ahead) % len(buffers)], kept)

    def _prewarm(self, frames: int) -> None:
        # The source is silent until the first period. Absurd weights can make a model that never
        # settles; say so here, once.
        for _ in range(-(-frames // self.period_frames)):
            self._run(self._bindings[self._turn])
            self._turn = (self._turn + 1) % len(self._bindings)
        if not np.isfinite(self._target).all():
            raise ModelError(
                "The streaming model does not settle: after "
                f"{frames} frames of silence its output is not finite; choose another model."
            )
        self._settled_turn = self._turn
        for name, ring in self._rings.items():
            for buffer, kept in zip(ring, self._settled[name], strict=True):
                np.copyto(kept, buffer)

    def _parts_of(self, channel: int) -> list[tuple[list[Audio], list[Audio]]]:
        """What belongs to one channel's capture: views of each ring and of its settled state."""

        def part(ring: list[Audio]) -> list[Audio]:
            return [np.split(buffer, self.channels, axis=1)[channel] for buffer in ring]

        return [(part(ring), part(self._settled[name])) for name, ring in self._rings.items()]

    def _make_rings(self, before: dict[str, Audio]) -> dict[str, list[Audio]]:
        """A ring of buffers per memory: as many as its largest lag needs, a power of two."""
        lags: dict[str, int] = {}
        for value in self._session.get_inputs():
            if value.name != SOURCE:
                memory, lag = value.name.rsplit("@", 1)
                lags[memory] = max(lags.get(memory, 0), int(lag))
        rings = {}
        for value in self._session.get_outputs():
            if value.name == TARGET:
                continue
            # Powers of two, so that the longest ring's turn is every ring's turn.
            count = 1 << lags[value.name].bit_length()
            rings[value.name] = [np.zeros(value.shape, np.float32) for _ in range(count)]
        for name, first in before.items():
            memory, lag = name.rsplit("@", 1)
            np.copyto(rings[memory][-int(lag)], first)
        return rings

    def _bind(self) -> list[onnxruntime.IOBinding]:
        turns = max((len(ring) for ring in self._rings.values()), default=1)
        bindings = []
        for turn in range(turns):
            binding = self._session.io_binding()
            _bind_input(binding, SOURCE, self._source)
            _bind_output(binding, TARGET, self._target)
            for value in self._session.get_inputs():
                if value.name != SOURCE:
                    memory, lag = value.name.rsplit("@", 1)
                    ring = self._rings[memory]
                    buffer = ring[(turn - int(lag)) % len(ring)]
                    # A memory may be read in another shape than it is written in.
                    _bind_input(binding, value.name, buffer.reshape(value.shape))
            for memory, ring in self._rings.items():
                _bind_output(binding, memory, ring[turn % len(ring)])
            bindings.append(binding)
        return bindings


def _bind_input(binding: onnxruntime.IOBinding, name: str, buffer: Audio) -> None:
    binding.bind_input(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)


def _bind_output(binding: onnxruntime.IOBinding, name: str, buffer: Audio) -> None:
    binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One thread: a period is too short to be shared out, and a spinning pool eats the other core.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Runs each layer's share of the head while it is still in the cache.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _channels(values: Iterable[onnx.ValueInfoProto], name: str) -> int:
    signal = next(value for value in values if value.name == name)
    channels = int(signal.type.tensor_type.shape.dim[1].dim_value)
    if channels < 1:
        raise ValueError(f"{name} has {channels} channels")
    return channels


def _prewarm_frames(model: onnx.ModelProto) -> int:
    for entry in model.metadata_props:
        if entry.key == PREWARM:
            return min(max(int(entry.value), 0), 100 * LONGEST_PERIOD_FRAMES)
    return 0


def _take_defaults(model: onnx.ModelProto) -> dict[str, Audio]:
    """Take out the inputs' default values: what the memories were before the first period."""
    inputs = {value.name for value in model.graph.input}
    defaults = {}
    for tensor in list(model.graph.initializer):
        if tensor.name in inputs:
            defaults[tensor.name] = numpy_helper.to_array(tensor)
            model.graph.initializer.remove(tensor)
    return defaults
