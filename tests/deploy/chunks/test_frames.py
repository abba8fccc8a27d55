"""Frames from a stranger: whatever they say of themselves, little memory and one sentence."""

import hashlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.chunks.frames import STORED_BYTES, pack, pack_all, unpack
from deploy.errors import UpdateError
from deploy.release import BLOB_BYTES, Blob
from tests.deploy.chunks.memory import peak_bytes

CONTENT = b"twelve bars " * 1000
_SKIPPABLE = bytes.fromhex("502a4d18") + (8).to_bytes(4, "little") + b"anything"


def vouched(frame: bytes, content: bytes = CONTENT) -> Blob:
    """A blob that names ``frame``, as a publisher who lies would sign it."""
    return Blob(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        stored_sha256=hashlib.sha256(frame).hexdigest(),
        stored_bytes=len(frame),
    )


def made(content: bytes = CONTENT, **options) -> bytes:
    chosen = {"write_checksum": True, "write_content_size": True, **options}
    return zstandard.ZstdCompressor(level=3, **chosen).compress(content)


def with_dictionary() -> bytes:
    pieces: list[bytes | bytearray | memoryview] = [
        b"twelve bars of %d " % number * 20 for number in range(500)
    ]
    return made(dict_data=zstandard.train_dictionary(4096, pieces))


def with_a_window(log: int = 27) -> bytes:
    """A frame that asks for so large a window, though it holds little."""
    frame = bytearray(made())
    frame[4] &= ~0x20  # no single segment, so a window is named (RFC 8878, 3.1.1.1.1.2)
    frame.insert(5, (log - 10) << 3)
    return bytes(frame)


def with_a_size(said: int, content: bytes) -> bytes:
    """A frame whose header says ``said`` bytes, and which holds more."""
    frame = bytearray(made(content))
    flag = frame[4] >> 6
    width = {0: 1, 1: 2, 2: 4, 3: 8}[flag]
    value = said - 256 if width == 2 else said
    frame[5 : 5 + width] = value.to_bytes(width, "little")
    return bytes(frame)


HOSTILE = {
    "a bomb": (made(bytes(1 << 30)), "says that it holds 1073741824 bytes"),
    "a bomb that lies": (with_a_size(len(CONTENT), bytes(50 << 20)), "cannot be unpacked"),
    "one byte more": (with_a_size(len(CONTENT), CONTENT + b"!"), "cannot be unpacked"),
    "no size": (made(write_content_size=False), "does not know how much"),
    "no checksum": (made(write_checksum=False), "without a checksum"),
    "a dictionary": (with_dictionary(), "with a dictionary"),
    "a window": (with_a_window(), "a window above 1048576 bytes"),
    "the largest window": (with_a_window(41), "requires too much memory"),
    "two frames": (made() + made(), "cannot be unpacked"),
    "something behind": (made() + b"x", "cannot be unpacked"),
    "skippable first": (_SKIPPABLE + made(), "is no zstd frame"),
    "skippable behind": (made() + _SKIPPABLE, "cannot be unpacked"),
    "skippable only": (_SKIPPABLE, "is no zstd frame"),
    "cut short": (made()[:-5], "cannot be unpacked"),
    "header only": (made()[:5], "cannot be unpacked"),
    "something else": (b"PK\x03\x04 a zip", "is no zstd frame"),
    "other bytes": (made(CONTENT[::-1]), "holds other bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_is_refused_in_one_sentence(name: str) -> None:
    frame, words = HOSTILE[name]
    with pytest.raises(UpdateError, match=words) as refused:
        unpack(frame, vouched(frame))
    assert "\n" not in str(refused.value)


def test_refusing_takes_little_memory() -> None:
    before = """
from tests.deploy.chunks.test_frames import HOSTILE, UpdateError, unpack, vouched
"""
    measured = """
for frame, _words in HOSTILE.values():
    try:
        unpack(frame, vouched(frame))
    except UpdateError:
        pass
"""
    assert peak_bytes(before, measured) < 8 << 20


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=3000))
def test_what_is_packed_unpacks(content: bytes) -> None:
    blob, frame = pack(content)
    assert unpack(frame, blob) == content
    assert blob == vouched(frame, content)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_frame_is_never_taken(data: st.DataObject) -> None:
    frame = bytearray(made())
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        content = unpack(bytes(frame), vouched(bytes(frame)))
    except UpdateError:
        return
    assert content == CONTENT


@pytest.mark.parametrize("length", [0, BLOB_BYTES + 1])
def test_a_blob_has_bounds(length: int) -> None:
    with pytest.raises(ValueError, match="a blob has 1 to"):
        pack(bytes(length))


@pytest.mark.parametrize("noisy", [0.0, 0.02, 0.5, 1.0])
def test_all_is_packed_in_frames_that_a_bad_link_brings_through(noisy: float) -> None:
    generator, length = np.random.default_rng(3), 3 << 19
    bytes_there = generator.integers(0, 256, length)
    content = np.where(generator.random(length) < noisy, bytes_there, 0).astype(np.uint8)
    packed = pack_all(content.tobytes())
    assert b"".join(unpack(frame, blob) for blob, frame in packed) == content.tobytes()
    assert all(len(frame) <= STORED_BYTES + 64 for _blob, frame in packed)
    assert pack_all(b"") == []
