"""Whose updates a pedal takes: shown, and replaced by its owner without anybody's leave."""

import io
import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from tuf.api.metadata import Metadata, Root

from deploy import trust
from deploy.__main__ import main
from deploy.client.alone import alone
from deploy.places import Places
from deploy.record import entries
from deploy.trust import read_trust
from tests.deploy.publisher.repository import Repo, make_repository


@pytest.fixture
def ours(tmp_path: Path) -> Repo:
    """The repository that the pedal came with."""
    return make_repository(tmp_path / "ours", 1)


@pytest.fixture
def theirs(tmp_path: Path) -> Repo:
    """An owner's own."""
    return make_repository(tmp_path / "theirs", 2)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A pedal's folder of updates."""
    return Places(tmp_path / "state")


def call(places: Places, *words: object) -> int:
    return main(["trust", f"--state={places.root}", *map(str, words)])


def given(tmp_path: Path, content: bytes, name: str = "given.json") -> Path:
    file = tmp_path / name
    file.write_bytes(content)
    return file


def test_without_a_root_there_are_no_updates(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(places, "--json") == 1
    printed = capsys.readouterr().out.splitlines()
    assert "takes no updates" in printed[0]
    assert json.loads(printed[-1]) == {"root": None, "changed": False}


def test_an_owner_s_root_takes_the_place_of_ours(
    places: Places,
    ours: Repo,
    theirs: Repo,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(places, "--root", given(tmp_path, ours.root_bytes), "--yes") == 0
    places.metadata.mkdir()
    (places.metadata / "timestamp.json").write_text("ours")
    slot = places.slots("models") / "a/stage.onnx"
    slot.parent.mkdir(parents=True)
    slot.write_text("plays")
    capsys.readouterr()
    assert call(places, "--root", given(tmp_path, theirs.root_bytes), "--yes", "--json") == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["changed"] is True
    expected = read_trust(theirs.root_bytes, "theirs")
    assert figures["root"]["sha256"] == expected.sha256
    assert figures["root"]["roles"]["root"]["threshold"] == expected.root.roles["root"].threshold
    assert places.trusted_root.read_bytes() == theirs.root_bytes
    assert not places.metadata.exists()
    assert slot.read_text() == "plays"
    assert [line["event"] for line in entries(places.record)] == ["trust", "trust"]
    assert call(places) == 0
    assert expected.sha256 in capsys.readouterr().out


def test_the_same_root_again_forgets_nothing(places: Places, ours: Repo, tmp_path: Path) -> None:
    file = given(tmp_path, ours.root_bytes)
    assert call(places, "--root", file, "--yes") == 0
    places.metadata.mkdir()
    assert call(places, "--root", file) == 0
    assert places.metadata.exists()


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lambda content: b"", "is no root"),
        (lambda content: b"{}", "is no root"),
        (lambda content: content[: len(content) // 2], "is no root"),
        (lambda content: content.replace(b'"version":1', b'"version":7', 1), "is not signed by"),
        (lambda content: content + b" " * 600_000, "a root at most"),
    ],
    ids=["empty", "foreign", "truncated", "edited", "endless"],
)
def test_what_is_no_root_is_refused(
    places: Places,
    ours: Repo,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bend,
    said: str,
) -> None:
    bent = bend(ours.root_bytes)
    assert bent != ours.root_bytes
    assert call(places, "--root", given(tmp_path, bent), "--yes") == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not places.trusted_root.exists()


def test_a_root_that_too_few_have_signed_is_refused(
    places: Places, ours: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Metadata[Root].from_bytes(ours.root_bytes)
    while len(root.signatures) >= root.signed.roles["root"].threshold:
        root.signatures.popitem()
    assert call(places, "--root", given(tmp_path, root.to_bytes()), "--yes") == 2
    assert "have the others sign it first" in capsys.readouterr().err


def test_other_metadata_are_no_root(
    places: Places, ours: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timestamp = next(tmp_path.rglob("timestamp.json"))
    assert call(places, "--root", timestamp, "--yes") == 2
    assert "is timestamp metadata" in capsys.readouterr().err


def test_nobody_is_asked_where_nobody_is(
    places: Places, ours: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(places, "--root", given(tmp_path, ours.root_bytes)) == 2
    assert "say --yes" in capsys.readouterr().err
    assert not places.trusted_root.exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2), ("no", 2)])
def test_a_person_is_asked(
    places: Places,
    ours: Repo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    monkeypatch.setattr(trust, "_is_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda: answer)
    assert call(places, "--root", given(tmp_path, ours.root_bytes)) == code
    assert places.trusted_root.exists() is (code == 0)


def test_it_is_read_from_a_pipe(
    places: Places, ours: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(ours.root_bytes)))
    assert call(places, "--root", "-", "--yes") == 0
    assert places.trusted_root.read_bytes() == ours.root_bytes


def test_no_update_may_run_meanwhile(
    places: Places, ours: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with alone(places):
        assert call(places, "--root", given(tmp_path, ours.root_bytes), "--yes") == 1
    assert "another update is running" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_leaves_nothing_of_its_own_in_the_folder(ours: Repo, tmp_path: Path) -> None:
    """It gives its rights up first; a link that somebody laid there leads nowhere."""
    # Not below pytest's own, where only root may look.
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        places = Places(Path(open_to_all) / "state")
        _as_another(places, ours, tmp_path)


def _as_another(places: Places, ours: Repo, tmp_path: Path) -> None:
    places.root.mkdir()
    os.chown(places.root, 12345, 12345)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (places.root / "trust").symlink_to(private)
    file = given(tmp_path, ours.root_bytes)
    child = os.fork()
    if child == 0:
        os._exit(call(places, "--root", file, "--yes"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert list(private.iterdir()) == []
