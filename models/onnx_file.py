"""Looking at an ONNX file before any engine does: whole, self-contained, standard operators only.

An engine that loads a foreign graph may open files that the graph names (external data) or code
that was registered under a domain; so a graph is read as data first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import ModelError

if TYPE_CHECKING:
    import onnx

Shapes = dict[str, tuple[int, ...]]

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
"""Both are names of ONNX's own operators."""

REMEDY = "build the bundle again"


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives, float32, by name; and the opset it is written in."""

    inputs: Shapes
    outputs: Shapes
    opset: int


def parse_onnx(content: bytes, where: str) -> onnx.ModelProto:
    """The graph in ``content``; the file's name ``where`` stands in messages.

    Raises ``ModelError`` unless it is whole, holds all its data, has no code of its own (local
    functions) and only ONNX's own operators. Reads nothing but ``content``.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as problem:  # protobuf's errors have no common home
        raise ModelError(
            f"{where}: is no whole ONNX file ({first_line(problem)}); {REMEDY}."
        ) from None
    if not model.graph.node:
        raise ModelError(f"{where}: holds no graph, so it is no whole ONNX file; {REMEDY}.")
    if model.functions:
        raise ModelError(f"{where}: defines functions of its own; {REMEDY} without them.")
    domains = {entry.domain for entry in model.opset_import}
    for graph in _graphs(model.graph):
        domains.update(node.domain for node in graph.node)
        for tensor in _tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise ModelError(
                    f"{where}: keeps the tensor {tensor.name[:60]!r} in another file (external "
                    f"data), which is not taken; {REMEDY} with its data inside."
                )
    foreign = sorted(domains - STANDARD_DOMAINS)
    if foreign:
        raise ModelError(
            f"{where}: uses operators of the domain {foreign[0][:60]!r}, but only ONNX's own are "
            f"taken; {REMEDY}."
        )
    return model


def signature(model: onnx.ModelProto, where: str) -> Signature:
    """Inputs and outputs of a graph. Raises ``ModelError`` unless all are static float32."""
    stored = {tensor.name for tensor in model.graph.initializer}
    opsets = [entry.version for entry in model.opset_import]
    if len(opsets) != 1:
        raise ModelError(f"{where}: names {len(opsets)} opsets, expected one; {REMEDY}.")
    return Signature(
        inputs=_shapes((v for v in model.graph.input if v.name not in stored), where),
        outputs=_shapes(model.graph.output, where),
        opset=opsets[0],
    )


def first_line(problem: BaseException) -> str:
    """The beginning of what a library says, for a sentence of ours."""
    lines = str(problem).strip().splitlines()
    return lines[0][:160] if lines else type(problem).__name__


def _shapes(values: Iterable[onnx.ValueInfoProto], where: str) -> Shapes:
    import onnx

    shapes: Shapes = {}
    for value in values:
        kind = value.type.tensor_type
        # An unset size reads as 0, a named one too.
        sizes = tuple(size.dim_value for size in kind.shape.dim)
        if kind.elem_type != onnx.TensorProto.FLOAT or not kind.HasField("shape"):
            raise ModelError(f"{where}: {value.name[:60]!r} is not float32 of a shape; {REMEDY}.")
        if min(sizes, default=1) < 1:
            raise ModelError(f"{where}: {value.name[:60]!r} has no fixed shape; {REMEDY}.")
        shapes[value.name] = sizes
    return shapes


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all that are nested in its nodes (If, Loop, Scan)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that a graph stores, without its nested graphs'."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
