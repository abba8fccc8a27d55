"""Keys in folders: each a private half, encrypted, and a public half that may travel.

``NAME.pem`` is PKCS #8 under a passphrase, as OpenSSL reads it; ``NAME.pub`` says in JSON what
everybody may know. A folder may be a stick; ``root.json`` in it is what its owner trusts.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import Field
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root, Signer

from deploy.errors import UpdateError
from deploy.publisher.folder import read
from deploy.publisher.passphrase import Passphrases
from deploy.publisher.ring import PublicKey
from deploy.publisher.roles import NAME, role_of
from deploy.publisher.root import parse_root
from deploy.publisher.signing import is_signed
from models.errors import ModelError
from models.record import Record, parse_record, write_record
from models.replace import sync_folder, write_file

PRIVATE, PUBLIC, TRUST = ".pem", ".pub", "root.json"
_FILE_BYTES = 65_536
_ROOT_BYTES = 512_000


class PublicFile(Record):
    """``NAME.pub``."""

    format: Literal[1] = 1
    name: Annotated[str, Field(max_length=40)]
    keyid: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scheme: Literal["ed25519"] = "ed25519"
    public: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The 32 bytes of the Ed25519 key."""


def make_key(name: str, folder: Path, passphrases: Passphrases) -> PublicKey:
    """A new key pair in ``folder``. Raises ``UpdateError`` where one of that name is there."""
    role = role_of(name)
    signer = CryptoSigner(Ed25519PrivateKey.generate())
    key = signer.public_key
    key.unrecognized_fields[NAME] = name
    private = signer._private_key  # CryptoSigner.private_bytes would write it unencrypted
    encrypted = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrases.new(name))
    )
    public = PublicFile(name=name, keyid=key.keyid, public=key.keyval["public"])
    previous = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / f"{name}{PRIVATE}", encrypted)
        write_file(folder / f"{name}{PUBLIC}", write_record(public))
        sync_folder(folder)
    except FileExistsError:
        raise UpdateError(
            f"{folder}: holds a key {name} already; give this one a new name."
        ) from None
    except OSError as problem:
        raise UpdateError(f"{folder}: no key could be made there ({problem.strerror}).") from None
    finally:
        os.umask(previous)
    return PublicKey(name, role, key)


def read_public(file: Path) -> PublicKey:
    """A ``.pub`` file. Raises ``UpdateError``."""
    content = read(file, _FILE_BYTES, "a public key")
    try:
        public = parse_record(content, PublicFile, str(file), "a public key", "copy it again")
    except ModelError as problem:
        raise UpdateError(str(problem)) from None
    key = SSlibKey(
        public.keyid, "ed25519", public.scheme, {"public": public.public}, {NAME: public.name}
    )
    return PublicKey(public.name, role_of(public.name), key)


class KeyFolders:
    """Keys in the given folders and in the folders directly below them. Raises ``UpdateError``."""

    def __init__(
        self, folders: Sequence[Path], passphrases: Passphrases, trust: Path | None = None
    ) -> None:
        """``trust`` is the root to begin from, if it lies elsewhere than beside the keys."""
        self._given = folders
        self._passphrases = passphrases
        self._trust = trust
        self._signers: dict[str, Signer] = {}
        self._folders: list[Path] = []
        for folder in folders:
            if not folder.is_dir():
                raise UpdateError(f"{folder}: there is no such folder of keys.")
            self._folders += [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]
        self._public: dict[str, PublicKey] = {}
        self._private: dict[str, Path] = {}
        for folder in self._folders:
            for file in sorted(folder.glob(f"*{PUBLIC}")):
                public = read_public(file)
                self._public[public.key.keyid] = public
                if file.with_suffix(PRIVATE).exists():
                    self._private[public.key.keyid] = file.with_suffix(PRIVATE)

    @property
    def folders(self) -> list[Path]:
        """Where keys were looked for."""
        return self._folders

    def public(self) -> list[PublicKey]:
        """Every key that is known here, by name."""
        return sorted(self._public.values(), key=lambda public: public.name)

    def private(self, keyid: str) -> Path | None:
        """The file of a key's private half, if it is here."""
        return self._private.get(keyid)

    def signer(self, keyid: str) -> Signer | None:
        """What signs with a key; its passphrase is found or asked for at the first time."""
        file = self._private.get(keyid)
        if file is None:
            return None
        if keyid not in self._signers:
            self._signers[keyid] = _unlock(file, self._public[keyid], self._passphrases)
        return self._signers[keyid]

    def where(self) -> str:
        """The folders that were given."""
        return ", ".join(str(folder) for folder in self._given) or "any folder of keys"

    def trust(self) -> Metadata[Root] | None:
        """The newest ``root.json`` beside the keys, or the one that was given."""
        files = [folder / TRUST for folder in self._folders if (folder / TRUST).exists()]
        if self._trust is not None:
            files = [self._trust]
        roots = [parse_root(read(file, _ROOT_BYTES, "a root"), str(file)) for file in files]
        for root, file in zip(roots, files, strict=True):
            if not is_signed(root, Root.type, root.signed):
                raise UpdateError(
                    f"{file}: is not signed by enough root keys yet; sign it with `keys sign`."
                )
        return max(roots, key=lambda root: root.signed.version, default=None)


def _unlock(file: Path, public: PublicKey, passphrases: Passphrases) -> Signer:
    content = read(file, _FILE_BYTES, "a private key")
    for passphrase in passphrases.candidates(str(file)):
        try:
            private = load_pem_private_key(content, passphrase)
        except TypeError:
            raise UpdateError(
                f"{file}: is not encrypted; anybody who sees it can sign, so make another with "
                "`keys new`."
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            continue
        # Nothing ties an id to a key, so the key itself is compared.
        if (
            not isinstance(private, Ed25519PrivateKey)
            or private.public_key().public_bytes_raw().hex() != public.key.keyval["public"]
        ):
            raise UpdateError(f"{file}: is not the private half of {public.name}{PUBLIC}.")
        return CryptoSigner(private, public.key)
    raise UpdateError(f"{file}: no passphrase opens it; name the right --passphrase-file.")
