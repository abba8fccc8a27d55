"""Keys replaced, lost and stolen, with the client that TUF's authors wrote looking on."""

from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root

from deploy.errors import UpdateError
from deploy.publisher.commit import commit
from deploy.publisher.publish import roll_out
from deploy.publisher.renewal import hand_over, newest_root, take_root
from deploy.publisher.roles import TopRole
from deploy.publisher.root import (
    check_root,
    find_key,
    next_root,
    parse_root,
    replace_key,
    revoke_key,
    sign_root,
    signatures,
)
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import listed_as
from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import Repo, make_repository, some_files


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish(some_files(1))
    return repo


@pytest.fixture
def client(repo: Repo, tmp_path: Path) -> Client:
    """A device that has seen the first release."""
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    return client


def draft_with(repo: Repo, role: TopRole, new: str, old: str | None = None) -> Metadata[Root]:
    draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
    replace_key(draft.signed, role, repo.ring.make(new), old)
    return draft


def take(repo: Repo, draft: Metadata[Root]) -> bool:
    sign_root(draft, repo.ring)
    return take_root(draft, repo.folder, repo.ring, repo.now).smooth


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_role_gets_another_key(repo: Repo, client: Client, role: TopRole):
    assert take(repo, draft_with(repo, role, f"{role}-2"))
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    repo.ring.absent = {role}  # the old one is not needed any more
    repo.refresh()
    repo.edit("targets", lambda metadata: None)
    repo.publish(some_files(2))
    assert len(client.look(repo.now)) == 2


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_lost_key_is_replaced_without_it(repo: Repo, client: Client, role: TopRole):
    repo.ring.absent = {role}
    assert not take(repo, draft_with(repo, role, f"{role}-2"))
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    repo.publish(some_files(2))
    assert len(client.look(repo.now)) == 2


@pytest.mark.parametrize("component", ["models", "firmware"])
def test_a_component_gets_another_key(repo: Repo, client: Client, component):
    repo.publish({"source/a": b"1"}, component="firmware")
    new = repo.ring.make(f"{component}-2")
    repo.ring.absent = {component}  # lost
    gone, done = hand_over(component, new, None, repo.folder, repo.ring, repo.now)
    assert gone == repo.ring.keyid(component)
    assert done.smooth and done.roles[:2] == ["targets", component]
    assert len(client.look(repo.now)) == 2
    # The old key opens nothing any more.
    repo.ring.absent = {f"{component}-2"}
    with pytest.raises(UpdateError, match=f"need the key {component}-2"):
        roll_out(f"{component}:1", {"all": 1}, repo.folder, repo.ring, repo.now)


def test_what_a_replaced_key_signs_is_refused_by_devices(repo: Repo, client: Client):
    new = repo.ring.make("models-2")
    hand_over("models", new, None, repo.folder, repo.ring, repo.now)
    state = repo.state()
    models = state.delegated["models"]
    models.signed.version += 1
    forged = repo.forge(models, "models")
    repo.folder.role("models", models.signed.version).write_bytes(forged)
    state.snapshot.signed.meta["models.json"] = listed_as(models, forged)
    state.snapshot.signed.version += 1
    snapshot = repo.forge(state.snapshot, "snapshot")
    repo.folder.role("snapshot", state.snapshot.signed.version).write_bytes(snapshot)
    state.timestamp.signed.snapshot_meta = listed_as(state.snapshot, snapshot)
    state.timestamp.signed.version += 1
    repo.folder.timestamp.write_bytes(repo.forge(state.timestamp, "timestamp"))
    with pytest.raises(UnsignedMetadataError):
        client.look(repo.now)


def test_one_of_three_root_keys_may_be_lost(repo: Repo, client: Client):
    repo.ring.absent = {"root-2"}
    take(repo, draft_with(repo, "root", "root-4", "root-2"))
    take(repo, draft_with(repo, "timestamp", "timestamp-2"))
    # And then another one: the new key stands in.
    repo.ring.absent = {"root-2", "root-1"}
    take(repo, draft_with(repo, "root", "root-5", "root-1"))
    repo.publish(some_files(2))
    assert len(client.look(repo.now)) == 2
    assert repo.folder.roots() == [1, 2, 3, 4]


def test_two_lost_root_keys_are_too_many(repo: Repo):
    repo.ring.absent = {"root-1", "root-2"}
    with pytest.raises(UpdateError, match=r"lacks 0 signatures of its own .* and 1 of the root's"):
        take(repo, draft_with(repo, "root", "root-4", "root-1"))
    assert repo.folder.roots() == [1]


def test_all_root_keys_are_replaced_at_once(repo: Repo, client: Client):
    draft = draft_with(repo, "root", "root-4", "root-1")
    replace_key(draft.signed, "root", repo.ring.make("root-5"), "root-2")
    replace_key(draft.signed, "root", repo.ring.make("root-6"), "root-3")
    # The old keys are in the new root no more, and must sign it all the same.
    take(repo, draft)
    repo.ring.absent = {"root-1", "root-2", "root-3"}
    take(repo, draft_with(repo, "timestamp", "timestamp-2"))
    assert list(client.look(repo.now)) == ["models/models-1.json"]


def test_a_root_key_is_revoked_where_enough_are_left(repo: Repo, client: Client):
    draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
    revoke_key(draft.signed, "root", repo.ring.keyid("root-3"))
    take(repo, draft)
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
    revoke_key(draft.signed, "root", repo.ring.keyid("root-2"))
    with pytest.raises(UpdateError, match="give root 1 keys, and 2 must sign"):
        check_root(draft.signed)
    # Its signature counts no more.
    repo.ring.absent = {"root-2"}
    with pytest.raises(UpdateError, match="lacks 1 signatures"):
        take(repo, draft_with(repo, "timestamp", "timestamp-2"))


def test_a_draft_is_signed_step_by_step_as_a_file(repo: Repo, tmp_path: Path):
    draft = to_bytes(draft_with(repo, "snapshot", "snapshot-2"))
    everything = set(repo.ring.signers)
    root = newest_root(repo.folder, repo.ring)
    for stick, missing in (("root-3", 1), ("root-1", 0)):
        repo.ring.absent = everything - {stick}
        signing = parse_root(draft, "the draft")
        assert sign_root(signing, repo.ring) == [stick]
        reached = signatures(signing, root)
        assert (reached.missing_own, reached.missing_previous) == (missing, missing)
        draft = to_bytes(signing)
    repo.ring.absent = {"root-1", "root-2", "root-3"}
    take_root(parse_root(draft, "the draft"), repo.folder, repo.ring, repo.now)
    assert newest_root(repo.folder, repo.ring).signed.version == 2


def test_stolen_online_keys_are_recovered_from(repo: Repo, client: Client, tmp_path: Path):
    # The thief freezes nothing and forges nothing, but drives the versions up as far as they go.
    state = repo.state()
    state.snapshot.signed.version = state.timestamp.signed.version = 2**31
    state.snapshot.signed.expires = state.timestamp.signed.expires = repo.now + timedelta(3000)
    for listed in state.snapshot.signed.meta.values():
        listed.version, listed.hashes, listed.length = 2**31, None, None
    stolen = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    honest = repo.folder.timestamp.read_bytes()
    snapshot = repo.forge(state.snapshot, "snapshot")
    repo.folder.role("snapshot", 2**31).write_bytes(snapshot)
    state.timestamp.signed.snapshot_meta = listed_as(state.snapshot, snapshot)
    repo.folder.timestamp.write_bytes(repo.forge(state.timestamp, "timestamp"))
    with pytest.raises(Exception, match="metadata"):
        stolen.look(repo.now)  # no targets of such a version; but timestamp and snapshot are kept
    repo.folder.timestamp.write_bytes(honest)
    with pytest.raises(RepositoryError):
        stolen.look(repo.now)  # the honest ones are older now

    draft = draft_with(repo, "timestamp", "timestamp-2")
    replace_key(draft.signed, "snapshot", repo.ring.make("snapshot-2"), None)
    take(repo, draft)
    repo.publish(some_files(2))
    assert len(stolen.look(repo.now)) == 2
    assert len(client.look(repo.now)) == 2


def test_a_stolen_models_key_alone_publishes_nothing(repo: Repo, client: Client):
    models = repo.state().delegated["models"]
    models.signed.targets.clear()
    models.signed.version += 1
    forged = repo.forge(models, "models")
    repo.folder.role("models", models.signed.version).write_bytes(forged)
    assert list(client.look(repo.now)) == ["models/models-1.json"]
    repo.folder.role("models", models.signed.version - 1).write_bytes(forged)
    with pytest.raises(RepositoryError):
        Client(client.home.parent / "new", repo.root_bytes, repo.folder).look(repo.now)


def test_a_root_is_refused_that_could_not_be_used(repo: Repo):
    draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
    draft.signed.add_key(repo.ring.signers["root-1"].public_key, "timestamp")
    with pytest.raises(UpdateError, match=r"root-1 .* would sign root and another role"):
        take(repo, draft)
    with pytest.raises(UpdateError, match="is in use already"):
        replace_key(draft.signed, "root", repo.ring.make("root-2"), "root-1")
    with pytest.raises(UpdateError, match="timestamp-9 is a key of timestamp, not of snapshot"):
        replace_key(draft.signed, "snapshot", repo.ring.make("timestamp-9"), None)
    with pytest.raises(UpdateError, match="Say which key of root: it has root-1"):
        replace_key(draft.signed, "root", repo.ring.make("root-9"), None)
    with pytest.raises(UpdateError, match="There is no key 'root-7' of root"):
        find_key(draft.signed.keys, draft.signed.roles["root"].keyids, "root", "root-7")


def test_an_old_draft_is_refused(repo: Repo):
    old = draft_with(repo, "timestamp", "timestamp-2")
    take(repo, draft_with(repo, "snapshot", "snapshot-2"))
    take(repo, draft_with(repo, "snapshot", "snapshot-3"))
    with pytest.raises(UpdateError, match="draft is root 2, and the root in force is 3"):
        take(repo, old)


def test_an_expired_draft_is_refused(repo: Repo):
    draft = draft_with(repo, "timestamp", "timestamp-2")
    sign_root(draft, repo.ring)
    late = draft.signed.expires + timedelta(days=1)
    with pytest.raises(UpdateError, match="The draft expired"):
        take_root(draft, repo.folder, repo.ring, late)


def test_targets_are_handed_to_known_keys_only(repo: Repo):
    state = repo.state()
    stranger = repo.ring.make("models-9")
    del repo.ring.signers["models-9"]
    delegations = state.targets.signed.delegations
    assert delegations is not None and delegations.roles is not None
    delegations.keys[stranger.key.keyid] = stranger.key
    delegations.roles["models"].keyids.append(stranger.key.keyid)
    with pytest.raises(UpdateError, match=r"hand models to the key models-9 .* no key of models"):
        commit(repo.folder, state, repo.ring, repo.now, ["targets"])
    # Nor to a key of ours that is another role's: a stolen timestamp key must not become more.
    state = repo.state()
    delegations = state.targets.signed.delegations
    assert delegations is not None and delegations.roles is not None
    online = repo.ring.signers["timestamp"].public_key
    delegations.keys[online.keyid] = online
    delegations.roles["models"].keyids.append(online.keyid)
    with pytest.raises(UpdateError, match="hand models to the key timestamp"):
        commit(repo.folder, state, repo.ring, repo.now, ["targets"])
