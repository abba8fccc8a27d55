"""Reading a repository back, and clearing it of what nobody asks for."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.chunks import describe
from deploy.errors import UpdateError
from deploy.publisher.check import Checked, check, expiring
from deploy.publisher.publish import find
from deploy.publisher.tidy import tidy
from deploy.release import Release
from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import Repo, make_repository, some_files
from tests.deploy.publisher.test_rotation import draft_with, take


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish(some_files(1))
    repo.publish({"source/a": b"1"}, component="firmware")
    return repo


def checked(repo: Repo) -> Checked:
    return check(repo.folder, repo.root_bytes, repo.now)


def first_chunk(repo: Repo) -> Path:
    release: Release = repo.release("models:1")
    (stage,) = (file for file in release.files if file.path == "stage.onnx")
    return repo.folder.chunk(stage.blobs[0].stored_sha256)


def release_file(repo: Repo) -> Path:
    offered = find(repo.state(), "models:1")
    return repo.folder.target(offered.path, offered.sha256)


def test_a_repository_in_order(repo: Repo):
    repo.describe = describe
    files = some_files(1) | {"stage.onnx": bytes(200_000)}
    repo.publish(files)
    found = checked(repo)
    assert {path for path, _, _ in found.releases} == set(repo.released)
    assert {each.role for each in found.expiries} == {
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "models",
        "firmware",
    }
    on_disk = sum(path.stat().st_size for path in repo.folder.chunks.rglob("*") if path.is_file())
    assert found.stored_bytes == on_disk
    assert expiring(found.expiries) == []


def test_a_repository_with_a_newer_root(repo: Repo):
    take(repo, draft_with(repo, "timestamp", "timestamp-2"))
    assert checked(repo).expiries[0].version == 2


def cut_chunk(repo: Repo) -> None:
    path = first_chunk(repo)
    path.write_bytes(path.read_bytes()[:-1])


def turned_bit(repo: Repo) -> None:
    path = first_chunk(repo)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda repo: first_chunk(repo).unlink(), "a chunk cannot be read"),
        (cut_chunk, "is not the frame"),
        (turned_bit, "is not the frame"),
        (lambda repo: first_chunk(repo).write_bytes(bytes(2_000_000)), "is longer than"),
        (lambda repo: release_file(repo).unlink(), "a release file cannot be read"),
        (lambda repo: release_file(repo).write_bytes(b"{}"), "length|hash"),
        (lambda repo: repo.folder.timestamp.unlink(), "a pedal refuses it"),
        (lambda repo: repo.folder.timestamp.write_bytes(b"{"), "a pedal refuses it"),
        (lambda repo: repo.folder.role("models", 2).unlink(), "a pedal refuses it"),
    ],
    ids=range(9),
)
def test_whatever_is_wrong_is_found(repo: Repo, spoil: Callable[[Repo], object], said: str):
    spoil(repo)
    with pytest.raises(UpdateError, match=said) as refused:
        checked(repo)
    assert "\n" not in str(refused.value)


def test_another_root_refuses_it(repo: Repo, tmp_path: Path):
    other = make_repository(tmp_path / "other", seed=1)
    with pytest.raises(UpdateError, match="a pedal refuses it"):
        check(repo.folder, other.root_bytes, repo.now)


def test_expiry_is_foretold_and_found(repo: Repo):
    repo.now += timedelta(days=8)
    (line,) = expiring(checked(repo).expiries)
    assert line.startswith("timestamp expires at") and "publish refresh" in line
    repo.now += timedelta(days=7)
    with pytest.raises(UpdateError, match=r"a pedal refuses it: timestamp\.json is expired"):
        checked(repo)
    repo.refresh(timedelta(days=330))
    lines = expiring(checked(repo).expiries)
    assert [line.split()[0] for line in lines] == ["targets", "models", "firmware"]


# ---- tidying ------------------------------------------------------------------------------------


def aged(repo: Repo, days: float) -> None:
    """Let everything there be older."""
    for path in repo.folder.path.rglob("*"):
        before = path.stat().st_mtime - days * 86400
        os.utime(path, (before, before))


def test_only_what_nobody_asks_for_goes(repo: Repo, tmp_path: Path):
    clock = datetime.now(UTC)  # that of the files
    repo.publish(some_files(2))
    repo.withdraw("models:1")
    old = {path for path in repo.folder.chunks.rglob("*") if path.is_file()}
    kept = {
        repo.folder.chunk(blob.stored_sha256)
        for which in ("models:2", "firmware:1")
        for file in repo.release(which).files
        for blob in file.blobs
    }
    assert kept < old
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    before = client.contents(repo.now)

    assert tidy(repo.folder, repo.ring, clock, 30) == 0  # all of it is young
    aged(repo, 40)
    assert tidy(repo.folder, repo.ring, clock, 30) > 100_000
    assert {path for path in old if path.exists()} == kept
    assert checked(repo).stored_bytes == sum(path.stat().st_size for path in kept)
    assert client.contents(repo.now) == before
    fresh = Client(tmp_path / "fresh", repo.root_bytes, repo.folder)
    assert fresh.contents(repo.now) == before
    assert tidy(repo.folder, repo.ring, clock, 30) == 0


def test_a_client_that_had_begun_finds_what_it_was_promised(repo: Repo):
    repo.publish(some_files(2))
    chunk = first_chunk(repo)
    aged(repo, 40)
    repo.withdraw("models:1")  # named until this moment, however old its files are
    now = datetime.now(UTC)
    tidy(repo.folder, repo.ring, now, 30)
    assert chunk.exists()
    aged(repo, 40)
    tidy(repo.folder, repo.ring, now, 30)
    assert not chunk.exists()


def test_roots_stay_for_ever(repo: Repo):
    take(repo, draft_with(repo, "timestamp", "timestamp-2"))
    aged(repo, 4000)
    tidy(repo.folder, repo.ring, datetime.now(UTC), 1)
    assert repo.folder.roots() == [1, 2]
    assert checked(repo)
