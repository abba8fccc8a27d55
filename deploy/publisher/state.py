"""What a repository says now, read the way a client reads it: from a trusted root downwards.

Whoever signs must not trust the folder: a web server may have been at it, and what is signed anew
is believed. So every piece is verified before the next version is made of it.
"""

import hashlib
from dataclasses import dataclass

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component
from deploy.publisher.folder import Folder, read
from deploy.publisher.ring import Ring
from deploy.publisher.signing import from_bytes, is_signed, to_bytes

METADATA_BYTES = 5_000_000
"""The longest metadata; python-tuf's clients take no more."""
MOST_ROOTS = 256
"""Python-tuf's clients follow so many new roots at once."""


@dataclass
class State:
    """A repository's metadata in force, each piece verified."""

    root: Metadata[Root]
    previous: Metadata[Root]
    """The root before it; the same one where there is none."""
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    delegated: dict[Component, Metadata[Targets]]

    def of(self, role: str) -> Metadata:
        """The metadata of ``targets`` or of a component."""
        for component, metadata in self.delegated.items():
            if component == role:
                return metadata
        if role != Targets.type:
            raise UpdateError(f"{role[:60]!r} is no role of targets.")
        return self.targets

    def in_force(self, role: str) -> bool:
        """Whether a role of targets is signed by the keys that the newest metadata name."""
        authority = self.root.signed if role == Targets.type else self.targets.signed
        return is_signed(self.of(role), role, authority)


def load_roots(folder: Folder, trusted: Metadata[Root]) -> list[Metadata[Root]]:
    """The roots from ``trusted`` to the newest, each signed by its own and the one before.

    Raises ``UpdateError`` where one of them is not.
    """
    roots = [trusted]
    version = trusted.signed.version
    own = folder.role(Root.type, version)
    if own.exists():
        there = from_bytes(read(own, METADATA_BYTES, "a root"), Root, str(own))
        if there.signed != trusted.signed:
            raise UpdateError(
                f"{own}: is another root than the one beside the keys; this repository is not "
                "yours, or was changed by somebody else."
            )
    while (path := folder.role(Root.type, version + 1)).exists():
        new: Metadata[Root] = from_bytes(read(path, METADATA_BYTES, "a root"), Root, str(path))
        version += 1
        for authority in (roots[-1].signed, new.signed):
            if new.signed.version != version or not is_signed(new, Root.type, authority):
                raise UpdateError(
                    f"{path}: is not signed by enough keys of the root before it and of its own; "
                    "remove it, if `publish root` did not bring it."
                )
        roots.append(new)
        if len(roots) > MOST_ROOTS:
            raise UpdateError(f"{folder.metadata}: holds more than {MOST_ROOTS} newer roots.")
    return roots


def trusted_root(ring: Ring) -> Metadata[Root]:
    """The root beside the keys. Raises ``UpdateError`` where none is."""
    trusted = ring.trust()
    if trusted is None:
        raise UpdateError(
            f"There is no root.json in {ring.where()}; put the one that `keys init` made beside "
            "the keys, so that nothing foreign is signed."
        )
    return trusted


def load(folder: Folder, ring: Ring) -> State:
    """A repository's state, verified from the root beside the keys. Raises ``UpdateError``."""
    roots = load_roots(folder, trusted_root(ring))
    # Between a new root and what its new keys sign anew, the one before it vouches for the rest.
    root, previous = roots[-1], roots[-2] if len(roots) > 1 else roots[-1]
    vouching = [root.signed, previous.signed]
    timestamp = _verified(folder, Timestamp, None, vouching)
    snapshot = _verified(folder, Snapshot, timestamp.signed.snapshot_meta, vouching)
    targets = _verified(folder, Targets, _listed(snapshot, Targets.type), vouching)
    delegated: dict[Component, Metadata[Targets]] = {}
    for component in COMPONENTS:
        listed = _listed(snapshot, component)
        delegated[component] = _verified(folder, Targets, listed, [targets.signed], component)
    return State(root, previous, timestamp, snapshot, targets, delegated)


def listed_as(metadata: Metadata, content: bytes) -> MetaFile:
    """How a snapshot or a timestamp names ``metadata``, whose file is ``content``."""
    return MetaFile(
        metadata.signed.version, len(content), {"sha256": hashlib.sha256(content).hexdigest()}
    )


def same(one: Metadata, other: Metadata) -> bool:
    """Whether two files of metadata say the same, whoever signed."""
    return to_bytes(Metadata(one.signed)) == to_bytes(Metadata(other.signed))


def _listed(snapshot: Metadata[Snapshot], role: str) -> MetaFile:
    listed = snapshot.signed.meta.get(f"{role}.json")
    if listed is None:
        raise UpdateError(f"The snapshot names no {role} metadata; this is no repository of ours.")
    return listed


def _verified(
    folder: Folder,
    kind: type[Signed],
    listed: MetaFile | None,
    authorities: list,
    role: str | None = None,
) -> Metadata:
    role = role or kind.type
    path = folder.timestamp if listed is None else folder.role(role, listed.version)
    content = read(path, METADATA_BYTES, f"the {role} metadata")
    if listed is not None:
        try:
            listed.verify_length_and_hashes(content)
        except LengthOrHashMismatchError:
            raise UpdateError(f"{path}: is not what the metadata above it name.") from None
    metadata = from_bytes(content, kind, str(path))
    if listed is not None and metadata.signed.version != listed.version:
        raise UpdateError(f"{path}: says that it is version {metadata.signed.version}.")
    if not any(is_signed(metadata, role, authority) for authority in authorities):
        raise UpdateError(f"{path}: is not signed by the key of {role}.")
    return metadata
