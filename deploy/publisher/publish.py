"""What one does with a repository: begin it, publish, roll out, withdraw, renew."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component
from deploy.publisher.commit import Committed, commit
from deploy.publisher.content import About, Describe, Made, make_release
from deploy.publisher.folder import Folder, read
from deploy.publisher.ring import Ring
from deploy.publisher.roles import DAYS, HIGHEST, PLAN, as_component
from deploy.publisher.signing import to_bytes
from deploy.publisher.state import State, load, trusted_root
from deploy.release import RELEASE_BYTES, Release, Rollout, parse_release
from deploy.release_frame import frame_name, pack_release
from models.record import first_problem

Inspect = Callable[[Path, Release], None]
"""Looks at a release's folder as a pedal would; raises ``UpdateError``."""
BASES = 2
"""Differences are made from so many releases before."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Offered:
    """One release in the metadata."""

    path: str
    """TUF's name of it: ``COMPONENT/NAME.json``."""
    rollout: Rollout
    sha256: str
    bytes: int


def begin(folder: Folder, ring: Ring, now: datetime, days: Mapping[str, int]) -> None:
    """Make an empty repository under the root beside the keys.

    ``days`` overrides for how long the metadata of a role hold. Raises ``UpdateError`` where there
    is a repository or a key is missing.
    """
    root = trusted_root(ring)
    folder.make()
    with folder.alone():
        if folder.timestamp.exists():
            raise UpdateError(f"{folder.path}: is a repository already.")
        keys = {public.role: public.key for public in ring.public()}
        missing = [component for component in COMPONENTS if component not in keys]
        if missing:
            raise UpdateError(
                f"There is no key of {missing[0]} in {ring.where()}; name its folder with --keys."
            )
        delegations = Delegations(
            keys={keys[component].keyid: keys[component] for component in COMPONENTS},
            roles={
                component: DelegatedRole(
                    component, [keys[component].keyid], 1, True, paths=[f"{component}/*"]
                )
                for component in COMPONENTS
            },
        )
        state = State(
            root=root,
            previous=root,
            timestamp=Metadata(Timestamp(snapshot_meta=MetaFile())),
            snapshot=Metadata(Snapshot()),
            targets=Metadata(Targets(delegations=delegations)),
            delegated={component: Metadata(Targets()) for component in COMPONENTS},
        )
        pieces: dict[str, Metadata] = {
            "targets": state.targets,
            "snapshot": state.snapshot,
            "timestamp": state.timestamp,
            **{component: state.of(component) for component in COMPONENTS},
        }
        for role, piece in pieces.items():
            piece.signed.version = 0
            piece.signed.unrecognized_fields[DAYS] = days.get(role, PLAN[role].days)
        for metadata in state.delegated.values():
            metadata.signed.unrecognized_fields[HIGHEST] = 0
        folder.write([(folder.role(Root.type, root.signed.version), to_bytes(root))])
        commit(folder, state, ring, now, (Targets.type, *COMPONENTS))


def publish(
    source: Path,
    about: About,
    groups: Mapping[str, int],
    folder: Folder,
    ring: Ring,
    now: datetime,
    describe: Describe,
    inspect: Inspect | None,
    bases: Sequence[str] | None = None,
) -> tuple[str, Made]:
    """Offer the folder ``source`` as a release; returns its path among the targets.

    ``about.version`` 0 takes the next version. ``bases`` names the releases that differences are
    made from; by default the last two. Raises ``UpdateError``, and nothing is offered then.
    """
    with folder.alone():
        state = load(folder, ring)
        highest = highest_version(state, about.component)
        version = about.version or highest + 1
        if version <= highest:
            raise UpdateError(
                f"--version {version} was given out already or is below one that was; the next "
                f"version of {about.component} is {highest + 1}."
            )
        name = about.name or f"{about.component} {version}"
        path = f"{about.component}/{slug(name)}.json"
        if path in state.of(about.component).signed.targets:
            raise UpdateError(f"{path} is offered already; give this release another --name.")
        rollout = _rollout(about.component, version, groups)
        before = [release_of(folder, offered) for offered in _bases(state, about.component, bases)]
        about = About(about.component, version, name, about.needs_firmware, about.units_sha256)
        made = make_release(source, about, folder, before, describe)
        if inspect is not None:
            inspect(source, made.release)
        sha256 = hashlib.sha256(made.content).hexdigest()
        file = folder.target(path, sha256)
        recent = [
            _content_of(folder, offered) for offered in offers(state, about.component)[:BASES]
        ]
        folder.write([(file, made.content), *_frames(file, made.content, recent)])
        signed = state.of(about.component).signed
        signed.targets[path] = TargetFile(
            len(made.content), {"sha256": sha256}, path, _custom(rollout)
        )
        signed.unrecognized_fields[HIGHEST] = version
        commit(folder, state, ring, now, [about.component])
        folder.remove_partial()
        return path, made


def roll_out(
    which: str, groups: Mapping[str, int], folder: Folder, ring: Ring, now: datetime
) -> Offered:
    """Let other percentages of each group take a release. Raises ``UpdateError``."""
    with folder.alone():
        state = load(folder, ring)
        offered = find(state, which)
        rollout = _rollout(offered.rollout.component, offered.rollout.version, groups)
        target = state.of(rollout.component).signed.targets[offered.path]
        target.unrecognized_fields.update(_custom(rollout))
        commit(folder, state, ring, now, [rollout.component])
        return Offered(offered.path, rollout, offered.sha256, offered.bytes)


def withdraw(which: str, folder: Folder, ring: Ring, now: datetime) -> Offered:
    """Offer a release no more; devices that have it keep it. Raises ``UpdateError``."""
    with folder.alone():
        state = load(folder, ring)
        offered = find(state, which)
        del state.of(offered.rollout.component).signed.targets[offered.path]
        commit(folder, state, ring, now, [offered.rollout.component])
        return offered


def refresh(folder: Folder, ring: Ring, now: datetime, roles: Sequence[str] = ()) -> Committed:
    """Let snapshot and timestamp hold from now on, and ``roles`` of targets too."""
    with folder.alone():
        return commit(folder, load(folder, ring), ring, now, roles)


def offers(state: State, component: Component) -> list[Offered]:
    """What is offered, the newest first."""
    found = []
    for path, target in state.of(component).signed.targets.items():
        try:
            rollout = Rollout.model_validate(target.unrecognized_fields["custom"]["purga"])
        except (KeyError, TypeError, ValidationError):
            raise UpdateError(f"{path}: its metadata do not say how it is rolled out.") from None
        found.append(Offered(path, rollout, target.hashes["sha256"], target.length))
    return sorted(found, key=lambda offered: -offered.rollout.version)


def find(state: State, which: str) -> Offered:
    """The release called ``COMPONENT/NAME`` or ``COMPONENT:VERSION``. Raises ``UpdateError``."""
    component = as_component(re.split("[/:]", which, maxsplit=1)[0])
    there = offers(state, component)
    for offered in there:
        numbered = f"{component}:{offered.rollout.version}"
        if which in (offered.path, offered.path.removesuffix(".json"), numbered):
            return offered
    names = ", ".join(offered.path.removesuffix(".json") for offered in there)
    raise UpdateError(f"There is no release {which[:80]!r}; {component} offers {names or 'none'}.")


def release_of(folder: Folder, offered: Offered) -> Release:
    """What an offered release holds. Raises ``UpdateError``."""
    path = folder.target(offered.path, offered.sha256)
    return parse_release(_content_of(folder, offered), str(path))


def _content_of(folder: Folder, offered: Offered) -> bytes:
    """Its release file, as it was signed. Raises ``UpdateError``."""
    path = folder.target(offered.path, offered.sha256)
    content = read(path, RELEASE_BYTES, "a release file")
    if hashlib.sha256(content).hexdigest() != offered.sha256:
        raise UpdateError(f"{path}: is not the release file that was signed.")
    return content


def _frames(target: Path, content: bytes, recent: Sequence[bytes]) -> list[tuple[Path, bytes]]:
    """The release file packed for the way: alone, and on top of each that pedals may have."""
    alone = (target.with_name(frame_name(target.name, None)), pack_release(content))
    bases = {hashlib.sha256(base).hexdigest(): base for base in recent}
    return [
        alone,
        *(
            (target.with_name(frame_name(target.name, sha256)), pack_release(content, base))
            for sha256, base in bases.items()
        ),
    ]


def highest_version(state: State, component: Component) -> int:
    """The highest version that was ever given out."""
    signed = state.of(component).signed.unrecognized_fields.get(HIGHEST, 0)
    versions = (offered.rollout.version for offered in offers(state, component))
    return max(signed if type(signed) is int else 0, *versions, 0)


def slug(name: str) -> str:
    """A release's name as a part of its file's name. Raises ``UpdateError``."""
    plain = _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:60].strip("-")
    if not plain:
        raise UpdateError(f"--name {name[:60]!r} has no letter or digit for a file's name.")
    return plain


def _bases(state: State, component: Component, given: Sequence[str] | None) -> list[Offered]:
    if given is None:
        return offers(state, component)[:BASES]
    found = [find(state, which) for which in given]
    foreign = [offered for offered in found if offered.rollout.component != component]
    if foreign:
        raise UpdateError(f"--base {foreign[0].path} is no release of {component}.")
    return found


def _rollout(component: Component, version: int, groups: Mapping[str, int]) -> Rollout:
    try:
        return Rollout(component=component, version=version, groups=dict(groups))
    except ValidationError as problem:
        raise UpdateError(f"--group: {first_problem(problem)}.") from None


def _custom(rollout: Rollout) -> dict[str, object]:
    return {"custom": {"purga": rollout.model_dump()}}
