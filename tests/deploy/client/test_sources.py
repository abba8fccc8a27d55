"""Sources hand out bytes: of plain files, of a bounded length, from inside the folder."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError

from deploy.client.answers import LinkError
from deploy.client.budget import Budget
from deploy.client.floors import FloorsFile
from deploy.client.limits import Limits
from deploy.client.sources import FolderSource, HttpSource, Source, blob_path
from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Blob
from tests.deploy.client.stands import FakeClock
from tests.deploy.link import faults
from tests.deploy.link.server import Fault, Link

FRAME = bytes(range(256)) * 40


def blob_of(frame: bytes) -> Blob:
    name = hashlib.sha256(frame).hexdigest()
    return Blob(sha256="0" * 64, bytes=1, stored_sha256=name, stored_bytes=len(frame))


BLOB = blob_of(FRAME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "repository"
    file = home / blob_path(BLOB)
    file.parent.mkdir(parents=True)
    file.write_bytes(FRAME)
    (home / "metadata").mkdir()
    (home / "metadata" / "timestamp.json").write_bytes(b"{}")
    (tmp_path / "secret").write_bytes(b"secret")
    return home


@pytest.fixture
def link(folder: Path) -> Iterator[Link]:
    with Link(folder) as link:
        yield link


def http(link: Link, folder: Path) -> HttpSource:
    clock = FakeClock(datetime(2027, 1, 1, tzinfo=UTC))
    budget = Budget(FloorsFile(folder.parent / "floors.json"), None, clock)
    return HttpSource(link.url, Limits(), budget, clock)


@pytest.fixture(params=["http", "folder"])
def source(request: pytest.FixtureRequest, link: Link, folder: Path) -> Source:
    return http(link, folder) if request.param == "http" else FolderSource(folder)


def test_gives_files_and_frames(source: Source) -> None:
    assert source.blob(BLOB) == FRAME
    fetcher = source.fetcher()
    assert fetcher.download_bytes(f"{source.url}metadata/timestamp.json", 10) == b"{}"
    with pytest.raises(DownloadLengthMismatchError):
        fetcher.download_bytes(f"{source.url}{blob_path(BLOB)}", 100)
    source.close()


def test_a_missing_file_is_404(source: Source) -> None:
    with pytest.raises(DownloadHTTPError) as caught:
        source.fetcher().download_bytes(f"{source.url}metadata/2.root.json", 10)
    assert caught.value.status_code == 404
    with pytest.raises(LinkError, match="lacks chunk"):
        source.blob(blob_of(b"another"))


def test_a_frame_that_is_too_long(source: Source, folder: Path) -> None:
    (folder / blob_path(BLOB)).write_bytes(FRAME + b"x" * 100_000)
    with pytest.raises(UpdateError) as caught:
        source.blob(BLOB)
    assert not isinstance(caught.value, UpdateFailedError)


def test_endless_frames_cost_little(link: Link, folder: Path) -> None:
    link.faults = [Fault(faults.endless("chunked"))]
    with pytest.raises(UpdateError, match="sends more than"):
        http(link, folder).blob(BLOB)
    assert link.sent < 2_000_000


def test_a_frame_that_is_too_short(folder: Path, link: Link) -> None:
    (folder / blob_path(BLOB)).write_bytes(FRAME[:-1])
    with pytest.raises(UpdateError, match="should have 10240 bytes"):
        FolderSource(folder).blob(BLOB)
    with pytest.raises(LinkError, match="5 times in a row"):
        http(link, folder).blob(BLOB)


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "metadata/../../secret",
        "%2e%2e/secret",
        "..%2Fsecret",
        "metadata//x",
        "",
        "a\0b",
    ],
)
def test_no_way_out_of_the_folder(folder: Path, path: str) -> None:
    source = FolderSource(folder)
    with pytest.raises(DownloadHTTPError) as caught:
        source.fetcher().download_bytes(source.url + path, 100)
    assert caught.value.status_code == 404


def test_no_links_pipes_or_folders(folder: Path, tmp_path: Path) -> None:
    metadata = folder / "metadata"
    (metadata / "link.json").symlink_to(tmp_path / "secret")
    os.mkfifo(metadata / "pipe.json")
    (metadata / "folder.json").mkdir()
    (folder / "targets").symlink_to(tmp_path)
    source = FolderSource(folder)
    for path in ("metadata/link.json", "metadata/pipe.json", "metadata/folder.json"):
        with pytest.raises((DownloadHTTPError, LinkError)):
            source.fetcher().download_bytes(source.url + path, 100)
    with pytest.raises((DownloadHTTPError, LinkError)):
        source.fetcher().download_bytes(f"{source.url}targets/secret", 100)


def test_a_stick_that_was_pulled_out(folder: Path) -> None:
    source = FolderSource(folder / "gone")
    with pytest.raises(LinkError):
        source.fetcher().download_bytes(f"{source.url}metadata/timestamp.json", 100)
