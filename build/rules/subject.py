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
            self.arrays[tensor.name] = array = numpy_helper.to_array(tensor)
            if array.size > SMALL:
                for stored in ("raw_data", "float_data", "int32_data", "int64_data"):
                    tensor.ClearField(stored)
        for node in self.nodes:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self.arrays[node.output[0]] = numpy_helper.to_array(attribute.t)
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

    def element(self, name: str) -> str:
        """A tensor's element type, or ``unknown``."""
        return self.types[name].element if name in self.types else "unknown"

    def at(self, node: onnx.NodeProto) -> str:
        """Where a node is, for a finding: file, operator and name."""
        return f"{self.name}: {node.op_type} {(node.name or node.output[0])[:80]!r}"

    def _infer(self) -> dict[str, Type]:
        try:
            inferred = onnx.shape_inference.infer_shapes(
                self.model, check_type=True, strict_mode=True, data_prop=True
            )
        except Exception as problem:  # onnx raises errors of its own
            self.problem = first_line(problem)
            # The other rules look at what can be told without.
            inferred = onnx.shape_inference.infer_shapes(self.model)
        graph = inferred.graph
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
    return str(onnx.TensorProto.DataType.Name(number)).lower()
