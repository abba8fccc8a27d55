"""A release file, packed for the way: as a zstd frame, alone or on top of an older release file.

It names each chunk by two hashes, so that for a large model it is longer than a small change of it.
What a frame unpacks to is held against the signed hash of the release file, as if it had come
plain; frames are therefore neither signed nor needed.
"""

import zstandard

from deploy.errors import UpdateError
from deploy.release import RELEASE_BYTES

LEVEL = 19
_WINDOW_LOG = 24
"""2 ** 24 bytes: an older release file and the new one."""


def frame_name(target: str, base_sha256: str | None) -> str:
    """The path of the frame beside the target's file ``target``, on top of which release file."""
    return f"{target}.zst" if base_sha256 is None else f"{target}.{base_sha256[:16]}.zst"


def pack_release(content: bytes, base: bytes | None = None) -> bytes:
    """The frame of a release file, on top of another one if ``base`` is that."""
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=_WINDOW_LOG)
    packer = zstandard.ZstdCompressor(dict_data=_dictionary(base), compression_params=parameters)
    return packer.compress(content)


def unpack_release(frame: bytes, size: int, base: bytes | None = None) -> bytes:
    """The other way, ``size`` bytes. Raises ``UpdateError`` for anything else, before unpacking."""
    try:
        said = zstandard.frame_content_size(frame)
        if said != size or size > RELEASE_BYTES:
            raise UpdateError(f"A release file of {size} bytes is packed as one of {said}.")
        unpacker = zstandard.ZstdDecompressor(
            dict_data=_dictionary(base), max_window_size=1 << _WINDOW_LOG
        )
        return unpacker.decompress(frame, max_output_size=size)
    except zstandard.ZstdError as problem:
        raise UpdateError(f"A packed release file cannot be unpacked ({problem}).") from None


def _dictionary(base: bytes | None) -> zstandard.ZstdCompressionDict | None:
    if base is None:
        return None
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
