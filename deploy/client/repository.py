"""A repository as this device accepts it: TUF's rules, and floors that outlast TUF's own files."""

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError
from tuf.api import exceptions
from tuf.api.metadata import Root, Snapshot, TargetFile, Timestamp
from tuf.ngclient import UpdaterConfig

from deploy.client.answers import LinkError
from deploy.client.clock import Clock, issued, moment
from deploy.client.durable import put
from deploy.client.floors import FloorsFile
from deploy.client.rollout import Offer
from deploy.client.sources import Source
from deploy.client.tuf_updater import DurableUpdater
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Component, Places
from deploy.release import RELEASE_BYTES, Release, Rollout, parse_release
from deploy.release_frame import frame_name, unpack_release

CUSTOM = "purga"
"""The key of a ``Rollout`` in a target's custom metadata."""
_MOST_RELEASES = 512
_MOST_ROOT_BYTES = 512_000
_ABOVE = "targets"


class MixedError(UpdateError):
    """Metadata that do not fit together, or were damaged on the way."""


class Repository:
    """One run's view of a repository, below the root of trust that the device has.

    ``refresh`` first; then ``releases`` and ``release``.
    """

    def __init__(self, places: Places, source: Source, floors: FloorsFile, clock: Clock) -> None:
        self._places = places
        self._source = source
        self._floors = floors
        self._clock = clock
        self._updater: DurableUpdater | None = None

    def refresh(self) -> None:
        """Fetch, verify and keep the newest metadata.

        Raises ``UpdateError`` where what is offered is not to be believed, ``UpdateFailedError``
        where nothing was offered this time. Either way what was accepted before stays accepted.
        """
        bootstrap = self._trusted()
        self._clear_up()
        try:
            with self._explained():
                self._updater = self._accepted(bootstrap)
        except MixedError:
            # Read while somebody was publishing, or bent on the way: once more, from the start.
            with self._explained():
                self._updater = self._accepted(bootstrap)

    def releases(self, component: Component) -> list[Offer]:
        """Every release of a component that the metadata name, lowest first.

        One that this version of the code cannot read is left out: it is for others.
        """
        updater = self._refreshed()
        with self._explained():
            names = list(self._names(updater, component))
            offers = [
                offer
                for name in names
                if (offer := _offer(component, updater.get_targetinfo(name))) is not None
            ]
        return sorted(offers, key=lambda offer: (offer.rollout.version, offer.target.path))

    def release(self, offer: Offer, base: bytes | None = None) -> tuple[Release, bytes]:
        """A release file, fetched unless it is at hand, and its bytes. Raises as ``refresh``.

        ``base`` is the release file of the active slot: on top of it the way is the shortest.
        """
        updater = self._refreshed()
        folder = self._folder
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            file = updater.find_cached_target(offer.target)
            if file is None:
                self._fetch_packed(offer, base)
                file = updater.find_cached_target(offer.target)
            if file is None:
                file = updater.download_target(offer.target)
            content = Path(file).read_bytes()
        release = parse_release(content, offer.target.path)
        if hashlib.sha256(content).hexdigest() != offer.release_sha256:
            raise UpdateError(f"{offer.target.path}: its signed hashes are not of one file.")
        named = (offer.rollout.component, offer.rollout.version)
        if (release.component, release.version) != named:
            raise UpdateError(
                f"{offer.target.path}: is release {release.version} of {release.component}, but "
                f"the metadata call it {named[1]} of {named[0]}; whoever publishes must mend it."
            )
        return release, content

    def forget_releases(self, kept: list[Offer]) -> None:
        """Remove the release files of earlier runs."""
        names = {quote(offer.target.path, "") for offer in kept}
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                if file.name not in names:
                    file.unlink(missing_ok=True)

    # ---- inside ---------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self._places.metadata.parent / "releases"

    def _fetch_packed(self, offer: Offer, base: bytes | None) -> None:
        """Have a release file at hand by way of its frame, where the repository has one."""
        above, _, name = offer.target.path.rpartition("/")
        target = f"{above}/{offer.release_sha256}.{name}"
        for below in (base, None) if base is not None else (None,):
            sha256 = None if below is None else hashlib.sha256(below).hexdigest()
            url = f"{self._source.url}targets/{frame_name(target, sha256)}"
            try:
                frame = self._source.fetcher().download_bytes(url, offer.target.length)
                content = unpack_release(frame, offer.target.length, below)
            except exceptions.DownloadHTTPError:
                continue
            except LinkError:
                raise
            except (exceptions.DownloadLengthMismatchError, UpdateError):
                continue  # not a frame of it: the plain file may be sound
            put(self._folder / quote(offer.target.path, ""), content)
            return

    def _trusted(self) -> bytes:
        """The root of trust; floors that were found under another one begin anew."""
        try:
            with self._places.trusted_root.open("rb") as file:
                content = file.read(_MOST_ROOT_BYTES + 1)
        except OSError as problem:
            raise UpdateError(
                f"{self._places.trusted_root}: the root of trust cannot be read "
                f"({problem.strerror}); provisioning puts it there."
            ) from None
        trust = hashlib.sha256(content).hexdigest()
        if self._floors.now.trust != trust:
            fresh = self._floors.now.trust is not None
            versions = {} if fresh else self._floors.now.versions
            self._floors.change(
                trust=trust, signers=(), metadata={}, time=None, offered={}, versions=versions
            )
        return content

    def _accepted(self, bootstrap: bytes) -> DurableUpdater:
        """One refresh that went well in every respect."""
        updater = DurableUpdater(
            self._places.metadata,
            f"{self._source.url}metadata/",
            self._source.fetcher(),
            bootstrap,
            targets=self._folder,
            targets_url=f"{self._source.url}targets/",
            moment=self._moment,
            config=UpdaterConfig(max_root_rotations=64, targets_max_length=2_000_000),
        )
        updater.refresh()
        keys = _keys(updater.root)
        versions = {
            Timestamp.type: updater.timestamp.version,
            Snapshot.type: updater.snapshot.version,
            **{
                name.removesuffix(".json"): meta.version
                for name, meta in updater.snapshot.meta.items()
            },
        }
        if keys == self._floors.now.signers:
            self._check_versions(versions)
        times = [self._time_floor(updater.root), issued(updater.timestamp)]
        time = max((each for each in times if each is not None), default=None)
        self._floors.change(signers=keys, metadata=versions, time=time, asked=self._clock.now())
        return updater

    def _check_versions(self, versions: dict[str, int]) -> None:
        """TUF's own check, against what was accepted before its files were lost."""
        for role, version in self._floors.now.metadata.items():
            if versions.get(role, 0) < version:
                raise exceptions.BadVersionNumberError(
                    f"{role} {versions.get(role, 0)}, accepted before was {version}"
                )

    def _moment(self, root: Root) -> datetime:
        return moment(self._clock, self._time_floor(root))

    def _time_floor(self, root: Root) -> datetime | None:
        """Not what a key said that was replaced since: it may have said 2099."""
        return self._floors.now.time if _keys(root) == self._floors.now.signers else None

    def _names(self, updater: DurableUpdater, component: Component) -> Iterator[str]:
        """Paths that the top-level metadata or the component's own name."""
        # Looking up what does not exist loads the role that could say so.
        updater.get_targetinfo(f"{component}/")
        found: dict[str, None] = {}
        for role in (_ABOVE, component):
            targets = updater.role(role)
            for path in targets.targets if targets is not None else ():
                if path.startswith(f"{component}/"):
                    found[path] = None
        if len(found) > _MOST_RELEASES:
            raise UpdateError(
                f"{self._source.name} names {len(found)} releases of {component}, at most "
                f"{_MOST_RELEASES} are read; whoever publishes must withdraw old ones."
            )
        yield from found

    def _clear_up(self) -> None:
        """Remove what a power cut left half written among the metadata."""
        folder = self._places.metadata
        with contextlib.suppress(OSError):
            for file in (*folder.glob(".*.new"), *folder.glob("tmp*")):
                file.unlink(missing_ok=True)

    def _refreshed(self) -> DurableUpdater:
        if self._updater is None:
            raise UpdateError("The repository's metadata were not fetched yet.")
        return self._updater

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """python-tuf's errors as one sentence each."""
        try:
            yield
        except UpdateError:
            raise
        except exceptions.ExpiredMetadataError as problem:
            raise UpdateError(self._expired(str(problem))) from None
        except exceptions.UnsignedMetadataError as problem:
            raise UpdateError(
                f"{self._source.name} is not signed by keys that this pedal trusts "
                f"({_short(problem)}); it is another's repository, or forged."
            ) from None
        except exceptions.BadVersionNumberError as problem:
            raise UpdateError(
                f"{self._source.name} offers older metadata than this pedal has accepted before "
                f"({_short(problem)}); copy or mirror the repository anew."
            ) from None
        except (exceptions.RepositoryError, exceptions.DownloadLengthMismatchError) as problem:
            raise MixedError(
                f"{self._source.name} sends metadata that do not belong together or are damaged "
                f"({_short(problem)}); copy or mirror the repository anew."
            ) from None
        except exceptions.DownloadError as problem:
            raise UpdateFailedError(
                f"{self._source.name} cannot be read ({_short(problem)}); update again later."
            ) from None
        except OSError as problem:
            advice = "free space" if problem.errno == errno.ENOSPC else "check the disk"
            raise UpdateFailedError(
                f"{self._places.metadata.parent}: cannot be written ({problem.strerror}); "
                f"{advice} and update again."
            ) from None

    def _expired(self, what: str) -> str:
        now = self._clock.now()
        held = moment(self._clock, self._floors.now.time)
        clock = f"the pedal's clock says {now:%Y-%m-%d}"
        if held > now:
            clock += f", and it is no earlier than {held:%Y-%m-%d}"
        return (
            f"{self._source.name} was signed for a time that is over ({_short(what)}; {clock}); "
            "if the clock is right, get a newer copy, else set the clock."
        )


def _keys(root: Root) -> tuple[str, ...]:
    """Ids of the keys that sign what changes most often."""
    found = {key for role in (Timestamp.type, Snapshot.type) for key in root.roles[role].keyids}
    return tuple(sorted(found))


def _offer(component: Component, target: TargetFile | None) -> Offer | None:
    """A target that is a release of the component, with its rollout."""
    if target is None or target.length > RELEASE_BYTES or "sha256" not in target.hashes:
        return None
    try:
        rollout = Rollout.model_validate((target.custom or {}).get(CUSTOM))
    except ValidationError:
        return None
    return Offer(rollout, target) if rollout.component == component else None


def _short(what: object) -> str:
    text = " ".join(str(what).split()).rstrip(".")
    return text if len(text) <= 120 else f"{text[:119]}…"
