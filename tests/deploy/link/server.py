"""A web server on loopback that keeps count and misbehaves on order.

    with Link(folder) as link:
        link.faults = [Fault(status(503), path="chunks/", times=2)]
        fetch(link.url + "metadata/1.root.json")
    assert link.sent < 10_000

It serves the plain files of a folder. Each request gets the first fault that is due for it, so
what goes wrong depends on the order of the requests alone, never on time. ``faults.py`` holds the
ways to go wrong. Every byte that leaves it is counted, heads of answers included.
"""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import unquote, urlsplit

PIECE_BYTES = 16_384
_HEAD_BYTES = 65_536
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "Bad Range"}


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    number: int
    """From 0, over the life of the link."""
    connection: int
    path: str
    """Below the folder, without the leading slash."""
    headers: dict[str, str]
    """Names in lower case."""


@dataclass(frozen=True)
class Answer:
    """What is sent back, and how."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int | None = None
    """``Content-Length`` as it is said, true or not; ``None``: the body ends with the connection,
    or is chunked."""
    chunked: bool = False
    delay_s: float = 0.0
    """Before the first byte."""
    pause_s: float = 0.0
    """After each piece of the body."""
    piece: int = PIECE_BYTES
    """Bytes of the body that are sent at once."""
    head_pause_s: float = 0.0
    """After each byte of the head."""
    cut_after: int | None = None
    """Bytes of the body after which the connection ends."""
    cut: Literal["close", "reset", "stall"] = "close"
    keep: bool = True
    """Whether the connection may carry another request."""


Change = Callable[[Request, Answer], Answer]


@dataclass
class Fault:
    """What goes wrong, with which requests, and how often."""

    change: Change
    path: str = ""
    """A regular expression that is searched for in the path."""
    skip: int = 0
    """So many fitting requests pass first."""
    times: int | None = None
    """So many are hit then; ``None``: all."""
    hits: int = 0

    def take(self, request: Request) -> bool:
        """Whether this request is hit; counts."""
        if not re.search(self.path, request.path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class _CutError(Exception):
    """The connection ends here, on purpose."""


class Link:
    """A folder behind a link. Use as a context manager; leaving it ends every connection.

    ``drop_every`` ends whatever connection carries the byte that fills another so many, counted
    over the whole link; ``drop_each`` ends each connection after so many of its own. ``ranges``
    says whether ``Range: bytes=N-`` is understood, as nearly every server and bucket does.
    """

    def __init__(
        self,
        folder: Path,
        faults: Sequence[Fault] = (),
        *,
        drop_every: int | None = None,
        drop_each: int | None = None,
        drop: Literal["close", "reset"] = "close",
        ranges: bool = True,
    ) -> None:
        self.folder = folder
        self.faults = list(faults)
        self.drop_every = drop_every
        self.drop_each = drop_each
        self.drop = drop
        self.ranges = ranges
        self.sent = 0
        """Bytes of answers, heads included."""
        self.heard = 0
        """Bytes of requests."""
        self.drops = 0
        self.requests: list[Request] = []
        self.times: list[float] = []
        """When each request came, by the monotonic clock."""
        self.sent_of: dict[str, int] = {}
        """Bytes of answers by path."""
        self._since_drop = 0
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"

    def __enter__(self) -> "Link":
        accepting = threading.Thread(target=self._accept, daemon=True)
        self._threads.append(accepting)
        accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    @property
    def wire(self) -> int:
        """Bytes both ways."""
        return self.sent + self.heard

    def paths(self, pattern: str = "") -> list[str]:
        """What was asked for, in order, where the path holds the pattern."""
        return [r.path for r in self.requests if re.search(pattern, r.path)]

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.sent = self.heard = self.drops = 0
            self.requests.clear()
            self.times.clear()
            self.sent_of.clear()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            # Little of an endless answer waits in buffers, so that what is counted was wanted.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                number = len(self._connections)
                self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        line = _Line(self, connection)
        with suppress(OSError, _CutError):
            while not self._over.is_set():
                request = self._read(connection, number)
                if request is None:
                    break
                answer = self._honest(request)
                fault = next((fault for fault in self.faults if fault.take(request)), None)
                if fault is not None:
                    answer = fault.change(request, answer)
                line.path = request.path
                if not self._send(line, answer):
                    break
        with suppress(OSError):
            connection.close()

    def _read(self, connection: socket.socket, number: int) -> Request | None:
        head = b""
        while b"\r\n\r\n" not in head:
            got = connection.recv(4096)
            if not got or len(head) > _HEAD_BYTES:
                return None
            head += got
        first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        path = unquote(urlsplit(first.split(" ")[1]).path).lstrip("/")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        with self._lock:
            self.heard += len(head)
            request = Request(len(self.requests), number, path, headers)
            self.requests.append(request)
            self.times.append(time.monotonic())
        return request

    def _honest(self, request: Request) -> Answer:
        file = self.folder / request.path
        if ".." in Path(request.path).parts or not file.is_file():
            return text(404, "no such file\n")
        content = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        kind = "application/json" if file.suffix == ".json" else "application/octet-stream"
        if not (self.ranges and asked):
            return Answer(200, {"Content-Type": kind}, [content], len(content))
        start = int(asked[1])
        if start >= len(content):
            return Answer(416, {"Content-Range": f"bytes */{len(content)}"}, [], 0)
        end = min(int(asked[2]) + 1, len(content)) if asked[2] else len(content)
        said = {"Content-Type": kind, "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        return Answer(206, said, [content[start:end]], end - start)

    def _send(self, line: "_Line", answer: Answer) -> bool:
        """Send it; returns whether the connection goes on."""
        keep = answer.keep and (answer.length is not None or answer.chunked)
        self._over.wait(answer.delay_s)
        said = dict(answer.headers)
        if answer.chunked:
            said["Transfer-Encoding"] = "chunked"
        elif answer.length is not None:
            said["Content-Length"] = str(answer.length)
        if not keep:
            said["Connection"] = "close"
        reason = _REASONS.get(answer.status, "Said so")
        head = f"HTTP/1.1 {answer.status} {reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in said.items()) + "\r\n"
        if answer.head_pause_s:
            for byte in head.encode():
                line.send(bytes([byte]))
                self._over.wait(answer.head_pause_s)
                if self._over.is_set():
                    return False
        else:
            line.send(head.encode())
        left = answer.cut_after
        for piece in _pieces(answer.body, answer.piece):
            if self._over.is_set():
                return False
            part = piece if left is None else piece[:left]
            if part:
                line.send(b"%x\r\n%b\r\n" % (len(part), part) if answer.chunked else part)
            if left is not None:
                left -= len(part)
                if left <= 0:
                    self._cut(line, answer.cut)
            if answer.pause_s:
                self._over.wait(answer.pause_s)
        if left == 0:
            self._cut(line, answer.cut)
        if answer.chunked:
            line.send(b"0\r\n\r\n")
        return keep

    def _cut(self, line: "_Line", how: str) -> None:
        if how == "stall":
            self._over.wait()
        line.end(reset=how == "reset")
        raise _CutError


class _Line:
    """One connection's way out: counts, and ends where the link drops."""

    def __init__(self, link: Link, connection: socket.socket) -> None:
        self.path = ""
        self._link = link
        self._connection = connection
        self._own = 0

    def send(self, content: bytes) -> None:
        """Send; raises ``_CutError`` where the link drops within it."""
        link = self._link
        with link._lock:
            room = len(content)
            if link.drop_every is not None:
                room = min(room, link.drop_every - link._since_drop)
            if link.drop_each is not None:
                room = min(room, link.drop_each - self._own)
            link._since_drop += room
            self._own += room
            dropped = room < len(content)
            if dropped:
                link.drops += 1
                link._since_drop = 0
            link.sent += room
            link.sent_of[self.path] = link.sent_of.get(self.path, 0) + room
        self._connection.sendall(content[:room])
        if dropped:
            self.end(reset=link.drop == "reset")
            raise _CutError

    def end(self, *, reset: bool) -> None:
        """End the connection, politely or not."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()


def text(status: int, content: str, **headers: str) -> Answer:
    """A short answer in words."""
    body = content.encode()
    said = {"Content-Type": "text/plain"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Answer(status, said, [body], len(body))


def _pieces(body: Iterable[bytes], size: int) -> Iterator[bytes]:
    for part in body:
        for start in range(0, len(part), size):
            yield part[start : start + size]
