"""Releases that are properly signed and lie: whoever has the key of models is not trusted further.

Bombs, shapes of frames, hashes and sizes that contradict each other, links in the slot, paths.
"""

import hashlib
import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tuf.api.metadata import Metadata, TargetFile

from deploy.chunks.frames import unpack
from deploy.errors import UpdateError
from deploy.release import Blob
from deploy.release_frame import frame_name, pack_release
from deploy.trial.files import check_files
from models.record import write_record
from tests.deploy.attacks.sentence import sentence_of
from tests.deploy.attacks.world import World
from tests.deploy.publisher.repository import some_files

Json = Any
CONTENT = bytes(1000)
BOMB_BYTES = 160 << 20


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(world: World, content: bytes, version: int = 3, name: str = "evil") -> None:
    """Offer a release file of this content, signed by the key of models."""
    digest = sha256(content)
    file = world.repo.folder.target(f"models/{name}.json", digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    custom = {"purga": {"component": "models", "version": version, "groups": {"all": 100}}}

    def change(metadata: Metadata) -> None:
        target = TargetFile(len(content), {"sha256": digest}, name, {"custom": custom})
        metadata.signed.targets[f"models/{name}.json"] = target

    world.repo.edit("models", change)


def edited(world: World, change: Callable[[Json], object]) -> None:
    """Offer release 2 as release 3, with something else in its file."""
    release = world.repo.release("models:2")
    tree = release.model_dump(mode="json")
    tree["version"] = 3
    change(tree)
    put(world, json.dumps(tree).encode())


def frame_of(world: World, frame: bytes, says: int, content: bytes) -> None:
    """Offer a release whose stage.onnx is one chunk: this frame, which is said to hold that."""
    blob = {
        "sha256": sha256(content),
        "bytes": says,
        "stored_sha256": sha256(frame),
        "stored_bytes": len(frame),
    }
    place = world.repo.folder.chunk(sha256(frame))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(frame)

    def change(tree: Json) -> None:
        stage = next(file for file in tree["files"] if file["path"] == "stage.onnx")
        stage |= {"bytes": says, "sha256": sha256(content), "blobs": [blob]}

    edited(world, change)


def zstd(content: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(level=3, write_checksum=True, **options).compress(content)


def _bomb() -> bytes:
    """160 MB of nothing in five kilobytes; made piece by piece."""
    packing = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj(BOMB_BYTES)
    piece = bytes(1 << 20)
    pieces = [packing.compress(piece) for _ in range(BOMB_BYTES >> 20)]
    return b"".join([*pieces, packing.flush()])


def _bomb_that_lies(says: int = len(CONTENT)) -> bytes:
    """The same with a head that says so many bytes."""
    honest, bomb = zstd(bytes(says)), _bomb()
    return honest[: zstandard.frame_header_size(honest)] + bomb[zstandard.frame_header_size(bomb) :]


def _window() -> bytes:
    """A frame that asks for a window of 2 GB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=27, write_checksum=True, write_content_size=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(1000))


FRAMES: dict[str, Callable[[], bytes]] = {
    "a bomb": _bomb,
    "a bomb whose head lies": _bomb_that_lies,
    "a huge window": _window,
    "no frame at all": lambda: b"MZ" + bytes(500),
    "a skippable frame": lambda: struct.pack("<II", 0x184D2A50, 8) + bytes(8) + zstd(CONTENT),
    "two frames": lambda: zstd(CONTENT[:500]) + zstd(CONTENT[500:]),
    "something behind it": lambda: zstd(CONTENT) + b"#!/bin/sh\n",
    "half a frame": lambda: zstd(CONTENT)[:-5],
    "no checksum": lambda: zstandard.ZstdCompressor(write_checksum=False).compress(CONTENT),
    "no length": lambda: zstd(CONTENT, write_content_size=False),
    "a byte too many": lambda: zstd(CONTENT + b"\0"),
    "a byte too few": lambda: zstd(CONTENT[:-1]),
    "other bytes": lambda: zstd(CONTENT[:-1] + b"\1"),
    "gzip": lambda: b"\x1f\x8b\x08\x00" + bytes(40),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_signed_chunk_that_is(stick: World, name: str) -> None:
    frame_of(stick, FRAMES[name](), len(CONTENT), CONTENT)
    # Not the process's peak memory: what an earlier test took would hide what this one takes.
    tracemalloc.start()
    try:
        stick.get().refused()
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stick.pedal.version() == 1
    assert most_bytes < 100_000_000


@pytest.mark.parametrize("name", FRAMES)
def test_unpacking_takes_no_more_than_was_signed(name: str) -> None:
    frame = FRAMES[name]()
    blob = Blob(
        sha256=sha256(CONTENT),
        bytes=len(CONTENT),
        stored_sha256=sha256(frame),
        stored_bytes=len(frame),
    )
    with pytest.raises(UpdateError) as caught:
        unpack(frame, blob)
    sentence_of(caught.value)


def _hash_of_file(tree: Json) -> None:
    tree["files"][0]["sha256"] = "0" * 64


def _swapped(tree: Json) -> None:
    files = {file["path"]: file for file in tree["files"]}
    one, other = files["stage.onnx"], files["studio/decoder.fp32.onnx"]
    one["blobs"], other["blobs"] = other["blobs"], one["blobs"]
    one["bytes"], other["bytes"] = other["bytes"], one["bytes"]


def _order(tree: Json) -> None:
    stage = next(file for file in tree["files"] if len(file["blobs"]) > 2)
    stage["blobs"][:2] = stage["blobs"][1::-1]


def _base_of_itself(tree: Json) -> None:
    stage = next(file for file in tree["files"] if file["path"] == "stage.onnx")
    blob = stage["blobs"][0]
    stage["differences"] = [
        {
            "base_sha256": sha256(some_files(1)["stage.onnx"]),
            "base_bytes": 150_000,
            "bytes": blob["bytes"],
            "sha256": "1" * 64,
            "blobs": [blob],
        }
    ]


def _component(tree: Json) -> None:
    tree["component"] = "firmware"
    for file in tree["files"]:
        file["path"] = f"source/{file['path']}"


def _zip_slip(tree: Json) -> None:
    tree["files"][0]["path"] = "presets/../../../../etc/cron.d/x.toml"


def _absolute(tree: Json) -> None:
    tree["files"][0]["path"] = "/etc/cron.d/x.toml"


LIES: dict[str, Callable[[Json], object]] = {
    "a hash that is none of its files": _hash_of_file,
    "two files' chunks swapped": _swapped,
    "two chunks swapped": _order,
    "a difference that is none": _base_of_itself,
    "a release of another component": _component,
    "a path out of the slot": _zip_slip,
    "an absolute path": _absolute,
    "another version than the metadata say": lambda tree: tree.update(version=4),
    "a format of the future": lambda tree: tree.update(format=2),
    "a key of the future": lambda tree: tree.update(execute="rm -rf /"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_signed_release_with(stick: World, name: str) -> None:
    before = sorted(path for path in stick.folder.iterdir())
    edited(stick, LIES[name])
    stick.get().refused()
    assert stick.pedal.version() == 1
    assert sorted(path for path in stick.folder.iterdir() if path.name != "work") == [
        path for path in before if path.name != "work"
    ]
    assert not Path("/etc/cron.d/x.toml").exists()


def test_a_signed_release_that_is_no_release(stick: World) -> None:
    for version, content in enumerate((b"", b"[]", b"{" * 5000, b"\0" * 4096, b"<html>"), start=3):
        put(stick, content, version, f"evil-{version}")
        stick.get().refused()
        assert stick.pedal.version() == 1


def test_a_release_that_is_refused_does_not_keep_out_the_next(world: World) -> None:
    edited(world, _hash_of_file)
    world.get().refused()
    world.repo.withdraw("models:3")
    world.repo.publish(some_files(4), version=4, name="four")
    world.get().done()
    assert world.pedal.version() == 4


PACKED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "nothing": lambda new, old: b"",
    "noise": lambda new, old: b"\xa5" * 500,
    "half of it": lambda new, old: pack_release(new)[:-20],
    "of another release": lambda new, old: pack_release(old),
    "of other bytes": lambda new, old: pack_release(bytes(len(new))),
    "a bomb": lambda new, old: _bomb(),
    "a bomb whose head lies": lambda new, old: _bomb_that_lies(len(new)),
    "longer than the file": lambda new, old: pack_release(new) + bytes(len(new)),
    "on top of what is not here": lambda new, old: pack_release(new, b"x" + old),
    "plain": lambda new, old: new,
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_release_file_that_is_wrong_is_as_good_as_none(world: World, name: str) -> None:
    """Frames of release files are not signed; what they unpack to is held against what is."""
    targets = world.mirror / "targets" / "models"
    new = next(path for path in targets.iterdir() if path.name.endswith(".two.json"))
    old = next(path for path in targets.iterdir() if path.name.endswith(".one.json"))
    world.unpack()
    frame = PACKED[name](new.read_bytes(), old.read_bytes())
    for base in (None, sha256(old.read_bytes())):
        (targets / frame_name(new.name, base)).write_bytes(frame)
    world.get().done()
    assert world.pedal.version() == 2


@pytest.mark.parametrize("on_top", [True, False])
def test_a_packed_release_file_is_taken(linked: World, on_top: bool) -> None:
    """What the test above starts from."""
    targets = linked.mirror / "targets" / "models"
    new = next(path for path in targets.iterdir() if path.name.endswith(".two.json"))
    old = next(path for path in targets.iterdir() if path.name.endswith(".one.json"))
    linked.unpack()
    base = old.read_bytes() if on_top else None
    frame = pack_release(new.read_bytes(), base)
    (targets / frame_name(new.name, sha256(base) if base else None)).write_bytes(frame)
    linked.get().done()
    assert linked.pedal.version() == 2
    assert f"targets/models/{new.name}" not in linked.link.paths()


def _slot(folder: Path, world: World) -> None:
    release = world.repo.release("models:2")
    for path, content in some_files(2).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "release.json").write_bytes(write_record(release))


def _hard(folder: Path) -> None:
    os.link(folder / "stage.onnx", folder.parent / "second")


SLOTS: dict[str, Callable[[Path], object]] = {
    "a link": lambda at: (at / "x").symlink_to("/etc/passwd"),
    "a link in the place of a file": lambda at: _replaced(at / "stage.onnx", "/etc/passwd"),
    "a link in the place of a folder": lambda at: _moved(at / "studio"),
    "a dangling link": lambda at: (at / "studio/weights.bin").symlink_to("/nowhere"),
    "external data": lambda at: (at / "studio/decoder.fp32.onnx.data").write_bytes(b"w"),
    "a file more": lambda at: (at / "presets/x.py").write_bytes(b"import os\n"),
    "a file of Python's": lambda at: (at / "sitecustomize.py").write_bytes(b"import os\n"),
    "a folder more": lambda at: (at / "engines").mkdir(),
    "a pipe": lambda at: os.mkfifo(at / "studio/pipe"),
    "a file less": lambda at: (at / "presets/one.toml").unlink(),
    "a byte more": lambda at: os.truncate(at / "stage.onnx", 150_001),
    "another byte": lambda at: _flipped(at / "stage.onnx"),
    "a second name elsewhere": _hard,
    "set-user-ID": lambda at: (at / "stage.onnx").chmod(0o4755),
}


def _replaced(at: Path, target: str) -> None:
    at.unlink()
    at.symlink_to(target)


def _moved(at: Path) -> None:
    at.rename(at.parent.parent / "elsewhere")
    at.symlink_to(at.parent.parent / "elsewhere")


def _flipped(at: Path) -> None:
    content = at.read_bytes()
    at.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_slot_with_anything_else_in_it_is_refused(stick: World, tmp_path: Path) -> None:
    """Whoever got something into the slot besides the release gets nothing opened."""
    release = stick.repo.release("models:2")
    for number, (name, spoil) in enumerate(SLOTS.items()):
        folder = tmp_path / f"{number}" / "slot"
        _slot(folder, stick)
        check_files(folder, release)
        spoil(folder)
        with pytest.raises(UpdateError) as caught:
            check_files(folder, release)
            pytest.fail(f"{name} was not noticed")
        sentence_of(caught.value)
