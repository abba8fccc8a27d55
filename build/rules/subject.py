"""What the rules look at: a bundle's graphs, taken apart once, and the targets it is to run on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from build.operators import Target
from models.certificate import Certificate
from models.errors import ModelError
from models.golden import Golden
from models.manifest import KINDS, Bundle, Kind, Precision, model_name
from models.onnx_file import first_line, parse_onnx

Array = npt.NDArray[np.generic]

SMALL = 1024
"""Constants of up to so many numbers stay in the graph, since shapes may follow from them."""


@dataclass(frozen=True)
class Type:
    """A tensor's element type by ONNX's name, and its shape; 0 where a size is not known."""

    element: str
    shape: tuple[int, ...] | None


@dataclass
class GraphView:
    """One graph: nodes in order, constants as arrays, and what shape inference says.

    Large constants are moved out of the graph, so that shape inference does not copy them.
    """

    kind: Kind
    precision: Precision
    model: onnx.ModelProto
    arrays: dict[str, Array] = field(init=False)
    types: dict[str, Type] = field(init=False)
    problem: str = field(init=False, default="")
    """What strict shape inference says against the graph; empty where nothing."""

    def __post_init__(self) -> None:
        """Move the constants out and infer every type and shape."""
        self.arrays = {}
        for tensor in self.model.graph.initializer:
            array = self.arrays[tensor.name] = self._array(tensor)
            if array.size > SMALL:
                for stored in ("raw_data", "float_data", "int32_data", "int64_data"):
                    tensor.ClearField(stored)
        for node in self.nodes:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self.arrays[self.made(node)] = self._array(attribute.t)
        self.types = self._infer()

    @property
    def name(self) -> str:
        """The file's name."""
        return model_name(self.kind, self.precision)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """In the order in which they compute."""
        return self.model.graph.node

    @property
    def opset(self) -> int:
        """Of ONNX's own operators; a bundle has no others."""
        return int(self.model.opset_import[0].version)

    @cached_property
    def producer(self) -> dict[str, onnx.NodeProto]:
        """The node that makes a tensor."""
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that take a tensor."""
        taken: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                taken.setdefault(name, []).append(node)
        return taken

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Names of the graph's inputs."""
        return frozenset(value.name for value in self.model.graph.input)

    @cached_property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        return frozenset(value.name for value in self.model.graph.output)

    @staticmethod
    def taken(node: onnx.NodeProto, index: int) -> str:
        """The name of a node's input; empty where it has fewer."""
        return str(node.input[index]) if index < len(node.input) else ""

    @staticmethod
    def made(node: onnx.NodeProto) -> str:
        """The name of a node's first output; empty where it has none."""
        return str(node.output[0]) if node.output else ""

    def element(self, name: str) -> str:
        """A tensor's element type, or ``unknown``."""
        return self.types[name].element if name in self.types else "unknown"

    def at(self, node: onnx.NodeProto) -> str:
        """Where a node is, for a finding: file, operator and name."""
        return f"{self.name}: {node.op_type} {(node.name or self.made(node))[:80]!r}"

    def _array(self, tensor: onnx.TensorProto) -> Array:
        """A stored tensor. Raises ``ModelError`` where its content is not of its shape."""
        try:
            return numpy_helper.to_array(tensor)
        except Exception as problem:  # onnx and numpy raise many kinds
            raise ModelError(
                f"{self.name}: the constant {tensor.name[:80]!r} is damaged "
                f"({first_line(problem)}); build the bundle again."
            ) from None

    def _infer(self) -> dict[str, Type]:
        try:
            graph = onnx.shape_inference.infer_shapes(
                self.model, check_type=True, strict_mode=True, data_prop=True
            ).graph
        except Exception as problem:  # onnx raises errors of its own
            self.problem = first_line(problem)
            graph = self._infer_what_can_be()
        types = {
            name: Type(_element(helper.np_dtype_to_tensor_dtype(array.dtype)), array.shape)
            for name, array in self.arrays.items()
        }
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            shape = tuple(size.dim_value for size in kind.shape.dim)
            types[value.name] = Type(
                _element(kind.elem_type), shape if kind.HasField("shape") else None
            )
        return types

    def _infer_what_can_be(self) -> onnx.GraphProto:
        """For the other rules, where a graph has a fault."""
        try:
            return onnx.shape_inference.infer_shapes(self.model).graph
        except Exception:  # as above; `problem` says why
            return self.model.graph


class Subject:
    """A bundle and the TensorRT versions that it is to be built by."""

    def __init__(self, bundle: Bundle, targets: Sequence[Target]) -> None:
        """Look at a bundle that was read, so that its files are what its manifest says."""
        self.bundle = bundle
        self.targets = tuple(targets)

    @cached_property
    def graphs(self) -> dict[tuple[Kind, Precision], GraphView]:
        """Every graph of the bundle."""
        return {
            (kind, precision): GraphView(
                kind, precision, parse_onnx(self.bundle.read_model(kind, precision), kind)
            )
            for precision in self.bundle.precisions
            for kind in KINDS
        }

    def views(self, *precisions: Precision) -> Iterator[GraphView]:
        """The graphs at some precisions, or all."""
        for (_, precision), view in self.graphs.items():
            if not precisions or precision in precisions:
                yield view

    @cached_property
    def golden(self) -> Golden:
        """The golden pair."""
        return self.bundle.golden()

    @cached_property
    def certificate(self) -> Certificate:
        """What the bundle says of its precisions."""
        return self.bundle.certificate()


def _element(number: int) -> str:
    """ONNX's name of an element type, as its operators' descriptions spell it."""
    try:
        return str(onnx.TensorProto.DataType.Name(number)).lower()
    except ValueError:
        return "unknown"
