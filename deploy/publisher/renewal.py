"""Other keys for a repository: a new root taken, a component handed to a new key."""

from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from deploy.errors import UpdateError
from deploy.places import Component
from deploy.publisher.commit import Committed, commit
from deploy.publisher.folder import Folder
from deploy.publisher.ring import PublicKey, Ring
from deploy.publisher.root import check_root, find_key, signatures
from deploy.publisher.state import load, load_roots, same, trusted_root


def newest_root(folder: Folder, ring: Ring) -> Metadata[Root]:
    """The root in force, verified from the one beside the keys. Raises ``UpdateError``."""
    return load_roots(folder, trusted_root(ring))[-1]


def take_root(draft: Metadata[Root], folder: Folder, ring: Ring, now: datetime) -> Committed:
    """Put a signed draft into force, and sign with its keys what they did not sign yet.

    Raises ``UpdateError`` where signatures or a key for what follows from it are missing; then
    nothing has changed. Interrupted, it is run again with the same draft.
    """
    with folder.alone():
        state = load(folder, ring)
        if same(draft, state.root):
            return commit(folder, state, ring, now)
        check_root(draft.signed)
        reached = signatures(draft, state.root)
        if not reached.done:
            raise UpdateError(
                f"The draft lacks {reached.missing_own} signatures of its own root keys and "
                f"{reached.missing_previous} of the root's before it; sign it with `keys sign` "
                f"where one of these is: {', '.join(reached.could) or 'none is left'}."
            )
        if draft.signed.expires <= now:
            raise UpdateError(f"The draft expired at {draft.signed.expires:%Y-%m-%d}; renew it.")
        return commit(folder, state, ring, now, new_root=draft)


def hand_over(
    component: Component, new: PublicKey, old: str | None, folder: Folder, ring: Ring, now: datetime
) -> tuple[str, Committed]:
    """Let ``new`` sign a component's releases in the place of ``old``; returns the old key's id.

    What is offered is signed anew by the new key, whose private half must be at hand, as must the
    key of targets. Raises ``UpdateError``.
    """
    with folder.alone():
        state = load(folder, ring)
        delegations = state.targets.signed.delegations
        if delegations is None or not delegations.roles or component not in delegations.roles:
            raise UpdateError(f"The targets metadata hand {component} to nobody.")
        if new.role != component:
            raise UpdateError(f"{new.name} is a key of {new.role}, not of {component}.")
        if new.key.keyid in delegations.keys:
            raise UpdateError(f"{new.name} is in use already; `keys new` makes another.")
        role = delegations.roles[component]
        gone = find_key(delegations.keys, role.keyids, component, old)
        role.keyids[role.keyids.index(gone)] = new.key.keyid
        delegations.keys[new.key.keyid] = new.key
        if not any(gone in other.keyids for other in delegations.roles.values()):
            del delegations.keys[gone]
        return gone, commit(folder, state, ring, now, [Targets.type, component])
