"""Where the tensors of an ONNX file lie in its bytes.

The library gives tensors, not places, so this reads the wire format itself (Protocol Buffers,
*Encoding*; field numbers from ``onnx.proto``). It serves the publisher, who looks for what a newer
file has in common with an older one: what cannot be read has no layout, which costs length, never
correctness.
"""

from collections.abc import Iterator
from typing import NamedTuple

_GRAPH, _INITIALIZER = 7, 5
_DATA_TYPE, _NAME, _RAW_DATA = 2, 8, 9
_VARINT, _I64, _LENGTH, _I32 = 0, 1, 2, 5


class Tensor(NamedTuple):
    """An initializer's raw data: bytes ``start`` to ``end`` of the file."""

    name: bytes
    data_type: int
    """ONNX's number of the element type."""
    start: int
    end: int


def tensors(content: bytes) -> list[Tensor]:
    """The graph's initializers with raw data, in order; none where it is no ONNX file."""
    try:
        return [
            tensor
            for graph in _inside(content, 0, len(content), _GRAPH)
            for initializer in _inside(content, *graph, _INITIALIZER)
            if (tensor := _tensor(content, *initializer)) is not None
        ]
    except (ValueError, IndexError):
        return []


def _tensor(content: bytes, start: int, end: int) -> Tensor | None:
    name, data_type, raw = b"", 0, None
    for field, wire, first, last in _fields(content, start, end):
        if (field, wire) == (_NAME, _LENGTH):
            name = content[first:last]
        elif (field, wire) == (_DATA_TYPE, _VARINT):
            data_type = first
        elif (field, wire) == (_RAW_DATA, _LENGTH):
            raw = first, last
    return None if raw is None or not name else Tensor(name, data_type, *raw)


def _inside(content: bytes, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Start and end of every message of one field."""
    for field, wire, first, last in _fields(content, start, end):
        if (field, wire) == (wanted, _LENGTH):
            yield first, last


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, wire type, and start and end of the content; or its value where it is a number.

    Raises ``ValueError`` or ``IndexError`` where it is no message.
    """
    while at < end:
        key, at = _varint(content, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, wire, value, value
            continue
        if wire == _LENGTH:
            length, at = _varint(content, at)
        elif wire in (_I64, _I32):
            length = 8 if wire == _I64 else 4
        else:
            raise ValueError("no such wire type")
        if at + length > end:
            raise ValueError("a field reaches beyond its message")
        yield key >> 3, wire, at, at + length
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number does not end")
