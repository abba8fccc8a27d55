"""What a server's answer means: go on, try again, or stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from deploy.errors import UpdateFailedError

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may better."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NETWORK_LOGIN = 511  # RFC 6585
_RANGE = 416
_HTML = (b"<!doctype html", b"<html", b"<head", b"<meta", b"<script", b"<title", b"<!--")


class LinkError(UpdateFailedError, DownloadError):
    """The link or the server could not do it this time."""


class StatusError(LinkError, DownloadHTTPError):
    """The server answered with a status that ends the request."""

    def __init__(self, sentence: str, status_code: int) -> None:
        DownloadHTTPError.__init__(self, sentence, status_code)


class CaptivePortalError(LinkError):
    """A network's login page, or some other web page, in place of the repository."""


@dataclass
class AgainError(Exception):
    """Another try may help."""

    why: str
    after_s: float = 0.0


@dataclass
class PastTheEndError(AgainError):
    """What was asked for begins behind the end: an announced length was wrong, or is by now."""

    whole_bytes: int | None = None
    """How much there is of it, if the server says."""


def portal(url: str) -> CaptivePortalError:
    """The sentence for a web page in a repository's place."""
    return CaptivePortalError(
        f"{host(url)} answered with a web page where the repository should be; if this network "
        "has a login page, log in with a phone first, else check url in update.toml."
    )


def host(url: str) -> str:
    """The server's name, short enough for a sentence."""
    return (urlsplit(url).netloc.rpartition("@")[2] or url)[:80]


def judge(url: str, status: int, headers: Mapping[str, str]) -> None:
    """Return for an answer with a body to read.

    Raises ``AgainError``, ``StatusError`` or ``CaptivePortalError``.
    """
    if status in AGAIN:
        raise AgainError(f"{host(url)} answered with status {status}", retry_after(headers))
    if status == _NETWORK_LOGIN:
        raise portal(url)
    if status == _RANGE:
        whole = headers.get("content-range", "").strip().removeprefix("bytes */")
        known = int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 16 else None
        raise PastTheEndError(f"{host(url)} has less of it than it should", whole_bytes=known)
    if status >= 400:
        raise StatusError(f"{host(url)} answered with status {status} for {path(url)}.", status)
    if status not in (200, 206):
        raise LinkError(f"{host(url)} answered with status {status} for {path(url)}.")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise portal(url)


def looks_like_a_page(beginning: bytes) -> bool:
    """Whether a body begins as HTML does: not every login page says what it is."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower().startswith(_HTML)


def redirected(url: str, location: str | None) -> str:
    """Where a redirect leads. Raises ``LinkError``."""
    target = urljoin(url, location or "")
    scheme = urlsplit(target).scheme
    if not location or scheme not in ("http", "https"):
        raise LinkError(f"{host(url)} leads elsewhere, but not to a web address.")
    if urlsplit(url).scheme == "https" and scheme != "https":
        raise LinkError(f"{host(url)} leads from https to http, which is not followed.")
    return target


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server wants to be left alone for; 0 where it says nothing usable.

    A date counts from the answer's own, as the device's clock may be anything.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (_utc(then) - _utc(now)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def resumes_at(headers: Mapping[str, str]) -> int | None:
    """The first byte that a partial answer holds; None where it does not say."""
    unit, _, rest = headers.get("content-range", "").strip().partition(" ")
    first = rest.partition("-")[0].strip()
    return int(first) if unit == "bytes" and first.isascii() and first.isdigit() else None


def path(url: str) -> str:
    """The end of an address, for a sentence."""
    name = urlsplit(url).path
    return name if len(name) <= 60 else "…" + name[-59:]


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
