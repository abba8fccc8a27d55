"""The link: resumes, waits as it is asked to, gives up in time, believes nobody."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.client.answers import (
    CaptivePortalError,
    LinkError,
    StatusError,
    looks_like_a_page,
    resumes_at,
    retry_after,
)
from deploy.client.limits import Limits
from deploy.client.link import REQUEST_BYTES
from deploy.client.link import Link as Client
from deploy.errors import UpdateFailedError
from tests.deploy.client.stands import FakeClock
from tests.deploy.link import faults
from tests.deploy.link.server import Answer, Fault, Link, Request

CONTENT = random.Random(7).randbytes(300_000)
QUICK = Limits(connect_s=2.0, read_s=0.25, rate_window_s=0.25, lowest_rate_bytes_s=40_000.0)


class Spent:
    """Counts, and refuses when told to."""

    def __init__(self) -> None:
        self.total = 0
        self.most: int | None = None

    def __call__(self, count: int) -> None:
        self.total += count
        if self.most is not None and self.total > self.most:
            raise UpdateFailedError("spent")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Link]:
    (tmp_path / "big").write_bytes(CONTENT)
    (tmp_path / "page").write_bytes(b"\n <!DOCTYPE HTML><html>")
    with Link(tmp_path) as link:
        yield link


@pytest.fixture
def spent() -> Spent:
    return Spent()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture
def client(spent: Spent, clock: FakeClock) -> Client:
    return Client(Limits(), clock, spent, jitter=lambda: 1.0)


def fetched(client: Client, url: str, size: int | None = None) -> bytes:
    return b"".join(client.stream(url, size))


def test_fetches_and_counts(client: Client, server: Link, spent: Spent) -> None:
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT
    assert spent.total == len(CONTENT) + REQUEST_BYTES
    assert fetched(client, server.url + "big") == CONTENT
    assert len({request.connection for request in server.requests}) == 1, "it is kept open"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_goes_on_where_the_link_broke_off(
    client: Client, server: Link, how: str, clock: FakeClock
) -> None:
    server.drop_each, server.drop = 40_000, "reset" if how == "reset" else "close"
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT
    # A reset may take what was under way with it; a close takes nothing.
    assert server.sent < (1.1 if how == "close" else 2.0) * len(CONTENT)
    assert len(server.requests) >= 8
    assert clock.passed_s > 0.0


def test_reads_again_where_ranges_are_unknown(client: Client, server: Link) -> None:
    server.ranges = False
    server.faults = [Fault(faults.cut(100_000), times=1)]
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT


def test_gives_up_after_failures_in_a_row(client: Client, server: Link, clock: FakeClock) -> None:
    server.faults = [Fault(faults.status(503))]
    with pytest.raises(LinkError, match="status 503, 5 times in a row"):
        fetched(client, server.url + "big")
    assert len(server.requests) == Limits().tries
    assert clock.passed_s == pytest.approx(1.0 + 2.0 + 4.0 + 8.0)


def test_progress_begins_a_new_row(client: Client, server: Link) -> None:
    # Twelve failures, but each of them came further.
    server.drop_each = 25_000
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_waits_as_long_as_it_is_asked_to(
    client: Client, server: Link, clock: FakeClock, code: int
) -> None:
    server.faults = [Fault(faults.status(code, "37"), times=1)]
    assert fetched(client, server.url + "big") == CONTENT
    assert clock.passed_s >= 37.0


def test_leaves_who_asks_for_too_much(client: Client, server: Link, clock: FakeClock) -> None:
    server.faults = [Fault(faults.status(429, "86400"))]
    with pytest.raises(LinkError, match="86400 s"):
        fetched(client, server.url + "big")
    assert (len(server.requests), clock.passed_s) == (1, 0.0)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_stops_at_other_refusals(client: Client, server: Link, code: int) -> None:
    server.faults = [Fault(faults.status(code))]
    with pytest.raises(StatusError) as caught:
        fetched(client, server.url + "big")
    assert caught.value.status_code == code
    assert len(server.requests) == 1


def test_tells_a_login_page(client: Client, server: Link) -> None:
    with pytest.raises(CaptivePortalError, match="log in"):
        fetched(client, server.url + "page")
    server.faults = [Fault(faults.portal)]
    with pytest.raises(CaptivePortalError, match="log in"):
        fetched(client, server.url + "big")
    server.faults = [Fault(faults.status(511))]
    with pytest.raises(CaptivePortalError, match="log in"):
        fetched(client, server.url + "big")
    assert len(server.requests) == 3, "none of them is asked again"


def test_follows_a_few_redirects(client: Client, server: Link) -> None:
    server.faults = [Fault(faults.redirected("/big"), path="old", times=1)]
    assert fetched(client, server.url + "old") == CONTENT
    server.faults = [Fault(faults.redirected("/old{number}"))]
    with pytest.raises(LinkError, match="more than 3 times"):
        fetched(client, server.url + "old")
    server.faults = [Fault(faults.redirected("file:///etc/passwd"))]
    with pytest.raises(LinkError, match="not to a web address"):
        fetched(client, server.url + "old")


@pytest.mark.parametrize(
    "change",
    [
        faults.silent,
        faults.slow_head(0.2),
        faults.cut(1000, "stall"),
        faults.trickled(100, 0.1),
        faults.endless_head,
    ],
    ids=["silent", "head by the byte", "falls silent", "too slow", "endless head"],
)
def test_never_hangs(server: Link, spent: Spent, clock: FakeClock, change: object) -> None:
    class Real(FakeClock):
        def monotonic(self) -> float:
            return time.monotonic()

    limits = Limits(
        connect_s=0.3,
        read_s=0.3,
        rate_window_s=0.3,
        lowest_rate_bytes_s=40_000.0,
        tries=2,
    )
    server.faults = [Fault(change)]  # type: ignore[arg-type]
    client = Client(limits, Real(clock.calendar), spent)
    with pytest.raises(LinkError, match="2 times in a row"):
        fetched(client, server.url + "big", len(CONTENT))


def test_ends_at_the_deadline(server: Link, spent: Spent, clock: FakeClock) -> None:
    client = Client(Limits(deadline_s=20.0), clock, spent)
    server.faults = [Fault(faults.status(503, "15"))]
    with pytest.raises(LinkError, match="deadline_s"):
        fetched(client, server.url + "big")
    assert clock.passed_s <= 20.0
    with pytest.raises(LinkError):
        fetched(client, server.url + "big")


def test_endless_data_are_read_as_far_as_they_are_wanted(client: Client, server: Link) -> None:
    server.faults = [Fault(faults.endless("close"))]
    got = 0
    for piece in client.stream(server.url + "big"):
        got += len(piece)
        if got > 100_000:
            break
    assert got < 100_000 + 65_536


def test_the_budget_ends_it(client: Client, server: Link, spent: Spent) -> None:
    spent.most = 50_000
    with pytest.raises(UpdateFailedError, match="spent"):
        fetched(client, server.url + "big")
    assert len(server.requests) == 1


def test_who_cannot_be_reached(client: Client) -> None:
    with faults.refused() as url, pytest.raises(LinkError, match="cannot be reached"):
        fetched(client, url)


def test_a_short_body_is_no_end(client: Client, server: Link) -> None:
    server.faults = [Fault(faults.truncated(0.5), times=1)]
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT


# ---- what answers say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        (
            {
                "retry-after": "Fri, 31 Dec 1999 23:59:59 GMT",
                "date": "Fri, 31 Dec 1999 23:58:59 GMT",
            },
            60.0,
        ),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


@settings(deadline=None)
@given(st.text(), st.text())
def test_retry_after_takes_anything(one: str, other: str) -> None:
    assert retry_after({"retry-after": one, "date": other}) >= 0.0


@pytest.mark.parametrize(
    ("text", "first"),
    [("bytes 5-9/10", 5), ("bytes */10", None), ("", None), ("items 1-2/3", None)],
)
def test_content_range(text: str, first: int | None) -> None:
    assert resumes_at({"content-range": text}) == first


def test_a_page_is_told_by_its_beginning() -> None:
    assert looks_like_a_page(b"\xef\xbb\xbf \r\n<HTML lang=en>")
    assert not looks_like_a_page(b'{"signed": "<html>"}')
    assert not looks_like_a_page(b"")


def test_a_head_that_broke_off_is_no_empty_file(client: Client) -> None:
    # What a cut in the middle of a head leaves is, for HTTP, a whole head without a length.
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(Limits().tries):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Ty")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(LinkError, match="broke off, 5 times in a row"):
            fetched(client, f"http://127.0.0.1:{server.getsockname()[1]}/big")
        thread.join()


def test_all_that_is_wanted_is_enough(client: Client, server: Link) -> None:
    server.faults = [Fault(faults.wrong_length(100))]
    assert fetched(client, server.url + "big", len(CONTENT)) == CONTENT


def silent_past_the_end(request: Request, honest: Answer) -> Answer:
    """As some servers are: status 416 and not a word of how much there is."""
    return replace(honest, headers={}) if honest.status == 416 else honest


def test_what_was_announced_as_longer_begins_anew(client: Client, server: Link) -> None:
    server.faults = [Fault(faults.wrong_length(100), times=1), Fault(silent_past_the_end)]
    assert fetched(client, server.url + "big") == CONTENT
    asked = [request.headers.get("range") for request in server.requests]
    assert asked == [None, f"bytes={len(CONTENT)}-", None]


def test_what_is_shorter_than_it_should_be_is_given_up(client: Client, server: Link) -> None:
    size = len(CONTENT) + 40
    with pytest.raises(LinkError, match=f"sent {len(CONTENT)} of {size} bytes|has less of it"):
        fetched(client, server.url + "big", size)
    assert len(server.requests) == Limits().tries


def test_where_the_server_says_how_much_there_is_nothing_comes_twice(
    client: Client, server: Link
) -> None:
    server.faults = [Fault(faults.wrong_length(100))]
    assert fetched(client, server.url + "big") == CONTENT
    assert len(server.requests) == 2


def test_a_file_that_became_shorter_meanwhile_is_an_error(client: Client, server: Link) -> None:
    def shrunk(request: Request, honest: Answer) -> Answer:
        (server.folder / "big").write_bytes(CONTENT[:1000])
        return faults.wrong_length(100)(request, honest)

    server.faults = [Fault(shrunk, times=1)]
    with pytest.raises(LinkError, match="sent less than before, 5 times in a row"):
        fetched(client, server.url + "big")
