"""Making a difference (the publisher's side): where a newer file's bytes come from, how written.

``alignment`` says which stretch of the older file each stretch of the newer one is like; here each
stretch is written in every way that fits it, and the one that zstd makes shortest is kept. A file
that only has been edited may be shorter as one zstd frame that has the older file for a dictionary.
"""

import zstandard

from deploy.chunks.alignment import Stretch, align
from deploy.chunks.codes import CODES
from deploy.chunks.frames import LEVEL, pack_all
from deploy.chunks.patch import (
    COPY,
    FRAME,
    FRAME_BYTES,
    HEADER,
    LITERAL,
    MAGIC,
    SECTION_BYTES,
    apply,
    section,
)

PAYS = 0.9
"""A difference is worth naming where it takes at most so much of what the file itself takes."""

_JUDGE_LEVEL = 3
"""Near enough to the level that is stored at, and much quicker."""


def difference(base: bytes, new: bytes) -> bytes | None:
    """The shortest patch from ``base`` to ``new``, or None where the file itself is hardly longer.

    Lengths are compared as they are stored: packed. ``apply(base, patch, len(new))`` gives ``new``;
    that is tried before it is returned.
    """
    if not base or not new:
        return None
    patches = [_by_stretches(base, new)]
    if max(len(base), len(new)) <= FRAME_BYTES:
        patches.append(_as_frame(base, new))
    patch = min(patches, key=stored_bytes)
    if stored_bytes(patch) > PAYS * stored_bytes(new):
        return None
    if apply(base, patch, len(new)) != new:  # a mistake here would be found on every pedal
        raise AssertionError("a difference does not give the file that it was made for")
    return patch


def stored_bytes(content: bytes) -> int:
    """What ``content`` takes in the store, packed by ``pack_all``."""
    return sum(blob.stored_bytes for blob, _frame in pack_all(content))


def _by_stretches(base: bytes, new: bytes) -> bytes:
    written = [HEADER.pack(MAGIC, len(base), len(new))]
    at = 0
    for stretch in align(base, new):
        for start, end in _bounded(stretch, base, new):
            newer = new[start:end]
            older_at = at if stretch.shift is None else start + stretch.shift
            older = None if stretch.shift is None else base[older_at : older_at + len(newer)]
            code, payload = _shortest(older, newer)
            older_at = at if code == LITERAL else older_at
            written.append(section(code, len(newer), older_at - at, payload))
            at = older_at + (0 if code == LITERAL else len(newer))
    return b"".join(written)


def _bounded(stretch: Stretch, base: bytes, new: bytes) -> list[tuple[int, int]]:
    """A stretch in pieces that one section may make; a copy may be as long as it likes."""
    start, end, shift = stretch.start, stretch.end, stretch.shift
    if shift is not None and new[start:end] == base[start + shift : end + shift]:
        return [(start, end)]
    return [(at, min(at + SECTION_BYTES, end)) for at in range(start, end, SECTION_BYTES)]


def _shortest(older: bytes | None, newer: bytes) -> tuple[int, bytes]:
    """Code and payload of the shortest way."""
    if older == newer:
        return COPY, b""
    ways = [(LITERAL, newer)]
    if older is not None:
        encoded = ((code, coded.encode(older, newer)) for code, coded in CODES.items())
        ways += [(code, payload) for code, payload in encoded if payload is not None]
    judge = zstandard.ZstdCompressor(level=_JUDGE_LEVEL)
    return min(ways, key=lambda way: len(judge.compress(way[1])))


def _as_frame(base: bytes, new: bytes) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(base, zstandard.DICT_TYPE_RAWCONTENT)
    # The window has to reach from the last byte of the newer file to the first of the older one.
    reach = max((len(base) + len(new)).bit_length(), 10)
    settings = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, window_log=reach, enable_ldm=reach > 20, write_content_size=True, write_dict_id=False
    )
    packer = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)
    frame = packer.compress(new)
    return HEADER.pack(MAGIC, len(base), len(new)) + section(FRAME, len(new), 0, frame)
