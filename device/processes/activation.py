"""Sockets that the service manager listens on already and passes to a process it starts.

The protocol of sd_listen_fds(3): ``LISTEN_PID`` names the process, ``LISTEN_FDS`` says how many
descriptors there are from 3 on, ``LISTEN_FDNAMES`` names them, separated by colons.
"""

import os
import socket

_FIRST = 3
"""``SD_LISTEN_FDS_START``."""

_taken: set[int] = set()


def passed_socket(name: str) -> socket.socket | None:
    """The listening ``AF_UNIX`` ``SOCK_SEQPACKET`` socket passed under ``name``; None without one.

    Each can be taken once: closing it would close it for whoever asks again. What is passed
    under the name but is another kind of socket is left alone.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    try:
        count = int(os.environ.get("LISTEN_FDS", ""))
    except ValueError:
        return None
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for number, found in zip(range(_FIRST, _FIRST + count), names, strict=False):
        if found != name or number in _taken:
            continue
        try:
            passed = socket.socket(fileno=number)
        except OSError:
            continue
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        kind = (passed.family, passed.type)
        if kind != (socket.AF_UNIX, socket.SOCK_SEQPACKET) or not listens:
            passed.detach()
            continue
        _taken.add(number)
        passed.set_inheritable(False)
        return passed
    return None
