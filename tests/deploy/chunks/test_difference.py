"""Differences: what is applied is what was made, and a hostile one is refused in little memory."""

import contextlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.chunks import apply, difference
from deploy.chunks.alignment import alignments
from deploy.chunks.codes import CODES
from deploy.chunks.difference import _by_stretches, as_frame, stored_bytes
from deploy.chunks.patch import (
    COPY,
    FRAME_MAGIC,
    HEADER,
    LITERAL,
    MAGIC,
    Section,
    apply_pieces,
    header_of,
    number,
)
from deploy.errors import UpdateError
from tests.deploy.chunks.memory import peak_bytes

SEEDS = st.integers(0, 2**32 - 1)


def noise(length: int, seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, length, np.uint8).tobytes()


@st.composite
def edits(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file and what became of it: stretches kept, moved, nudged, inserted and removed."""
    base = noise(draw(st.integers(1, 6000)), draw(SEEDS))
    new = b""
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["keep", "nudge", "insert", "zeros"]))
        start = draw(st.integers(0, len(base)))
        piece = base[start : start + draw(st.integers(0, 3000))]
        if kind == "keep":
            new += piece
        elif kind == "nudge":
            steps = np.random.default_rng(draw(SEEDS)).integers(-2, 3, len(piece))
            new += (np.frombuffer(piece, np.uint8) + steps.astype(np.uint8)).tobytes()
        else:
            new += draw(st.binary(max_size=60)) if kind == "insert" else bytes(len(piece))
    return base, new or b"\0"


@given(edits())
@settings(max_examples=120, deadline=None)
def test_every_patch_gives_its_file(pair: tuple[bytes, bytes]) -> None:
    base, new = pair
    for stretches in alignments(base, new):
        assert [each.start for each in stretches[1:]] == [each.end for each in stretches[:-1]]
        assert (stretches[0].start, stretches[-1].end) == (0, len(new))
        assert apply(base, _by_stretches(base, new, stretches), len(new)) == new
    assert apply(base, as_frame(base, new), len(new)) == new
    found = difference(base, new)
    if found is not None:
        assert apply(base, found, len(new)) == new
        assert stored_bytes(found) <= stored_bytes(new)


@given(st.sampled_from(sorted(CODES)), st.integers(0, 300), SEEDS, st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_every_code_gives_what_it_was_made_of(
    code: int, length: int, seed: int, spread: int
) -> None:
    length *= 4
    older = np.frombuffer(noise(length, seed), np.uint8)
    steps = np.random.default_rng(seed + 1).integers(-spread // 2, spread // 2 + 1, length)
    newer = (older + steps.astype(np.uint8)).tobytes()
    payload = CODES[code].encode(older.tobytes(), newer)
    assert payload is not None
    assert CODES[code].decode(older.tobytes(), payload) == newer


@given(st.sampled_from(sorted(CODES)), st.binary(max_size=400), st.binary(max_size=400))
@settings(max_examples=400, deadline=None)
def test_a_code_takes_any_payload_or_says_no(code: int, older: bytes, payload: bytes) -> None:
    try:
        made = CODES[code].decode(older, payload)
    except ValueError:
        return
    assert len(made) == len(older)


def test_floats_take_less_as_ranks() -> None:
    generator = np.random.default_rng(0)
    for kind in (np.float16, np.float32):
        weights = generator.normal(0, 0.03, 50_000)
        moved = weights + generator.normal(0, 0.0001, 50_000)
        base, new = (each.astype(kind).tobytes() for each in (weights, moved))
        found = difference(base, new)
        assert found is not None and apply(base, found, len(new)) == new
        bytewise = CODES[8].encode(base, new)
        assert bytewise is not None and stored_bytes(found) < 0.9 * stored_bytes(bytewise)


@pytest.mark.parametrize("moved", [0.1, 0.3])
def test_steps_come_near_to_what_they_tell(moved: float) -> None:
    generator = np.random.default_rng(1)
    base = np.clip(np.rint(generator.normal(0, 36, 400_000)), -127, 127).astype(np.int8)
    step = generator.choice([-1, 0, 1], base.shape, p=[moved / 2, 1 - moved, moved / 2])
    new = (base + step.astype(np.int8)).tobytes()
    found = difference(base.tobytes(), new)
    told_bits = -(1 - moved) * np.log2(1 - moved) - moved * np.log2(moved / 2)
    assert found is not None
    assert stored_bytes(found) < 1.08 * told_bits / 8 * len(new)


def test_an_edited_text_is_a_frame() -> None:
    lines = [b"knob %d: %d dB\n" % (number, number * 7919 % 97) for number in range(3000)]
    base = b"".join(lines)
    np.random.default_rng(0).shuffle(lines)
    new = b"".join(lines)
    found = difference(base, new)
    assert found is not None and found[:4] == FRAME_MAGIC
    assert stored_bytes(found) < 0.8 * stored_bytes(new)


def test_what_has_nothing_in_common_has_no_difference() -> None:
    assert difference(noise(200_000, 1), noise(200_000, 2)) is None
    assert difference(b"", b"new") is None and difference(b"old", b"") is None


BASE = noise(3000, 7)
NEW = BASE[:1000] + b"a new bar" + BASE[900:2000] + bytes(400) + BASE[2000:]


@given(st.sampled_from([0, 1]), st.data())
@settings(max_examples=250, deadline=None)
def test_a_damaged_patch_is_refused_or_still_a_file_of_its_size(
    form: int, data: st.DataObject
) -> None:
    made = (_by_stretches(BASE, NEW, alignments(BASE, NEW)[0]), as_frame(BASE, NEW))[form]
    patch = bytearray(made)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(patch) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove"]))
        if kind == "flip":
            patch[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del patch[max(at, 1) :]
        elif kind == "insert":
            patch[at:at] = data.draw(st.binary(min_size=1, max_size=12))
        elif len(patch) > 1:
            del patch[at]
    try:
        assert len(apply(BASE, bytes(patch), len(NEW))) == len(NEW)
    except UpdateError as refused:
        assert str(refused).startswith("the difference: is damaged (")
        assert "\n" not in str(refused)


sections = st.tuples(
    st.sampled_from([COPY, LITERAL, *CODES, 2, 77, 255]),
    st.one_of(st.integers(0, 50), st.integers(0, 2**70)),
    st.one_of(st.integers(-60, 60), st.integers(-(2**66), 2**66)),
)


@given(
    st.lists(st.tuples(st.lists(sections, max_size=4), st.lists(st.binary(max_size=60)))),
    st.integers(0, 120),
)
@settings(max_examples=250, deadline=None)
def test_any_patch_is_a_file_of_its_size_or_refused(blocks: list, size: int) -> None:
    patch = HEADER.pack(MAGIC, 100, size)
    for held, payloads in blocks:
        patch += number(len(held))
        patch += b"".join(header_of(Section(*each), 0) for each in held)
        patch += b"".join(number(len(each)) + each for each in payloads)
    with contextlib.suppress(UpdateError):
        assert len(apply(bytes(100), patch, size)) == size


def patch_of(*parts: bytes, size: int = 10, magic: bytes = MAGIC, base: int = 100) -> bytes:
    return HEADER.pack(magic, base, size) + b"".join(parts)


def block(*held: Section) -> bytes:
    return number(len(held)) + b"".join(header_of(each, 0) for each in held)


HUGE = 1 << 30
HOSTILE = {
    "another magic": (patch_of(magic=b"BSDI"), "does not begin like one"),
    "another base": (patch_of(base=99), "it is for 99 bytes"),
    "nothing more": (patch_of(), "ends too early"),
    "an empty block": (patch_of(number(0)), "a block is empty"),
    "a block of a million": (patch_of(number(1 << 20)), "at most 4096"),
    "a number without end": (patch_of(b"\xff" * 30), "a number does not end"),
    "before the base": (patch_of(block(Section(COPY, 10, -1))), "beyond a file"),
    "behind the base": (patch_of(block(Section(COPY, 10, 91))), "beyond a file"),
    "behind the file": (patch_of(block(Section(COPY, 11, 0))), "beyond a file"),
    "an empty section": (patch_of(block(Section(COPY, 0, 0))), "beyond a file"),
    "an unknown code": (patch_of(block(Section(99, 10, 0))), "kind 99"),
    "a short literal": (patch_of(block(Section(LITERAL, 10, 0)), b"\x05hello"), "another length"),
    "a long payload": (patch_of(block(Section(8, 10, 0)), number(HUGE)), "at most 2097152"),
    "something behind": (patch_of(block(Section(COPY, 10, 0)), b"!"), "something follows"),
    "no frame": (patch_of(b"\x04what", magic=FRAME_MAGIC), "cannot be unpacked"),
    "a long frame": (patch_of(number(HUGE), magic=FRAME_MAGIC), "at most 33554432"),
    "a frame of more": (
        patch_of(number(25), zstandard.compress(bytes(HUGE))[:25], magic=FRAME_MAGIC),
        "another length than it says",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_patch_is_refused_in_one_sentence(name: str) -> None:
    patch, words = HOSTILE[name]
    with pytest.raises(UpdateError, match=words):
        apply(bytes(100), patch, 10)


def test_sizes_are_those_of_the_release() -> None:
    patch = patch_of(block(Section(COPY, 10, 0)))
    assert apply(bytes(100), patch, 10) == bytes(10)
    for base, size in ((bytes(99), 10), (bytes(100), 11)):
        with pytest.raises(UpdateError, match="it is for 100 bytes that become 10"):
            apply(base, patch, size)


def test_the_longest_file_is_made_in_little_memory() -> None:
    before = """
from deploy.chunks.patch import *
from tests.deploy.chunks.test_difference import *
size = 1 << 30
steps = number(BLOCK_BYTES) + bytes(BLOCK_BYTES)
half = [HEADER.pack(MAGIC, size, size), block(Section(COPY, size - 32 * BLOCK_BYTES, 0))]
def patch():
    yield from half
    for _ in range(32):
        yield number(1) + bytes([14]) + number(BLOCK_BYTES) + number(0) + steps
piece = bytes(BLOCK_BYTES)
def read(offset, length):
    return piece[:length]
"""
    measured = """
assert sum(map(len, apply_pieces(read, size, patch(), size))) == size
"""
    assert peak_bytes(before, measured) < 24 << 20


def test_a_frame_that_lies_takes_little_memory() -> None:
    before = """
from tests.deploy.chunks.test_difference import *
frames = [zstandard.compress(bytes(HUGE))]
lies = bytearray(zstandard.compress(bytes(50 << 20)))
size = 10 << 20
lies[5:9] = size.to_bytes(4, "little")  # flag 2: four bytes of size
frames.append(bytes(lies))
patches = [patch_of(number(len(it)), it, size=size, magic=FRAME_MAGIC) for it in frames]
"""
    measured = """
for patch in patches:
    try:
        apply(bytes(100), patch, size)
    except UpdateError:
        pass
    else:
        raise SystemExit("taken")
"""
    assert peak_bytes(before, measured) < 32 << 20


def test_a_base_that_became_shorter_is_found() -> None:
    patch = patch_of(block(Section(COPY, 10, 90)))
    with pytest.raises(UpdateError, match="the older file has become shorter"):
        list(apply_pieces(lambda offset, length: bytes(length - 1), 100, [patch], 10))


def test_a_patch_may_come_in_any_pieces() -> None:
    patch = _by_stretches(BASE, NEW, alignments(BASE, NEW)[0])
    pieces = [patch[at : at + 1] for at in range(len(patch))] + [b""]
    made = apply_pieces(lambda at, length: BASE[at : at + length], len(BASE), pieces, len(NEW))
    assert b"".join(made) == NEW


def test_the_form_of_a_patch_is_settled() -> None:
    # Pedals in the field read this; a change needs another magic.
    older = bytes([0, 60, 0, 60, 0, 189, 1, 0, 255, 255, 7, 0])
    newer = bytes([0, 60, 1, 60, 0, 188, 0, 0, 255, 255, 9, 0])
    payloads = {code: CODES[code].encode(older, newer) for code in CODES}
    assert {code: payload.hex(" ") for code, payload in payloads.items() if payload} == SETTLED
    patch = patch_of(block(Section(COPY, 300, 5), Section(LITERAL, 1, 305)), b"\x01!")
    assert patch[:20].hex(" ") == "50 47 44 31 64 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00"
    assert patch[20:].hex(" ") == "02 00 ac 02 0a 01 01 e2 04 01 21"


SETTLED = {
    8: "00 00 01 00 00 ff ff 00 00 00 02 00",
    9: "64 04 01 ff ff 02",
    10: "10 28 30 02",
    11: "24 48 02 12",
    12: "00 01 20 02 00 03",
    13: "01 04 00 02 00 00 00 00 00 00 02 00",
    14: "ff 00 00 01 00 00 02 04 02 00 00 00",
    15: "09 08 02 ff ff 02",
}
