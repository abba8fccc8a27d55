"""Fetching over HTTP so that nothing on the other side can make it hang, flood or lie unseen.

One request at a time over one connection. What broke off is resumed where it stopped, and what
came so far is not fetched again where the server can do that. Redirects are followed a little.
"""

import random
from collections.abc import Callable, Iterator

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from deploy.client.answers import (
    REDIRECTS,
    AgainError,
    LinkError,
    PastTheEndError,
    host,
    judge,
    looks_like_a_page,
    path,
    portal,
    redirected,
    resumes_at,
)
from deploy.client.clock import Clock
from deploy.client.limits import Limits
from deploy.client.watchdog import Watchdog, watched_pools
from deploy.errors import UpdateError

PIECE_BYTES = 65536
REQUEST_BYTES = 512
"""Counted for each request besides its body: the heads of both sides."""
AGENT = "purga-update"


class Link:
    """A device's way to servers, for one run.

    ``spend(count)`` is told of bytes as they come and raises to stop them; ``jitter`` draws from
    [0, 1).
    """

    def __init__(
        self,
        limits: Limits,
        clock: Clock,
        spend: Callable[[int], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._spend = spend
        self._jitter = jitter
        self._used_s = 0.0
        self._watchdog = Watchdog()
        self._pools = watched_pools(self._watchdog)

    def stream(self, url: str, size: int | None = None) -> Iterator[bytes]:
        """The content of ``url`` in pieces; ``size`` is how much of it there should be.

        It may give more than ``size``, and whether it is the right content is for the caller to
        find out. Raises ``LinkError`` with one sentence when it cannot be had this time.
        """
        got, failures, resumes = 0, 0, True
        while True:
            before = got
            try:
                for piece in self._once(url, got, resumes):
                    got += len(piece)
                    resumes = True
                    yield piece
                if size is None or got >= size:
                    return
                raise AgainError(f"{host(url)} sent {got} of {size} bytes")
            except AgainError as again:
                if size is not None and got >= size:
                    return  # whatever length was announced: all that is wanted is here
                if isinstance(again, PastTheEndError):
                    if size is None and again.whole_bytes == got:
                        return  # the length that was announced was too long: this is all
                    resumes = False
                if got - before >= self._limits.progress_bytes:
                    failures = 0
                failures += 1
                if failures >= self._limits.tries:
                    raise LinkError(
                        f"{again.why}, {failures} times in a row, for {path(url)}; what came so "
                        "far is kept, so update again where the link is better."
                    ) from None
                self._pause(url, failures, again)

    def close(self) -> None:
        """Give the connections back."""
        self._pools.clear()

    def _once(self, url: str, skip: int, resumes: bool) -> Iterator[bytes]:
        """One try at what follows ``skip`` bytes; with ``resumes`` only that is asked for."""
        began = self._clock.monotonic()
        response: BaseHTTPResponse | None = None
        whole = False
        try:
            with self._watchdog.guard(self._head_s(url)):
                response = self._open(url, skip if resumes else 0)
                if response.status == 206 and skip:
                    if resumes_at(response.headers) != skip:
                        raise LinkError(f"{host(url)} resumed {path(url)} at another place.")
                    skip = 0
                yield from self._body(url, response, skip, began)
            whole = True
        except UpdateError:
            raise
        except (HTTPError, OSError, ValueError) as problem:
            raise AgainError(self._trouble(url, problem)) from None
        finally:
            self._used_s += self._clock.monotonic() - began
            if response is not None:
                # What is left of a body is not read to its end: it may have none.
                if not whole:
                    response.close()
                response.release_conn()

    def _open(self, url: str, skip: int) -> BaseHTTPResponse:
        headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        if skip:
            headers["Range"] = f"bytes={skip}-"
        timeout = urllib3.Timeout(connect=self._limits.connect_s, read=self._limits.read_s)
        for _ in range(self._limits.redirects + 1):
            self._spend(REQUEST_BYTES)
            response = self._pools.request(
                "GET",
                url,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                if response.status not in REDIRECTS:
                    judge(url, response.status, response.headers)
                    return response
                url = redirected(url, response.headers.get("location"))
            except BaseException:
                response.close()
                raise
            response.close()
        raise LinkError(f"{host(url)} leads elsewhere more than {self._limits.redirects} times.")

    def _body(
        self, url: str, response: BaseHTTPResponse, skip: int, began: float
    ) -> Iterator[bytes]:
        """The body without its first ``skip`` bytes."""
        window_began, window_bytes = self._clock.monotonic(), 0
        first = True
        while piece := response.read1(PIECE_BYTES, decode_content=False):
            now = self._clock.monotonic()
            self._spend(len(piece))
            if first and skip == 0 and looks_like_a_page(piece):
                raise portal(url)
            first = False
            self._check_deadline(url, self._used_s + now - began)
            window_bytes += len(piece)
            if now - window_began >= self._limits.rate_window_s:
                if window_bytes < self._limits.lowest_rate_bytes_s * (now - window_began):
                    raise AgainError(f"{host(url)} sends too slowly")
                window_began, window_bytes = now, 0
            self._watchdog.feed(self._limits.read_s + self._limits.rate_window_s)
            kept = piece[skip:]
            skip -= len(piece) - len(kept)
            if kept:
                yield kept
        if skip:
            raise AgainError(f"{host(url)} sent less than before")
        # A head that broke off is one without a length, and its body ends with the connection.
        framed = {"content-length", "transfer-encoding"} & {
            name.lower() for name in response.headers
        }
        if not framed and (first or self._watchdog.fired):
            raise AgainError(self._trouble(url, EOFError()))

    def _pause(self, url: str, failures: int, again: AgainError) -> None:
        """Wait before the next try."""
        limits = self._limits
        if again.after_s > limits.retry_after_most_s:
            raise LinkError(
                f"{again.why} and asks to be left alone for {again.after_s:.0f} s; "
                "update again later."
            )
        most = min(limits.pause_most_s, limits.pause_s * 2.0 ** (failures - 1))
        wait_s = max(again.after_s, most * (0.5 + 0.5 * self._jitter()))
        self._check_deadline(url, self._used_s + wait_s)
        self._clock.sleep(wait_s)
        self._used_s += wait_s

    def _head_s(self, url: str) -> float:
        """How long an answer's head may take, redirects included."""
        self._check_deadline(url, self._used_s)
        left = self._limits.deadline_s - self._used_s
        return min(left, self._limits.connect_s + 2 * self._limits.read_s)

    def _check_deadline(self, url: str, used_s: float) -> None:
        if used_s >= self._limits.deadline_s:
            raise LinkError(
                f"{host(url)} took longer than the {self._limits.deadline_s:.0f} s of deadline_s; "
                "what came so far is kept, and the next update goes on from there."
            )

    def _trouble(self, url: str, problem: Exception) -> str:
        """What went wrong, without the library's inner names."""
        if isinstance(problem, urllib3.exceptions.NewConnectionError):
            return f"{host(url)} cannot be reached"
        if self._watchdog.fired or isinstance(problem, urllib3.exceptions.TimeoutError):
            return f"{host(url)} does not answer in time"
        if isinstance(problem, urllib3.exceptions.SSLError):
            return f"{host(url)} cannot show who it is (its certificate, or this device's clock)"
        if isinstance(problem, urllib3.exceptions.ProtocolError | EOFError):
            return f"The link to {host(url)} broke off"
        return f"{host(url)} could not be read ({type(problem).__name__})"
