import dataclasses
import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.chunks import describe
from deploy.errors import UpdateError, UpdateFailedError
from deploy.publisher.folder import Folder
from deploy.publisher.publish import begin, offers, slug
from deploy.publisher.roles import PLAN
from deploy.publisher.tidy import tidy
from deploy.release_frame import frame_name, unpack_release
from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import Repo, make_repository, some_files


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repository(tmp_path)


def test_a_client_gets_what_was_published(repo: Repo, tmp_path: Path):
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    assert client.look(repo.now) == {}
    repo.publish(some_files(1), name="Winter set")
    repo.publish({"source/main.py": b"print()\n"}, component="firmware")
    assert client.contents(repo.now) == {
        "models/winter-set.json": some_files(1),
        "firmware/firmware-1.json": {"source/main.py": b"print()\n"},
    }


def test_a_release_file_lies_packed_beside_itself(repo: Repo):
    """Alone, and on top of each that a pedal may have; a small change takes few bytes."""
    files = {f"presets/{number}.toml": bytes([number]) * 100 for number in range(60)}
    contents = []
    for version in range(3):
        path, made = repo.publish(files | {"presets/0.toml": bytes([version]) * 50})
        contents.append(made.content)
    sha256 = hashlib.sha256(contents[2]).hexdigest()
    target = repo.folder.target(path, sha256)
    alone = target.with_name(frame_name(target.name, None)).read_bytes()
    assert unpack_release(alone, len(contents[2])) == contents[2]
    for base in contents[:2]:
        name = frame_name(target.name, hashlib.sha256(base).hexdigest())
        frame = target.with_name(name).read_bytes()
        assert unpack_release(frame, len(contents[2]), base) == contents[2]
        assert len(frame) < len(alone) / 2
    aged = repo.now + timedelta(days=90)
    tidy(repo.folder, repo.ring, aged, 30)
    assert target.with_name(frame_name(target.name, None)).exists()


def test_what_may_be_executed_is_said(repo: Repo):
    files = {"source/run": b"#!/bin/sh\n", "source/notes": b""}
    repo.publish(files, component="firmware", executable=["source/run"])
    said = {file.path: file.executable for file in repo.release("firmware:1").files}
    assert said == {"source/run": True, "source/notes": False}


def test_versions_grow_and_none_is_given_out_twice(repo: Repo):
    repo.publish(some_files(1))
    repo.publish(some_files(2), version=7)
    with pytest.raises(UpdateError, match=r"--version 7 was given out already .* is 8"):
        repo.publish(some_files(3), version=7)
    repo.withdraw("models:7")
    with pytest.raises(UpdateError, match="the next version of models is 8"):
        repo.publish(some_files(3), version=5)
    assert repo.publish(some_files(3))[1].release.version == 8
    # Each component counts by itself.
    assert repo.publish({"source/a": b"1"}, component="firmware")[1].release.version == 1


def test_a_name_stands_for_one_release(repo: Repo):
    repo.publish(some_files(1), name="Winter set")
    with pytest.raises(UpdateError, match=r"models/winter-set\.json is offered already"):
        repo.publish(some_files(2), name="winter SET!")


def test_a_rollout_is_signed_beside_the_release(repo: Repo):
    repo.publish(some_files(1), groups={"stage": 10, "all": 0})
    (offered,) = offers(repo.state(), "models")
    assert offered.rollout.groups == {"stage": 10, "all": 0}
    repo.roll_out("models:1", stage=100, all=25)
    (offered,) = offers(repo.state(), "models")
    assert offered.rollout.groups == {"stage": 100, "all": 25}
    assert offered.rollout.version == 1


@pytest.mark.parametrize("groups", [{"Stage": 10}, {"all": 101}, {"all": -1}, {"": 5}])
def test_a_rollout_that_means_nothing_is_refused(repo: Repo, groups: dict[str, int]):
    with pytest.raises(UpdateError, match="--group"):
        repo.publish(some_files(1), groups=groups)
    assert offers(repo.state(), "models") == []


def test_a_withdrawn_release_is_not_offered(repo: Repo, tmp_path: Path):
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    repo.publish(some_files(1))
    repo.publish(some_files(2))
    repo.withdraw("models/models-2")
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    with pytest.raises(UpdateError, match="There is no release 'models:2'; models offers models/"):
        repo.withdraw("models:2")


def test_differences_come_from_the_last_two_releases(repo: Repo):
    repo.describe = describe
    files = [b"%d" % number + bytes(some_files(9)["stage.onnx"]) for number in range(4)]
    for content in files[:3]:
        repo.publish({"stage.onnx": content})
    _, made = repo.publish({"stage.onnx": files[3]})
    # An insertion moves everything: chunks by content serve it, differences need not pay.
    bases = {each.base_sha256 for each in made.release.files[0].differences}
    older = [repo.release(f"models:{version}").files[0].sha256 for version in (1, 2, 3)]
    assert older[0] not in bases
    _, only = repo.publish({"stage.onnx": files[0] + b"!"}, bases=["models:1"])
    assert {each.base_sha256 for each in only.release.files[0].differences} <= {older[0]}
    with pytest.raises(UpdateError, match="There is no release 'models:9'"):
        repo.publish({"stage.onnx": files[3] + b"!"}, bases=["models:9"])


def test_bases_are_read_back_and_given_to_whoever_makes_differences(repo: Repo):
    seen: dict[str, list[bytes]] = {}
    plainly = repo.describe

    def noting(path: str, content: bytes, executable: bool, bases):
        seen[path] = list(bases)
        return plainly(path, content, executable, bases)

    versions = [{"stage.onnx": b"%d" % n * 40_000, "presets/a.toml": b"same"} for n in range(3)]
    for files in versions[:2]:
        repo.publish(files)
    repo.describe = noting
    repo.publish(versions[2])
    assert seen == {
        "stage.onnx": [versions[1]["stage.onnx"], versions[0]["stage.onnx"]],
        "presets/a.toml": [],
    }
    repo.publish({"stage.onnx": b"x"}, bases=[])
    assert seen["stage.onnx"] == []


def test_a_damaged_base_is_said_and_nothing_is_published(repo: Repo):
    repo.publish({"stage.onnx": b"one"})
    blob = repo.release("models:1").files[0].blobs[0]
    repo.folder.chunk(blob.stored_sha256).write_bytes(b"!" * blob.stored_bytes)
    with pytest.raises(UpdateError, match="chunk"):
        repo.publish({"stage.onnx": b"two"})
    assert len(offers(repo.state(), "models")) == 1


def test_what_the_pedal_would_refuse_is_not_signed(repo: Repo, tmp_path: Path):
    def refuse(folder: Path, release: object) -> None:
        raise UpdateError("stage.onnx holds NaN.")

    repo.inspect = refuse
    with pytest.raises(UpdateError, match="NaN"):
        repo.publish(some_files(1))
    assert offers(repo.state(), "models") == []
    assert Client(tmp_path / "device", repo.root_bytes, repo.folder).look(repo.now) == {}


def test_refreshing_holds_the_repository_for_another_while(repo: Repo, tmp_path: Path):
    repo.publish(some_files(1))
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    for _ in range(20):
        repo.refresh(timedelta(days=PLAN["timestamp"].days - 1))
        assert list(client.look(repo.now)) == ["models/models-1.json"]
    online = {"snapshot", "timestamp"}
    repo.ring.absent = set(repo.ring.signers) - online
    repo.refresh()  # needs no other key
    state = repo.state()
    assert state.timestamp.signed.expires - repo.now == timedelta(days=PLAN["timestamp"].days)
    assert state.targets.signed.version == 1


def test_a_missing_key_is_named_and_nothing_changes(repo: Repo):
    before = sorted(path for path in repo.folder.metadata.iterdir())
    repo.ring.absent = {"models"}
    with pytest.raises(UpdateError, match=r"models metadata need the key models \([0-9a-f]{8}\)"):
        repo.publish(some_files(1))
    assert sorted(path for path in repo.folder.metadata.iterdir()) == before


def test_two_do_not_publish_at_once(repo: Repo):
    with (
        Folder(repo.folder.path).alone(),
        pytest.raises(UpdateFailedError, match="somebody else is publishing"),
    ):
        repo.publish(some_files(1))
    repo.publish(some_files(1))


def test_a_repository_is_begun_once(repo: Repo):
    with pytest.raises(UpdateError, match="is a repository already"):
        begin(repo.folder, repo.ring, repo.now, {})


def test_days_of_a_role_are_kept_over_its_versions(tmp_path: Path):
    repo = make_repository(tmp_path)
    own = Folder(tmp_path / "other")
    begin(own, repo.ring, repo.now, {"timestamp": 3})
    repo = dataclasses.replace(repo, folder=own)
    repo.refresh(timedelta(days=2))
    assert repo.state().timestamp.signed.expires == repo.now + timedelta(days=3)


def test_every_file_can_be_read_by_a_web_server(repo: Repo):
    repo.publish(some_files(1))
    files = [path for path in repo.folder.path.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o444 == 0o444 for path in files)
    assert not [path for path in files if path.name.startswith(".")]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=90))
def test_a_slug_is_always_a_plain_name(name: str):
    try:
        made = slug(name)
    except UpdateError:
        return
    assert made and len(made) <= 60
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert os.path.basename(made) == made
