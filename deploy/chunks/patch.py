"""What changes an older file into a newer one: the form of a patch, and applying it.

::

    magic, bytes of the older file, bytes of the newer one                      _HEADER
    sections, each a stretch of the newer file:
        code, bytes that come out, where in the older file, bytes of payload    numbers of 7 bits
        payload

The place in the older file counts from where the section before ended, so it is mostly 0. A patch
is stored compressed like any other content, so what counts here is not to be short but to be
likely: where weights have moved by few steps, a section holds the steps, several to a byte
(``deploy.chunks.codes``). A file that only has been edited is one zstd frame with the older file
for a dictionary.

It is read piece by piece; what is in memory at once does not depend on the files' lengths, nor on
what a patch says of itself.
"""

import struct
from collections.abc import Callable, Iterable, Iterator

import zstandard

from deploy.chunks.codes import CODES, Coded
from deploy.errors import UpdateError
from deploy.release import FILE_BYTES

MAGIC = b"PGD1"
HEADER = struct.Struct("<4sQQ")
LITERAL, COPY, FRAME = 0, 1, 2
"""Sections that are no step codes: the bytes themselves, the older file's, and a zstd frame."""

SECTION_BYTES = 1 << 20
"""The most that one section makes or holds, but for a copy and a frame."""
FRAME_BYTES = 32 << 20
"""The longest older and newer file of a frame: both are in memory then."""

_NUMBER_BYTES = 10

Read = Callable[[int, int], bytes]
"""(offset, length) → bytes of the older file."""


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
        if magic != MAGIC:
            raise _DamagedError("it does not begin like one")
        if (base_said, size_said) != (base_bytes, size) or size > FILE_BYTES:
            raise _DamagedError(f"it is for {base_said} bytes that become {size_said}")
        made = at = 0
        while made < size:
            code, out = source.take(1)[0], source.number()
            at += _signed(source.number())
            held = source.number()
            uses = 0 if code == LITERAL else base_bytes if code == FRAME else out
            if not 0 < out <= size - made or not 0 <= at <= base_bytes - uses:
                raise _DamagedError("a section reaches beyond a file")
            for piece in _section(source, code, out, at, held, read, base_bytes):
                made += len(piece)
                yield piece
            at += 0 if code in (LITERAL, FRAME) else out
        source.end()
    except _DamagedError as problem:
        raise UpdateError(
            f"{what}: is damaged ({problem}); the release has to be published again."
        ) from None


def section(code: int, out: int, shift: int, payload: bytes) -> bytes:
    """A section as it is written; ``shift`` from where the one before ended."""
    sign = shift << 1 if shift >= 0 else (-shift << 1) - 1
    return bytes([code]) + number(out) + number(sign) + number(len(payload)) + payload


def number(value: int) -> bytes:
    """A number, 7 bits to a byte, lowest first; a byte with the eighth bit goes on."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _signed(value: int) -> int:
    return -((value + 1) >> 1) if value & 1 else value >> 1


def _section(
    source: "_Source", code: int, out: int, at: int, held: int, read: Read, base_bytes: int
) -> Iterator[bytes]:
    if code == COPY:
        if held:
            raise _DamagedError("a copy has a payload")
        for start in range(0, out, SECTION_BYTES):
            yield _older(read, at + start, min(SECTION_BYTES, out - start))
        return
    if code == FRAME:
        yield _unpacked(source, out, held, _older(read, 0, _bounded(base_bytes, FRAME_BYTES)))
        return
    _bounded(out, SECTION_BYTES)
    payload = source.take(_bounded(held, 2 * SECTION_BYTES))
    if code == LITERAL:
        if held != out:
            raise _DamagedError("a stretch has another length than it says")
        yield payload
    elif (coded := CODES.get(code)) is not None:
        yield _coded(coded, _older(read, at, out), payload)
    else:
        raise _DamagedError(f"it has a section of kind {code}, which this version does not know")


def _coded(coded: Coded, older: bytes, payload: bytes) -> bytes:
    try:
        return coded.decode(older, payload)
    except ValueError as problem:
        raise _DamagedError(str(problem)) from None


def _unpacked(source: "_Source", out: int, held: int, base: bytes) -> bytes:
    _bounded(out, FRAME_BYTES)
    frame = source.take(_bounded(held, FRAME_BYTES))
    try:
        header = zstandard.get_frame_parameters(frame)
        if frame[:4] != zstandard.FRAME_HEADER or header.content_size != out:
            raise _DamagedError("its frame has another length than it says")
        dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT)
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=4 * FRAME_BYTES)
        return unpacker.decompress(frame, max_output_size=out, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise _DamagedError(f"its frame cannot be unpacked ({problem})") from None


def _older(read: Read, offset: int, length: int) -> bytes:
    found = read(offset, length)
    if len(found) != length:
        raise _DamagedError("the older file has become shorter")
    return found


def _bounded(length: int, most: int) -> int:
    if length > most:
        raise _DamagedError(f"a section has {length} bytes, at most {most} are read")
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
