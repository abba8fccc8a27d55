"""The release file as an enemy with the signing key of a component might write it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deploy.errors import UpdateError
from deploy.release import (
    BLOB_BYTES,
    FILE_BYTES,
    MOST_FILES,
    RELEASE_BYTES,
    Release,
    parse_release,
)
from tests.deploy.attacks.sentence import sentence_of

Json = Any


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def blob(size: int = 10, word: str = "blob") -> dict[str, Json]:
    return {
        "sha256": digest(word),
        "bytes": size,
        "stored_sha256": digest(word + "z"),
        "stored_bytes": size + 3,
    }


def file(path: str, size: int = 10) -> dict[str, Json]:
    return {"path": path, "bytes": size, "sha256": digest(path), "blobs": [blob(size)]}


def release(*files: dict[str, Json], **more: Json) -> dict[str, Json]:
    return {
        "format": 1,
        "component": "models",
        "version": 3,
        "name": "a release",
        "files": list(files) or [file("stage.onnx"), file("studio/manifest.json")],
    } | more


def packed(content: Json) -> bytes:
    return json.dumps(content).encode()


def refused(content: bytes) -> str:
    with pytest.raises(UpdateError) as caught:
        parse_release(content, "models/x.json")
    assert caught.value.exit_code == 2
    said = sentence_of(caught.value)
    assert "models/x.json" in said
    return said


def test_the_release_that_the_attacks_start_from_is_read() -> None:
    assert parse_release(packed(release()), "here").version == 3


LEADING_OUT = [
    "../stage.onnx",
    "/etc/passwd",
    "//etc/passwd",
    "studio/../../../etc/cron.d/x",
    "studio/..",
    "studio/.",
    "studio/./manifest.json",
    "studio//manifest.json",
    "presets/../../../etc/x.toml",
    "presets/..\\..\\x.toml",
    "presets\\x.toml",
    "C:/x.toml",
    "presets/C:x.toml",
    "presets/x\x00.toml",
    "presets/x\n.toml",
    "presets/\x1b[2J.toml",
    "presets/‮lmot.x.toml",
    "presets/ｘ.toml",
    "presets/%2e%2e/x.toml",
    "presets/" + "a" * 300 + ".toml",
    "presets/" + "/".join("abcdefghijklmn") + ".toml",
    "",
    "/",
    "stage.onnx/",
    "active",
    "release.json",
    "../b/stage.onnx",
    "stage.onnx\n",
    "studio/engine/plan.trt",
    "engines/plan.trt",
    "presets/x.py",
    "presets/x.so",
    "source/device/__main__.py",
    "wheels/numpy-2.whl",
]


@pytest.mark.parametrize("path", LEADING_OUT, ids=lambda path: repr(path[:30]))
def test_a_path_that_leads_out_of_the_slot_or_has_no_place_in_it_is_refused(path: str) -> None:
    refused(packed(release(file("stage.onnx"), file(path))))


@pytest.mark.parametrize(
    "path", ["wheels/../../x.whl", "wheels/a/b.whl", "wheels/x.tar.gz", "source/", "stage.onnx"]
)
def test_firmware_too(path: str) -> None:
    refused(packed(release(file("source/a.py"), file(path), component="firmware")))


def _changed(**more: Json) -> Callable[[], bytes]:
    return lambda: packed(release(**more))


def _file(**more: Json) -> Callable[[], bytes]:
    return lambda: packed(release(file("stage.onnx") | more))


def _blob(**more: Json) -> Callable[[], bytes]:
    return _file(blobs=[blob() | more])


LIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "an unknown format": (_changed(format=2), "format"),
    "an unknown component": (_changed(component="kernel"), "component"),
    "version 0": (_changed(version=0), "version"),
    "a negative version": (_changed(version=-1), "version"),
    "a version beyond exact numbers": (_changed(version=2**53 + 1), "version"),
    "a version with a fraction": (_changed(version=1.5), "version"),
    "a version in quotes": (_changed(version="3"), "version"),
    "a version of 5,000 digits": (
        lambda: packed(release()).replace(b'"version": 3', b'"version": ' + b"9" * 5000),
        "digits|version",
    ),
    "infinity": (lambda: packed(release()).replace(b": 3,", b": Infinity,"), "Infinity"),
    "not a number": (lambda: packed(release()).replace(b": 3,", b": NaN,"), "NaN"),
    "a name with control signs": (_changed(name="x\x1b[2Jy"), "name"),
    "a name of a megabyte": (_changed(name="x" * 1_000_000), "name"),
    "an unknown key": (_changed(run="rm -rf /"), "run"),
    "no files": (_changed(files=[]), "files"),
    "files that are none": (_changed(files={"stage.onnx": 1}), "files"),
    "too many files": (
        lambda: packed(release(*(file(f"studio/{n}") for n in range(MOST_FILES + 1)))),
        "entries",
    ),
    "a file twice": (
        lambda: packed(release(file("stage.onnx"), file("stage.onnx"))),
        "twice",
    ),
    "a file twice but for case": (
        lambda: packed(release(file("presets/a.toml"), file("presets/A.toml"))),
        "twice",
    ),
    "a file below a file": (
        lambda: packed(release(file("presets/a.wav"), file("presets/a.wav/b.wav"))),
        "below another file",
    ),
    "a file below a file but for case": (
        lambda: packed(release(file("presets/A.wav/b.wav"), file("presets/a.wav"))),
        "below another file",
    ),
    "blobs that do not add up": (_file(bytes=11), "11"),
    "a file without blobs": (_file(blobs=[]), "blobs"),
    "a file of a petabyte": (_file(bytes=10**15), "bytes"),
    "a file of negative size": (_file(bytes=-1), "bytes"),
    "a file that is all of memory": (_file(bytes=FILE_BYTES + 1), "bytes"),
    "more than a slot takes": (
        lambda: packed(
            release(
                *(
                    file(f"studio/{n}", FILE_BYTES) | {"blobs": [blob(BLOB_BYTES)] * 1024}
                    for n in range(5)
                )
            )
        ),
        "bytes together",
    ),
    "a blob of nothing": (_blob(bytes=0), "bytes"),
    "a blob too long to unpack": (_blob(bytes=BLOB_BYTES + 1), "bytes"),
    "a frame longer than what it holds": (_blob(stored_bytes=10**9), "stored_bytes"),
    "a hash that is a path": (_blob(stored_sha256="../../../../etc/passwd"), "stored_sha256"),
    "a hash in capitals": (_blob(sha256=digest("x").upper()), "sha256"),
    "a hash with a newline": (_blob(sha256=digest("x") + "\n"), "sha256"),
    "a hash that is too short": (_blob(sha256="ab"), "sha256"),
    "no hash": (_blob(sha256=None), "sha256"),
    "a key twice": (
        lambda: packed(release()).replace(b'"version": 3', b'"version": 9, "version": 3'),
        "twice",
    ),
    "a key twice, deep down": (
        lambda: packed(release()).replace(b'"bytes": 10', b'"bytes": 10, "bytes": 10', 1),
        "twice",
    ),
    "nothing": (lambda: b"", "JSON"),
    "half of it": (lambda: packed(release())[:-20], "JSON"),
    "two of them": (lambda: packed(release()) * 2, "JSON"),
    "a list": (lambda: b"[]", "object"),
    "null": (lambda: b"null", "object"),
    "a web page": (lambda: b"<!DOCTYPE html><html></html>", "JSON"),
    "no UTF-8": (lambda: packed(release()).replace(b"a release", b"\xff\xfe\x80"), ""),
    "UTF-16": (lambda: json.dumps(release()).encode("utf-16"), ""),
    "half a surrogate pair": (lambda: packed(release()).replace(b"a rel", b"\\ud800"), ""),
    "nested 100,000 deep": (lambda: b"[" * 100_000, "deep"),
    "objects nested 100,000 deep": (lambda: b'{"a":' * 100_000, "deep"),
    "nested 900 deep": (
        lambda: packed(release(run=0)).replace(b": 0", b":" + b"[" * 900 + b"]" * 900),
        "",
    ),
    "longer than a release may be": (
        lambda: packed(release(name="x" * RELEASE_BYTES)),
        str(RELEASE_BYTES),
    ),
    "a difference that does not add up": (
        _file(
            differences=[
                {
                    "base_sha256": digest("b"),
                    "base_bytes": 1,
                    "bytes": 99,
                    "sha256": digest("d"),
                    "blobs": [blob()],
                }
            ]
        ),
        "difference",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_release_file_that_lies_is_refused_in_one_sentence(lie: str) -> None:
    content, word = LIES[lie]
    said = refused(content())
    assert any(part in said for part in word.split("|")), said


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("\x1b[2Jrun", r"'\x1b[2Jrun' is not a key"),
        ("a\nb", r"'a\nb' is not a key"),
        ("\u202egnp.x", r"'\u202egnp.x' is not a key"),
        ("files is fine; run", "'files is fine; run' is not a key"),
        ("", "'' is not a key"),
        ("x" * 100_000, "xxx… is not a key"),
        ("run", "run is not a key"),
    ],
)
def test_an_unknown_key_cannot_write_to_the_terminal(key: str, shown: str) -> None:
    for content in (release(**{key: 1}), release(file("stage.onnx") | {key: 1})):
        assert shown in refused(packed(content))


KEYS = st.text(max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../x", "stage.onnx", digest("x"), "models", "firmware"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def mutated_tree(tree: Json, draw: st.DrawFn) -> Json:
    """The tree with something else at a place that is drawn."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(tree)))
        how = draw(st.sampled_from(["inside", "drop", "other", "more"]))
        if how == "inside":
            return tree | {key: mutated_tree(tree[key], draw)}
        if how == "drop":
            return {name: value for name, value in tree.items() if name != key}
        return tree | {key if how == "other" else draw(KEYS): draw(JSON)}
    if isinstance(tree, list) and tree and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(tree) - 1))
        return [*tree[:at], mutated_tree(tree[at], draw), *tree[at + draw(st.integers(0, 1)) :]]
    return draw(JSON)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A release file with one to three things changed, or with its bytes damaged."""
    tree: Json = release(file("stage.onnx"), file("presets/a.toml"), needs_firmware=2)
    for _ in range(draw(st.integers(1, 3))):
        tree = mutated_tree(tree, draw)
    content = json.dumps(tree).encode()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=8)) + content[at + 1 :]
    return content


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated() | st.binary(max_size=200))
@example(b'{"format": 1, "files": ' + b"9" * 4301 + b"}")
@example(b"\xef\xbb\xbf{}")
def test_whatever_stands_in_it_a_release_is_read_or_refused_in_one_sentence(content: bytes) -> None:
    try:
        read = parse_release(content, "models/x.json")
    except UpdateError as problem:
        sentence_of(problem)
        return
    assert isinstance(read, Release)
    for entry in read.files:
        path = PurePosixPath(entry.path)
        assert not path.is_absolute() and ".." not in path.parts
        assert sum(each.bytes for each in entry.blobs) == entry.bytes
