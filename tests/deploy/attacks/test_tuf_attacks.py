"""The attacks that the TUF specification wants a client to stand (its section 1.5.2), one by one.

Each is done over a link and from a stick where that makes a difference to somebody who does it.
"""

import json

import pytest
from tuf.api.metadata import Metadata, MetaFile

from deploy.publisher.commit import commit
from deploy.publisher.content import About
from deploy.publisher.publish import publish
from tests.deploy.attacks.pedal import LIMITS, TIGHT
from tests.deploy.attacks.world import FIRMWARE, World
from tests.deploy.link import faults
from tests.deploy.link.server import Fault
from tests.deploy.publisher.repository import make_repository, some_files

UNSIGNED = "is not signed by keys"
OLDER = "older metadata"
APART = "do not belong together or are damaged"
OVER = "a time that is over"


def recovers(world: World) -> None:
    """The honest repository, and nothing else, gets release 2 in."""
    world.get().done()
    assert world.pedal.version() == 2


def still_one(world: World) -> None:
    assert world.pedal.version() == 1


# ---- arbitrary software installation ------------------------------------------------------------


def test_arbitrary_software_from_a_stranger_who_signs_with_keys_of_his_own(world: World) -> None:
    stranger = make_repository(world.folder / "stranger", seed=666)
    stranger.publish(some_files(66))
    told = world.get_from(stranger.folder.path)
    told.refused(UNSIGNED, APART, OLDER)
    still_one(world)
    recovers(world)


def test_arbitrary_software_in_metadata_that_nobody_signed(world: World) -> None:
    def change(metadata: Metadata) -> None:
        metadata.signed.version += 1

    honest = world.newest("timestamp").read_bytes()
    world.newest("timestamp").write_bytes(world.forged("timestamp", change))
    world.get().refused(UNSIGNED)
    world.newest("timestamp").write_bytes(world.forged("timestamp", change, "models"))
    world.get().refused(UNSIGNED)
    still_one(world)
    world.newest("timestamp").write_bytes(honest)
    recovers(world)


def test_arbitrary_software_in_a_release_file_that_was_changed(world: World) -> None:
    file = world.unpack()
    honest = file.read_bytes()
    evil = json.loads(honest)
    evil["name"] = "twO"
    file.write_bytes(json.dumps(evil, indent=1).encode()[: len(honest)].ljust(len(honest)))
    world.get().refused(APART)
    still_one(world)
    file.write_bytes(honest)
    recovers(world)


def test_arbitrary_software_in_chunks_that_were_changed(world: World) -> None:
    honest = {path: path.read_bytes() for path in world.chunks()}
    for path, content in honest.items():
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    world.get().refused("not the signed ones")
    still_one(world)
    for path, content in honest.items():
        path.write_bytes(content)
    recovers(world)


# ---- endless data -------------------------------------------------------------------------------

ENDLESS = ["metadata/timestamp", "metadata/2.root", "snapshot", r"\.models", "targets/", "chunks/"]


@pytest.mark.parametrize("which", ENDLESS)
def test_endless_data(world: World, which: str) -> None:
    if world.kind == "stick":
        name = {"metadata/2.root": "metadata/2.root.json"}.get(which)
        files = [path for path in world.mirror.rglob("*") if path.is_file()]
        fits = [path for path in files if which.replace("\\", "") in str(path)]
        for path in [world.mirror / name] if name else fits:
            with path.open("ab") as file:
                file.truncate(1 << 40)  # a terabyte of nothing, which takes no room
        told = world.get()
    else:
        told = world.get(Fault(faults.endless("chunked", b'{"signed": "'), path=which))
        assert world.link.sent < 24_000_000
    assert told.code in (1, 2)
    still_one(world)
    if world.kind == "stick":
        world.go_back_to(world.old)  # root 2 never was, what else there is is renewed
        (world.mirror / "metadata/2.root.json").unlink(missing_ok=True)
        return
    recovers(world)


# ---- extraneous dependencies --------------------------------------------------------------------


def test_extraneous_dependencies_from_whoever_signs_models(world: World) -> None:
    """They want firmware installed with them, and sign for it with the key of models."""
    before = world.keep("honest")
    world.repo.publish(FIRMWARE, component="firmware", name="evil", groups={"all": 0})
    target = world.repo.state().of("firmware").signed.targets["firmware/evil.json"]
    target.unrecognized_fields["custom"]["purga"]["groups"] = {"all": 100}
    world.go_back_to(before)

    def change(metadata: Metadata) -> None:
        metadata.signed.targets["firmware/evil.json"] = target
        metadata.signed.targets["models/../firmware/evil.json"] = target

    world.repo.edit("models", change)
    world.get().done()
    assert world.pedal.version("models") == 2
    assert world.pedal.version("firmware") is None
    assert not list((world.pedal.places.root / "firmware").glob("*/release.json"))


def test_extraneous_dependencies_in_a_release_that_asks_for_other_firmware(world: World) -> None:
    """It says what it needs, and gets none of it installed."""
    repo = world.repo
    repo.withdraw("models:2")
    repo.publish(FIRMWARE, component="firmware", name="first")
    world.get().done()
    world.get().done()
    assert world.pedal.version("firmware") == 1
    repo.publish(FIRMWARE | {"source/more.py": b""}, component="firmware", groups={"all": 0})
    source = world.folder / "needy"
    for path, content in some_files(3).items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    about = About("models", 3, "needy", needs_firmware=2)
    everybody = {"all": 100}
    publish(source, about, everybody, repo.folder, repo.ring, repo.now, repo.describe, None, None)
    world.get().refused("update the firmware first")
    still_one(world)
    assert world.pedal.version("firmware") == 1
    assert world.pedal.store_bytes() == 0


# ---- fast-forward -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "version"),
    [
        (("timestamp", "snapshot"), 2**31),
        (("timestamp",), 2**31),
        (("snapshot",), 10**4000),
    ],
    ids=["both keys", "one key", "a version of 4000 digits"],
)
def test_fast_forward_and_recovery_by_new_keys(
    world: World, roles: tuple[str, ...], version: int
) -> None:
    """With the online keys, versions are set so high that no honest one comes after them."""
    honest = world.keep("honest")
    repo = world.repo
    state = repo.state()
    state.snapshot.signed.version = 2**31
    state.timestamp.signed.version = version
    commit(repo.folder, state, repo.ring, repo.now)
    world.get().done()
    assert world.pedal.version() == 2
    # The publisher's folder is as it was; what it signs is older than what pedals have seen.
    for path in (world.mirror / "metadata").iterdir():
        path.unlink()
    world.go_back_to(honest)
    repo.publish(some_files(3), name="three")
    world.get().refused(OLDER)
    assert world.pedal.version() == 2
    world.rotate(*roles)
    world.get().done()
    assert world.pedal.version() == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_of_what_a_snapshot_names(world: World, role: str) -> None:
    """The online keys cannot sign targets, but the snapshot that names them sticks."""
    honest = world.keep("honest")
    repo = world.repo
    state = repo.state()
    state.snapshot.signed.meta["targets.json"] = MetaFile(2**31)
    commit(repo.folder, state, repo.ring, repo.now)
    world.get().failed()
    still_one(world)
    for path in (world.mirror / "metadata").iterdir():
        path.unlink()
    world.go_back_to(honest)
    for _ in range(3):
        repo.refresh()  # the publisher signs on, with versions above those of the attack
    world.get().refused(OLDER)
    still_one(world)
    world.rotate(role)
    recovers(world)


# ---- indefinite freeze --------------------------------------------------------------------------


def test_indefinite_freeze(world: World) -> None:
    """What was true once is shown for ever; the pedal notices when it has expired."""
    told = world.get_from(world.old)
    told.done()
    still_one(world)
    world.days_pass(40)
    world.get_from(world.old).refused(OVER)
    still_one(world)
    world.repo.refresh()
    recovers(world)


def test_indefinite_freeze_with_a_clock_that_stands_still(world: World) -> None:
    """Without a clock, what was accepted last still says that time has passed."""
    world.get().done()
    world.days_pass(20)
    world.repo.refresh()
    world.get().done()
    frozen = world.keep("frozen")
    world.days_pass(20)
    world.repo.refresh()
    world.get().done()
    world.pedal.clock.calendar = world.pedal.clock.calendar.replace(year=1970)
    world.get_from(frozen).refused(OVER, OLDER)
    world.get().done()


# ---- malicious mirrors --------------------------------------------------------------------------


def test_a_malicious_mirror_that_gives_nothing_keeps_nobody_from_another(world: World) -> None:
    empty = world.folder / "empty"
    empty.mkdir()
    world.get_from(empty).failed()
    still_one(world)
    recovers(world)


def test_a_malicious_mirror_that_gives_some_chunks_only(world: World) -> None:
    chunks = world.chunks()
    hidden = {path: path.read_bytes() for path in chunks[len(chunks) // 2 :]}
    for path in hidden:
        path.unlink()
    world.get().failed("lacks chunk")
    still_one(world)
    for path, content in hidden.items():
        path.write_bytes(content)
    recovers(world)


# ---- mix-and-match ------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["snapshot", "targets", "models", "firmware"])
def test_mix_and_match(world: World, role: str) -> None:
    """One role's metadata of another time under the name of the newest."""
    world.repo.refresh()
    world.repo.edit("targets", lambda metadata: None)
    world.repo.edit("models", lambda metadata: None)
    world.repo.edit("firmware", lambda metadata: None)
    newest = world.newest(role)
    version = int(newest.name.split(".")[0])
    honest = newest.read_bytes()
    newest.write_bytes((newest.parent / f"{version - 1}.{role}.json").read_bytes())
    world.get().refused(APART, OLDER)
    still_one(world)
    newest.write_bytes(honest)
    recovers(world)


def test_mix_and_match_with_the_key_of_the_timestamp(world: World) -> None:
    """A new timestamp that names a snapshot of another time, whose hash it gives."""
    old = (world.old / "metadata").glob("*.snapshot.json")
    snapshot = max(old, key=lambda file: int(file.name.split(".")[0]))
    version = int(snapshot.name.split(".")[0])
    world.get().done()  # the pedal has seen the newer snapshot

    def change(metadata: Metadata) -> None:
        metadata.signed.version += 1
        metadata.signed.snapshot_meta = MetaFile(version)

    world.newest("timestamp").write_bytes(world.forged("timestamp", change, "timestamp"))
    world.get().refused(OLDER)
    assert world.pedal.version() == 2


# ---- rollback -----------------------------------------------------------------------------------


def _at_two(world: World) -> None:
    world.get().done()
    world.get().done()
    assert world.pedal.version() == 2


def test_rollback_by_replaying_all_of_an_older_repository(world: World) -> None:
    _at_two(world)
    world.get_from(world.old).refused(OLDER)
    assert world.pedal.version() == 2
    world.get().done()


def test_rollback_after_the_metadata_were_lost(world: World) -> None:
    """Without TUF's own files there are still the floors."""
    _at_two(world)
    for path in world.pedal.places.metadata.glob("*.json"):
        path.unlink()
    world.get_from(world.old).refused(OLDER)
    assert world.pedal.version() == 2
    world.get().done()


def test_rollback_after_the_floors_were_lost(world: World) -> None:
    """Without the floors there are TUF's own files."""
    _at_two(world)
    world.pedal.places.floors.unlink()
    world.get_from(world.old).refused(OLDER)
    assert world.pedal.version() == 2
    world.get().done()


def test_rollback_by_an_old_release_under_new_metadata(world: World) -> None:
    """Properly signed, with every key: a version below the floor is not taken."""
    _at_two(world)
    world.repo.withdraw("models:2")
    world.get().done()
    assert world.pedal.version() == 2


def test_rollback_by_an_old_release_after_floors_and_metadata_were_lost(world: World) -> None:
    """What was proven here is a floor too."""
    _at_two(world)
    world.pedal.places.floors.unlink()
    for path in world.pedal.places.metadata.glob("*.json"):
        path.unlink()
    world.repo.withdraw("models:2")
    world.get().done()
    assert world.pedal.version() == 2


def test_a_rollback_of_metadata_does_not_bring_back_a_refused_release(world: World) -> None:
    trial = world.pedal.trials["models"]
    trial.verdict = type(trial.verdict)(False, "It is too loud.")
    world.get().refused("too loud")
    still_one(world)
    trial.verdict = type(trial.verdict)(True, "It sounds well.")
    world.get().done()
    still_one(world)


# ---- slow retrieval -----------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["timestamp", r"\.models", "targets/", "chunks/"])
def test_slow_retrieval(linked: World, which: str) -> None:
    """Bytes come all the time, and never enough of them; no attacker slows a stick down."""
    linked.pedal.limits = TIGHT
    told = linked.get(Fault(faults.trickled(8, 0.05), path=which))
    told.failed("too slowly", "in time")
    linked.pedal.limits = LIMITS
    still_one(linked)
    recovers(linked)
