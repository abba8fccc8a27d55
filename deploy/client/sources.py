"""Where a repository comes from: a web server, or a folder such as a USB stick's.

Both hand out bytes and nothing else; what they are worth is decided by signatures and hashes.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from tuf.ngclient import FetcherInterface

from deploy.client.answers import LinkError, StatusError
from deploy.client.budget import Budget
from deploy.client.clock import Clock
from deploy.client.limits import Limits
from deploy.client.link import PIECE_BYTES, Link
from deploy.errors import UpdateError
from deploy.release import Blob

_FOLDER = "folder:///"


class Source(Protocol):
    """A repository's bytes."""

    @property
    def name(self) -> str:
        """For a sentence: the address or the folder."""

    @property
    def url(self) -> str:
        """What ``fetcher`` takes the repository's files below; ends in a slash."""

    def fetcher(self) -> FetcherInterface:
        """Fetches metadata and release files for python-tuf. Its errors are ``DownloadError``."""

    def blob(self, blob: Blob) -> bytes:
        """The frame of a blob, exactly ``stored_bytes`` long, not verified otherwise.

        Never more is read than that and one piece. Raises ``UpdateFailedError`` where it cannot be
        had this time, ``UpdateError`` where something longer is sent.
        """

    def close(self) -> None:
        """No more will be asked for; what was spent is written down."""


def blob_path(blob: Blob) -> str:
    """Where a repository keeps a frame, relative to its folder."""
    return f"chunks/{blob.stored_sha256[:2]}/{blob.stored_sha256}"


class LinkFetcher(FetcherInterface):
    """python-tuf's way to a ``Link``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._link.stream(url)


class HttpSource:
    """A web server's folder; plain http will do, as nothing that comes is believed unsigned."""

    def __init__(self, url: str, limits: Limits, spent: Budget, clock: Clock) -> None:
        self.url = url if url.endswith("/") else f"{url}/"
        self.name = self.url
        self._spent = spent
        self._link = Link(limits, clock, spent.spend)

    def fetcher(self) -> FetcherInterface:
        """Over the link, with its limits."""
        return LinkFetcher(self._link)

    def blob(self, blob: Blob) -> bytes:
        """The frame, resumed as often as the link breaks off and yet comes further."""
        frame = bytearray()
        stream = self._link.stream(self.url + blob_path(blob), blob.stored_bytes)
        try:
            for piece in stream:
                frame += piece
                if len(frame) > blob.stored_bytes:
                    raise UpdateError(
                        f"{self.name} sends more than the {blob.stored_bytes} bytes that chunk "
                        f"{blob.stored_sha256[:12]} has; it is not the signed one."
                    )
        except StatusError as problem:
            if problem.status_code in (403, 404, 410):
                raise LinkError(
                    f"{self.name} lacks chunk {blob.stored_sha256[:12]} of the release; whoever "
                    "publishes there has to upload chunks/ again."
                ) from None
            raise
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
        return bytes(frame)

    def close(self) -> None:
        """Close the connection and write down what it cost."""
        self._link.close()
        self._spent.settle()


class FolderFetcher(FetcherInterface):
    """Files of a folder under addresses that begin with ``folder:///``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        return read_below(self._folder, unquote(url.removeprefix(_FOLDER)))


class FolderSource:
    """A folder: a mounted USB stick, or a copy on the device. No budget: nothing is paid for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)
        self.url = _FOLDER

    def fetcher(self) -> FetcherInterface:
        """Reads plain files only, and none outside of the folder."""
        return FolderFetcher(self._folder)

    def blob(self, blob: Blob) -> bytes:
        """The frame."""
        frame = bytearray()
        try:
            for piece in read_below(self._folder, blob_path(blob)):
                frame += piece
                if len(frame) > blob.stored_bytes:
                    break
        except StatusError:
            raise LinkError(
                f"{self.name} lacks chunk {blob.stored_sha256[:12]} of the release; copy the whole "
                "repository there again."
            ) from None
        if len(frame) != blob.stored_bytes:
            raise UpdateError(
                f"{self.name}: chunk {blob.stored_sha256[:12]} should have {blob.stored_bytes} "
                "bytes and has not; copy the whole repository there again."
            )
        return bytes(frame)

    def close(self) -> None:
        """Nothing is held open."""


def read_below(folder: Path, path: str) -> Iterator[bytes]:
    """A plain file's content in pieces, by its path relative to ``folder``.

    No link is followed and nothing but plain files is opened: a stick is made by anybody. Raises
    ``StatusError`` 404 where there is no such file, ``LinkError`` where it cannot be read.
    """
    parts = path.strip("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StatusError(f"{folder}: {path[:60]!r} leads elsewhere.", 404)
    try:
        handle = _open(folder, parts)
    except OSError as problem:
        missing = isinstance(problem, (FileNotFoundError, NotADirectoryError))
        if missing and folder.is_dir():
            raise StatusError(f"{folder} has no {path[:80]}.", 404) from None
        raise LinkError(f"{folder}: {path[:80]} cannot be read ({problem.strerror}).") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StatusError(f"{folder}: {path[:80]} is no plain file.", 404)
        while piece := os.read(handle, PIECE_BYTES):
            yield piece
    except OSError as problem:
        raise LinkError(
            f"{folder}: {path[:80]} cannot be read ({problem.strerror}); is the stick still there?"
        ) from None
    finally:
        os.close(handle)


def _open(folder: Path, parts: list[str]) -> int:
    """Open a file, following no link below ``folder``; never waits for a pipe's other end."""
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = inner
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
    finally:
        os.close(above)
