"""The root of trust: made once, changed by a draft that travels from key to key.

A draft is the next root's file with the signatures so far. It is carried to each machine that
holds one of the keys, signed there, and carried on; the repository takes it when enough keys of
the root before it and of its own have signed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Key, Metadata, Role, Root

from deploy.errors import UpdateError
from deploy.publisher.ring import PublicKey, Ring, called
from deploy.publisher.roles import DAYS, NAME, PLAN, TOP_ROLES, TopRole, renew
from deploy.publisher.signing import from_bytes, to_bytes


@dataclass(frozen=True)
class Signatures:
    """How far a root's draft has come."""

    signed: tuple[str, ...]
    """Names of the keys that did, both roots' together."""
    missing_own: int
    """Signatures that its own root role still needs."""
    missing_previous: int
    """Signatures that the root before it still asks for; 0 too where that one is not known."""
    could: tuple[str, ...]
    """Names of keys whose signature would count and is not there."""

    @property
    def done(self) -> bool:
        """Whether clients would take it."""
        return not self.missing_own and not self.missing_previous


def first_root(
    public: Iterable[PublicKey],
    now: datetime,
    threshold: int = PLAN["root"].threshold,
    days: int = PLAN["root"].days,
) -> Metadata[Root]:
    """The root that everything begins with, unsigned. Raises ``UpdateError`` where keys lack."""
    root = Root(consistent_snapshot=True, unrecognized_fields={DAYS: days})
    for role in TOP_ROLES:
        root.roles[role] = Role([], threshold if role == Root.type else PLAN[role].threshold)
    for each in public:
        if each.role in TOP_ROLES:
            root.add_key(each.key, each.role)
    check_root(root)
    renew(root, now)
    return Metadata(root)


def next_root(current: Metadata[Root], now: datetime) -> Metadata[Root]:
    """A draft of the root after ``current``: the same keys, a new expiry, no signatures."""
    draft: Metadata[Root] = Metadata.from_bytes(to_bytes(current))
    draft.signatures.clear()
    draft.signed.version += 1
    renew(draft.signed, now)
    return draft


def replace_key(root: Root, role: TopRole, new: PublicKey, old: str | None) -> str:
    """Give ``role`` a new key in the place of ``old`` (its name or the start of its id).

    ``old`` may be None where the role has one key. Returns the old key's id. Raises
    ``UpdateError``.
    """
    if new.role != role:
        raise UpdateError(f"{new.name} is a key of {new.role}, not of {role}.")
    if new.key.keyid in root.keys:
        raise UpdateError(f"{new.name} is in use already; `keys new` makes another.")
    gone = find_key(root.keys, root.roles[role].keyids, role, old)
    revoke_key(root, role, gone)
    root.add_key(new.key, role)
    return gone


def revoke_key(root: Root, role: TopRole, keyid: str) -> None:
    """Let a key sign for ``role`` no more."""
    root.revoke_key(keyid, role)


def find_key(keys: Mapping[str, Key], keyids: list[str], role: str, which: str | None) -> str:
    """The id of a role's key by its name or the start of its id. Raises ``UpdateError``."""
    if which is None and len(keyids) == 1:
        return keyids[0]
    names = {keyid: keys[keyid].unrecognized_fields.get(NAME) for keyid in keyids if keyid in keys}
    found = [
        keyid
        for keyid, name in names.items()
        if which is not None and (which == name or (len(which) >= 8 and keyid.startswith(which)))
    ]
    if len(found) != 1:
        there = ", ".join(called(keys.get(keyid), keyid) for keyid in keyids)
        given = "say which key" if which is None else f"there is no key {which[:80]!r}"
        raise UpdateError(f"{given[:1].upper()}{given[1:]} of {role}: it has {there}.")
    return found[0]


def check_root(root: Root) -> None:
    """Refuse a root that could not be used. Raises ``UpdateError``."""
    for role in TOP_ROLES:
        plan = root.roles[role]
        if len(plan.keyids) < plan.threshold:
            raise UpdateError(
                f"The root would give {role} {len(plan.keyids)} keys, and {plan.threshold} must "
                "sign; give it another one in the same step."
            )
    shared = [
        keyid
        for keyid in root.roles[Root.type].keyids
        if any(keyid in root.roles[role].keyids for role in TOP_ROLES if role != Root.type)
    ]
    if shared:
        raise UpdateError(
            f"The key {called(root.keys[shared[0]], shared[0])} would sign root and another role; "
            "a root key signs nothing else."
        )


def sign_root(draft: Metadata[Root], ring: Ring) -> list[str]:
    """Add the signatures of every root key at hand; returns the names of those keys.

    Keys that the draft itself no longer names sign too: the root before it may ask for them.
    """
    check_root(draft.signed)
    names = []
    for public in ring.public():
        if public.role != Root.type:
            continue
        signer = ring.signer(public.key.keyid)
        if signer is not None:
            draft.sign(signer, append=True)
            names.append(public.name)
    return names


def signatures(draft: Metadata[Root], previous: Metadata[Root] | None) -> Signatures:
    """Who signed a draft, and what is missing. Raises ``UpdateError`` where versions skip."""
    if previous is not None and draft.signed.version != previous.signed.version + 1:
        raise UpdateError(
            f"The draft is root {draft.signed.version}, and the root in force is "
            f"{previous.signed.version}; draft it again."
        )
    payload = draft.signed_bytes
    own = draft.signed.get_verification_result(Root.type, payload, draft.signatures)
    before = own
    if previous is not None:
        before = previous.signed.get_verification_result(Root.type, payload, draft.signatures)
    return Signatures(
        _names(own.signed | before.signed),
        own.missing,
        before.missing if previous is not None else 0,
        _names(own.unsigned | before.unsigned),
    )


def _names(keys: Mapping[str, Key]) -> tuple[str, ...]:
    return tuple(sorted(called(key, keyid) for keyid, key in keys.items()))


def parse_root(content: bytes, where: str) -> Metadata[Root]:
    """A root's file, or a draft's. Raises ``UpdateError``."""
    return from_bytes(content, Root, where)
