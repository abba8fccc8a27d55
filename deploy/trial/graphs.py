"""ONNX files of a slot, looked at as data before any engine loads them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from models.errors import ModelError
from models.onnx_file import parse_onnx
from models.stage.colour import Colour
from models.stage.graph import coloured
from models.streaming.builder import PREWARM, SOURCE, TARGET
from models.streaming.period import MOST_BLOCKS

STAGE_BYTES = 4 << 20
"""More than twenty times the stage network; what does not fit into a core's cache is no network
for a period of a millisecond."""
STAGE_NODES = 4000
"""Thirty times its nodes; each costs microseconds in every period."""
MEMORY_BYTES = 4 << 20
"""Of all that it remembers from period to period; fifty times the stage network's."""
PREWARM_FRAMES = 480_000
"""Ten seconds of silence to settle."""
GRAPH_BYTES = 64 << 20
"""Of a graph among the presets."""

BRANCHING = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""How long these take depends on what is played; a period must take as long as any other."""
CHANCE = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
"""With these the same playing would not give the same sound."""

_FLOATING = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_REMEDY = "publish another one"


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes. Raises ``ModelError`` where it is larger than ``limit``, or not there."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror}).") from None
    if len(content) > limit:
        raise ModelError(f"{path}: has more than the {limit} bytes that are taken here; {_REMEDY}.")
    return content


def check_graph(content: bytes, where: str) -> onnx.ModelProto:
    """A graph that is whole, self-contained, of ONNX's own operators, with finite numbers.

    Raises ``ModelError``; ``where`` names the file.
    """
    model = parse_onnx(_without_unused_domains(content), where)
    if model.training_info:
        raise ModelError(f"{where}: holds what one trains with; {_REMEDY} without it.")
    check_finite(model, where)
    return model


def check_finite(model: onnx.ModelProto, where: str) -> None:
    """Raise ``ModelError`` where a stored number is NaN or infinite, or damaged."""
    for name, tensor in _stored(model.graph):
        try:
            values = numpy_helper.to_array(tensor)
        except Exception as problem:  # onnx and numpy raise many kinds
            raise ModelError(
                f"{where}: the stored numbers {name[:60]!r} are damaged "
                f"({type(problem).__name__}); {_REMEDY}."
            ) from None
        if tensor.data_type in _FLOATING and not np.isfinite(values.astype(np.float64)).all():
            raise ModelError(
                f"{where}: the stored numbers {name[:60]!r} hold a NaN or an infinity; {_REMEDY}."
            )


def check_stage(content: bytes, where: str) -> None:
    """Raise ``ModelError`` unless this is a stage network that the pedal could load.

    What it sounds like and how long it takes is for the self-test.
    """
    model = check_graph(content, where)
    nodes = model.graph.node
    if len(nodes) > STAGE_NODES:
        raise ModelError(
            f"{where}: has {len(nodes)} nodes, at most {STAGE_NODES} are taken; {_REMEDY}."
        )
    for node in nodes:
        if node.op_type in BRANCHING or node.op_type in CHANCE:
            why = "whose time is not bounded" if node.op_type in BRANCHING else "of chance"
            raise ModelError(f"{where}: uses {node.op_type}, an operator {why}; {_REMEDY}.")
    _check_signature(model, where)
    _check_prewarm(model, where)
    try:
        coloured(content, Colour.plain())
    except Exception as problem:  # the library raises many kinds of its own
        why = str(problem).rstrip(".")
        raise ModelError(f"{where}: is no stage network ({why}); {_REMEDY}.") from None


def _check_signature(model: onnx.ModelProto, where: str) -> None:
    """The streaming convention of ``models.streaming.builder``, with three signals in."""
    inputs = {value.name: value for value in model.graph.input}
    outputs = {value.name: value for value in model.graph.output}
    for values, name, rows in ((inputs, SOURCE, 3), (outputs, TARGET, 1)):
        shape = _shape(values[name], where) if name in values else None
        if shape is None or len(shape) != 3 or shape[:2] != (1, rows):
            raise ModelError(
                f"{where}: has {'no' if shape is None else _times(shape)} {name}, expected "
                f"1×{rows}×period; {_REMEDY}."
            )
    memories = {name: _size(value, where) for name, value in outputs.items() if name != TARGET}
    read: set[str] = set()
    for name, value in inputs.items():
        if name == SOURCE:
            continue
        memory, _, lag = name.rpartition("@")
        if memory not in memories or not lag.isascii() or not lag.isdigit():
            raise ModelError(f"{where}: the input {name[:60]!r} is nobody's memory; {_REMEDY}.")
        if not 1 <= int(lag[:9]) <= MOST_BLOCKS or _size(value, where) != memories[memory]:
            raise ModelError(f"{where}: the memory {name[:60]!r} does not fit; {_REMEDY}.")
        read.add(memory)
    for memory in sorted(set(memories) - read):
        raise ModelError(f"{where}: the output {memory[:60]!r} is read by nobody; {_REMEDY}.")
    total = 4 * sum(memories.values())
    if total > MEMORY_BYTES:
        raise ModelError(
            f"{where}: remembers {total} bytes, at most {MEMORY_BYTES} are taken; {_REMEDY}."
        )


def _check_prewarm(model: onnx.ModelProto, where: str) -> None:
    for entry in model.metadata_props:
        if entry.key == PREWARM and not (
            entry.value.isascii()
            and entry.value.isdigit()
            and len(entry.value) < 10
            and int(entry.value) <= PREWARM_FRAMES
        ):
            raise ModelError(
                f"{where}: asks for {entry.value[:20]!r} frames to settle, at most "
                f"{PREWARM_FRAMES} are taken; {_REMEDY}."
            )


def _shape(value: onnx.ValueInfoProto, where: str) -> tuple[int, ...]:
    """Sizes, 0 for one that has only a name. Raises ``ModelError`` for another type."""
    kind = value.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT or not kind.HasField("shape"):
        raise ModelError(f"{where}: {value.name[:60]!r} is not float32 of a shape; {_REMEDY}.")
    return tuple(size.dim_value for size in kind.shape.dim)


def _size(value: onnx.ValueInfoProto, where: str) -> int:
    """Numbers in a memory, which has a fixed shape."""
    count = 1
    for size in _shape(value, where):
        if size < 1:
            raise ModelError(f"{where}: {value.name[:60]!r} has no fixed shape; {_REMEDY}.")
        count *= size
    return count


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size or "?") for size in shape)


def _without_unused_domains(content: bytes) -> bytes:
    """The graph without the domains that it names and does not use.

    The project's own builder names ONNX Runtime's in every graph. What is no graph is left.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's errors have no common home; who parses it will say so
        return content
    used = {node.domain for graph in _graphs(model.graph) for node in graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used | {"", "ai.onnx"}]
    if len(kept) == len(model.opset_import):
        return content
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return bytes(model.SerializeToString())


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _stored(whole: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every tensor in a graph and the graphs inside it, and attributes as tensors."""
    for graph in _graphs(whole):
        for tensor in graph.initializer:
            yield tensor.name, tensor
        for sparse in graph.sparse_initializer:
            yield sparse.values.name, sparse.values
        for node in graph.node:
            for attribute in node.attribute:
                name = f"{node.name or node.op_type}.{attribute.name}"
                for tensor in (attribute.t, *attribute.tensors, attribute.sparse_tensor.values):
                    if tensor.data_type:
                        yield name, tensor
                if attribute.floats or attribute.f:
                    numbers = np.array([attribute.f, *attribute.floats], np.float32)
                    yield name, numpy_helper.from_array(numbers, name)
