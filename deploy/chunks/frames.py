"""A stretch of bytes and the zstd frame it is stored as: packing it, and unpacking a stranger's.

A frame is one plain zstd frame that says how long its content is and carries a checksum: no
dictionary, nothing skippable, nothing behind it. So what unpacking takes is known before it
begins, and a frame that says otherwise is refused by its first bytes.
"""

import hashlib

import zstandard

from deploy.errors import UpdateError
from deploy.release import BLOB_BYTES, Blob

STORED_BYTES = 128 << 10
"""About the most that a stored blob takes. A link that drops every few hundred kilobytes still
brings one through, and what is lost with it is little."""

LEVEL = 19
_QUICK_LEVEL = 3
_HARDLY = 0.95
_LEAST = STORED_BYTES - (STORED_BYTES >> 5)
"""So long a stretch fits however little it shrinks."""

_MAGIC = zstandard.FRAME_HEADER


def pack(content: bytes | memoryview) -> tuple[Blob, bytes]:
    """A blob of 1 to ``BLOB_BYTES`` bytes, and its frame.

    The same content gives the same frame with the same version of zstd. Raises ``ValueError``
    where ``content`` has another length.
    """
    if not 1 <= len(content) <= BLOB_BYTES:
        raise ValueError(f"a blob has 1 to {BLOB_BYTES} bytes, not {len(content)}")
    frame = _compressor(_QUICK_LEVEL).compress(content)
    # Weights hardly shrink, and trying harder on them takes ten times as long for nothing.
    if len(frame) < _HARDLY * len(content):
        frame = min(frame, _compressor(LEVEL).compress(content), key=len)
    blob = Blob(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        stored_sha256=hashlib.sha256(frame).hexdigest(),
        stored_bytes=len(frame),
    )
    return blob, frame


def pack_all(content: bytes) -> list[tuple[Blob, bytes]]:
    """All of ``content`` in order, cut so that no frame is much above ``STORED_BYTES``."""
    packed: list[tuple[Blob, bytes]] = []
    view, start, length = memoryview(content), 0, BLOB_BYTES
    while start < len(view):
        piece = view[start : start + length]
        quickly = len(_compressor(_QUICK_LEVEL).compress(piece))
        # By what this stretch shrinks to, a little less than would just fit.
        length = min(max(int(0.95 * len(piece) * STORED_BYTES / quickly), _LEAST), BLOB_BYTES)
        if quickly > STORED_BYTES and length < len(piece):
            continue
        packed.append(pack(piece))
        start += len(piece)
    return packed


def unpack(frame: bytes, blob: Blob) -> bytes:
    """What ``frame`` holds: exactly what ``blob`` says, in at most so much memory.

    Raises ``UpdateError`` with one sentence for any other frame.
    """
    what = f"chunk {blob.stored_sha256[:12]}"
    if len(frame) != blob.stored_bytes or _sha256(frame) != blob.stored_sha256:
        raise UpdateError(f"{what}: is not the frame that the release names; fetch it again.")
    if frame[:4] != _MAGIC:
        raise UpdateError(f"{what}: is no zstd frame; the release has to be published again.")
    try:
        header = zstandard.get_frame_parameters(frame)
        if header.content_size != blob.bytes:
            raise UpdateError(
                f"{what}: says that it holds {_length(header.content_size)}, the release says "
                f"{blob.bytes}; it has to be published again."
            )
        if header.dict_id != 0 or not header.has_checksum or header.window_size > BLOB_BYTES:
            raise UpdateError(
                f"{what}: is a frame with a dictionary, without a checksum or with a window above "
                f"{BLOB_BYTES} bytes; the release has to be published again."
            )
        content = zstandard.ZstdDecompressor(max_window_size=BLOB_BYTES).decompress(
            frame, max_output_size=blob.bytes, read_across_frames=False, allow_extra_data=False
        )
    except zstandard.ZstdError as problem:
        raise UpdateError(
            f"{what}: cannot be unpacked ({problem}); the release has to be published again."
        ) from None
    if len(content) != blob.bytes or _sha256(content) != blob.sha256:
        raise UpdateError(
            f"{what}: holds other bytes than the release says; it has to be published again."
        )
    return content


def _compressor(level: int) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(
        level=level, write_checksum=True, write_content_size=True, write_dict_id=False
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _length(content_size: int) -> str:
    unknown = content_size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR, -1)
    return "it does not know how much" if unknown else f"{content_size} bytes"
