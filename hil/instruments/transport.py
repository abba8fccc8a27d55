r"""Bytes to an instrument and back: over TCP or a serial line, never waiting for ever.

::

    link = Link("chamber", "192.168.0.20:10001", end=b"\r\n")
    link.ask(b"TEMP?\r\n")          # b"23.1,23.0,160.0,-75.0"

Addresses are ``host:port``, ``[::1]:port``, a device (``/dev/ttyUSB0``), or what pyserial calls a
URL (``socket://host:port``, ``rfc2217://host:port``). Time-outs are real seconds.

A line that breaks is opened anew and the request sent again, ``tries`` times in all: every request
of the drivers may be repeated. After a time-out the line is opened anew too, so that a late answer
is never taken for the answer to the next request.
"""

import contextlib
import importlib
import select
import socket
import time
from dataclasses import dataclass
from typing import Protocol

from hil.errors import BenchError, InstrumentError

_PAUSE_S = 0.05
"""Before the second try; twice as long before each further one."""
_CHUNK = 4096
_MOST_BYTES = 1 << 16
"""An answer that has not ended by then is none."""


@dataclass(frozen=True)
class Patience:
    """How long an instrument is waited for, real seconds, and how often."""

    connect_s: float = 3.0
    answer_s: float = 3.0
    tries: int = 3


PATIENCE = Patience()


class Port(Protocol):
    """An open line."""

    def write(self, data: bytes) -> None:
        """Send all of it. Raises ``OSError``."""

    def read(self, wait_s: float) -> bytes:
        """What came, at once when there is something; empty after ``wait_s`` of nothing.

        Raises ``OSError`` where the line is gone.
        """

    def close(self) -> None:
        """Let go; never raises."""


class TcpPort:
    """A TCP connection."""

    def __init__(self, host: str, port: int, patience: Patience) -> None:
        """Connect. Raises ``OSError``."""
        self._socket = socket.create_connection((host, port), timeout=patience.connect_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.settimeout(patience.answer_s)

    def write(self, data: bytes) -> None:
        """See ``Port``."""
        self._socket.sendall(data)

    def read(self, wait_s: float) -> bytes:
        """See ``Port``."""
        if not select.select([self._socket], [], [], max(0.0, wait_s))[0]:
            return b""
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the other side has closed the connection")
        return data

    def close(self) -> None:
        """See ``Port``."""
        with contextlib.suppress(OSError):
            self._socket.close()


class SerialPort:
    """A serial line, 8N1, or what pyserial takes for one."""

    def __init__(self, address: str, baud: int, answer_s: float) -> None:
        """Open it. Raises ``OSError``."""
        # Here, because a bench on TCP alone needs none of it.
        serial = importlib.import_module("serial")
        try:
            self._serial = serial.serial_for_url(
                address, baudrate=baud, timeout=0, write_timeout=answer_s
            )
        except ValueError as error:
            raise OSError(str(error)) from None

    def write(self, data: bytes) -> None:
        """See ``Port``."""
        self._serial.write(data)
        self._serial.flush()

    def read(self, wait_s: float) -> bytes:
        """See ``Port``."""
        self._serial.timeout = max(0.0, wait_s)
        data = bytes(self._serial.read(1))
        if not data:
            return b""
        self._serial.timeout = 0
        return data + bytes(self._serial.read(_CHUNK))

    def close(self) -> None:
        """See ``Port``."""
        with contextlib.suppress(OSError, ValueError):
            self._serial.close()


def is_serial(address: str) -> bool:
    """Whether an address is a serial line, which one process alone can talk on."""
    return address.startswith("/") or "://" in address


def parse_tcp(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``. Raises ``BenchError``."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise BenchError(
            f"{address!r} is no address; give host:port, a serial device such as /dev/ttyUSB0, or "
            "socket://host:port."
        )
    if not 0 < int(port) < 65536:
        raise BenchError(f"{address!r} has the port {port}; ports are 1 to 65535.")
    return host, int(port)


def open_port(address: str, patience: Patience = PATIENCE, baud: int = 9600) -> Port:
    """Open a line. Raises ``OSError``, or ``BenchError`` for what is no address."""
    if is_serial(address):
        return SerialPort(address, baud, patience.answer_s)
    host, port = parse_tcp(address)
    return TcpPort(host, port, patience)


class Link:
    """Requests and answers on a line that may break."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        end: bytes = b"\r\n",
        patience: Patience = PATIENCE,
        baud: int = 9600,
    ) -> None:
        """``end`` is what an answer ends with. Nothing is opened before the first request."""
        if not is_serial(address):
            parse_tcp(address)
        self.name, self.address = name, address
        self.reopened = 0
        """How often the line was opened anew."""
        self._end, self._patience, self._baud = end, patience, baud
        self._port: Port | None = None

    def ask(self, request: bytes) -> bytes:
        """Send a request and give its answer without the end. Raises ``InstrumentError``."""
        return self._repeated(request, self._answer)

    def send(self, request: bytes) -> None:
        """Send what is not answered. Raises ``InstrumentError``."""
        self._repeated(request, lambda port: b"")

    def gather(self, request: bytes, quiet_s: float = 0.3, tries: int | None = None) -> bytes:
        """Send a request and give all that comes until the line is quiet for ``quiet_s``.

        Raises ``InstrumentError``.
        """

        def gathered(port: Port) -> bytes:
            data = port.read(self._patience.answer_s)
            while data and len(data) < _MOST_BYTES:
                more = port.read(quiet_s)
                if not more:
                    break
                data += more
            if not data:
                raise TimeoutError("nothing came")
            return data

        return self._repeated(request, gathered, tries)

    def close(self) -> None:
        """Let go of the line; the next request opens it again."""
        if self._port is not None:
            self._port.close()
        self._port = None

    # -- inside -----------------------------------------------------------------------------------

    def _repeated(self, request: bytes, answer: "_Answer", tries: int | None = None) -> bytes:
        reason = ""
        tries = tries or self._patience.tries
        for attempt in range(tries):
            if attempt:
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
            try:
                port = self._opened()
                port.write(request)
                return answer(port)
            except OSError as error:
                reason = _reason(error)
                self.close()
        raise InstrumentError(
            f"{self.name} at {self.address} does not answer {shown(request)} ({reason}, "
            f"{tries} tries); check its line, its address and that remote control is on."
        )

    def _opened(self) -> Port:
        if self._port is not None:
            try:
                # What is still on the line answers nothing that will be asked now.
                while self._port.read(0.0):
                    pass
                return self._port
            except OSError:
                self.close()
        self._port = open_port(self.address, self._patience, self._baud)
        self.reopened += 1
        return self._port

    def _answer(self, port: Port) -> bytes:
        deadline_s = time.monotonic() + self._patience.answer_s
        data = b""
        while True:
            data += port.read(deadline_s - time.monotonic())
            at = data.find(self._end)
            if at >= 0:
                return data[:at]
            if len(data) > _MOST_BYTES:
                raise OSError(f"{len(data)} bytes without an end")
            if time.monotonic() >= deadline_s:
                came = f"only {shown(data)} came" if data else "nothing came"
                raise TimeoutError(f"{came} within {self._patience.answer_s:g} s")


class _Answer(Protocol):
    def __call__(self, port: Port, /) -> bytes: ...


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def shown(data: bytes) -> str:
    """What was sent or came, as it stands in a sentence."""
    text = data.decode("latin-1")
    return repr(text if len(text) <= 60 else text[:57] + "…")
