"""Planning and assembling: the cheapest way, and then exactly the release."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from deploy.chunks.assembly import assemble
from deploy.chunks.describing import describe
from deploy.chunks.planning import Base, Change, Pieces, plan
from deploy.chunks.store import Store, place
from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Release
from tests.deploy.chunks.releases import blobs_of, fetch, held, release_of, slot_of


def noise(length: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, length, np.uint8).tobytes()


FILES = {
    "stage.onnx": noise(300_000, 1),
    "studio/decoder.int8.onnx": noise(700_000, 2),
    "studio/manifest.json": b'{"format": 1}\n',
    "presets/clean/lead.toml": b"",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "chunks")


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    folder = tmp_path / "slot"
    folder.mkdir()
    return folder


def test_a_pedal_with_nothing_fetches_all_of_it(store: Store, slot: Path) -> None:
    release, frames = release_of(FILES, executable=["stage.onnx"])
    found = plan(release, store, [])
    assert found.need.stored_bytes == found.need.full_bytes == sum(map(len, frames.values()))
    fetch(found, frames, store)
    again = plan(release, store, [])
    assert again.need.blobs == () and again.need.full_bytes == found.need.full_bytes
    assemble(again, store, slot)
    assert held(slot) == FILES
    modes = {
        str(each.relative_to(slot)): stat.S_IMODE(each.stat().st_mode) for each in slot.rglob("*")
    }
    assert modes["stage.onnx"] == modes["studio"] == modes["presets/clean"] == 0o755
    assert modes["studio/manifest.json"] == 0o644


def test_what_lies_in_a_slot_is_not_fetched(store: Store, slot: Path, tmp_path: Path) -> None:
    base = slot_of(tmp_path / "a", FILES)
    moved = {"studio/encoder.int8.onnx": FILES["studio/decoder.int8.onnx"], "stage.onnx": b"new"}
    changed = FILES["stage.onnx"][:200_000] + b"!" + FILES["stage.onnx"][200_000:]
    files = {**moved, "presets/old-stage.onnx": changed}
    release, frames = release_of(files)
    found = plan(release, store, [base])
    assert found.need.stored_bytes < 0.2 * found.need.full_bytes
    fetch(found, frames, store)
    assemble(plan(release, store, [base]), store, slot)
    assert held(slot) == files
    assert found.stored == {blob.stored_sha256 for blob in found.need.blobs}


def test_a_slot_that_rotted_is_as_good_as_absent(store: Store, slot: Path, tmp_path: Path) -> None:
    base = slot_of(tmp_path / "a", FILES)
    file = base.folder / "studio/decoder.int8.onnx"
    rotten = bytearray(file.read_bytes())
    rotten[350_000] ^= 1
    file.write_bytes(rotten)
    (base.folder / "stage.onnx").unlink()
    (base.folder / "stage.onnx").symlink_to(file)
    release, frames = release_of(FILES)
    found = plan(release, store, [base])
    by_path = {each.path: each for each in release.files}
    stage = {blob.stored_sha256 for blob in by_path["stage.onnx"].blobs}
    need = {blob.stored_sha256 for blob in found.need.blobs}
    assert stage < need
    assert len(need - stage) == 1  # the rest of the rotten file is right, and used
    fetch(found, frames, store)
    assemble(plan(release, store, [base]), store, slot)
    assert held(slot) == FILES


def test_what_rots_after_planning_is_found(store: Store, slot: Path, tmp_path: Path) -> None:
    base = slot_of(tmp_path / "a", FILES)
    release, _frames = release_of({**FILES, "presets/x.wav": FILES["stage.onnx"] + b"tail"})
    release_2, frames = release_of({"presets/x.wav": FILES["stage.onnx"] + b"tail"})
    for wanted in (release, release_2):
        found = plan(wanted, store, [base])
        fetch(found, {**frames}, store)
        (base.folder / "stage.onnx").write_bytes(noise(300_000, 9))
        with pytest.raises(UpdateFailedError, match="has changed since"):
            assemble(found, store, slot)
        assert not any(slot.iterdir())
        slot_of(tmp_path / "a", FILES)


def test_damaged_chunks_are_found_and_fetched_again(store: Store, slot: Path) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    damaged = sorted({blob.stored_sha256 for blob in blobs_of(release)})[::2]
    for stored in damaged:
        content = bytearray(frames[stored])
        content[-1] ^= 1
        (store.folder / place(stored)).write_bytes(content)
    fetched: list[str] = []
    for _ in range(len(damaged)):
        with pytest.raises(UpdateFailedError, match="damaged and is removed"):
            assemble(plan(release, store, []), store, slot)
        assert not any(slot.iterdir())
        again = plan(release, store, [])
        fetch(again, frames, store)
        fetched += [blob.stored_sha256 for blob in again.need.blobs]
    assemble(plan(release, store, []), store, slot)
    assert held(slot) == FILES
    assert sorted(fetched) == damaged


def test_only_an_empty_folder_is_filled(store: Store, slot: Path, tmp_path: Path) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    found = plan(release, store, [])
    (slot / "mine").write_text("kept")
    with pytest.raises(UpdateError, match="only an empty folder"):
        assemble(found, store, slot)
    assert held(slot) == {"mine": b"kept"}
    (tmp_path / "link").symlink_to(slot)
    for bad in (tmp_path / "link", tmp_path / "none", slot / "mine"):
        with pytest.raises(UpdateFailedError):
            assemble(found, store, bad)


def test_a_release_that_lies_of_a_file_is_refused(store: Store, slot: Path) -> None:
    release, frames = release_of(FILES)
    first = release.files[0]
    lie = first.model_copy(update={"sha256": "0" * 64})
    liar = release.model_copy(update={"files": (lie, *release.files[1:])})
    fetch(plan(liar, store, []), frames, store)
    with pytest.raises(UpdateError, match=r"stage\.onnx: what its chunks make is another file"):
        assemble(plan(liar, store, []), store, slot)
    assert not any(slot.iterdir())


def test_a_difference_that_lies_is_refused(store: Store, slot: Path, tmp_path: Path) -> None:
    older = {"stage.onnx": FILES["stage.onnx"]}
    newer = {"stage.onnx": FILES["stage.onnx"][:-1] + b"!"}
    base = slot_of(tmp_path / "a", older)
    release, frames = release_of(newer, [older])
    (file,) = release.files
    (honest,) = file.differences
    to_another, more = release_of({"stage.onnx": FILES["stage.onnx"][:-1] + b"?"}, [older])
    lies = {
        "is another one than the release says": honest.model_copy(update={"sha256": "0" * 64}),
        "what its chunks make is another file": to_another.files[0].differences[0],
    }
    for words, difference in lies.items():
        lying = file.model_copy(update={"differences": (difference,)})
        liar = release.model_copy(update={"files": (lying,)})
        found = plan(liar, store, [base])
        fetch(found, {**frames, **more}, store)
        with pytest.raises(UpdateError, match=words):
            assemble(found, store, slot)
        assert not any(slot.iterdir())
        plainly = plan(liar, store, [base], differences=False)
        assert isinstance(plainly.ways[0], Pieces)
        fetch(plainly, frames, store)
        assemble(plainly, store, slot)
        assert held(slot) == newer
        (slot / "stage.onnx").unlink()
        store.keep_only(())


def test_a_difference_from_no_file_at_hand_is_not_used(store: Store, tmp_path: Path) -> None:
    older = {"stage.onnx": noise(150_000, 4) + bytes(150_000)}
    newer = {"stage.onnx": bytes(150_000) + older["stage.onnx"][:150_000]}
    base = slot_of(tmp_path / "a", older)
    release, _frames = release_of(newer, [older])
    (file,) = release.files
    assert isinstance(plan(release, store, [base]).ways[0], Change)
    other = file.differences[0].model_copy(update={"base_bytes": 299_999})
    changed = file.model_copy(update={"differences": (other,)})
    elsewhere = release.model_copy(update={"files": (changed,)})
    assert isinstance(plan(elsewhere, store, [base]).ways[0], Pieces)
    assert isinstance(plan(release, store, []).ways[0], Pieces)


def test_a_difference_is_named_where_it_saves_something() -> None:
    long = noise(400_000, 6)
    edited = long[:7] + b"!" + long[8:]
    assert len(describe("stage.onnx", edited, bases=[long])[0].differences) == 1
    # Chunks serve as well: nothing, or a few bytes less.
    assert describe("stage.onnx", long, bases=[long])[0].differences == ()
    assert describe("stage.onnx", long[:1000] + b"!", bases=[long[:1000]])[0].differences == ()
    assert describe("stage.onnx", noise(9000, 8), bases=[noise(9000, 7)])[0].differences == ()


def test_a_folder_that_becomes_a_link_is_not_followed(
    store: Store, slot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    outside = tmp_path / "outside"
    outside.mkdir()
    make = os.mkdir

    def sabotaged(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if path == "studio":
            os.symlink(outside, path, dir_fd=dir_fd)
        else:
            make(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", sabotaged)
    with pytest.raises(UpdateFailedError):
        assemble(plan(release, store, []), store, slot)
    assert not any(outside.iterdir()) and not any(slot.iterdir())


@pytest.mark.parametrize(
    ("number", "words"), [(28, "the disk is full"), (5, "cannot be read or w")]
)
def test_a_disk_that_fails_leaves_an_empty_folder(
    store: Store, slot: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    found = plan(release, store, [])
    calls = 0
    write = os.write

    def failing(handle: int, content: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 7:
            raise OSError(number, os.strerror(number))
        return write(handle, content)

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(UpdateFailedError, match=words):
        assemble(found, store, slot)
    assert calls > 7 and not any(slot.iterdir())


def test_a_disk_without_room_is_not_begun_on(
    store: Store, slot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    found = plan(release, store, [])
    real = os.statvfs(slot)

    class Small:
        f_bavail = 4000
        f_frsize = 4096

    assert real.f_frsize
    monkeypatch.setattr(os, "statvfs", lambda _folder: Small)
    with pytest.raises(UpdateFailedError, match=r"18 MB are needed and 16 MB are free"):
        assemble(found, store, slot)


def test_everything_is_on_the_disk_before_assemble_returns(
    store: Store, slot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, frames = release_of(FILES)
    fetch(plan(release, store, []), frames, store)
    synced: set[str] = set()
    sync = os.fsync

    def fsync(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assemble(plan(release, store, []), store, slot)
    assert synced == {str(slot), *(str(each) for each in slot.rglob("*"))}


def test_files_that_share_blobs_count_once(store: Store) -> None:
    one = noise(200_000, 5)
    release, frames = release_of({"stage.onnx": one, "presets/same.onnx": one})
    need = plan(release, store, []).need
    assert need.stored_bytes == need.full_bytes == sum(map(len, frames.values()))


def test_bases_of_another_component_may_help(store: Store, tmp_path: Path) -> None:
    base = slot_of(tmp_path / "a", FILES)
    firmware, _frames = release_of({"source/x.onnx": FILES["stage.onnx"]}, component="firmware")
    assert isinstance(firmware, Release)
    assert plan(firmware, store, [Base(base.folder, base.release)]).need.stored_bytes == 0
