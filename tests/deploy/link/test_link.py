"""The link keeps count, and misbehaves as told: what is proven by it is worth no more than that."""

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.deploy.link import faults
from tests.deploy.link.server import Change, Fault, Link

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "1.root.json").write_bytes(b"{}")
    (tmp_path / "big").write_bytes(CONTENT)
    with Link(tmp_path) as link:
        yield link


def get(link: Link, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib3.PoolManager(retries=False, timeout=2.0) as pool:
        return pool.request("GET", link.url + path, headers=named, redirect=False)


def test_files_are_served_and_every_byte_is_counted(link: Link) -> None:
    port = int(link.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        asked = b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        raw.sendall(asked)
        got = 0
        while got < len(CONTENT) or got < link.sent:
            got += len(raw.recv(65536))
    assert link.sent == got > len(CONTENT)
    assert link.heard == len(asked)
    assert link.sent_of == {"big": got}
    assert link.paths() == ["big"]


@pytest.mark.parametrize("path", ["nothing", "../faults.py", "%2e%2e/faults.py", "metadata"])
def test_what_is_no_file_of_the_folder_is_404(link: Link, path: str) -> None:
    assert get(link, path).status == 404


def test_ranges_as_servers_understand_them(link: Link) -> None:
    answer = get(link, "big", range="bytes=1000-")
    assert (answer.status, answer.data) == (206, CONTENT[1000:])
    assert answer.headers["Content-Range"] == f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert get(link, "big", range="bytes=5-9").data == CONTENT[5:10]
    assert get(link, "big", range=f"bytes={len(CONTENT)}-").status == 416
    link.ranges = False
    assert get(link, "big", range="bytes=1000-").status == 200


def test_a_link_drops_after_every_so_many_bytes_of_all_connections(link: Link) -> None:
    link.drop_every = 60_000
    for _ in range(3):
        with pytest.raises(urllib3.exceptions.HTTPError):
            get(link, "big")
    assert (link.drops, link.sent) == (3, 180_000)


def test_a_link_drops_each_connection(link: Link) -> None:
    link.drop_each = len(CONTENT) + 400
    port = int(link.url.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    connection.request("GET", "/big")
    assert connection.getresponse().read() == CONTENT
    connection.request("GET", "/big")
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse().read()
    assert link.requests[-1].connection == 0


def test_a_fault_hits_as_often_as_it_is_told(link: Link) -> None:
    link.faults = [Fault(faults.status(503, "7"), path="root", skip=1, times=2)]
    path = "metadata/1.root.json"
    assert [get(link, path).status for _ in range(5)] == [200, 503, 503, 200, 200]
    assert get(link, "big").status == 200


@pytest.mark.parametrize(
    "change",
    [
        faults.cut(1000),
        faults.cut(1000, "reset"),
        faults.cut(1000, "stall"),
        faults.silent,
        faults.slow_head(0.6),
        faults.wrong_length(500),
        faults.endless_head,
        faults.cut(0),
    ],
)
def test_an_answer_that_does_not_come_whole(link: Link, change: Change) -> None:
    link.faults = [Fault(change)]
    link_timeout = 0.3
    with (
        urllib3.PoolManager(retries=False, timeout=link_timeout) as pool,
        pytest.raises((urllib3.exceptions.HTTPError, OSError)),
    ):
        started = time.monotonic()
        for _ in pool.request("GET", link.url + "big", preload_content=False).stream(4096):
            if time.monotonic() - started > 2:
                raise OSError("trickles")


@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_endless_data_is_endless_and_ends_with_its_reader(link: Link, framing: str) -> None:
    link.faults = [Fault(faults.endless(framing))]  # type: ignore[arg-type]
    with urllib3.PoolManager(retries=False, timeout=2.0) as pool:
        answer = pool.request("GET", link.url + "big", preload_content=False)
        assert len(answer.read(3_000_000)) == 3_000_000
        answer.close()
    assert link.sent < 12_000_000


def test_bodies_that_lie(link: Link) -> None:
    link.faults = [Fault(faults.truncated(0.5))]
    assert get(link, "big").data == CONTENT[: len(CONTENT) // 2]
    link.faults = [Fault(faults.corrupted())]
    got = get(link, "big").data
    assert len(got) == len(CONTENT)
    assert sum(a != b for a, b in zip(got, CONTENT, strict=True)) == 1
    link.faults = [Fault(faults.bomb(8))]
    link.sent = 0
    assert len(get(link, "big").data) == 8 << 20
    assert link.sent < 20_000
    link.faults = [Fault(faults.compressed())]
    assert get(link, "big").data == CONTENT
    link.faults = [Fault(faults.portal)]
    assert get(link, "big").headers["Content-Type"].startswith("text/html")
    link.faults = [Fault(faults.redirected("/{path}?{number}"))]
    assert get(link, "big").headers["Location"] == f"/big?{link.requests[-1].number}"


def test_an_older_state_is_replayed(link: Link, tmp_path: Path) -> None:
    (tmp_path / "old" / "metadata").mkdir(parents=True)
    (tmp_path / "old" / "metadata" / "1.root.json").write_bytes(b"[]")
    link.faults = [Fault(faults.replayed(tmp_path / "old"), path="metadata/")]
    assert get(link, "metadata/1.root.json").data == b"[]"
    assert get(link, "metadata/2.root.json").status == 404
    assert get(link, "big").data == CONTENT


def test_nobody_listens_where_it_is_refused() -> None:
    with (
        faults.refused() as url,
        urllib3.PoolManager(retries=False, timeout=2.0) as pool,
        pytest.raises(urllib3.exceptions.NewConnectionError),
    ):
        pool.request("GET", url)
