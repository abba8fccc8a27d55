"""``deploy/tuf-client`` as TUF's conformance suite drives it: one program, a server on loopback.

The suite itself is not a package that could be installed here; these are its subjects, in our own
words and with repositories of our own, among them some that our publisher never makes.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Signer,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient._internal import trusted_metadata_set

from deploy.client import conformance
from tests.deploy.link import faults
from tests.deploy.link.server import Fault, Link

CLIENT = Path(__file__).resolve().parents[2] / "deploy" / "tuf-client"
TOP = ("root", "timestamp", "snapshot", "targets")
EXPIRES = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
KEYS = {
    "ed25519": CryptoSigner.generate_ed25519,
    "rsa-pss": CryptoSigner.generate_rsa,
    "ecdsa": CryptoSigner.generate_ecdsa,
}


@dataclass
class Repository:
    """A repository in a folder, signed by whatever keys, in whatever state one likes."""

    folder: Path
    signed: dict[str, Signed] = field(default_factory=dict)
    signers: dict[str, list[Signer]] = field(default_factory=dict)
    old_root_signers: list[Signer] = field(default_factory=list)
    with_hashes: bool = False

    @classmethod
    def make(cls, folder: Path, key: str = "ed25519", consistent: bool = True) -> "Repository":
        repo = cls(folder)
        root = Root(expires=EXPIRES, consistent_snapshot=consistent)
        repo.signed |= {
            "root": root,
            "timestamp": Timestamp(expires=EXPIRES, snapshot_meta=MetaFile(1)),
            "snapshot": Snapshot(expires=EXPIRES, meta={"targets.json": MetaFile(1)}),
            "targets": Targets(expires=EXPIRES),
        }
        for role in TOP:
            repo.rekey(role, KEYS[key]())
        repo.publish()
        return repo

    @property
    def root(self) -> Root:
        signed = self.signed["root"]
        assert isinstance(signed, Root)
        return signed

    @property
    def snapshot(self) -> Snapshot:
        signed = self.signed["snapshot"]
        assert isinstance(signed, Snapshot)
        return signed

    @property
    def timestamp(self) -> Timestamp:
        signed = self.signed["timestamp"]
        assert isinstance(signed, Timestamp)
        return signed

    def targets(self, role: str = "targets") -> Targets:
        signed = self.signed[role]
        assert isinstance(signed, Targets)
        return signed

    def rekey(self, role: str, signer: CryptoSigner) -> None:
        """Another key for a top-level role."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.root.add_key(signer.public_key, role)
        if role == "root":
            self.old_root_signers = self.signers.get("root", [])
        self.signers[role] = [signer]

    def add_target(self, path: str, content: bytes, role: str = "targets") -> None:
        target = TargetFile.from_data(path, content, ["sha256"])
        self.targets(role).targets[path] = target
        above, _, name = path.rpartition("/")
        name = f"{target.hashes['sha256']}.{name}" if self.root.consistent_snapshot else name
        file = self.folder / "targets" / above / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def delegate(self, role: DelegatedRole, parent: str = "targets") -> None:
        """Another role below a parent, with a key of its own."""
        signer = CryptoSigner.generate_ed25519()
        delegations = self.targets(parent).delegations
        if delegations is None:
            delegations = self.targets(parent).delegations = Delegations({}, {})
        assert delegations.roles is not None
        delegations.roles[role.name] = role
        role.keyids.append(signer.public_key.keyid)
        delegations.keys[signer.public_key.keyid] = signer.public_key
        self.signed[role.name] = Targets(expires=EXPIRES)
        self.signers[role.name] = [signer]

    def bump(self, *roles: str) -> None:
        """The next version of roles, and of what names them; then publish."""
        for role in roles:
            self.signed[role].version += 1
        self.snapshot.version += 1
        self.timestamp.version += 1
        self.publish()

    def publish(self) -> None:
        """Write everything as it stands."""
        roles = [role for role in self.signed if role not in ("root", "timestamp", "snapshot")]
        contents = {role: self.content(role) for role in roles}
        for role in roles:
            meta = MetaFile(self.signed[role].version)
            if self.with_hashes:
                meta = MetaFile.from_data(meta.version, contents[role], ["sha256"])
            self.snapshot.meta[f"{role}.json"] = meta
        contents["snapshot"] = self.content("snapshot")
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        contents["root"] = self.content("root")
        for role, content in contents.items():
            numbered = role == "root" or self.root.consistent_snapshot
            prefix = f"{self.signed[role].version}." if numbered else ""
            self.write(f"{prefix}{quote(role, '')}.json", content)
        self.write("timestamp.json", self.content("timestamp"))

    def content(self, role: str) -> bytes:
        metadata: Metadata = Metadata(copy.deepcopy(self.signed[role]))
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        if role == "root":
            for signer in self.old_root_signers:
                metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def write(self, name: str, content: bytes) -> None:
        file = self.folder / "metadata" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def served(self, role: str) -> bytes:
        """What a client should have of a role in the end."""
        numbered = role == "root" or (self.root.consistent_snapshot and role != "timestamp")
        prefix = f"{self.signed[role].version}." if numbered else ""
        return (self.folder / "metadata" / f"{prefix}{quote(role, '')}.json").read_bytes()


class Client:
    """The program; in this process, but where a test says otherwise."""

    def __init__(self, link: Link, folder: Path) -> None:
        self.link = link
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self._root = folder / "initial_root.json"

    def init(self, root: bytes) -> int:
        self._root.write_bytes(root)
        return self.run("--metadata-dir", self.metadata, "init", self._root)

    def refresh(self) -> int:
        return self.run(*self._repository(), "refresh")

    def download(self, *names: str) -> int:
        words: list[object] = []
        for name in names:
            words += ["--target-name", name]
        words += ["--target-dir", self.targets, "--target-base-url", f"{self.link.url}targets/"]
        return self.run(*self._repository(), *words, "download")

    def run(self, *words: object) -> int:
        return conformance.main([str(word) for word in words])

    def downloaded(self) -> list[bytes]:
        files = sorted(self.targets.rglob("*"), key=lambda file: file.name)
        return [file.read_bytes() for file in files if file.is_file()]

    def trusted(self) -> dict[str, int]:
        """As the suite looks: every file that ends in .json, and its version."""
        return {
            file.name.removesuffix(".json"): Metadata.from_file(str(file)).signed.version
            for file in self.metadata.iterdir()
            if file.name.endswith(".json")
        }

    def has(self, repo: Repository, *roles: str) -> bool:
        """Whether the trusted files are the repository's, byte for byte."""
        return all(
            (self.metadata / f"{quote(role, '')}.json").read_bytes() == repo.served(role)
            for role in roles
        )

    def _repository(self) -> tuple[object, ...]:
        return ("--metadata-url", f"{self.link.url}metadata", "--metadata-dir", self.metadata)


class Program(Client):
    """The executable itself, started from elsewhere."""

    def run(self, *words: object) -> int:
        done = subprocess.run(
            [CLIENT, *map(str, words)], cwd="/", capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def repo(tmp_path: Path, made: Repository) -> Repository:
    repo = copy.copy(made)
    repo.signed = copy.deepcopy(made.signed)
    repo.signers = dict(made.signers)
    repo.folder = tmp_path / "repository"
    shutil.copytree(made.folder, repo.folder)
    return repo


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with Link(tmp_path / "repository") as link:
        yield link


@pytest.fixture
def client(link: Link, tmp_path: Path) -> Client:
    (tmp_path / "client").mkdir()
    return Client(link, tmp_path / "client")


def set_clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    """As the suite does through libc, for everything that python-tuf judges by."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return now

    monkeypatch.setattr(trusted_metadata_set.datetime, "datetime", Then, raising=True)


# ---- the program --------------------------------------------------------------------------------


def test_the_executable(tmp_path: Path, repo: Repository, link: Link) -> None:
    home = tmp_path / "client"
    home.mkdir()
    program = Program(link, home)
    assert program.init(repo.served("root")) == 0
    assert link.requests == [], "init makes no request"
    assert program.refresh() == 0
    assert link.paths() == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/1.snapshot.json",
        "metadata/1.targets.json",
    ]
    assert program.trusted() == dict.fromkeys(TOP, 1)
    assert program.has(repo, *TOP)
    assert program.download("nothing of that name") == 1
    assert program.run("--help") == 0
    assert program.run("refresh") == 1, "there are no exit codes but 0 and 1"
    assert program.run() == 1


def test_it_runs_with_a_python_that_has_the_packages(tmp_path: Path, repo: Repository) -> None:
    assert os.access(CLIENT, os.X_OK)
    assert CLIENT.read_text().startswith("#!/usr/bin/env python3\n")
    (tmp_path / "root").write_bytes(repo.served("root"))
    words = ["--metadata-dir", str(tmp_path / "metadata"), "init", str(tmp_path / "root")]
    for python in (sys.executable, "python3"):
        command = [python, str(CLIENT), *words]
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


# ---- init and refresh ---------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["unsigned", "no version", "no root"])
def test_a_root_that_is_none(client: Client, repo: Repository, link: Link, damage: str) -> None:
    root = Metadata[Root].from_bytes(repo.served("root"))
    if damage == "unsigned":
        root.signatures.clear()
    content = root.to_bytes()
    if damage == "no version":
        content = content.replace(b'"version"', b'"vision"')
    if damage == "no root":
        content = repo.served("targets")
    client.init(content)
    assert client.refresh() == 1
    assert link.requests == []


def test_refresh_is_no_news_the_second_time(client: Client, repo: Repository, link: Link) -> None:
    client.init(repo.served("root"))
    assert client.refresh() == 0
    link.forget()
    assert client.refresh() == 0
    assert link.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]
    repo.bump("targets")
    assert client.refresh() == 0
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2}
    assert client.has(repo, *TOP)


def test_the_same_version_with_another_content_changes_nothing(
    client: Client, repo: Repository
) -> None:
    client.init(repo.served("root"))
    assert client.refresh() == 0
    before = repo.served("timestamp")
    repo.timestamp.snapshot_meta.version = 100
    repo.write("timestamp.json", repo.content("timestamp"))
    client.refresh()
    assert (client.metadata / "timestamp.json").read_bytes() == before


def test_unknown_fields_are_signed_too(client: Client, repo: Repository) -> None:
    client.init(repo.served("root"))
    repo.root.unrecognized_fields["x-more"] = {"a": 1}
    repo.root.version += 1
    repo.old_root_signers = []
    repo.publish()
    assert client.refresh() == 0
    assert client.trusted()["root"] == 2


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("consistent", [True, False], ids=["consistent", "plain"])
def test_keys_and_snapshots_of_every_kind(
    client: Client, tmp_path: Path, key: str, consistent: bool, link: Link
) -> None:
    repo = Repository.make(tmp_path / "repository", key, consistent)
    repo.with_hashes = True
    repo.add_target("path/to/file.txt", b"content")
    repo.bump("targets")
    assert client.init(repo.served("root")) == 0
    assert client.download("path/to/file.txt") == 0
    assert client.downloaded() == [b"content"]
    assert client.has(repo, *TOP)
    snapshots = link.paths("snapshot.json")
    assert snapshots == ["metadata/2.snapshot.json" if consistent else "metadata/snapshot.json"]


# ---- downloads ----------------------------------------------------------------------------------


def test_a_target_at_hand_is_not_fetched_again(
    client: Client, repo: Repository, link: Link
) -> None:
    repo.add_target("one.txt", b"one")
    repo.add_target("two.txt", b"two")
    repo.bump("targets")
    client.init(repo.served("root"))
    assert client.download("one.txt", "two.txt") == 0
    assert sorted(client.downloaded()) == [b"one", b"two"]
    link.forget()
    assert client.download("one.txt") == 0
    assert link.paths("targets/") == []
    repo.add_target("one.txt", b"newer")
    repo.bump("targets")
    assert client.download("one.txt") == 0
    assert sorted(client.downloaded()) == [b"newer", b"two"], "under the same name"


@pytest.mark.parametrize("content", [b"evil", b"one and more", b"on", b""])
def test_a_target_that_is_another_is_not_kept(
    client: Client, repo: Repository, link: Link, content: bytes
) -> None:
    repo.add_target("one.txt", b"one")
    repo.bump("targets")
    client.init(repo.served("root"))
    link.faults = [Fault(faults.replaced(content), "targets/")]
    assert client.download("one.txt") == 1
    assert client.downloaded() == []
    link.faults = []
    assert client.download("one.txt") == 0


def test_what_is_missing_is_said(
    client: Client, repo: Repository, capsys: pytest.CaptureFixture
) -> None:
    client.init(repo.served("root"))
    assert client.download("nothing") == 1
    assert client.trusted() == dict.fromkeys(TOP, 1), "the metadata are refreshed all the same"
    assert client.download() == 1
    assert capsys.readouterr().err.count("\n") == 2


# ---- roots --------------------------------------------------------------------------------------


def test_a_chain_of_roots(client: Client, repo: Repository, link: Link) -> None:
    client.init(repo.served("root"))
    for _ in range(3):
        repo.root.version += 1
        repo.rekey("root", CryptoSigner.generate_ed25519())
        repo.publish()
    assert client.refresh() == 0
    assert client.trusted()["root"] == 4
    assert client.has(repo, "root")
    assert link.paths("root.json") == [f"metadata/{number}.root.json" for number in (2, 3, 4, 5)]


@pytest.mark.parametrize("lacking", ["old", "new"])
def test_a_root_that_one_side_did_not_sign(client: Client, repo: Repository, lacking: str) -> None:
    client.init(repo.served("root"))
    assert client.refresh() == 0
    first = repo.served("root")
    repo.root.version += 1
    repo.rekey("root", CryptoSigner.generate_ed25519())
    if lacking == "old":
        repo.old_root_signers = []
    else:
        repo.signers["root"] = [CryptoSigner.generate_ed25519()]
    repo.publish()
    assert client.refresh() == 1
    assert (client.metadata / "root.json").read_bytes() == first


@pytest.mark.parametrize("skip", [0, 2])
def test_a_root_of_another_number(client: Client, repo: Repository, skip: int) -> None:
    client.init(repo.served("root"))
    repo.root.version = 1 + skip
    repo.write("2.root.json", repo.content("root"))
    assert client.refresh() == 1
    assert client.trusted() == {"root": 1}


def test_thresholds(client: Client, repo: Repository) -> None:
    others = [CryptoSigner.generate_ed25519() for _ in range(4)]
    for signer in others:
        repo.root.add_key(signer.public_key, "targets")
    repo.root.roles["targets"].threshold = 3
    repo.root.version += 1
    repo.signers["targets"] = [*repo.signers["targets"], others[0]]
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.refresh() == 1
    repo.signers["targets"].append(others[1])
    repo.bump("targets")
    assert client.refresh() == 0


@pytest.mark.parametrize("code", [403, 404])
def test_the_newest_root_is_the_one_without_a_next(
    client: Client, repo: Repository, link: Link, code: int
) -> None:
    client.init(repo.served("root"))
    link.faults = [Fault(faults.status(code), "2.root.json")]
    assert client.refresh() == 0


# ---- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", TOP)
def test_nothing_that_expired(
    client: Client, repo: Repository, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.signed[role].expires = EXPIRES - timedelta(days=20)
    for name in TOP[1:]:
        repo.signed[name].version += role == name
    if role == "root":
        repo.root.version += 1
        repo.old_root_signers = []
    repo.bump()
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.refresh() == 0
    set_clock(monkeypatch, EXPIRES - timedelta(days=10))
    assert client.refresh() == 1
    # A newer version that holds longer is found all the same.
    repo.signed[role].expires = EXPIRES
    repo.bump(*{role} - {"snapshot", "timestamp"})
    assert client.refresh() == 0


def test_an_expired_root_leads_to_the_next(
    client: Client, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.root.expires = EXPIRES - timedelta(days=25)
    repo.root.version += 1
    repo.old_root_signers = []
    repo.publish()
    repo.root.expires = EXPIRES
    repo.root.version += 1
    repo.publish()
    set_clock(monkeypatch, EXPIRES - timedelta(days=10))
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.refresh() == 0
    assert client.trusted()["root"] == 3


# ---- going back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_no_way_back(client: Client, repo: Repository, role: str) -> None:
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.refresh() == 0
    before = client.trusted()
    if role == "timestamp":
        repo.timestamp.version -= 1
    else:
        repo.timestamp.version += 1
        if role == "snapshot":
            repo.snapshot.version -= 1
        else:
            repo.snapshot.version += 1
            repo.targets().version -= 1
    repo.publish()
    assert client.refresh() == 1
    assert client.trusted()["targets"] == before["targets"]
    assert client.trusted()["snapshot"] == before["snapshot"]


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_is_undone_by_other_keys(client: Client, repo: Repository, role: str) -> None:
    client.init(repo.served("root"))
    honest = copy.deepcopy(repo.signed)
    repo.signed[role].version = 99_999
    if role == "snapshot":
        repo.timestamp.version += 1
    repo.publish()
    assert client.refresh() == 0
    repo.signed = honest
    repo.timestamp.version += 2
    repo.snapshot.version += 1
    repo.publish()
    assert client.refresh() == 1
    repo.rekey(role, CryptoSigner.generate_ed25519())
    repo.root.version += 1
    repo.old_root_signers = []
    repo.publish()
    assert client.refresh() == 0
    assert client.has(repo, *TOP)


def test_hashes_that_do_not_fit(client: Client, repo: Repository) -> None:
    repo.with_hashes = True
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.refresh() == 0
    repo.bump("targets")
    repo.targets().unrecognized_fields["x"] = 1
    repo.write("3.targets.json", repo.content("targets"))
    assert client.refresh() == 1
    assert client.trusted()["targets"] == 2


# ---- delegations --------------------------------------------------------------------------------


def test_delegated_roles_are_searched_in_order(
    client: Client, repo: Repository, link: Link
) -> None:
    for name, terminating in (("a", False), ("b", True), ("c", False)):
        repo.delegate(DelegatedRole(name, [], 1, terminating, paths=["shared/*", f"{name}/*"]))
    repo.delegate(DelegatedRole("d", [], 1, False, paths=["*/*"]), parent="a")
    repo.add_target("shared/x", b"of d", "d")
    repo.add_target("c/x", b"of c", "c")
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.download("shared/x") == 0
    assert client.downloaded() == [b"of d"]
    roles = link.paths(r"metadata/\d+\.[a-d]\.json")
    assert roles == ["metadata/1.a.json", "metadata/1.d.json"]
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2} | {
        "a": 1,
        "d": 1,
    }
    # b ends the search for what it may name, and c is never asked.
    assert client.download("shared/y") == 1
    assert link.paths(r"\.c\.json") == []
    assert client.download("c/x") == 0


def test_a_role_names_only_what_it_may(client: Client, repo: Repository) -> None:
    repo.delegate(DelegatedRole("a", [], 1, False, paths=["a/*"]))
    repo.add_target("b/x", b"not its own", "a")
    repo.add_target("a/y/x", b"a star ends at a slash", "a")
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.download("b/x") == 1
    assert client.download("a/y/x") == 1


@pytest.mark.parametrize("name", ["?", "#", "/rooted", "../above", "a b"])
def test_role_names_of_any_kind(client: Client, repo: Repository, link: Link, name: str) -> None:
    repo.delegate(DelegatedRole(name, [], 1, False, paths=["*"]))
    repo.add_target("x", b"x", name)
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    # No file could be called that; a server may answer to it all the same.
    link.faults = [Fault(faults.replaced(repo.served(name)), re.escape(f"metadata/1.{name}.json"))]
    assert client.download("x") == 0
    assert client.has(repo, *TOP, name)
    assert len(client.trusted()) == 5


def test_hashed_bins(client: Client, repo: Repository, link: Link) -> None:
    signer = CryptoSigner.generate_ed25519()
    bins = SuccinctRoles([signer.public_key.keyid], 1, 3, "bin")
    keys: dict[str, Key] = {signer.public_key.keyid: signer.public_key}
    repo.targets().delegations = Delegations(keys, succinct_roles=bins)
    for name in bins.get_roles():
        repo.signed[name] = Targets(expires=EXPIRES)
        repo.signers[name] = [signer]
    names = [f"file-{number}" for number in range(5)]
    for name in names:
        repo.add_target(name, name.encode(), bins.get_role_for_target(name))
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.download(*names) == 0
    assert client.downloaded() == [name.encode() for name in names]
    asked = {path.split(".")[1] for path in link.paths(r"\.bin-")}
    assert asked == {bins.get_role_for_target(name) for name in names}


def test_a_circle_of_roles_ends(client: Client, repo: Repository) -> None:
    repo.delegate(DelegatedRole("a", [], 1, False, paths=["*"]))
    repo.delegate(DelegatedRole("b", [], 1, False, paths=["*"]), parent="a")
    back = copy.deepcopy(repo.targets().delegations)
    assert back is not None
    repo.targets("b").delegations = back
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    assert client.download("nowhere") == 1


# ---- the link -----------------------------------------------------------------------------------

FAULTS: Mapping[str, Fault] = {
    "endless timestamp": Fault(faults.endless("close"), "timestamp"),
    "endless root": Fault(faults.endless("chunked"), "2.root"),
    "endless target": Fault(faults.endless("length"), "targets/"),
    "a page": Fault(faults.portal, "timestamp"),
    "not JSON": Fault(faults.replaced(b"[1, 2"), "snapshot"),
    "no snapshot": Fault(faults.status(404), "snapshot"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_link_that_misbehaves(client: Client, repo: Repository, link: Link, fault: str) -> None:
    repo.add_target("one.txt", b"one")
    repo.bump("targets")
    client.init((repo.folder / "metadata" / "1.root.json").read_bytes())
    link.faults = [copy.copy(FAULTS[fault])]
    assert client.download("one.txt") == 1
    assert client.downloaded() == []
    assert link.sent < 4_000_000
    link.faults = []
    assert client.download("one.txt") == 0
