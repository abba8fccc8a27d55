"""The repository as a device accepts it: whole, fresh, no older than ever before."""

import itertools
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient import Updater

from deploy.client import durable
from deploy.client.floors import FloorsFile
from deploy.client.repository import Repository
from deploy.client.rollout import Offer
from deploy.client.sources import FolderSource
from deploy.client.tuf_updater import DurableUpdater
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Places
from deploy.publisher.renewal import newest_root, take_root
from deploy.publisher.roles import TopRole
from deploy.publisher.root import next_root, replace_key, sign_root
from deploy.release_frame import frame_name, pack_release
from tests.deploy.client.stands import FakeClock
from tests.deploy.publisher.repository import NOW, Repo, make_repository, some_files


class Device:
    """What verifying takes."""

    def __init__(self, home: Path, repo: Repo) -> None:
        self.places = Places(home)
        self.places.trusted_root.parent.mkdir(parents=True, exist_ok=True)
        self.places.trusted_root.write_bytes(repo.root_bytes)
        self.clock = FakeClock(repo.now)
        self.folder = repo.folder.path

    @property
    def floors(self) -> FloorsFile:
        return FloorsFile(self.places.floors)

    def refresh(self, folder: Path | None = None) -> Repository:
        source = FolderSource(folder or self.folder)
        repository = Repository(self.places, source, self.floors, self.clock)
        repository.refresh()
        return repository

    def versions(self, folder: Path | None = None) -> list[int]:
        return [offer.rollout.version for offer in self.refresh(folder).releases("models")]

    def refused(self, words: str, folder: Path | None = None) -> str:
        with pytest.raises(UpdateError, match=words) as caught:
            self.refresh(folder)
        assert caught.value.exit_code == 2, caught.value
        assert str(caught.value).count("\n") == 0
        return str(caught.value)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish({"stage.onnx": b"one"})
    return repo


@pytest.fixture
def device(tmp_path: Path, repo: Repo) -> Device:
    return Device(tmp_path / "pedal", repo)


def copied(repo: Repo, tmp_path: Path, name: str) -> Path:
    """The repository as it is now, for later."""
    return shutil.copytree(repo.folder.path, tmp_path / name)


# ---- what is read -------------------------------------------------------------------------------


def test_reads_releases_of_each_component(device: Device, repo: Repo) -> None:
    repo.publish({"stage.onnx": b"two"}, groups={"beta": 10})
    repo.publish({"source/a.py": b""}, component="firmware")
    repository = device.refresh()
    assert [each.rollout.version for each in repository.releases("models")] == [1, 2]
    assert [each.rollout.version for each in repository.releases("firmware")] == [1]
    offer = repository.releases("models")[1]
    assert offer.rollout.groups == {"beta": 10}
    release, content = repository.release(offer)
    assert (release.version, release.component) == (2, "models")
    assert content == repo.folder.target(offer.target.path, offer.release_sha256).read_bytes()


def test_a_release_file_at_hand_is_not_fetched_again(device: Device, repo: Repo) -> None:
    repository = device.refresh()
    [offer] = repository.releases("models")
    first = repository.release(offer)
    shutil.rmtree(repo.folder.targets)
    assert device.refresh().release(offer) == first
    repository.forget_releases([offer])
    assert device.refresh().release(offer) == first
    repository.forget_releases([])
    with pytest.raises(UpdateFailedError):
        device.refresh().release(offer)


def test_a_release_of_a_later_format_is_left_to_later_code(device: Device, repo: Repo) -> None:
    def later(metadata: Metadata[Targets]) -> None:
        target = metadata.signed.targets["models/models-1.json"]
        target.unrecognized_fields["custom"]["purga"]["colour"] = "red"

    repo.publish({"stage.onnx": b"two"})
    repo.edit("models", later)
    assert device.versions() == [2]


def test_metadata_and_release_must_agree(device: Device, repo: Repo) -> None:
    def lie(metadata: Metadata[Targets]) -> None:
        for target in metadata.signed.targets.values():
            target.unrecognized_fields["custom"]["purga"]["version"] = 9

    repo.edit("models", lie)
    repository = device.refresh()
    with pytest.raises(UpdateError, match="is release 1 of models, but the metadata call it 9"):
        repository.release(repository.releases("models")[0])


# ---- the release file, packed -------------------------------------------------------------------


@pytest.fixture
def packed(repo: Repo) -> tuple[bytes, Offer]:
    """A release file on top of another, with nothing else in the repository."""
    repo.publish(some_files(1))
    repo.publish(some_files(1) | {"presets/two.toml": b"format = 1\n"})
    first, second = (repo.folder.target(path, sha) for path, sha in _files(repo)[1:])
    base = first.read_bytes()
    offer = Device(repo.work / "reader", repo).refresh().releases("models")[2]
    name = str(second.relative_to(repo.folder.targets))
    frame = pack_release(second.read_bytes(), base)
    assert len(frame) < 1000 < len(second.read_bytes())
    (repo.folder.targets / frame_name(name, _files(repo)[1][1])).write_bytes(frame)
    (repo.folder.targets / frame_name(name, None)).write_bytes(pack_release(second.read_bytes()))
    second.rename(second.with_suffix(".aside"))
    return base, offer


def _files(repo: Repo) -> list[tuple[str, str]]:
    targets = repo.state().of("models").signed.targets
    return [(path, targets[path].hashes["sha256"]) for path in repo.released]


def test_a_release_file_comes_on_top_of_the_one_at_hand(
    device: Device, packed: tuple[bytes, Offer]
) -> None:
    base, offer = packed
    assert device.refresh().release(offer, base)[0].version == 3


def test_or_alone(device: Device, packed: tuple[bytes, Offer]) -> None:
    assert device.refresh().release(packed[1])[0].version == 3
    device.refresh().forget_releases([])
    assert device.refresh().release(packed[1], b"some other release file")[0].version == 3


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, b"too long" * 100_000])
def test_a_frame_that_is_none_is_no_harm(
    device: Device, repo: Repo, packed: tuple[bytes, Offer], damage: bytes
) -> None:
    base, offer = packed
    for frame in repo.folder.targets.rglob("*.zst"):
        frame.write_bytes(damage)
    for aside in repo.folder.targets.rglob("*.aside"):
        aside.rename(aside.with_suffix(".json"))
    assert device.refresh().release(offer, base)[0].version == 3


# ---- what is refused ----------------------------------------------------------------------------


def test_no_root_of_trust(device: Device) -> None:
    device.places.trusted_root.unlink()
    device.refused("root of trust cannot be read")


def test_somebody_elses_repository(device: Device, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", seed=5)
    device.refused("not signed by keys that this pedal trusts", other.folder.path)


def test_older_metadata(device: Device, repo: Repo, tmp_path: Path) -> None:
    old = copied(repo, tmp_path, "old")
    repo.publish({"stage.onnx": b"two"})
    assert device.versions() == [1, 2]
    device.refused("older metadata", old)
    assert device.versions() == [1, 2]


def test_older_metadata_after_tufs_own_were_lost(
    device: Device, repo: Repo, tmp_path: Path
) -> None:
    old = copied(repo, tmp_path, "old")
    repo.publish({"stage.onnx": b"two"})
    device.refresh()
    shutil.rmtree(device.places.metadata)
    device.refused("older metadata than this pedal has accepted", old)
    assert device.versions() == [1, 2]


def test_metadata_that_do_not_belong_together(device: Device, repo: Repo) -> None:
    (repo.folder.metadata / "2.snapshot.json").write_bytes(
        (repo.folder.metadata / "1.snapshot.json").read_bytes()
    )
    device.refused("do not belong together|older metadata")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"signed": {}}'])
def test_metadata_that_are_none(device: Device, repo: Repo, content: bytes) -> None:
    repo.folder.timestamp.write_bytes(content)
    device.refused("do not belong together or are damaged")


def test_a_folder_that_is_empty_is_none_this_time(device: Device, tmp_path: Path) -> None:
    (tmp_path / "empty" / "metadata").mkdir(parents=True)
    with pytest.raises(UpdateFailedError, match=r"404|has no"):
        device.refresh(tmp_path / "empty")


# ---- time ---------------------------------------------------------------------------------------


def test_a_clock_in_1970_is_no_obstacle(device: Device) -> None:
    device.clock.calendar = datetime(1970, 1, 1, tzinfo=UTC)
    assert device.versions() == [1]
    assert device.floors.now.time == NOW


def test_a_clock_in_2099_refuses_and_is_named(device: Device) -> None:
    device.clock.calendar = datetime(2099, 1, 1, tzinfo=UTC)
    assert "2099-01-01" in device.refused("time that is over")
    device.clock.calendar = NOW
    assert device.versions() == [1]


def test_a_stick_that_expired(device: Device, repo: Repo) -> None:
    device.clock.calendar = NOW + timedelta(days=20)
    device.refused("time that is over")
    repo.refresh(timedelta(days=20))
    assert device.versions() == [1]


def test_a_clock_set_back_does_not_thaw_what_expired(
    device: Device, repo: Repo, tmp_path: Path
) -> None:
    old = copied(repo, tmp_path, "old")
    repo.refresh(timedelta(days=60))
    device.clock.calendar = repo.now
    device.refresh()
    shutil.rmtree(device.places.metadata)
    device.floors.change(metadata={})
    device.clock.calendar = datetime(1970, 1, 1, tzinfo=UTC)
    said = device.refused("time that is over", old)
    assert "1970-01-01" in said
    assert "no earlier than 2027-03-16" in said


# ---- keys that were replaced --------------------------------------------------------------------


def rotate(repo: Repo, *roles: TopRole) -> None:
    """The next root, with another key for each role, as the publisher does it."""
    draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
    for role in roles:
        replace_key(draft.signed, role, repo.ring.make(f"{role}-{draft.signed.version}"), None)
    sign_root(draft, repo.ring)
    take_root(draft, repo.folder, repo.ring, repo.now)


def test_follows_a_chain_of_roots(device: Device, repo: Repo) -> None:
    device.refresh()
    for _ in range(3):
        rotate(repo, "timestamp", "snapshot")
    repo.publish({"stage.onnx": b"two"})
    assert device.versions() == [1, 2]
    link = device.places.metadata / "root.json"
    assert os.readlink(link) == "root_history/4.root.json"
    # A device that was never here before follows them too.
    assert Device(repo.work / "new", repo).versions() == [1, 2]


def fast_forward(repo: Repo) -> dict[Path, bytes]:
    """A thief of the online keys signs versions that nobody comes after; returns what was there."""
    before = {path: path.read_bytes() for path in repo.folder.metadata.iterdir()}
    state = repo.state()
    state.snapshot.signed.version = 2_000_000
    state.timestamp.signed.version = 2_000_000
    state.timestamp.signed.snapshot_meta.version = 2_000_000
    snapshot = repo.forge(state.snapshot, "snapshot")
    state.timestamp.signed.snapshot_meta.hashes = None
    state.timestamp.signed.snapshot_meta.length = None
    repo.folder.role("snapshot", 2_000_000).write_bytes(snapshot)
    repo.folder.timestamp.write_bytes(repo.forge(state.timestamp, "timestamp"))
    return before


@pytest.mark.parametrize("roles", [("timestamp", "snapshot"), ("snapshot",)])
def test_recovers_from_fast_forward(device: Device, repo: Repo, roles: tuple[TopRole, ...]) -> None:
    device.refresh()
    before = fast_forward(repo)
    device.refresh()
    assert device.floors.now.metadata["snapshot"] == 2_000_000
    for path in repo.folder.metadata.iterdir():
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)
    device.refused("older metadata")
    rotate(repo, *roles)
    assert device.versions() == [1]


def test_a_time_that_a_thief_signed_does_not_stay(device: Device, repo: Repo) -> None:
    device.refresh()
    state = repo.state()
    honest = repo.folder.timestamp.read_bytes()
    state.timestamp.signed.version += 1
    state.timestamp.signed.expires = datetime(2099, 1, 1, tzinfo=UTC)
    repo.folder.timestamp.write_bytes(repo.forge(state.timestamp, "timestamp"))
    device.refresh()
    assert device.floors.now.time == datetime(2099, 1, 1, tzinfo=UTC) - timedelta(days=14)
    repo.folder.timestamp.write_bytes(honest)
    device.refused("time that is over|older metadata")
    rotate(repo, "timestamp", "snapshot")
    assert device.versions() == [1]


def test_another_root_of_trust_begins_anew(device: Device, tmp_path: Path) -> None:
    device.refresh()
    device.floors.raise_version("models", 40)
    own = make_repository(tmp_path / "own", seed=9)
    own.publish({"stage.onnx": b"mine"})
    device.places.trusted_root.write_bytes(own.root_bytes)
    assert device.versions(own.folder.path) == [1]
    assert device.floors.now.versions == {}


# ---- the disk -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "harm"),
    list(
        itertools.product(
            ("root.json", "timestamp.json", "snapshot.json", "targets.json", "models.json"),
            ("emptied", "halved", "removed"),
        )
    ),
)
def test_damaged_metadata_are_fetched_again(
    device: Device, repo: Repo, name: str, harm: str
) -> None:
    device.versions()
    path = device.places.metadata / name
    real = path.resolve()
    content = real.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        real.write_bytes(b"" if harm == "emptied" else content[: len(content) // 2])
    repo.publish({"stage.onnx": b"two"})
    assert device.versions() == [1, 2]


def test_metadata_are_on_the_disk_before_their_name(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        real_fsync(handle)

    def replace(one: Path, other: Path) -> None:
        calls.append(("replace", str(one)))
        real_replace(one, other)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    device.versions()
    names = [Path(path).name for what, path in calls if what == "replace"]
    for name in ("timestamp", "snapshot", "targets", "models", "1.root"):
        assert f".{name}.json.new" in names
    for index, (what, path) in enumerate(calls):
        if what == "replace" and not path.endswith("root.json.new"):
            assert ("fsync", path) in calls[:index], path
            assert ("fsync", str(Path(path).parent)) in calls[index:], path


def test_what_it_overrides_is_there_in_the_library() -> None:
    for name in ("_persist_file", "_update_root_symlink", "_load_timestamp"):
        assert name in vars(Updater), name
        assert name in vars(DurableUpdater), name


def test_leftovers_of_a_power_cut_go(device: Device) -> None:
    device.refresh()
    for name in (".timestamp.json.new", "tmpabc123"):
        (device.places.metadata / name).write_bytes(b"half")
    device.refresh()
    assert sorted(path.name for path in device.places.metadata.iterdir()) == [
        "root.json",
        "root_history",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ]


def test_a_full_disk_is_said(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.refresh()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("deploy.client.tuf_updater.put", full)
    with pytest.raises(UpdateFailedError, match="free space"):
        device.refresh()


def test_putting_leaves_nothing_behind(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        durable.put(tmp_path / "below" / "file", content)
        assert (tmp_path / "below" / "file").read_bytes() == content
    durable.point(tmp_path / "link", "below/file")
    durable.point(tmp_path / "link", "below/file")
    durable.point(tmp_path / "link", "elsewhere")
    assert os.readlink(tmp_path / "link") == "elsewhere"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["below", "link"]
