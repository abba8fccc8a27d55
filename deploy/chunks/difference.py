"""Making a difference (the publisher's side): where a newer file's bytes come from, how written.

``alignment`` says which stretch of the older file each stretch of the newer one is like; here each
stretch is written in every way that fits it, and the one that zstd makes shortest is kept. A file
that only has been edited may be shorter as one zstd frame that has the older file for a dictionary.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from deploy.chunks.alignment import Stretch, alignments
from deploy.chunks.codes import CODES
from deploy.chunks.frames import LEVEL, pack_all
from deploy.chunks.patch import (
    BLOCK_BYTES,
    BLOCK_SECTIONS,
    COPY,
    FRAME_BYTES,
    FRAME_MAGIC,
    HEADER,
    LITERAL,
    MAGIC,
    Section,
    apply,
    end_of,
    header_of,
    number,
)

PAYS = 0.9
"""A difference is worth naming where it takes at most so much of what the file itself takes."""

_JUDGE_LEVEL = 3
"""Near enough to the level that is stored at, and much quicker."""

_WORSE = 0.8
"""A frame is packed in earnest where packing it quickly comes so near, because that takes long."""

_PIECE_BYTES = 256 << 10
"""How much of a stretch is written in one way."""

_OWN_CODE_BYTES = 32 << 10
"""What is shorter has the code that is best for all of its kind: zstd describes the statistics of
at most 128 KiB at once, so they had better be alike."""


def difference(base: bytes, new: bytes) -> bytes | None:
    """The shortest patch from ``base`` to ``new``, or None where the file itself is hardly longer.

    Lengths are compared as they are when packed. ``apply(base, patch, len(new))`` gives ``new``;
    that is tried before it is returned.
    """
    if not base or not new:
        return None
    patches = [_by_stretches(base, new, stretches) for stretches in alignments(base, new)]
    patch = min(patches, key=_judged)
    if max(len(base), len(new)) <= FRAME_BYTES and (
        _judged(patch) > _WORSE * len(_frame(base, new, _JUDGE_LEVEL))
    ):
        patch = min(patch, as_frame(base, new), key=stored_bytes)
    if _judged(patch) > PAYS * _judged(new):
        return None
    if apply(base, patch, len(new)) != new:  # a mistake here would be found on every pedal
        raise AssertionError("a difference does not give the file that it was made for")
    return patch


def stored_bytes(content: bytes) -> int:
    """What ``content`` takes in the store, packed by ``pack_all``."""
    return sum(blob.stored_bytes for blob, _frame in pack_all(content))


def _judged(content: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=_JUDGE_LEVEL).compress(content))


def _by_stretches(base: bytes, new: bytes, stretches: Iterable[Stretch]) -> bytes:
    written, ended = [HEADER.pack(MAGIC, len(base), len(new))], 0
    for block in _blocks(_pieces(base, new, stretches)):
        codes = _codes(block)
        written.append(number(len(block)))
        for piece, code in zip(block, codes, strict=True):
            at = ended if code == LITERAL else piece.at
            section = Section(code, len(piece.newer), at)
            written.append(header_of(section, ended))
            ended = end_of(section)
        for code in sorted(set(codes) - {COPY}):
            same = [piece for piece, own in zip(block, codes, strict=True) if own == code]
            payload = _payload(code, same) or b""
            written += (number(len(payload)), payload)
    return b"".join(written)


class _Piece(NamedTuple):
    """What one section makes."""

    newer: bytes
    older: bytes | None
    """What it is like; None where like nothing."""
    at: int
    kind: int


def _pieces(base: bytes, new: bytes, stretches: Iterable[Stretch]) -> Iterator[_Piece]:
    """The stretches in pieces that one section each may make; a copy may be as long as it likes."""
    for start, end, shift, kind in stretches:
        at = 0 if shift is None else start + shift
        newer, older = new[start:end], None if shift is None else base[at : at + end - start]
        step = len(newer) if newer == older else _PIECE_BYTES
        for low in range(0, len(newer), step):
            same = None if older is None else older[low : low + step]
            yield _Piece(newer[low : low + step], same, at + low, kind)


def _blocks(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    block: list[_Piece] = []
    coded = 0
    for piece in pieces:
        length = 0 if piece.newer == piece.older else len(piece.newer)
        if block and (coded + length > BLOCK_BYTES or len(block) == BLOCK_SECTIONS):
            yield block
            block, coded = [], 0
        block.append(piece)
        coded += length
    if block:
        yield block


def _codes(block: Sequence[_Piece]) -> list[int]:
    """The code for each piece: long ones have their own, short ones one for all of their kind."""
    codes = [COPY] * len(block)
    groups: dict[tuple[int, bool, int], list[int]] = {}
    for index, piece in enumerate(block):
        if piece.newer != piece.older:
            own = index if len(piece.newer) >= _OWN_CODE_BYTES else -1
            groups.setdefault((piece.kind, piece.older is None, own), []).append(index)
    for (_kind, alone, _own), members in groups.items():
        ways = [LITERAL] if alone else [LITERAL, *CODES]
        pieces = [block[index] for index in members]
        fits = [way for way in ways if _payload(way, pieces) is not None]
        best = min(fits, key=lambda way: _judged(_payload(way, pieces) or b""))
        for index in members:
            codes[index] = best
    return codes


def _payload(code: int, pieces: Sequence[_Piece]) -> bytes | None:
    """What all of these pieces have together; None where the code does not fit them."""
    newer = b"".join(piece.newer for piece in pieces)
    if code == LITERAL:
        return newer
    return CODES[code].encode(b"".join(piece.older or b"" for piece in pieces), newer)


def as_frame(base: bytes, new: bytes) -> bytes:
    """A patch that is one zstd frame with ``base`` for a dictionary (``zstd --patch-from``)."""
    frame = _frame(base, new, LEVEL)
    return HEADER.pack(FRAME_MAGIC, len(base), len(new)) + number(len(frame)) + frame


def _frame(base: bytes, new: bytes, level: int) -> bytes:
    """One frame with the older file for a dictionary."""
    dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT)
    # The window has to reach from the last byte of the newer file to the first of the older one.
    reach = max((len(base) + len(new)).bit_length(), 10)
    settings = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=reach, enable_ldm=reach > 20, write_content_size=True, write_dict_id=False
    )
    packer = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)
    return packer.compress(new)
