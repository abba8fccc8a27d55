"""A repository that somebody else was at: nothing of it is signed anew."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from deploy.errors import UpdateError
from deploy.publisher.roles import NAME
from deploy.publisher.root import first_root, next_root, sign_root
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import listed_as
from tests.deploy.publisher.repository import MemoryRing, Repo, make_repository, some_files


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish(some_files(1))
    return repo


def other_bytes(repo: Repo) -> None:
    models = repo.state().delegated["models"]
    models.signed.targets.clear()
    path = repo.folder.role("models", models.signed.version)
    path.write_bytes(to_bytes(models))


def no_timestamp(repo: Repo) -> None:
    repo.folder.timestamp.unlink()


def halved_timestamp(repo: Repo) -> None:
    content = repo.folder.timestamp.read_bytes()
    repo.folder.timestamp.write_bytes(content[: len(content) // 2])


def snapshot_as_timestamp(repo: Repo) -> None:
    shutil.copy(repo.folder.role("snapshot", 2), repo.folder.timestamp)


def unsigned_timestamp(repo: Repo) -> None:
    timestamp = repo.state().timestamp
    timestamp.signatures.clear()
    repo.folder.timestamp.write_bytes(to_bytes(timestamp))


def timestamp_by_models(repo: Repo) -> None:
    repo.folder.timestamp.write_bytes(repo.forge(repo.state().timestamp, "models"))


def endless(repo: Repo) -> None:
    repo.folder.timestamp.write_bytes(b" " * 6_000_000)


def no_models(repo: Repo) -> None:
    repo.folder.role("models", repo.state().delegated["models"].signed.version).unlink()


def root_of_one_key(repo: Repo) -> None:
    draft = next_root(repo.state().root, repo.now)
    repo.folder.role("root", 2).write_bytes(repo.forge(draft, "root-1"))


def root_of_strangers(repo: Repo) -> None:
    """Another root altogether, that names our own keys beside a stranger's."""
    theirs = MemoryRing(["root-7", "root-8", "root-9", "targets-9"], seed=1)
    keys = [*theirs.public(), *(each for each in repo.ring.public() if each.role != "root")]
    root = first_root(keys, repo.now)
    sign_root(root, theirs)
    repo.folder.role("root", 1).write_bytes(to_bytes(root))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_bytes, "is not what the metadata above it name"),
        (no_timestamp, "the timestamp metadata cannot be read"),
        (halved_timestamp, "is not TUF metadata"),
        (snapshot_as_timestamp, "holds snapshot metadata, not timestamp"),
        (unsigned_timestamp, "is not signed by the key of timestamp"),
        (timestamp_by_models, "is not signed by the key of timestamp"),
        (endless, "is longer than"),
        (no_models, "the models metadata cannot be read"),
        (root_of_one_key, "is not signed by enough keys of the root before it"),
        (root_of_strangers, "is another root than the one beside the keys"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_it_is_refused_and_left_as_it_is(repo: Repo, spoil: Callable[[Repo], None], said: str):
    spoil(repo)
    before = {path: path.read_bytes() for path in repo.folder.metadata.iterdir()}
    for task in (lambda: repo.publish(some_files(2)), repo.refresh):
        with pytest.raises(UpdateError, match=said) as refused:
            task()
        assert "\n" not in str(refused.value)
    assert {path: path.read_bytes() for path in repo.folder.metadata.iterdir()} == before


def test_without_a_root_beside_the_keys_nothing_is_signed(repo: Repo):
    repo.ring.root = None
    with pytest.raises(UpdateError, match=r"There is no root\.json in"):
        repo.refresh()


def test_a_release_that_the_web_server_put_there_is_not_taken_over(repo: Repo):
    state = repo.state()
    models = state.delegated["models"]
    sha256 = "0" * 64
    models.signed.targets["models/evil.json"] = TargetFile(
        1, {"sha256": sha256}, "models/evil.json", {"custom": {"purga": {}}}
    )
    models.signed.version += 1
    # Signed by the online keys as far as they go: those may be stolen; models' is not.
    content = to_bytes(models)
    repo.folder.role("models", models.signed.version).write_bytes(content)
    state.snapshot.signed.meta["models.json"] = listed_as(models, content)
    state.snapshot.signed.version += 1
    content = repo.forge(state.snapshot, "snapshot")
    repo.folder.role("snapshot", state.snapshot.signed.version).write_bytes(content)
    state.timestamp.signed.snapshot_meta = listed_as(state.snapshot, content)
    state.timestamp.signed.version += 1
    repo.folder.timestamp.write_bytes(repo.forge(state.timestamp, "timestamp"))
    with pytest.raises(UpdateError, match="is not signed by the key of models"):
        repo.publish(some_files(2))


def test_names_of_keys_travel_in_the_metadata(repo: Repo):
    root = repo.state().root.signed
    names = {key.unrecognized_fields[NAME] for key in root.keys.values()}
    assert names == {"root-1", "root-2", "root-3", "targets", "snapshot", "timestamp"}
