"""Ends a connection whose other side sends just enough never to time out.

A timeout of a socket starts anew with each byte, so a head or a chunk's length that comes by the
byte would take days. A thread shuts the socket down instead; whoever waits then gets an end.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class Watchdog:
    """Watches the newest connection while ``guard`` is open. In real time, whatever tests fake."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._until: float | None = None
        self._sock: Any = None
        self._thread: threading.Thread | None = None
        self.fired = False
        """Whether the last guarded stretch was ended."""

    def watch(self, sock: Any) -> None:
        """A connection stands."""
        with self._changed:
            self._sock = sock

    @contextmanager
    def guard(self, seconds: float) -> Iterator[None]:
        """End the connection unless the block is done within ``seconds``, or ``feed`` is called."""
        self.fired = False
        self.feed(seconds)
        try:
            yield
        finally:
            with self._changed:
                self._until = None

    def feed(self, seconds: float) -> None:
        """So many seconds from now."""
        with self._changed:
            sooner = self._until is None
            self._until = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="link", daemon=True)
                self._thread.start()
            elif sooner:
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                left = None if self._until is None else self._until - time.monotonic()
                if left is not None and left <= 0:
                    self._until, self.fired = None, True
                    self._end()
                    continue
                self._changed.wait(left)

    def _end(self) -> None:
        if self._sock is not None:
            # The socket's own shutdown and not a TLS socket's, which would take its state apart
            # under the other thread's hands.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def watched_pools(watchdog: Watchdog) -> PoolManager:
    """urllib3's connections, each shown to ``watchdog`` once it stands."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            watchdog.watch(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            watchdog.watch(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager = PoolManager(num_pools=4, maxsize=1, block=False)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager
