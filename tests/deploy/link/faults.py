"""The ways in which a link goes wrong. Each is a change of one answer, for ``Fault``."""

import gzip
import itertools
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tests.deploy.link.server import Answer, Change, Request, text

PORTAL = """<!DOCTYPE html><html><head><title>Hotel Wi-Fi</title></head>
<body><h1>Welcome! Please accept the terms.</h1></body></html>
"""


def status(code: int, retry_after: str | None = None) -> Change:
    """An error, in words; ``retry_after`` as the header holds it."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda request, honest: text(code, f"error {code}\n", **headers)


def cut(after: int, how: Literal["close", "reset", "stall"] = "close") -> Change:
    """The connection ends after so many bytes of the body; with ``stall`` it just falls silent."""
    return lambda request, honest: replace(honest, cut_after=after, cut=how)


def truncated(to: float) -> Change:
    """So much of the body, with a length that agrees: a file that was cut off at its source."""

    def change(request: Request, honest: Answer) -> Answer:
        content = b"".join(honest.body)
        content = content[: int(len(content) * to)]
        return replace(honest, body=[content], length=len(content))

    return change


def corrupted(at: float = 0.5) -> Change:
    """One bit of the body is another."""

    def change(request: Request, honest: Answer) -> Answer:
        content = bytearray(b"".join(honest.body))
        if content:
            content[int((len(content) - 1) * at)] ^= 0x10
        return replace(honest, body=[bytes(content)])

    return change


def delayed(seconds: float) -> Change:
    """The answer comes late."""
    return lambda request, honest: replace(honest, delay_s=seconds)


def trickled(piece: int, pause_s: float) -> Change:
    """The body comes in small pieces with pauses: slow retrieval."""
    return lambda request, honest: replace(honest, piece=piece, pause_s=pause_s)


def slow_head(pause_s: float) -> Change:
    """Each byte of the head waits."""
    return lambda request, honest: replace(honest, head_pause_s=pause_s)


def silent(request: Request, honest: Answer) -> Answer:
    """Nothing comes, and nothing ends."""
    return replace(honest, delay_s=3600.0, keep=False)


def _noise(piece: int = 16_384) -> Iterator[bytes]:
    return itertools.repeat(b"\xa5" * piece)


def endless(framing: Literal["length", "close", "chunked"], head: bytes = b"") -> Change:
    """Data without end, after ``head``; with ``length`` a petabyte is announced."""

    def change(request: Request, honest: Answer) -> Answer:
        return Answer(
            200,
            honest.headers,
            itertools.chain([head] if head else [], _noise()),
            10**15 if framing == "length" else None,
            chunked=framing == "chunked",
        )

    return change


def endless_head(request: Request, honest: Answer) -> Answer:
    """A header that goes on and on."""
    return Answer(200, {"X-Long": "a" * 2_000_000}, [b"x"], 1)


def wrong_length(by: int) -> Change:
    """``Content-Length`` says more or less than comes."""

    def change(request: Request, honest: Answer) -> Answer:
        content = b"".join(honest.body)
        return replace(honest, body=[content], length=max(0, len(content) + by), keep=False)

    return change


def compressed(content: bytes | None = None) -> Change:
    """``Content-Encoding: gzip`` of the truth, or of what is given."""

    def change(request: Request, honest: Answer) -> Answer:
        body = gzip.compress(b"".join(honest.body) if content is None else content, 6)
        headers = dict(honest.headers) | {"Content-Encoding": "gzip"}
        return replace(honest, headers=headers, body=[body], length=len(body))

    return change


def bomb(megabytes: int) -> Change:
    """A gzip bomb: a thousandth of what it unpacks to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    body = b"".join([*parts, packer.flush()])

    def change(request: Request, honest: Answer) -> Answer:
        headers = dict(honest.headers) | {"Content-Encoding": "gzip"}
        return replace(honest, status=200, headers=headers, body=[body], length=len(body))

    return change


def portal(request: Request, honest: Answer) -> Answer:
    """A captive portal that answers in the server's place."""
    body = PORTAL.encode()
    return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, [body], len(body))


def redirected(to: str) -> Change:
    """To another address, such as a portal's or itself; ``{path}`` stands for the path asked for.

    ``{number}`` is the request's own number, so that no address comes twice.
    """

    def change(request: Request, honest: Answer) -> Answer:
        where = to.format(path=request.path, number=request.number)
        return text(302, "elsewhere\n", Location=where)

    return change


def replayed(folder: Path) -> Change:
    """What another folder holds under that path, such as an older state of the repository."""

    def change(request: Request, honest: Answer) -> Answer:
        file = folder / request.path
        if not file.is_file():
            return text(404, "no such file\n")
        content = file.read_bytes()
        return Answer(200, {"Content-Type": "application/json"}, [content], len(content))

    return change


def replaced(content: bytes) -> Change:
    """These bytes in place of the file."""
    return lambda request, honest: Answer(200, honest.headers, [content], len(content))


def not_http(request: Request, honest: Answer) -> Answer:
    """A status that is none."""
    return Answer(999, {}, [b"\x00\xff" * 8], 16, keep=False)


@contextmanager
def refused() -> Iterator[str]:
    """The address of a port where nobody listens, kept from others meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/"
