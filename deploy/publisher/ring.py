"""Keys at hand: who can sign, and whom one knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Key, Metadata, Root, Signer

from deploy.publisher.roles import NAME, RoleName


@dataclass(frozen=True)
class PublicKey:
    """The half of a key that everybody may see."""

    name: str
    role: RoleName
    key: SSlibKey
    """Its ``unrecognized_fields`` hold the name, so that metadata carry it."""


class Ring(Protocol):
    """Where signing finds its keys."""

    def public(self) -> Iterable[PublicKey]:
        """Every key that is known here."""

    def signer(self, keyid: str) -> Signer | None:
        """What signs with a key, unlocked; None where its private half is not here."""

    def where(self) -> str:
        """Where keys were looked for, for a sentence."""

    def trust(self) -> Metadata[Root] | None:
        """The root that was put beside the keys: what whoever holds them trusts."""


def called(key: Key | None, keyid: str) -> str:
    """A key, in a sentence: its name if it has one, and the beginning of its id."""
    name = key.unrecognized_fields.get(NAME) if key is not None else None
    return f"{name} ({keyid[:8]})" if isinstance(name, str) else keyid[:8]
