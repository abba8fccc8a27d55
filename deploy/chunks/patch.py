"""What changes an older file into a newer one: the form of a patch, and applying it.

::

    magic, bytes of the older file, bytes of the newer one                      HEADER
    blocks, until the newer file is whole:
        how many sections                                                       numbers of 7 bits
        for each, a stretch of the newer file: code, bytes that come out,
            where in the older file
        for each code but a copy's, lowest first: bytes of payload, payload

A place in the older file counts from where the section before ended, so it is mostly 0. A patch is
stored compressed like any other content: what counts here is not to be short but to be likely.
Where weights have moved by few steps, a section holds the steps, several to a byte
(``deploy.chunks.codes``); and all sections of one code in a block have one payload together, so
that the steps of small tensors are not lost among their names and scales.

A file that has only been edited may be one zstd frame that has the older file for a dictionary;
then the magic is another, and length and frame follow.

It is read piece by piece; what is in memory at once does not depend on the files' lengths, nor on
what a patch says of itself.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from deploy.chunks.codes import CODES
from deploy.errors import UpdateError
from deploy.release import FILE_BYTES

MAGIC, FRAME_MAGIC = b"PGD1", b"PGF1"
HEADER = struct.Struct("<4sQQ")
COPY, LITERAL = 0, 1
"""The sections that are no steps: the older file's bytes, and bytes of their own."""

BLOCK_BYTES = 1 << 20
"""The most that the sections of one block make, but for copies."""
BLOCK_SECTIONS = 4096
FRAME_BYTES = 32 << 20
"""The longest older and newer file of a frame: both are in memory then."""

_NUMBER_BYTES = 10

Read = Callable[[int, int], bytes]
"""(offset, length) → bytes of the older file."""


class Section(NamedTuple):
    """A stretch of the newer file."""

    code: int
    out: int
    """Its bytes."""
    at: int
    """Where in the older file the stretch lies that it is made of; without meaning for a literal,
    which is made of none."""


class _DamagedError(Exception):
    """Why it is no patch."""


def apply(base: bytes, patch: bytes, size: int) -> bytes:
    """The newer file, of ``size`` bytes. Raises ``UpdateError`` where ``patch`` is none to it."""

    def read(offset: int, length: int) -> bytes:
        return base[offset : offset + length]

    return b"".join(apply_pieces(read, len(base), [patch], size))


def apply_pieces(
    read: Read,
    base_bytes: int,
    patch: Iterable[bytes],
    size: int,
    what: str = "the difference",
) -> Iterator[bytes]:
    """The newer file, piece by piece, out of a patch that comes piece by piece.

    Raises ``UpdateError``, which names ``what``, at the first thing that is wrong with it.
    """
    source = _Source(patch)
    try:
        magic, base_said, size_said = HEADER.unpack(source.take(HEADER.size))
        if magic not in (MAGIC, FRAME_MAGIC):
            raise _DamagedError("it does not begin like one")
        if (base_said, size_said) != (base_bytes, size) or size > FILE_BYTES:
            raise _DamagedError(f"it is for {base_said} bytes that become {size_said}")
        if magic == FRAME_MAGIC:
            yield _unpacked(source, _older(read, 0, _bounded(base_bytes, FRAME_BYTES)), size)
        else:
            yield from _blocks(source, read, base_bytes, size)
        source.end()
    except _DamagedError as problem:
        raise UpdateError(
            f"{what}: is damaged ({problem}); the release has to be published again."
        ) from None


def header_of(section: Section, ended: int) -> bytes:
    """A section as it is written, where the one before ended at ``ended`` in the older file."""
    shift = section.at - ended
    sign = shift << 1 if shift >= 0 else (-shift << 1) - 1
    return bytes([section.code]) + number(section.out) + number(sign)


def end_of(section: Section) -> int:
    """Where a section ends in the older file."""
    return section.at + (0 if section.code == LITERAL else section.out)


def number(value: int) -> bytes:
    """A number, 7 bits to a byte, lowest first; a byte with the eighth bit goes on."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _blocks(source: "_Source", read: Read, base_bytes: int, size: int) -> Iterator[bytes]:
    ended = 0
    while size:
        sections = []
        for _ in range(_bounded(source.number(), BLOCK_SECTIONS)):
            sections.append(_section(source, ended, base_bytes, size))
            size -= sections[-1].out
            ended = end_of(sections[-1])
        if not sections:
            raise _DamagedError("a block is empty")
        yield from _block(source, read, sections)


def _section(source: "_Source", ended: int, base_bytes: int, left: int) -> Section:
    code, out, sign = source.take(1)[0], source.number(), source.number()
    section = Section(code, out, ended + (-((sign + 1) >> 1) if sign & 1 else sign >> 1))
    if not 0 < out <= left or section.at < 0 or end_of(section) > base_bytes:
        raise _DamagedError("a section reaches beyond a file")
    if code not in (COPY, LITERAL) and code not in CODES:
        raise _DamagedError(f"it has a section of kind {code}, which this version does not know")
    return section


def _block(source: "_Source", read: Read, sections: Sequence[Section]) -> Iterator[bytes]:
    """What a block's sections make: all that is coded first, then in order."""
    coded = [section for section in sections if section.code != COPY]
    _bounded(sum(section.out for section in coded), BLOCK_BYTES)
    made: dict[int, memoryview] = {}
    for code in sorted({section.code for section in coded}):
        payload = source.take(_bounded(source.number(), 2 * BLOCK_BYTES))
        same = [section for section in coded if section.code == code]
        if code != LITERAL:
            older = b"".join(_older(read, section.at, section.out) for section in same)
            payload = _decoded(code, older, payload)
        if len(payload) != sum(section.out for section in same):
            raise _DamagedError("a stretch has another length than it says")
        made[code] = memoryview(payload)
    for section in sections:
        if section.code == COPY:
            for start in range(0, section.out, BLOCK_BYTES):
                yield _older(read, section.at + start, min(BLOCK_BYTES, section.out - start))
        else:
            rest = made[section.code]
            made[section.code] = rest[section.out :]
            yield bytes(rest[: section.out])


def _decoded(code: int, older: bytes, payload: bytes) -> bytes:
    try:
        return CODES[code].decode(older, payload)
    except ValueError as problem:
        raise _DamagedError(str(problem)) from None


def _unpacked(source: "_Source", base: bytes, size: int) -> bytes:
    _bounded(size, FRAME_BYTES)
    frame = source.take(_bounded(source.number(), FRAME_BYTES))
    try:
        header = zstandard.get_frame_parameters(frame)
        if frame[:4] != zstandard.FRAME_HEADER or header.content_size != size:
            raise _DamagedError("its frame has another length than it says")
        dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT)
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=4 * FRAME_BYTES)
        return unpacker.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise _DamagedError(f"its frame cannot be unpacked ({problem})") from None


def _older(read: Read, offset: int, length: int) -> bytes:
    found = read(offset, length)
    if len(found) != length:
        raise _DamagedError("the older file has become shorter")
    return found


def _bounded(length: int, most: int) -> int:
    if length > most:
        raise _DamagedError(f"a part of it has the length {length}, at most {most} is read")
    return length


class _Source:
    """A patch as it comes, piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def take(self, length: int) -> bytes:
        parts: list[memoryview] = []
        missing = length
        while missing:
            if not self._piece:
                try:
                    self._piece = memoryview(next(self._pieces))
                except StopIteration:
                    raise _DamagedError("it ends too early") from None
                continue
            part, self._piece = self._piece[:missing], self._piece[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def number(self) -> int:
        value = 0
        for place in range(_NUMBER_BYTES):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise _DamagedError("a number does not end")

    def end(self) -> None:
        if self._piece or any(self._pieces):
            raise _DamagedError("something follows its end")
