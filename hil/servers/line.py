"""Lines of bytes over TCP: what is asked on one is answered by a dialect, or hit by a fault."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

from hil.servers.faults import LineFaults
from hil.servers.turns import Turns

HOST = "127.0.0.1"
_LONGEST = 4096
"""A request that has not ended by then is none: instruments have small buffers."""

Write = Callable[[bytes], None]


class Dialect(Protocol):
    """What an instrument answers. State is the instrument's, not the connection's."""

    end: bytes
    """What a request ends with."""

    def answer(self, line: bytes) -> bytes:
        """The answer to a request without its end; empty where there is none."""


class Line:
    """A line's faults, and who is connected to it."""

    def __init__(self, name: str, faults: LineFaults, seed: int, turns: Turns) -> None:
        """``seed`` and ``name`` decide which answers its faults hit."""
        self.name, self.faults, self.turns = name, faults, turns
        self._random = random.Random(f"{seed} {name}")
        self.connected: set[asyncio.BaseTransport] = set()
        self.address = ""

    def opened(self, transport: asyncio.BaseTransport) -> bool:
        """Somebody connects; False where the line does not hold."""
        if self.faults.lost == "closed":
            self._cut(transport)
            return False
        self.connected.add(transport)
        return True

    def closed(self, transport: asyncio.BaseTransport | None) -> None:
        """Somebody has gone."""
        if transport is not None:
            self.connected.discard(transport)

    @property
    def dead(self) -> bool:
        """Whether nothing that is sent on it arrives."""
        return self.faults.lost != ""

    def deliver(self, write: Write, data: bytes) -> None:
        """Send an answer, as far as the line lets it."""
        if self.dead or not data:
            return
        faults = self.faults
        if faults.garbage and self._random.random() < faults.garbage:
            data = self._random.randbytes(len(data))
        if faults.broken_off and self._random.random() < faults.broken_off:
            data = data[: len(data) // 2]
        if faults.slow_s:
            asyncio.get_running_loop().call_later(faults.slow_s, write, data)
        else:
            write(data)

    def tell(self, data: bytes) -> None:
        """Send to everybody who is connected. Called in the servers' thread."""
        for transport in list(self.connected):
            if isinstance(transport, asyncio.WriteTransport):
                self.deliver(transport.write, data)

    def cut(self) -> None:
        """Close every connection. Called in the servers' thread."""
        for transport in list(self.connected):
            self._cut(transport)

    @staticmethod
    def _cut(transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        else:
            transport.close()


class LineProtocol(asyncio.Protocol):
    """One connection to an instrument that is asked in lines."""

    def __init__(self, line: Line, dialect: Dialect) -> None:
        """Not connected yet."""
        self._line, self._dialect = line, dialect
        self._came = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        assert isinstance(transport, asyncio.Transport)
        if self._line.opened(transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._line.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        transport = self._transport
        if transport is None or self._line.dead:
            return
        end = self._dialect.end
        *requests, rest = (self._came + data).split(end)
        self._came = rest if len(rest) <= _LONGEST else b""
        for request in requests:
            with self._line.turns:
                answer = self._dialect.answer(request)
            self._line.deliver(transport.write, answer)


async def listen(line: Line, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Take connections on a free port of loopback, and keep the address."""
    server = await asyncio.get_running_loop().create_server(protocol, HOST, 0)
    line.address = address_of(server)
    return server


def address_of(server: asyncio.AbstractServer) -> str:
    """``127.0.0.1:PORT``."""
    with contextlib.suppress(AttributeError, IndexError):
        host, port = server.sockets[0].getsockname()[:2]  # type: ignore[attr-defined]
        return f"{host}:{port}"
    return ""
