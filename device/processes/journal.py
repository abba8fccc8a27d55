"""What a process says: one line at a time, to the journal or to whoever started it, never waiting.

Under a service manager (``JOURNAL_STREAM`` is set) lines go to journald by its native protocol
(systemd.io, *Native Journal Protocol*), so that ``journalctl PURGA_STATE=hot`` finds them:
``KEY=value`` lines in one datagram, sent with ``MSG_DONTWAIT``. The library's call waits where
journald does not read, and a control loop that waits lets go of the relay. Elsewhere they go to
stderr, and only what is amiss. A line that is refused is counted, and told with the next one.
"""

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Literal

Level = Literal["error", "warning", "notice", "info"]

JOURNAL_SOCKET = "/run/systemd/journal/socket"
PRIORITIES: dict[Level, int] = {"error": 3, "warning": 4, "notice": 5, "info": 6}
"""As syslog(3) numbers them."""

_BURST = 20
_EVERY_S = 2.0
"""So many lines at once, then one each so often: a loop that fails must not fill the disk."""
_LENGTH = struct.Struct("<Q")


class Journal:
    """Says lines for one process, with structured fields, at a bounded rate."""

    def __init__(
        self,
        process: str,
        journal_socket: str = JOURNAL_SOCKET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``process`` is what lines are said by, ``purga-control`` for ``control``."""
        self._process = process
        self._address = journal_socket
        self._clock = clock
        self._socket: socket.socket | None = None
        if os.environ.get("JOURNAL_STREAM") and os.path.exists(journal_socket):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._allowance = float(_BURST)
        self._asked_s = clock()
        self.unsaid = 0
        """Lines left out, by the rate limit or because nobody took them, since the last one."""

    def say(self, text: str, level: Level = "info", **fields: object) -> bool:
        """Say one line; ``fields`` are journal fields in capitals. False where it was left out."""
        if self._socket is None and PRIORITIES[level] > PRIORITIES["warning"]:
            return True
        now_s = self._clock()
        self._allowance = min(_BURST, self._allowance + (now_s - self._asked_s) / _EVERY_S)
        self._asked_s = now_s
        if self._allowance < 1.0:
            self.unsaid += 1
            return False
        self._allowance -= 1.0
        if self.unsaid:
            text = f"{text} (and {self.unsaid} lines left out before)"
        said = self._send(text, level, fields) if self._socket else self._print(text)
        self.unsaid = 0 if said else self.unsaid + 1
        return said

    def _send(self, text: str, level: Level, fields: dict[str, object]) -> bool:
        entry = {
            "MESSAGE": text,
            "PRIORITY": PRIORITIES[level],
            "SYSLOG_IDENTIFIER": f"purga-{self._process}",
            **fields,
        }
        packet = b"".join(_field(name, str(value)) for name, value in entry.items())
        try:
            assert self._socket is not None
            self._socket.sendto(packet, socket.MSG_DONTWAIT, self._address)
        except OSError:
            return False
        return True

    def _print(self, text: str) -> bool:
        """To stderr, where it takes a line without waiting."""
        try:
            descriptor = sys.stderr.fileno()
            if not select.select([], [descriptor], [], 0.0)[1]:
                return False
            print(f"{self._process}: {text}", file=sys.stderr, flush=True)
        except (OSError, ValueError):
            return False
        return True


def _field(name: str, value: str) -> bytes:
    """One field: ``NAME=value``, or with its length where the value has lines."""
    data = value.encode(errors="replace")
    if b"\n" in data:
        return name.encode() + b"\n" + _LENGTH.pack(len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
