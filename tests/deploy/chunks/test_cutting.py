"""Cutting by content: nothing is lost, lengths are bounded, and an edit moves few cuts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.chunks import split
from deploy.chunks.cutting import LONGEST, SHORTEST, USUAL, spans
from deploy.chunks.frames import STORED_BYTES, unpack

SEEDS = st.integers(0, 2**32 - 1)


def noise(length: int, seed: int, values: int = 256) -> bytes:
    return np.random.default_rng(seed).integers(0, values, length, np.uint8).tobytes()


def chunks(content: bytes) -> list[bytes]:
    return [content[start:end] for start, end in spans(content)]


@given(st.integers(0, 700_000), SEEDS, st.sampled_from([1, 2, 256]))
@settings(max_examples=25, deadline=None)
def test_what_is_split_joins_again(length: int, seed: int, values: int) -> None:
    content = noise(length, seed, values)
    packed = split(content)
    assert b"".join(unpack(frame, blob) for blob, frame in packed) == content
    assert packed == split(content)
    assert all(SHORTEST <= blob.bytes <= LONGEST for blob, _frame in packed[:-1])
    assert all(blob.stored_bytes <= STORED_BYTES + 64 for blob, _frame in packed)


@given(SEEDS, st.integers(0, 1_500_000), st.binary(max_size=2000), st.integers(0, 2000))
@settings(max_examples=15, deadline=None)
def test_an_edit_changes_the_chunks_around_it(
    seed: int, place: int, inserted: bytes, removed: int
) -> None:
    content = noise(1_500_000, seed)
    edited = content[:place] + inserted + content[place + removed :]
    known = set(chunks(content))
    new = [chunk for chunk in chunks(edited) if chunk not in known]
    # Cuts fall into step again at the first one that both sides have: a few chunks on.
    assert sum(map(len, new)) <= 12 * USUAL


def test_chunks_are_about_as_long_as_they_should_be() -> None:
    lengths = [len(chunk) for chunk in chunks(noise(24 << 20, 0))]
    assert 0.8 * USUAL < float(np.mean(lengths)) < 1.25 * USUAL
    assert float(np.mean([length == LONGEST for length in lengths])) < 0.02


def test_cuts_do_not_depend_on_how_much_is_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    content = noise(1 << 20, 1)
    once = list(spans(content))
    monkeypatch.setattr("deploy.chunks.cutting._STRETCH", 77_777)
    assert list(spans(content)) == once


def test_a_file_without_content_has_no_chunks() -> None:
    assert split(b"") == []
