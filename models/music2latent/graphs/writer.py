"""Writing one static ONNX graph: nodes with names of their own, so that they can be told apart."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.music2latent.architecture import Tensor

OPSET = 19
"""The oldest whose Q/DQ work on half precision; TensorRT 10.3 (JetPack 6.2) reads it too."""

IR_VERSION = 9


class Writer:
    """Collects a graph's nodes; signals are named by strings, after the node that makes them."""

    def __init__(self, name: str) -> None:
        """Begin an empty graph."""
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._names: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, signal: str, shape: Sequence[int]) -> None:
        """Give a signal a name as a float32 output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self._nodes.append(helper.make_node("Identity", [signal], [name], name=f"{name}/out"))

    def constant(self, value: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        """A constant; equal ones are stored once. Meant for small ones: each is compared."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = self.weight(f"constant{len(self._constants)}", value)
        return self._constants[key]

    def weight(self, name: str, value: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        """A constant under a name of its own."""
        self._initializers.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def scalar(self, value: float) -> str:
        """A constant float32 number."""
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """A constant list of int64 numbers."""
        return self.constant(np.array(values, np.int64))

    def node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, which is named as the node is."""
        if name in self._names:
            raise ValueError(f"two nodes are called {name}")
        self._names.add(name)
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(
        self,
        name: str,
        signal: str,
        weight: Tensor,
        bias: Tensor | None,
        pads: Sequence[int],
        strides: Sequence[int] = (),
    ) -> str:
        """A convolution; ``weight`` ``(out, in, …)``, ``pads`` as ONNX has them: starts, ends."""
        inputs = [signal, self.weight(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.weight(f"{name}.bias", bias))
        kernel = list(weight.shape[2:])
        return self.node(
            "Conv",
            name,
            *inputs,
            kernel_shape=kernel,
            pads=list(pads),
            strides=list(strides) or [1] * len(kernel),
        )

    def reshape(self, name: str, signal: str, *shape: int) -> str:
        """The same values in another shape."""
        return self.node("Reshape", name, signal, self.integers(*shape))

    def model(self) -> onnx.ModelProto:
        """The finished model, checked. Raises what ``onnx.checker`` raises."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, self._initializers
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        return model


def replace_nodes(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Put ``nodes``, some of them perhaps the graph's own, in the place of all there are."""
    kept = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        kept.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(kept)
