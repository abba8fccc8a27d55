"""The last attack of the TUF specification's list, vulnerability to key compromise, key by key.

Whoever has a key gets what its role may do and nothing else, and not for longer than until it is
revoked.
"""

import json
import shutil
from datetime import timedelta

import pytest
from tuf.api.metadata import Key, Metadata, MetaFile, TargetFile

from deploy.publisher.commit import commit
from deploy.publisher.root import next_root
from tests.deploy.attacks.test_tuf_attacks import UNSIGNED, recovers, still_one
from tests.deploy.attacks.world import World
from tests.deploy.publisher.repository import make_repository, some_files


@pytest.mark.parametrize("keys", [["timestamp"], ["timestamp", "snapshot"]])
def test_the_online_keys_alone_install_nothing(world: World, keys: list[str]) -> None:
    """Whoever breaks into the server that renews can freeze, and not install."""
    evil = make_repository(world.folder / "evil", seed=666)
    evil.publish(some_files(66), version=9)
    for name in ("targets", "chunks"):
        shutil.copytree(evil.folder.path / name, world.mirror / name, dirs_exist_ok=True)
    state = evil.state()
    version = int(world.newest("models").name.split(".")[0])
    forged = state.of("models")
    forged.signed.version = version + 1
    content = evil.forge(forged, "models")
    (world.mirror / f"metadata/{version + 1}.models.json").write_bytes(content)

    def list_it(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.meta["models.json"] = MetaFile(version + 1)

    snapshot = world.forged("snapshot", list_it, *keys)
    number = int(world.newest("snapshot").name.split(".")[0]) + 1
    (world.mirror / f"metadata/{number}.snapshot.json").write_bytes(snapshot)

    def name_it(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.snapshot_meta = MetaFile(number)

    world.newest("timestamp").write_bytes(world.forged("timestamp", name_it, *keys))
    world.get().refused(UNSIGNED)
    still_one(world)


def test_one_of_three_root_keys_changes_nothing(world: World) -> None:
    repo = world.repo
    mine = make_repository(world.folder / "mine", seed=666)
    draft = next_root(repo.state().root, repo.now)
    for key in mine.ring.public():
        if key.role == "targets":
            draft.signed.add_key(key.key, "targets")
    for signers in (["root-1"], ["root-1", "root-1"], ["root-2", "timestamp", "targets"]):
        content = repo.forge(draft, *signers)
        (world.mirror / "metadata/2.root.json").write_bytes(content)
        world.get().refused(UNSIGNED)
        still_one(world)
    (world.mirror / "metadata/2.root.json").unlink()
    recovers(world)


def test_one_signature_does_not_count_twice(world: World) -> None:
    """The same key under another id: nothing but the threshold's number of keys will do."""
    repo = world.repo
    draft = next_root(repo.state().root, repo.now)
    key = repo.ring.signers["root-1"].public_key
    twin = Key.from_dict("ab" * 32, key.to_dict())
    draft.signed.add_key(twin, "root")
    forged: Metadata = Metadata.from_bytes(repo.forge(draft, "root-1"))
    copy = json.loads(forged.to_bytes())
    again = dict(copy["signatures"][0]) | {"keyid": "ab" * 32}
    copy["signatures"].append(again)
    (world.mirror / "metadata/2.root.json").write_bytes(json.dumps(copy).encode())
    world.get().refused(UNSIGNED)
    still_one(world)


def test_a_revoked_key_signs_nothing_any_more(world: World) -> None:
    """The key of models was stolen; targets hands models to another, and the thief is out."""
    repo = world.repo
    stolen = repo.ring.signers["models"]
    fresh = repo.ring.make("models-2")

    def hand_over(metadata: Metadata) -> None:
        metadata.signed.revoke_key(stolen.public_key.keyid, "models")
        metadata.signed.add_key(fresh.key, "models")

    repo.edit("targets", hand_over)
    world.get().done()
    assert world.pedal.version() == 2
    version = int(world.newest("models").name.split(".")[0]) + 1

    def sneak(metadata: Metadata) -> None:
        metadata.signed.version = version

    forged = world.forged("models", sneak, "models")
    (world.mirror / f"metadata/{version}.models.json").write_bytes(forged)
    state = repo.state()
    state.snapshot.signed.meta["models.json"] = MetaFile(version)
    commit(repo.folder, state, repo.ring, repo.now)
    world.get().refused(UNSIGNED)
    assert world.pedal.version() == 2


def test_the_key_of_firmware_signs_no_models(world: World) -> None:
    repo = world.repo
    evil = world.forged("models", lambda metadata: None, "firmware")
    file = world.newest("models")
    file.write_bytes(evil)
    number = int(world.newest("snapshot").name.split(".")[0])
    snapshot: Metadata = Metadata.from_bytes(world.newest("snapshot").read_bytes())
    snapshot.signed.version = number + 1
    snapshot.signed.meta["models.json"] = MetaFile(int(file.name.split(".")[0]))
    name = f"metadata/{number + 1}.snapshot.json"
    (world.mirror / name).write_bytes(repo.forge(snapshot, "snapshot"))

    def name_it(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.snapshot_meta = MetaFile(number + 1)

    world.newest("timestamp").write_bytes(world.forged("timestamp", name_it, "timestamp"))
    world.get().refused(UNSIGNED)
    still_one(world)


def test_a_new_root_lets_go_of_stolen_online_keys(world: World) -> None:
    old = world.repo.ring.signers["timestamp"]
    world.rotate("timestamp")
    recovers(world)
    world.repo.ring.signers["stolen"] = old

    def sneak(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.expires += timedelta(days=3000)

    world.newest("timestamp").write_bytes(world.forged("timestamp", sneak, "stolen"))
    world.get().refused(UNSIGNED)
    assert world.pedal.version() == 2


def test_a_target_whose_custom_data_lie(world: World) -> None:
    """The metadata call a release another; the release file says what it is."""

    def change(metadata: Metadata) -> None:
        new: TargetFile = metadata.signed.targets["models/two.json"]
        new.unrecognized_fields["custom"]["purga"]["version"] = 9

    world.repo.edit("models", change)
    world.get().refused("call it 9")
    still_one(world)


def test_a_stolen_timestamp_key_cannot_move_time_for_ever(world: World) -> None:
    """Signed as if it were 2090, so that all honest metadata look expired; until the key goes."""
    world.get().done()

    def in_2090(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.expires = metadata.signed.expires.replace(year=2090)

    honest = world.newest("timestamp").read_bytes()
    world.newest("timestamp").write_bytes(world.forged("timestamp", in_2090, "timestamp"))
    world.get()
    world.newest("timestamp").write_bytes(honest)
    world.repo.refresh()
    world.repo.refresh()
    world.repo.publish(some_files(3), name="three")
    world.get().refused("a time that is over")
    assert world.pedal.version() == 2
    world.rotate("timestamp")
    world.get()
    world.get().done()
    assert world.pedal.version() == 3
