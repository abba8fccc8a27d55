"""Whatever releases share: a plan never fetches more than all, and says what it takes."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.chunks import Base, Store, assemble, describe, plan
from deploy.chunks.frames import pack
from deploy.release import Difference, Release, ReleaseFile
from tests.deploy.chunks.releases import blobs_of, held, slot_of

STRETCHES = [bytes([65 + number]) * (30 + 11 * number) for number in range(6)]
PACKED = [pack(stretch) for stretch in STRETCHES]
PATCHES = [pack(b"no patch, only its length counts %d" % number * number) for number in range(1, 5)]

made_of = st.lists(st.integers(0, len(STRETCHES) - 1), max_size=5)


def content_of(numbers: list[int]) -> bytes:
    return b"".join(STRETCHES[number] for number in numbers)


def file_of(
    path: str, numbers: list[int], differences: list[tuple[list[int], list[int]]]
) -> ReleaseFile:
    """A file of these stretches; each difference is from a file of stretches, by patches."""
    content = content_of(numbers)
    offered = []
    for older, patches in differences:
        blobs = tuple(PATCHES[number][0] for number in patches)
        base = content_of(older)
        offered.append(
            Difference(
                base_sha256=hashlib.sha256(base).hexdigest(),
                base_bytes=len(base),
                bytes=sum(blob.bytes for blob in blobs),
                sha256="0" * 64,
                blobs=blobs,
            )
        )
    return ReleaseFile(
        path=path,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blobs=tuple(PACKED[number][0] for number in numbers),
        differences=tuple(offered),
    )


def release_of_files(files: list[ReleaseFile]) -> Release:
    return Release(component="models", version=1, name="x", files=tuple(files))


@given(st.data(), st.lists(made_of, min_size=1, max_size=4), st.lists(made_of, max_size=3))
@settings(max_examples=60, deadline=None)
def test_never_more_than_all_of_it(
    data: st.DataObject, files: list[list[int]], older: list[list[int]]
) -> None:
    patches = st.lists(st.integers(0, len(PATCHES) - 1), min_size=1, max_size=3)
    from_older = st.sampled_from(older) if older else made_of
    offers = st.lists(st.tuples(st.one_of(from_older, made_of), patches), max_size=2)
    release = release_of_files(
        [
            file_of(f"presets/{index}.wav", numbers, data.draw(offers))
            for index, numbers in enumerate(files)
        ]
    )
    with tempfile.TemporaryDirectory() as name:
        store, bases = Store(Path(name) / "chunks"), []
        for number in data.draw(st.sets(st.integers(0, len(STRETCHES) - 1), max_size=2)):
            store.put(*PACKED[number])
        if older:
            slot_of(
                Path(name) / "a",
                {f"presets/{index}.wav": content_of(each) for index, each in enumerate(older)},
            )
            described = [file_of(f"presets/{i}.wav", each, []) for i, each in enumerate(older)]
            bases = [Base(Path(name) / "a", release_of_files(described))]
        found, plainly = plan(release, store, bases), plan(release, store, bases, False)
        all_of_it = {blob.stored_sha256: blob for file in release.files for blob in file.blobs}
        assert found.need.full_bytes == sum(blob.stored_bytes for blob in all_of_it.values())
        for each in (found, plainly):
            names = [blob.stored_sha256 for blob in each.need.blobs]
            assert len(set(names)) == len(names) and set(names) <= each.stored
            assert each.need.stored_bytes == sum(blob.stored_bytes for blob in each.need.blobs)
            assert not any(map(store.has, each.need.blobs))
        assert found.need.stored_bytes <= plainly.need.stored_bytes <= found.need.full_bytes


@given(st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=3), st.data())
@settings(max_examples=20, deadline=None)
def test_every_way_ends_in_the_same_files(contents: list[bytes], data: st.DataObject) -> None:
    # Some are long enough for a difference to be worth naming.
    long = np.random.default_rng(0).bytes(9000)
    older = {
        f"presets/{index}.wav": content + long * data.draw(st.integers(0, 1))
        for index, content in enumerate(contents)
    }
    newer = {}
    for path, content in older.items():
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(0, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1
        newer[path] = bytes(changed)
    described = [describe(path, newer[path], False, [older[path]]) for path in newer]
    frames = {name: frame for _file, each in described for name, frame in each.items()}
    release = Release(
        component="models", version=2, name="y", files=tuple(file for file, _frames in described)
    )
    assert {blob.stored_sha256 for blob in blobs_of(release)} == set(frames)
    with tempfile.TemporaryDirectory() as name:
        base = slot_of(Path(name) / "a", older)
        for bases in ([], [base]):
            store, slot = Store(Path(name) / f"chunks{len(bases)}"), Path(name) / f"s{len(bases)}"
            slot.mkdir()
            found = plan(release, store, bases)
            for blob in found.need.blobs:
                store.put(blob, frames[blob.stored_sha256])
            assemble(found, store, slot)
            assert held(slot) == newer
            assert store.keep_only(found.stored) == 0
