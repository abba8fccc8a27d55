"""A slot's files: these and no others."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import UpdateError
from deploy.trial.files import check_files
from tests.deploy.trial.slots_made import PLAIN, preset, release_of


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    folder = tmp_path / "a"
    (folder / "presets" / "more").mkdir(parents=True)
    preset(folder, PLAIN)
    (folder / "presets" / "more" / "other.wav").write_bytes(b"sound")
    (folder / "stage.onnx").write_bytes(b"network" * 1000)
    return folder


def test_exactly_the_release_is_taken(slot: Path) -> None:
    release = release_of(slot)
    check_files(slot, release)
    (slot / "release.json").write_text("the signed file itself")
    (slot / "plans").mkdir()
    (slot / "plans" / "encoder.plan").write_bytes(b"built here")
    check_files(slot, release)


def _flip(slot: Path) -> None:
    content = bytearray((slot / "stage.onnx").read_bytes())
    content[1234] ^= 1
    (slot / "stage.onnx").write_bytes(content)


def _link_within(slot: Path) -> None:
    (slot / "stage.onnx").rename(slot.parent / "elsewhere.onnx")
    (slot / "stage.onnx").symlink_to(slot.parent / "elsewhere.onnx")


def _linked_folder(slot: Path) -> None:
    shutil.move(slot / "presets" / "more", slot.parent / "more")
    (slot / "presets" / "more").symlink_to(slot.parent / "more")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (_flip, "stage.onnx: is not the file"),
    "cut": (lambda slot: os.truncate(slot / "stage.onnx", 10), "stage.onnx: has 10 bytes"),
    "missing": (lambda slot: (slot / "stage.onnx").unlink(), "stage.onnx: is missing"),
    "one more": (lambda slot: (slot / "x.py").write_text("x"), "x.py: is not named"),
    "hidden": (lambda slot: (slot / ".x").write_text("x"), ".x: is not named"),
    "release below": (
        lambda slot: (slot / "presets" / "release.json").write_text("x"),
        "presets/release.json: is not named",
    ),
    "folder": (lambda slot: (slot / "studio").mkdir(), "studio: is a folder that"),
    "plans below": (
        lambda slot: (slot / "presets" / "plans").mkdir(),
        "presets/plans: is a folder",
    ),
    "link": (_link_within, "stage.onnx: is a symbolic link"),
    "linked folder": (_linked_folder, "presets/more: is a symbolic link"),
    "linked plans": (lambda slot: (slot / "plans").symlink_to("/tmp"), "plans: is a symbolic link"),
    "dangling": (lambda slot: (slot / "x").symlink_to("nowhere"), "x: is a symbolic link"),
    "hard link": (
        lambda slot: os.link(slot / "stage.onnx", slot.parent / "kept"),
        "stage.onnx: has 2 names",
    ),
    "pipe": (lambda slot: os.mkfifo(slot / "presets" / "x.wav"), "x.wav: is neither"),
    "set-user-id": (lambda slot: (slot / "stage.onnx").chmod(0o4755), "stage.onnx: has set-user"),
    "unreadable name": (
        lambda slot: (slot / "a\nb").write_text("x"),
        r"a\?b: is not named",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_anything_else_is_refused_in_one_line(slot: Path, what: str) -> None:
    release = release_of(slot)
    change, sentence = BROKEN[what]
    change(slot)
    with pytest.raises(UpdateError, match=sentence) as refused:
        check_files(slot, release)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_file_where_a_folder_was_named(slot: Path) -> None:
    release = release_of(slot)
    shutil.rmtree(slot / "presets")
    (slot / "presets").write_text("no folder")
    with pytest.raises(UpdateError, match="presets: is not named"):
        check_files(slot, release)


def test_a_device_is_refused(slot: Path) -> None:
    release = release_of(slot)
    try:
        os.mknod(slot / "x", 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making device nodes takes root")
    with pytest.raises(UpdateError, match="x: is neither file nor folder"):
        check_files(slot, release)


def test_no_slot_at_all(slot: Path, tmp_path: Path) -> None:
    release = release_of(slot)
    (tmp_path / "link").symlink_to(slot)
    for folder in (tmp_path / "nothing", tmp_path / "link", slot / "stage.onnx"):
        with pytest.raises(UpdateError, match="is no folder"):
            check_files(folder, release)


@settings(deadline=None, max_examples=40)
@given(at=st.integers(0, 6999), mask=st.integers(1, 255))
def test_every_byte_counts(tmp_path_factory: pytest.TempPathFactory, at: int, mask: int) -> None:
    folder = tmp_path_factory.mktemp("slot")
    (folder / "stage.onnx").write_bytes(b"network" * 1000)
    release = release_of(folder)
    content = bytearray((folder / "stage.onnx").read_bytes())
    content[at] ^= mask
    (folder / "stage.onnx").write_bytes(content)
    with pytest.raises(UpdateError, match="SHA-256"):
        check_files(folder, release)
