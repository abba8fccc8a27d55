"""``python -m deploy keys``: making keys, and changing who signs."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from deploy.errors import UpdateError
from deploy.places import COMPONENTS
from deploy.publisher.folder import Folder, read, replace_file
from deploy.publisher.key_files import PUBLIC, TRUST, KeyFolders, make_key, read_public
from deploy.publisher.options import (
    add_days,
    add_json,
    add_keys,
    add_passphrase,
    finish,
    now,
    ring,
)
from deploy.publisher.passphrase import Passphrases
from deploy.publisher.renewal import hand_over, newest_root
from deploy.publisher.ring import PublicKey, called
from deploy.publisher.roles import PLAN, ROLE_NAMES, TOP_ROLES, TopRole, as_component
from deploy.publisher.root import (
    check_root,
    find_key,
    first_root,
    next_root,
    parse_root,
    replace_key,
    revoke_key,
    sign_root,
    signatures,
)
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import METADATA_BYTES, load


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy keys", description="Make keys, and change who signs what."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="all keys of a new repository, and its root")
    init.add_argument("folder", type=Path, help="where their folders are made; must not exist")
    init.add_argument(
        "--public",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a .pub file of a key that `keys new` made elsewhere; it is not made here then",
    )
    add_days(init)
    add_passphrase(init)
    add_json(init)
    init.set_defaults(run=_init)

    new = commands.add_parser("new", help="one key pair, such as on a stick")
    new.add_argument("name", help="its role, or role and number: root-4, timestamp-2")
    new.add_argument("folder", type=Path)
    add_passphrase(new)
    add_json(new)
    new.set_defaults(run=_new)

    listed = commands.add_parser("list", help="who signs what, and which keys are at hand")
    listed.add_argument("repository", type=Path, nargs="?", metavar="REPO")
    add_keys(listed)
    listed.set_defaults(run=_list)

    rotate = commands.add_parser("rotate", help="give a role a new key in the place of one")
    rotate.add_argument("role", choices=ROLE_NAMES)
    rotate.add_argument("public", type=Path, metavar="NEW.pub")
    rotate.add_argument("repository", type=Path, metavar="REPO")
    rotate.add_argument("--old", metavar="NAME", help="which key goes, where the role has several")
    _add_draft(rotate)
    add_keys(rotate)
    rotate.set_defaults(run=_rotate)

    revoke = commands.add_parser("revoke", help="take a key away from its role")
    revoke.add_argument("name", help="the key's name, or the start of its id")
    revoke.add_argument("repository", type=Path, metavar="REPO")
    _add_draft(revoke)
    add_keys(revoke)
    revoke.set_defaults(run=_revoke)

    renew = commands.add_parser("renew", help="draft the next root with the same keys")
    renew.add_argument("repository", type=Path, metavar="REPO")
    _add_draft(renew)
    add_keys(renew)
    renew.set_defaults(run=_renew)

    sign = commands.add_parser("sign", help="sign a root's draft with the root keys at hand")
    sign.add_argument("draft", type=Path, metavar="DRAFT")
    add_keys(sign)
    sign.set_defaults(run=_sign)
    return parser


def _add_draft(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--draft",
        type=Path,
        metavar="FILE",
        help="the next root, not signed yet; one that is there is changed further",
    )


def main(argv: Sequence[str]) -> int:
    """Run one of the commands; returns 0. Raises ``UpdateError``."""
    options = _parser().parse_args(argv)
    result: int = options.run(options)
    return result


def _init(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if folder.exists() and any(folder.iterdir()):
        raise UpdateError(f"{folder}: is not empty; keys are made in a new folder.")
    days = dict(options.days)
    elsewhere = {file: read_public(file) for file in options.public}
    given = {public.name: public for public in elsewhere.values()}
    roots = [key for key in given.values() if key.role == Root.type]
    if 0 < len(roots) < PLAN[Root.type].threshold:
        raise UpdateError(
            f"--public names {len(roots)} root key, and {PLAN[Root.type].threshold} must sign; "
            "name all root keys, or none to have them made here."
        )
    passphrases = Passphrases(options.passphrase_file)
    public: list[PublicKey] = list(given.values())
    homes: list[Path] = []
    for role, plan in PLAN.items():
        # Of a role whose key was made elsewhere none is made here.
        if any(key.role == role for key in given.values()):
            continue
        for number in range(1, plan.keys + 1):
            name = role if plan.keys == 1 else f"{role}-{number}"
            home = folder / (name if plan.home == "stick" else plan.home)
            public.append(make_key(name, home, passphrases))
            homes += [home] if home not in homes else []
            print(f"{home / name}.pem")
    folder.mkdir(parents=True, exist_ok=True)
    for file in elsewhere:
        shutil.copyfile(file, folder / f"{elsewhere[file].name}{PUBLIC}")
    root = first_root(public, now(), days=days.get("root", PLAN["root"].days))
    sign_root(root, KeyFolders([folder], passphrases))
    done = signatures(root, None).done
    for home in (folder, *homes) if done else (folder,):
        replace_file(home / TRUST, to_bytes(root))
    print(
        f"{folder / TRUST} is the root that pedals trust. Move {folder}/root-1 to root-3 to three "
        "sticks, and keep them in three places."
        if done
        else f"{folder / TRUST} is not signed yet: take it to the root keys, `keys sign` it with "
        f"{root.signed.roles['root'].threshold} of them and bring it back."
    )
    return finish(options, {"root": str(folder / TRUST), "signed": done, **_figures(root)})


def _new(options: argparse.Namespace) -> int:
    public = make_key(options.name, options.folder, Passphrases(options.passphrase_file))
    file = options.folder / f"{public.name}{PUBLIC}"
    print(f"{file} may travel; {public.name}.pem beside it never should.")
    return finish(options, {"name": public.name, "keyid": public.key.keyid, "public": str(file)})


def _list(options: argparse.Namespace) -> int:
    keys = ring(options)
    trusted = keys.trust()
    rows: list[dict[str, object]] = []
    if options.repository is not None:
        state = load(Folder(options.repository), keys)
        trusted = state.root
        delegations = state.targets.signed.delegations
        for role in (delegations.roles or {}).values() if delegations is not None else ():
            for keyid in role.keyids:
                key = state.targets.signed.get_key(keyid)
                rows.append(_row(role.name, called(key, keyid), keyid, keys))
    if trusted is not None:
        top = [
            _row(role, called(trusted.signed.keys[keyid], keyid), keyid, keys)
            for role in TOP_ROLES
            for keyid in trusted.signed.roles[role].keyids
        ]
        rows = top + rows
    used = {row["keyid"] for row in rows}
    for public in keys.public():
        if public.key.keyid not in used:
            unused = _row("-", called(public.key, public.key.keyid), public.key.keyid, keys)
            rows.append(unused)
    for row in rows:
        print(f"{row['role']:10}{row['key']:32}{row['private'] or 'private half not at hand'}")
    return finish(options, {"keys": rows, **(_figures(trusted) if trusted is not None else {})})


def _row(role: str, key: str, keyid: str, keys: KeyFolders) -> dict[str, object]:
    private = keys.private(keyid)
    return {
        "role": role,
        "key": key,
        "keyid": keyid,
        "private": None if private is None else str(private),
    }


def _rotate(options: argparse.Namespace) -> int:
    new = read_public(options.public)
    folder, keys = Folder(options.repository), ring(options)
    if options.role in COMPONENTS:
        component = as_component(options.role)
        if options.draft is not None:
            raise UpdateError(f"The key of {component} is named by targets; leave --draft out.")
        gone, done = hand_over(component, new, options.old, folder, keys, now())
        print(f"{new.name} signs {component} now; {gone[:8]} does not any more.")
        return finish(options, {"new": new.key.keyid, "old": gone, "signed": done.roles})
    role: TopRole = options.role
    draft, root = _draft(options, folder, keys)
    gone = replace_key(root.signed, role, new, options.old)
    return _write_draft(options, draft, root, {"new": new.key.keyid, "old": gone})


def _revoke(options: argparse.Namespace) -> int:
    draft, root = _draft(options, Folder(options.repository), ring(options))
    signed = root.signed
    for role in TOP_ROLES:
        keyids = signed.roles[role].keyids
        try:
            gone = find_key(signed.keys, keyids, role, options.name)
        except UpdateError:
            continue
        revoke_key(signed, role, gone)
        check_root(signed)
        return _write_draft(options, draft, root, {"old": gone})
    raise UpdateError(
        f"No role of the root has a key {options.name[:80]!r} (`keys list` shows them); the key of "
        "models or firmware is replaced with `keys rotate`."
    )


def _renew(options: argparse.Namespace) -> int:
    draft, root = _draft(options, Folder(options.repository), ring(options))
    return _write_draft(options, draft, root, {})


def _draft(
    options: argparse.Namespace, folder: Folder, keys: KeyFolders
) -> tuple[Path, Metadata[Root]]:
    """The draft so far, or a new one after the root in force; without signatures."""
    file: Path | None = options.draft
    if file is None:
        raise UpdateError("This changes the root: name a file for the draft of it with --draft.")
    current = newest_root(folder, keys)
    if not file.exists():
        return file, next_root(current, now())
    draft = parse_root(read(file, METADATA_BYTES, "a root's draft"), str(file))
    if draft.signed.version != current.signed.version + 1:
        raise UpdateError(
            f"{file}: is a draft of root {draft.signed.version}, and root {current.signed.version} "
            "is in force; remove it and begin again."
        )
    draft.signatures.clear()
    return file, draft


def _write_draft(
    options: argparse.Namespace, file: Path, root: Metadata[Root], figures: dict[str, object]
) -> int:
    replace_file(file, to_bytes(root))
    _show(root)
    print(f"{file}: sign it with `keys sign` where the root keys are, then `publish root` it.")
    return finish(options, {"draft": str(file), **figures, **_figures(root)})


def _sign(options: argparse.Namespace) -> int:
    file: Path = options.draft
    draft = parse_root(read(file, METADATA_BYTES, "a root's draft"), str(file))
    keys = ring(options)
    _show(draft)
    names = sign_root(draft, keys)
    if not names:
        raise UpdateError(f"There is no root key in {keys.where()}; name its folder with --keys.")
    replace_file(file, to_bytes(draft))
    reached = signatures(draft, _before(draft, keys))
    missing = max(reached.missing_own, reached.missing_previous)
    print(f"signed by {', '.join(reached.signed)}")
    print(
        "that is enough" if reached.done else f"{missing} more: one of {', '.join(reached.could)}"
    )
    figures = {"by": names, "missing": missing, "draft": str(file), **_figures(draft)}
    return finish(options, figures)


def _before(draft: Metadata[Root], keys: KeyFolders) -> Metadata[Root] | None:
    """The root before a draft, where it lies beside the keys; not every stick has it.

    Then only the draft's own keys are counted here, and `publish root` counts both.
    """
    try:
        trusted = keys.trust()
    except UpdateError:  # the draft of a first root, not signed by enough keys yet
        return None
    follows = trusted is not None and trusted.signed.version + 1 == draft.signed.version
    return trusted if follows else None


def _show(root: Metadata[Root]) -> None:
    """What one is about to sign."""
    print(f"root {root.signed.version}, expires {root.signed.expires:%Y-%m-%d}")
    for role in TOP_ROLES:
        plan = root.signed.roles[role]
        names = ", ".join(called(root.signed.keys[keyid], keyid) for keyid in plan.keyids)
        print(f"  {role:10} {plan.threshold} of {names}")


def _figures(root: Metadata[Root]) -> dict[str, object]:
    return {
        "version": root.signed.version,
        "expires": root.signed.expires.isoformat(),
        "roles": {
            role: {
                "threshold": root.signed.roles[role].threshold,
                "keyids": root.signed.roles[role].keyids,
            }
            for role in TOP_ROLES
        },
    }
