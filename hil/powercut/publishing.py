"""Repositories to update from, made by the real publisher with keys that are thrown away."""

import random
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Signer

from deploy.chunks import describe
from deploy.publisher.content import About
from deploy.publisher.folder import Folder
from deploy.publisher.publish import begin, publish
from deploy.publisher.ring import PublicKey
from deploy.publisher.roles import PLAN, role_of
from deploy.publisher.root import first_root, sign_root

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
"""When everything is published, and when pedals update."""
_STAGE_BYTES, _STUDIO_BYTES = 70_000, 20_000


class _Ring:
    """Keys in memory."""

    def __init__(self) -> None:
        self._signers: dict[str, CryptoSigner] = {}
        self.root: Metadata[Root] | None = None
        for role, plan in PLAN.items():
            for number in range(1, plan.keys + 1):
                signer = CryptoSigner.generate_ed25519()
                name = role if plan.keys == 1 else f"{role}-{number}"
                signer.public_key.unrecognized_fields["x-purga-name"] = name
                self._signers[name] = signer

    def public(self) -> Iterable[PublicKey]:
        return [PublicKey(name, role_of(name), one.public_key) for name, one in self._items()]

    def signer(self, keyid: str) -> Signer | None:
        return next((one for _, one in self._items() if one.public_key.keyid == keyid), None)

    def where(self) -> str:
        return "memory"

    def trust(self) -> Metadata[Root] | None:
        return self.root

    def _items(self) -> Iterable[tuple[str, CryptoSigner]]:
        return self._signers.items()


def content(version: int) -> dict[str, bytes]:
    """The files of models release ``version``: one retrained in part, one kept, one new."""
    stage = bytearray(random.Random(0).randbytes(_STAGE_BYTES))
    # What a fine-tune does to a part of the weights.
    at = 7_000 * version % _STAGE_BYTES
    stage[at : at + 4_000] = random.Random(version).randbytes(4_000)
    return {
        "stage.onnx": bytes(stage),
        "studio/decoder.fp32.onnx": random.Random("studio").randbytes(_STUDIO_BYTES),
        f"presets/{version}.toml": f"format = 1\nname = 'of release {version}'\n".encode(),
    }


def publish_all(folder: Path, newest: int) -> tuple[bytes, dict[int, Path]]:
    """Releases 1 to ``newest`` of models, and the repository as it was after each.

    Returns the root of trust, and the repositories by the newest version that they offer.
    """
    ring = _Ring()
    ring.root = first_root(ring.public(), NOW)
    sign_root(ring.root, ring)
    live = Folder(folder / "live")
    begin(live, ring, NOW, {})
    copies = {}
    for version in range(1, newest + 1):
        source = folder / "source"
        for path, data in content(version).items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(data)
        about = About("models", version, "")
        publish(source, about, {"all": 100}, live, ring, NOW, describe, None)
        shutil.rmtree(source)
        copies[version] = folder / str(version)
        shutil.copytree(live.path, copies[version])
    return live.role(Root.type, 1).read_bytes(), copies
