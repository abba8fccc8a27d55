"""What a process tells the service manager: that it is up, that it lives, and how it is.

The protocol of sd_notify(3), spoken here because the library's call waits where the manager does
not read, and a loop that waits for a manager is one that a manager can stop. Each is one datagram
sent with ``MSG_DONTWAIT``; one that is refused is counted and comes again with the next.
Without a service manager (``NOTIFY_SOCKET``) all of it costs nothing.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

_SHARE = 4
"""So many signs of life in the time after which the manager takes the process for dead."""


class Watchdog:
    """One process's voice towards its service manager. Never waits, never raises."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read who is to be told, and how often (``WATCHDOG_USEC``, ``WATCHDOG_PID``)."""
        self._clock = clock
        self._socket: socket.socket | None = None
        self._every_s: float | None = None
        self._next_s = float("-inf")
        self._status = ""
        self.refused = 0
        """Datagrams that nobody took."""
        address = environment.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            return
        # An address in the abstract namespace is written with an @ for its leading zero.
        self._address = "\0" + address[1:] if address[0] == "@" else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        microseconds = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if microseconds.isdigit() and int(microseconds) and ours:
            self._every_s = int(microseconds) / 1e6 / _SHARE

    @property
    def watched(self) -> bool:
        """Whether a service manager started this process and is to be told."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """The process does its work from now on, whether or not there is an interface yet."""
        self._status = status or self._status
        self._say(f"READY=1\nSTATUS={self._status}" if self._status else "READY=1")
        self.alive()

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; free while it stays the same."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    def alive(self) -> None:
        """Work advances. May be called as often as one likes."""
        if self._every_s is None:
            return
        now_s = self._clock()
        if now_s >= self._next_s and self._say("WATCHDOG=1"):
            self._next_s = now_s + self._every_s

    def stopping(self) -> None:
        """The process ends because it was asked to."""
        self._say("STOPPING=1")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._every_s = None

    def _say(self, text: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            self.refused += 1
            return False
        return True
