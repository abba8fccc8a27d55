"""What may go into a release, and what is refused before anything is cut or signed."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import UpdateError
from deploy.places import Component
from deploy.publisher.content import About, make_release, whole
from deploy.publisher.folder import Folder
from deploy.release import parse_release
from tests.deploy.publisher.repository import describe_plainly


def made(source: Path, component: Component = "models"):
    about = About(component, 1, "a release")
    return make_release(source, about, Folder(source.parent / "repo"), [], describe_plainly)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "presets").mkdir(parents=True)
    (source / "stage.onnx").write_bytes(b"network")
    (source / "presets" / "a.toml").write_bytes(b"format = 1\n")
    return source


def hidden(source: Path) -> None:
    (source / "presets" / ".DS_Store").write_bytes(b"")


def hidden_folder(source: Path) -> None:
    (source / ".git").mkdir()
    (source / ".git" / "HEAD").write_bytes(b"")


def link(source: Path) -> None:
    (source / "presets" / "b.toml").symlink_to("a.toml")


def link_out(source: Path) -> None:
    (source / "studio").symlink_to("/etc")


def dangling(source: Path) -> None:
    (source / "presets" / "b.toml").symlink_to("nowhere")


def pipe(source: Path) -> None:
    os.mkfifo(source / "presets" / "b.toml")


def no_room(source: Path) -> None:
    (source / "readme.txt").write_bytes(b"")


def bytecode(source: Path) -> None:
    (source / "presets" / "a.pyc").write_bytes(b"")


def own_release(source: Path) -> None:
    (source / "release.json").write_bytes(b"{}")


def two_cases(source: Path) -> None:
    (source / "presets" / "A.toml").write_bytes(b"")


def strange_name(source: Path) -> None:
    (source / "presets" / "a\n.toml").write_bytes(b"")


def empty_folder(source: Path) -> None:
    (source / "studio").mkdir()


def nothing(source: Path) -> None:
    (source / "stage.onnx").unlink()
    (source / "presets" / "a.toml").unlink()
    (source / "presets").rmdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (hidden, r"\.DS_Store: is hidden"),
        (hidden_folder, r"\.git: is hidden"),
        (link, r"b\.toml: is a symbolic link"),
        (link_out, "studio: is a symbolic link"),
        (dangling, r"b\.toml: is a symbolic link"),
        (pipe, r"b\.toml: is neither a file nor a folder"),
        (no_room, r"'readme\.txt' has no place in a slot of models"),
        (bytecode, r"'presets/a\.pyc' has no place"),
        (own_release, r"'release\.json' has no place"),
        (two_cases, "stands there twice"),
        (strange_name, "is not plain and relative"),
        (empty_folder, "studio: is an empty folder"),
        (nothing, "files holds 0 entries"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_no_slot_may_hold_is_refused_before_it_is_cut(source: Path, spoil, said: str):
    spoil(source)
    with pytest.raises(UpdateError, match=said) as refused:
        made(source)
    assert "\n" not in str(refused.value)
    assert not (source.parent / "repo").exists()


def test_a_missing_folder_is_said(tmp_path: Path):
    with pytest.raises(UpdateError, match="cannot be read"):
        made(tmp_path / "nowhere")


def test_each_component_has_its_own_rooms(source: Path):
    with pytest.raises(UpdateError, match="has no place in a slot of firmware"):
        made(source, "firmware")


def test_the_release_file_says_what_was_cut(source: Path):
    (source / "studio").mkdir()
    (source / "studio" / "empty.bin").write_bytes(b"")
    result = made(source)
    release = parse_release(result.content, "it")
    assert release == result.release
    assert [file.path for file in release.files] == [
        "presets/a.toml",
        "stage.onnx",
        "studio/empty.bin",
    ]
    assert result.full_bytes == result.new_bytes
    assert made(source).new_bytes == 0  # all there already


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=60_000)))
def test_whatever_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, contents):
    source = tmp_path_factory.mktemp("one") / "source"
    (source / "source").mkdir(parents=True)
    (source / "source" / "always").write_bytes(b"1")
    for name, content in contents.items():
        (source / "source" / f"{name}.x").write_bytes(content)
    result = made(source, "firmware")
    repo = Folder(source.parent / "repo")
    got = {file.path: whole(repo, file) for file in result.release.files}
    assert got.pop("source/always") == b"1"
    assert got == {f"source/{name}.x": content for name, content in contents.items()}
