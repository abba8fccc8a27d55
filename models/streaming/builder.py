"""Writing a streaming ONNX graph: nodes, constants, and signals that remember their past.

**The convention between graphs and ``models.runtime``.** A graph has one input ``source`` and
one output ``target``, both ``(1, 1, period)``. Every other output is a *memory*; an input named
``<memory>@<lag>`` is what that memory was ``lag`` periods ago, and the default value of such an
input is what it was before the first period. Nothing else is stateful.

A graph may hold two captures (``models.nam.pair``): ``source`` and ``target`` then have two
channels, and every memory holds the first capture's part in the first half of its channels, or
of what they are read as.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.streaming.convolution import Array, Convolution

SOURCE = "source"
TARGET = "target"
PERIOD = "period"
PREWARM = "prewarm_frames"
"""Metadata key: frames of silence that settle the model."""

DELAY = "delay"
"""Nodes that belong to delay line N are named ``delay/N/window``, ``…/next`` and ``…/taps``."""

_OPSET = 18
_IR = 9
_FUSED_DOMAIN = "com.microsoft"
_END = np.iinfo(np.int64).max


class Builder:
    """Collects the nodes of one graph; signals are named by strings, ``(1, channels, frames)``."""

    def __init__(self, rows_in: int = 1) -> None:
        """A graph whose source has ``rows_in`` channels; its target has one."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._inputs = [_signal_info(SOURCE, [1, rows_in, PERIOD])]
        self._outputs: list[onnx.ValueInfoProto] = []
        self._memories = 0

    def constant(self, value: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        """A constant tensor; equal constants are stored once."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            name = f"constant{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
            self._constants[key] = name
        return self._constants[key]

    def initializer(self, name: str, value: Array) -> str:
        """A constant tensor with a name of its own, which others may find and replace."""
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def length(self, name: str) -> int:
        """The last extent of a constant tensor."""
        return next(int(each.dims[-1]) for each in self._initializers if each.name == name)

    def scalar(self, value: float) -> str:
        """A constant float32 number."""
        return self.constant(np.array(value, np.float32))

    def indices(self, *values: int) -> str:
        """A constant list of int64 numbers."""
        return self.constant(np.array(values, np.int64))

    def node(
        self,
        kind: str,
        *inputs: str,
        name: str = "",
        output: str = "",
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node with one output; returns the output's name."""
        output = output or f"signal{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes)
        )
        return output

    def multiple(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> str:
        """Add a node with several outputs, ``""`` for one to name; returns the first one's name."""
        names = [name or f"signal{len(self._nodes)}" for name in outputs]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def split(self, signal: str, sizes: Sequence[int], axis: int = 1) -> list[str]:
        """Cut a signal into groups of channels of these sizes."""
        outputs = [f"signal{len(self._nodes)}.{index}" for index in range(len(sizes))]
        inputs = [signal, self.indices(*sizes)]
        self._nodes.append(helper.make_node("Split", inputs, outputs, axis=axis))
        return outputs

    def parts(self, signals: str, count: int) -> list[str]:
        """Take a batch of ``count`` signals apart."""
        return self.split(signals, [1] * count, axis=0)

    def pointwise(self, signal: str, weight: Array, bias: Array | None, add: str = "") -> str:
        """``weight · signal + bias + add``; ``weight`` ``(out, in)``, ``add`` a signal or none."""
        inputs = [signal, self.constant(weight[:, :, np.newaxis])]
        if not add:
            return self.node("Conv", *inputs, *([] if bias is None else [self.constant(bias)]))
        # ONNX Runtime's own operator: it adds a signal without a node and a pass of its own.
        inputs += ["" if bias is None else self.constant(bias), add]
        return self.node("FusedConv", *inputs, domain=_FUSED_DOMAIN)

    def convolution(self, signal: str, convolution: Convolution) -> str:
        """A causal convolution; with more than one tap it remembers ``signal``'s past."""
        _, inputs, taps = convolution.weight.shape
        if taps == 1:
            return self.pointwise(signal, convolution.weight[:, :, 0], convolution.bias)
        line = f"{DELAY}/{self._memories}"
        past = np.zeros((1, inputs, convolution.lookback_frames), np.float32)
        window = self.window(signal, past, line)
        bias = [] if convolution.bias is None else [self.constant(convolution.bias)]
        return self.node(
            "Conv",
            window,
            self.constant(convolution.weight),
            *bias,
            name=f"{line}/taps",
            dilations=[convolution.dilation],
        )

    def window(self, signal: str, before: Array, line: str = "") -> str:
        """A signal with its past in front, along axis 2; ``before`` is its past at first.

        ``line`` names the nodes of a delay line.
        """
        past = self.memory(before)
        names = {role: f"{line}/{role}" if line else "" for role in ("window", "next")}
        window = self.node("Concat", f"{past}@1", signal, name=names["window"], axis=2)
        self.node(
            "Slice",
            window,
            self.indices(-before.shape[2]),
            self.indices(_END),
            self.indices(2),
            name=names["next"],
            output=past,
        )
        return window

    def memory(self, before: Array) -> str:
        """Declare a memory of this shape and first value; read ``<name>@1``, write ``<name>``."""
        name = f"memory{self._memories}"
        self._memories += 1
        self._inputs.append(_signal_info(f"{name}@1", before.shape))
        self._initializers.append(numpy_helper.from_array(before, f"{name}@1"))
        self._outputs.append(_signal_info(name, before.shape))
        return name

    def finish(self, signal: str, prewarm_frames: int) -> bytes:
        """The serialised model whose target is ``signal`` ``(1, 1, frames)``."""
        self.node("Identity", signal, output=TARGET)
        graph = helper.make_graph(
            self._nodes,
            "capture",
            self._inputs,
            [_signal_info(TARGET, [1, 1, PERIOD]), *self._outputs],
            self._initializers,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        helper.set_model_props(model, {PREWARM: str(prewarm_frames)})
        return bytes(model.SerializeToString())


def _signal_info(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
