"""Writing a repository's next state, in the order in which no client ever reads half of it.

Release files and chunks lie there already. Then come the metadata that name them, the snapshot
that names those, and the timestamp, which alone is replaced under its name: before that moment
clients see the old state, after it the new one. A new root comes last of all where the old keys
signed as well, because then both roots accept everything; where an old key is gone it comes
first, and what its own keys sign follows at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from deploy.errors import UpdateError
from deploy.places import COMPONENTS
from deploy.publisher.folder import Folder
from deploy.publisher.ring import Ring, called
from deploy.publisher.roles import as_role, renew
from deploy.publisher.signing import Authority, is_signed, sign, to_bytes
from deploy.publisher.state import State, listed_as


@dataclass
class Committed:
    """What was written."""

    roles: list[str]
    """Whose metadata have a new version."""
    smooth: bool
    """Whether there was no moment at which a client had to try again."""


def commit(
    folder: Folder,
    state: State,
    ring: Ring,
    now: datetime,
    changed: Iterable[str] = (),
    new_root: Metadata[Root] | None = None,
) -> Committed:
    """Sign the next version of what ``changed`` and of what depends on it, and write it.

    ``changed`` names ``targets`` or components whose metadata in ``state`` were edited. What the
    newest keys did not sign yet is signed anew too. Raises ``UpdateError`` where a key is missing,
    and then nothing was written; ``UpdateFailedError`` where the disk fails.
    """
    authorities: list[Authority] = [state.root.signed]
    if new_root is not None and new_root.signed.version != state.root.signed.version:
        authorities.append(new_root.signed)
    newest = authorities[-1]
    roles = _to_sign(state, newest, set(changed))
    smooth = True
    files: list[tuple[str, Metadata, bytes]] = []
    snapshot = state.snapshot.signed
    for role in roles:
        metadata = state.of(role)
        _next(metadata, now)
        if role == Targets.type:
            _know_delegated_keys(state.targets.signed, ring)
            smooth &= sign(metadata, role, authorities, ring)
        else:
            sign(metadata, role, [state.targets.signed], ring)
        content = to_bytes(metadata)
        snapshot.meta[f"{role}.json"] = listed_as(metadata, content)
        files.append((role, metadata, content))
    _next(state.snapshot, now)
    smooth &= sign(state.snapshot, Snapshot.type, authorities, ring)
    content = to_bytes(state.snapshot)
    files.append((Snapshot.type, state.snapshot, content))
    state.timestamp.signed.snapshot_meta = listed_as(state.snapshot, content)
    _next(state.timestamp, now)
    smooth &= sign(state.timestamp, Timestamp.type, authorities, ring)

    root = None if new_root is None else to_bytes(new_root)
    root_path = folder.role(Root.type, newest.version)
    if root is not None and not smooth:
        folder.write([(root_path, root)])
    folder.write(
        (folder.role(role, metadata.signed.version), content) for role, metadata, content in files
    )
    folder.write([(folder.timestamp, to_bytes(state.timestamp))])
    if root is not None and smooth:
        folder.write([(root_path, root)])
    if new_root is not None:
        state.root = new_root
    return Committed([*roles, Snapshot.type, Timestamp.type], smooth)


def _to_sign(state: State, newest: Authority, changed: set[str]) -> list[str]:
    """``changed``, and what the newest keys did not sign yet; delegated roles after targets."""
    if not is_signed(state.targets, Targets.type, newest):
        changed.add(Targets.type)
    for component in COMPONENTS:
        if not is_signed(state.of(component), component, state.targets.signed):
            changed.add(component)
    return [role for role in (Targets.type, *COMPONENTS) if role in changed]


def _next(metadata: Metadata, now: datetime) -> None:
    metadata.signed.version += 1
    renew(metadata.signed, now)


def _know_delegated_keys(targets: Targets, ring: Ring) -> None:
    """Refuse to hand a component to a key that is not known here as that component's.

    The keys are compared and not only their ids: nothing ties an id to a key.
    """
    known = {(public.role, public.key.keyid): public.key for public in ring.public()}
    if targets.targets:
        raise UpdateError("The targets metadata name files themselves; ours only delegate.")
    delegations = targets.delegations
    for role in (delegations.roles or {}).values() if delegations is not None else ():
        for keyid in role.keyids:
            key = targets.get_key(keyid)
            ours = known.get((as_role(role.name), keyid))
            if ours is None or ours.keyval != key.keyval:
                raise UpdateError(
                    f"The targets metadata hand {role.name} to the key {called(key, keyid)}, which "
                    f"is no key of {role.name} in {ring.where()}; name the folder of its .pub file "
                    "with --keys if it is yours."
                )
