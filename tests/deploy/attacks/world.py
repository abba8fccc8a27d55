"""A repository, what serves it, and a pedal on which its first release plays.

The publisher's keys are all here: an attack takes those that its attacker is said to have.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from tuf.api.metadata import Metadata

from deploy.publisher.commit import commit
from deploy.publisher.folder import Folder
from deploy.publisher.roles import PLAN
from deploy.publisher.root import next_root, replace_key, sign_root
from tests.deploy.attacks.pedal import Pedal, Told
from tests.deploy.link.server import Fault, Link
from tests.deploy.publisher.repository import (
    NOW,
    MemoryRing,
    Repo,
    describe_plainly,
    make_repository,
    some_files,
)

Kind = Literal["link", "stick"]
NAMES = [
    role if plan.keys == 1 else f"{role}-{number + 1}"
    for role, plan in PLAN.items()
    for number in range(plan.keys)
]
FIRMWARE = {"source/main.py": b"print('one')\n", "source/a/b.py": b"1\n"}


@dataclass
class World:
    """``old`` is the repository's folder as the pedal last saw it; nobody changes it."""

    folder: Path
    repo: Repo
    pedal: Pedal
    kind: Kind
    old: Path
    stack: ExitStack = field(default_factory=ExitStack)
    _link: Link | None = None

    @property
    def mirror(self) -> Path:
        """The folder that the pedal is given; attackers change it at will."""
        return self.repo.folder.path

    @property
    def link(self) -> Link:
        """What serves the mirror."""
        if self._link is None:
            self._link = self.stack.enter_context(Link(self.mirror))
        return self._link

    def get(self, *faults: Fault) -> Told:
        """An update from the mirror, over the link or from the stick."""
        if self.kind == "stick":
            return self.pedal.get(self.pedal.stick(self.mirror))
        self.link.faults = list(faults)
        return self.pedal.get(self.pedal.http(self.link.url))

    def get_from(self, folder: Path) -> Told:
        """An update from another folder, such as an older state of the mirror."""
        if self.kind == "stick":
            return self.pedal.get(self.pedal.stick(folder))
        with Link(folder) as link:
            return self.pedal.get(self.pedal.http(link.url))

    def keep(self, name: str) -> Path:
        """A copy of the mirror as it is now."""
        kept = self.folder / "kept" / name
        shutil.copytree(self.mirror, kept)
        return kept

    def go_back_to(self, folder: Path, *patterns: str) -> None:
        """Put files of another folder into the mirror, all of them or those that fit."""
        for pattern in patterns or ("**/*",):
            for file in folder.glob(pattern):
                if file.is_file():
                    place = self.mirror / file.relative_to(folder)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, place)

    def unpack(self) -> Path:
        """Drop packed release files, which nobody signs; gives release 2's plain one."""
        drop_packed(self.mirror)
        files = (self.mirror / "targets" / "models").iterdir()
        return next(path for path in files if path.name.endswith(".two.json"))

    def days_pass(self, days: float) -> None:
        """For everybody."""
        self.repo.now += timedelta(days=days)
        self.pedal.clock.calendar += timedelta(days=days)

    def forged(self, role: str, change: Callable[[Metadata], object], *signers: str) -> bytes:
        """The newest metadata of a role, changed, and signed by keys of these names."""
        metadata: Metadata = Metadata.from_bytes(self.newest(role).read_bytes())
        change(metadata)
        return self.repo.forge(metadata, *signers)

    def rotate(self, *roles: str) -> None:
        """New keys for roles, as ``publish root`` brings them in."""
        repo = self.repo
        draft = next_root(repo.state().root, repo.now)
        for role in roles:
            name = f"{role}-{draft.signed.version}"
            replace_key(draft.signed, role, repo.ring.make(name), None)  # type: ignore[arg-type]
        sign_root(draft, repo.ring)
        commit(repo.folder, repo.state(), repo.ring, repo.now, new_root=draft)

    def newest(self, role: str) -> Path:
        """The file of a role's metadata in force."""
        if role == "timestamp":
            return self.repo.folder.timestamp
        files = self.repo.folder.metadata.glob(f"*.{role}.json")
        return max(files, key=lambda file: int(file.name.split(".")[0]))

    def chunks(self) -> list[Path]:
        """Every chunk in the mirror that the pedal lacks."""
        have = {path.name for path in (self.old / "chunks").rglob("*")}
        files = sorted(path for path in (self.mirror / "chunks").rglob("*") if path.is_file())
        return [path for path in files if path.name not in have]


def drop_packed(repository: Path) -> None:
    """As if the publisher had none: what is plain has to do."""
    for path in (repository / "targets").rglob("*.zst"):
        path.unlink()


def make_template(folder: Path) -> None:
    """A pedal that plays release 1, and a repository that has gone on to release 2."""
    repo = make_repository(folder)
    repo.publish(some_files(1), name="one")
    pedal = Pedal(folder / "pedal", repo.now)
    pedal.trust(repo.root_bytes)
    pedal.get(pedal.stick(repo.folder.path)).done()
    pedal.get(pedal.stick(repo.folder.path)).done()
    active = pedal.slots().active
    assert active is not None and (active.version, active.state) == (1, "good")
    shutil.copytree(repo.folder.path, folder / "old")
    repo.publish(some_files(2), name="two")


def make_world(template: Path, folder: Path, kind: Kind) -> Iterator[World]:
    """A copy of the template, with the publisher's keys."""
    for name in ("repository", "pedal"):
        shutil.copytree(template / name, folder / name, symlinks=True)
    place = Folder(folder / "repository")
    ring = MemoryRing(NAMES)
    ring.root = Metadata.from_bytes(place.role("root", 1).read_bytes())
    repo = Repo(
        place, ring, NOW, folder / "work", describe_plainly, released=["models/one.json"] * 2
    )
    with ExitStack() as stack:
        pedal = Pedal(folder / "pedal", repo.now)
        yield World(folder, repo, pedal, kind, template / "old", stack)
