"""A complete little repository for tests, made by the real publisher with keys kept in memory.

    repo = make_repository(tmp_path)
    repo.publish({"stage.onnx": b"one"})            # models 1
    repo.publish({"stage.onnx": b"two"})            # models 2
    repo.publish({"source/a.py": b""}, component="firmware")
    repo.folder.path                                # serve this
    repo.root_bytes                                 # what a device trusts

Forging: ``repo.ring.signers["models"]`` signs as the real key; ``repo.edit("models", change)``
signs whatever ``change`` did and publishes it in the right order; ``repo.forge(...)`` signs with
keys of one's choice and touches nothing else. Content need not be playable: nothing inspects it.
"""

import hashlib
import random
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Signer

from deploy.places import Component
from deploy.publisher.commit import commit
from deploy.publisher.content import About, Describe, Made
from deploy.publisher.folder import Folder
from deploy.publisher.publish import (
    Inspect,
    begin,
    find,
    publish,
    refresh,
    release_of,
    roll_out,
    withdraw,
)
from deploy.publisher.ring import PublicKey
from deploy.publisher.roles import PLAN, role_of
from deploy.publisher.root import first_root, sign_root
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import State, load
from deploy.release import Blob, Release, ReleaseFile

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
"""When a repository of these is made, unless one says otherwise."""


class MemoryRing:
    """Keys by name, made from a seed: the same ones in every run, in microseconds."""

    def __init__(self, names: Iterable[str], seed: int = 0) -> None:
        self.signers: dict[str, CryptoSigner] = {}
        self.absent: set[str] = set()
        """Names whose private half is not at hand now: on a stick, lost, somewhere else."""
        self.seed = seed
        self.root: Metadata[Root] | None = None
        for name in names:
            self.make(name)

    def make(self, name: str) -> PublicKey:
        """Another key, such as ``timestamp-2``."""
        secret = hashlib.sha256(f"{self.seed} {name}".encode()).digest()
        signer = CryptoSigner(Ed25519PrivateKey.from_private_bytes(secret))
        signer.public_key.unrecognized_fields["x-purga-name"] = name
        self.signers[name] = signer
        return PublicKey(name, role_of(name), signer.public_key)

    def keyid(self, name: str) -> str:
        return self.signers[name].public_key.keyid

    def public(self) -> list[PublicKey]:
        return [
            PublicKey(name, role_of(name), signer.public_key)
            for name, signer in self.signers.items()
        ]

    def signer(self, keyid: str) -> Signer | None:
        for name, signer in self.signers.items():
            if signer.public_key.keyid == keyid and name not in self.absent:
                return signer
        return None

    def where(self) -> str:
        return "the test's memory"

    def trust(self) -> Metadata[Root] | None:
        return self.root


@dataclass
class Repo:
    """A repository, its keys, and the time as its publisher knows it."""

    folder: Folder
    ring: MemoryRing
    now: datetime
    work: Path
    describe: Describe
    inspect: Inspect | None = None
    """What a release's folder must pass; nothing, as the content is random."""
    released: list[str] = field(default_factory=list)
    """Paths of the releases, in order."""

    @property
    def root_bytes(self) -> bytes:
        """The first root: what devices ship with."""
        return self.folder.role("root", 1).read_bytes()

    @property
    def newest_root_bytes(self) -> bytes:
        return self.folder.role("root", self.folder.roots()[-1]).read_bytes()

    def publish(
        self,
        files: Mapping[str, bytes],
        *,
        component: Component = "models",
        version: int = 0,
        name: str = "",
        groups: Mapping[str, int] | None = None,
        bases: Sequence[str] | None = None,
        executable: Iterable[str] = (),
    ) -> tuple[str, Made]:
        """A release of ``{path: bytes}``; returns its TUF path and what was made."""
        source = self.work / f"release-{len(self.released)}"
        shutil.rmtree(source, ignore_errors=True)
        for path, content in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(content)
            (source / path).chmod(0o755 if path in set(executable) else 0o644)
        made = publish(
            source,
            About(component, version, name),
            {"all": 100} if groups is None else groups,
            self.folder,
            self.ring,
            self.now,
            self.describe,
            self.inspect,
            bases,
        )
        self.released.append(made[0])
        return made

    def roll_out(self, which: str, **groups: int) -> None:
        """For groups whose names Python takes for keywords."""
        roll_out(which, groups, self.folder, self.ring, self.now)

    def withdraw(self, which: str) -> None:
        withdraw(which, self.folder, self.ring, self.now)

    def refresh(self, after: timedelta = timedelta()) -> None:
        """What cron does, ``after`` so long."""
        self.now += after
        refresh(self.folder, self.ring, self.now)

    def state(self) -> State:
        """The metadata in force, verified; editing them changes nothing until ``edit``."""
        return load(self.folder, self.ring)

    def release(self, which: str) -> Release:
        """What a release holds, by ``models:1`` or its path."""
        return release_of(self.folder, find(self.state(), which))

    def edit(self, role: str, change: Callable[[Metadata], object]) -> None:
        """Change targets', models' or firmware's metadata and publish them, properly signed."""
        state = self.state()
        change(state.of(role))
        commit(self.folder, state, self.ring, self.now, [role])

    def forge(self, metadata: Metadata, *signers: str) -> bytes:
        """A file of metadata signed by keys of these names, whoever should have signed it."""
        forged: Metadata = Metadata.from_bytes(to_bytes(metadata))
        forged.signatures.clear()
        for name in signers:
            forged.sign(self.ring.signers[name], append=True)
        return to_bytes(forged)


def make_repository(tmp_path: Path, seed: int = 0, now: datetime = NOW) -> Repo:
    """An empty repository in ``tmp_path / "repository"``: root 2 of 3, one key per other role."""
    names = [
        role if plan.keys == 1 else f"{role}-{number + 1}"
        for role, plan in PLAN.items()
        for number in range(plan.keys)
    ]
    ring = MemoryRing(names, seed)
    root = first_root(ring.public(), now)
    sign_root(root, ring)
    ring.root = root
    folder = Folder(tmp_path / "repository")
    begin(folder, ring, now, {})
    return Repo(folder, ring, now, tmp_path / "releases", describe_plainly)


def some_files(seed: int = 0) -> dict[str, bytes]:
    """The files of a small models release, incompressible, about 200 KB; nothing plays them."""
    numbers = random.Random(seed)
    return {
        "stage.onnx": numbers.randbytes(150_000),
        "studio/manifest.json": b'{"seed": %d}' % seed,
        "studio/decoder.fp32.onnx": numbers.randbytes(50_000),
        "presets/one.toml": b"format = 1\n",
    }


CHUNK_BYTES = 16_384


def describe_plainly(
    path: str, content: bytes, executable: bool = False, bases: Sequence[bytes] = ()
) -> tuple[ReleaseFile, dict[str, bytes]]:
    """Chunks of one length and no differences: quick, and one knows where they lie.

    ``repo.describe = deploy.chunks.describe`` publishes as the real command does.
    """
    frames, blobs = {}, []
    for start in range(0, len(content), CHUNK_BYTES):
        piece = content[start : start + CHUNK_BYTES]
        frame = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(piece)
        stored_sha256 = hashlib.sha256(frame).hexdigest()
        frames[stored_sha256] = frame
        blobs.append(
            Blob(
                sha256=hashlib.sha256(piece).hexdigest(),
                bytes=len(piece),
                stored_sha256=stored_sha256,
                stored_bytes=len(frame),
            )
        )
    file = ReleaseFile(
        path=path,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        executable=executable,
        blobs=tuple(blobs),
    )
    return file, frames
