"""What the units start in a test in the pedal's place: alive, and as long as it is told to be.

It keeps what a process of the pedal promises its unit: READY=1, WATCHDOG=1, the passed socket, and
control, which connects to audio's again and again. It says once what its sandbox let it do, and
ends at once with the code that ``/etc/purga/ROLE.exit`` holds. Standard library only; runs as
``python -m device ROLE …``.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

_MCL_CURRENT = 1
FIRST_PASSED = 3
"""``SD_LISTEN_FDS_START``."""
LINK = "/run/purga/audio.sock"


def _allowed(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "yes"


def _lock_memory() -> None:
    if ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT) != 0:
        raise OSError(ctypes.get_errno(), "mlockall")


def _rights() -> dict[str, str]:
    """What this process may do, by trying."""
    tries: dict[str, Callable[[], object]] = {
        "write runtime": lambda: Path(os.environ["RUNTIME_DIRECTORY"], "tried").write_text(""),
        "write state": lambda: Path(os.environ["STATE_DIRECTORY"], "tried").write_text(""),
        "write cache": lambda: Path(os.environ["CACHE_DIRECTORY"], "tried").write_text(""),
        "write code": lambda: Path("tried").write_text(""),
        "write settings": lambda: Path("/etc/purga/tried").write_text(""),
        "write home": lambda: list(Path("/root").iterdir()),
        "lock memory": _lock_memory,
        "network": lambda: socket.socket(socket.AF_INET),
    }
    return {name: _allowed(attempt) for name, attempt in tries.items()}


class Listening:
    """The end of the link that audio has: the passed socket, or one of its own at the path."""

    def __init__(self, passed: bool) -> None:
        if passed:
            self._socket = socket.socket(fileno=FIRST_PASSED)
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            Path(LINK).unlink(missing_ok=True)
            self._socket.bind(LINK)
            self._socket.listen(1)
        self._socket.setblocking(False)
        self._peers: list[socket.socket] = []

    def turn(self) -> None:
        """Take in whoever asks."""
        with contextlib.suppress(BlockingIOError):
            self._peers.append(self._socket.accept()[0])


class Asking:
    """The end that control has: it asks again for as long as nobody is there."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def turn(self) -> None:
        """Connect where there is no connection; notice one that has ended."""
        if self._socket is None:
            attempt = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            attempt.setblocking(False)
            if attempt.connect_ex(LINK) == 0:
                self._socket = attempt
            else:
                attempt.close()
            return
        with contextlib.suppress(BlockingIOError):
            try:
                ended = not self._socket.recv(64)
            except ConnectionError:
                ended = True
            if ended:
                self._socket.close()
                self._socket = None


def main() -> int:
    """Be alive."""
    role = sys.argv[1] if "--preset" not in sys.argv else "degraded"
    code = Path(f"/etc/purga/{role}.exit")
    if code.exists():
        return int(code.read_text())
    passed = int(os.environ.get("LISTEN_FDS", "0"))
    about = {
        "role": role,
        "pid": os.getpid(),
        "user": os.getuid(),
        "sockets": os.environ.get("LISTEN_FDNAMES", "") if passed else "",
        "arguments": sys.argv[2:],
        "rights": _rights(),
    }
    said = Path(os.environ["STATE_DIRECTORY"], f"{role}.json")
    beside = said.with_suffix(".new")
    beside.write_text(json.dumps(about))
    beside.replace(said)
    link = Listening(bool(passed)) if role in ("audio", "degraded") else Asking()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        told = os.environ.get("NOTIFY_SOCKET", "")
        if told:
            notify.connect(told)
            notify.send(b"READY=1")
        while True:
            if told:
                notify.send(b"WATCHDOG=1")
            link.turn()
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
