"""The store: what is put there is durable, verified, and found damaged where it is."""

import os
from pathlib import Path

import pytest

from deploy.chunks.frames import pack
from deploy.chunks.store import Store, place
from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Blob


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "chunks")


def a_blob(seed: int = 0) -> tuple[Blob, bytes]:
    return pack(b"a riff %d " % seed * 500)


def file_of(store: Store, blob: Blob) -> Path:
    return store.folder / place(blob.stored_sha256)


def test_what_is_put_there_can_be_read(store: Store) -> None:
    blob, frame = a_blob()
    assert not store.has(blob)
    store.put(blob, frame)
    store.put(blob, frame)
    assert store.has(blob)
    assert store.read(blob) == b"a riff 0 " * 500
    assert [each.name for each in store.folder.rglob("*") if each.is_file()] == [blob.stored_sha256]


@pytest.mark.parametrize("wrong", [b"", b"x", b"\x00" * 40])
def test_another_frame_is_refused(store: Store, wrong: bytes) -> None:
    blob, frame = a_blob()
    for bad in (wrong, frame[:-1], frame + b"\0", bytes([frame[0] ^ 1]) + frame[1:]):
        with pytest.raises(UpdateError, match="is not the frame"):
            store.put(blob, bad)
    assert not store.has(blob)


@pytest.mark.parametrize("damage", ["flip", "link", "pipe", "folder"])
def test_what_was_damaged_is_removed_and_asked_for_again(store: Store, damage: str) -> None:
    blob, frame = a_blob()
    store.put(blob, frame)
    file = file_of(store, blob)
    if damage == "flip":
        content = bytearray(frame)
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
        assert store.has(blob)  # by name and size; reading finds it
    else:
        file.unlink()
        if damage == "link":
            (store.folder / "elsewhere").write_bytes(frame)
            file.symlink_to(store.folder / "elsewhere")
        elif damage == "pipe":
            os.mkfifo(file)
        else:
            file.mkdir()
            assert not store.has(blob)
            return
    with pytest.raises(UpdateFailedError, match="was damaged and is removed"):
        store.read(blob)
    assert not store.has(blob)
    store.put(blob, frame)
    assert store.read(blob)


def test_what_was_cut_short_is_not_there(store: Store) -> None:
    blob, frame = a_blob()
    store.put(blob, frame)
    file_of(store, blob).write_bytes(frame[:-1])
    assert not store.has(blob)
    with pytest.raises(UpdateFailedError):
        store.read(blob)


def test_what_is_absent_says_so(store: Store) -> None:
    with pytest.raises(UpdateFailedError, match="is not there"):
        store.read(a_blob()[0])


def test_garbage_collection_keeps_what_it_is_told(store: Store) -> None:
    blobs = [a_blob(seed) for seed in range(6)]
    for blob, frame in blobs:
        store.put(blob, frame)
    partial = file_of(store, blobs[0][0]).with_name("half-written.partial")
    partial.write_bytes(b"12345")
    (store.folder / "README").write_text("not ours")
    kept = {blob.stored_sha256 for blob, _frame in blobs[:2]}
    freed = store.keep_only(kept)
    assert freed == 5 + sum(blob.stored_bytes for blob, _frame in blobs[2:])
    assert [store.has(blob) for blob, _frame in blobs] == [True, True, False, False, False, False]
    assert not partial.exists() and (store.folder / "README").exists()
    assert store.keep_only(kept) == 0


def test_a_store_that_is_not_there_has_nothing_to_collect(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").keep_only(()) == 0


def test_a_folder_that_is_a_link_is_left_alone(store: Store, tmp_path: Path) -> None:
    blob, frame = a_blob()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / blob.stored_sha256).write_bytes(b"somebody's")
    store.folder.mkdir(parents=True)
    (store.folder / blob.stored_sha256[:2]).symlink_to(outside)
    assert store.keep_only(()) == 0
    with pytest.raises(UpdateFailedError):
        store.put(blob, frame)
    assert (outside / blob.stored_sha256).read_bytes() == b"somebody's"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, frame = a_blob()

    def full(_handle: int, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UpdateFailedError, match="the disk is full; make room"):
        store.put(blob, frame)
    assert not any(each.is_file() for each in store.folder.rglob("*"))
