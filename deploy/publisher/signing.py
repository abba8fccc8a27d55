"""Signatures of one piece of metadata: made with the keys at hand, held against who must sign."""

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Key, Metadata, Root, Signed, Targets
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from deploy.errors import UpdateError
from deploy.publisher.ring import Ring, called

Authority = Root | Targets
"""Whose word says which keys sign a role."""

_COMPACT = JSONSerializer(compact=True)
_CANONICAL = CanonicalJSONSerializer()


def to_bytes(metadata: Metadata) -> bytes:
    """Metadata as the file that carries them."""
    return metadata.to_bytes(_COMPACT)


def from_bytes(content: bytes, kind: type[Signed], where: str) -> Metadata:
    """Metadata of one kind from a file. Raises ``UpdateError`` with one sentence."""
    try:
        metadata: Metadata = Metadata.from_bytes(content)
    except DeserializationError as problem:
        raise UpdateError(f"{where}: is not TUF metadata ({problem}).") from None
    if not isinstance(metadata.signed, kind):
        raise UpdateError(f"{where}: holds {metadata.signed.type} metadata, not {kind.type}.")
    return metadata


def is_signed(metadata: Metadata, role: str, authority: Authority) -> bool:
    """Whether enough of the keys that ``authority`` names for ``role`` signed."""
    payload = _CANONICAL.serialize(metadata.signed)
    try:
        authority.verify_delegate(role, payload, metadata.signatures)
    except (UnsignedMetadataError, ValueError):
        return False
    return True


def sign(metadata: Metadata, role: str, authorities: list[Authority], ring: Ring) -> bool:
    """Sign with every key at hand that any of ``authorities`` names for ``role``.

    The last authority is the one that counts: raises ``UpdateError`` where its threshold is not
    reached. Returns whether that of every other one is reached too. Signatures that were there
    are dropped: the content has changed.
    """
    metadata.signatures.clear()
    wanted: dict[str, Key] = {}
    for authority in authorities:
        for keyid in authority.get_delegated_role(role).keyids:
            wanted[keyid] = authority.get_key(keyid)
    payload = _CANONICAL.serialize(metadata.signed)
    for keyid in wanted:
        signer = ring.signer(keyid)
        if signer is not None:
            metadata.signatures[keyid] = signer.sign(payload)
    if not is_signed(metadata, role, authorities[-1]):
        keyids = authorities[-1].get_delegated_role(role).keyids
        raise UpdateError(
            f"The {role} metadata need the key {_either(keyids, wanted)}, which is not in "
            f"{ring.where()}; name its folder with --keys."
        )
    return all(is_signed(metadata, role, authority) for authority in authorities[:-1])


def _either(keyids: list[str], keys: dict[str, Key]) -> str:
    return " or ".join(called(keys.get(keyid), keyid) for keyid in keyids) or "of nobody"
