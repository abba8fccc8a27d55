"""A client as TUF's authors wrote it, reading a repository's folder."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater

from deploy.chunks.frames import unpack
from deploy.places import COMPONENTS, Component
from deploy.publisher.folder import Folder
from deploy.release import Release, parse_release


class FolderFetcher(FetcherInterface):
    """Files below a folder, as a web server would give them: what is not there is a 404."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield (self.folder / url.removeprefix("folder:///")).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError(f"{url} is not there", 404) from None


class Client:
    """What a device keeps between two looks at the repository, and the looks."""

    def __init__(self, home: Path, root: bytes, folder: Folder) -> None:
        self.home = home
        self.root = root
        self.folder = folder
        (home / "metadata").mkdir(parents=True, exist_ok=True)

    def look(self, now: datetime) -> dict[str, Release]:
        """Refresh, and read every release that is offered; by its path. Raises as TUF does."""
        updater = Updater(
            str(self.home / "metadata"),
            "folder:///metadata",
            str(self.home),
            "folder:///targets",
            fetcher=FolderFetcher(self.folder.path),
            bootstrap=self.root,
        )
        updater._trusted_set.reference_time = now  # its clock, which nothing public sets
        updater.refresh()
        found = {}
        for component in COMPONENTS:
            for path in self.targets(updater, component):
                target = updater.get_targetinfo(path)
                assert target is not None
                content = Path(updater.download_target(target, str(self.home / "t"))).read_bytes()
                found[path] = parse_release(content, path)
        return found

    def contents(self, now: datetime) -> dict[str, dict[str, bytes]]:
        """Refresh, and fetch all files of all releases."""
        return {
            path: {
                file.path: b"".join(
                    unpack(self.folder.chunk(blob.stored_sha256).read_bytes(), blob)
                    for blob in file.blobs
                )
                for file in release.files
            }
            for path, release in self.look(now).items()
        }

    def targets(self, updater: Updater, component: Component) -> dict[str, TargetFile]:
        """All that a component's metadata name: asking for one has them verified and kept."""
        with suppress(FileNotFoundError):
            updater.get_targetinfo(f"{component}/none")
        metadata: Metadata[Targets] = Metadata.from_file(
            str(self.home / "metadata" / f"{component}.json")
        )
        return metadata.signed.targets
