"""The link between two processes of the pedal: packets that are never waited for.

A Unix ``SOCK_SEQPACKET`` socket keeps packets whole and in order. Both sides send and receive
with ``MSG_DONTWAIT``; a full queue is counted by the sender and forgotten, an end of file shows
that the other side has died, and no packet is empty, so the two cannot be confused.
"""

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from device.errors import LinkError

VERSION = 1
_RECEIVED_AT_ONCE = 16
"""Packets drained per call: a flood costs a bounded time."""

_CONTROL = struct.Struct("<BBHIIf")
_HEARTBEAT = struct.Struct("<BBHIQ")


@dataclass(slots=True)
class ControlState:
    """What ``control`` tells ``audio``, whole in every packet, so that losing one is harmless."""

    position: float = 0.0
    preset: int = 0
    bypass: bool = False
    knob_faults: int = 0
    sequence: int = 0

    def pack(self) -> bytes:
        """As a packet; the sequence number is stepped by it."""
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        return _CONTROL.pack(
            VERSION, self.bypass, self.preset, self.sequence, self.knob_faults, self.position
        )

    def unpack(self, packet: memoryview) -> bool:
        """Take over a packet; False, and nothing changed, for one that is foreign or stale."""
        if len(packet) != _CONTROL.size:
            return False
        version, bypass, preset, sequence, faults, position = _CONTROL.unpack(packet)
        newer = 0 < (sequence - self.sequence) & 0xFFFFFFFF < 0x80000000
        if version != VERSION or not newer or not 0.0 <= position <= 1.0:
            return False
        self.position, self.preset, self.bypass = position, preset, bool(bypass)
        self.knob_faults, self.sequence = faults, sequence
        return True


@dataclass(slots=True)
class Heartbeat:
    """What ``audio`` tells ``control``: that its periods advance, and what it plays."""

    periods: int = 0
    preset: int = 0
    absent: bool = False
    sequence: int = 0

    def pack(self) -> bytes:
        """As a packet; the sequence number is stepped by it."""
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        return _HEARTBEAT.pack(VERSION, self.absent, self.preset, self.sequence, self.periods)

    def unpack(self, packet: memoryview) -> bool:
        """Take over a packet; False, and nothing changed, for one that is foreign."""
        if len(packet) != _HEARTBEAT.size:
            return False
        version, absent, preset, sequence, periods = _HEARTBEAT.unpack(packet)
        if version != VERSION:
            return False
        self.periods, self.preset = periods, preset
        self.absent, self.sequence = bool(absent), sequence
        return True


class Link:
    """One end of a connected link. Single-threaded; never blocks."""

    def __init__(self, connected: socket.socket) -> None:
        """Take over a connected ``SOCK_SEQPACKET`` socket."""
        self._socket = connected
        self._socket.setblocking(False)
        self._buffer = bytearray(256)
        self._view = memoryview(self._buffer)
        self.alive = True
        """Whether the other side is there, as far as the last transfer showed."""
        self.refused = 0
        """Packets that were not sent because the other side's queue was full."""
        self.foreign = 0
        """Packets received that were foreign, stale or out of range, and ignored."""

    def send(self, packet: bytes) -> None:
        """Send, or count that the queue was full, or notice that the other side is gone."""
        try:
            self._socket.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.refused += 1
        except OSError:
            self.alive = False

    def receive(self, state: ControlState | Heartbeat) -> bool:
        """Take over the newest packets waiting; True if there was a good one."""
        fresh = False
        for _ in range(_RECEIVED_AT_ONCE):
            try:
                size = self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                size = 0
            if size == 0:
                self.alive = False
                break
            if state.unpack(self._view[:size]):
                fresh = True
            else:
                self.foreign += 1
        return fresh

    def close(self) -> None:
        """Let the other side see an end of file."""
        self._socket.close()


class Listener:
    """The end that others connect to; ``audio`` has one."""

    def __init__(self, path: Path) -> None:
        """Listen on ``path``, replacing what a dead process left there. Raises ``LinkError``."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        try:
            path.unlink(missing_ok=True)
            self._socket.bind(os.fspath(path))
            self._socket.listen(1)
        except OSError as error:
            self._socket.close()
            raise LinkError(
                f"{path}: cannot listen there ({error.strerror or error}); choose another "
                "runtime folder with --runtime"
            ) from None

    def accept(self) -> Link | None:
        """Return a link to whoever has connected, or None at once."""
        try:
            connected, _ = self._socket.accept()
        except OSError:
            return None
        return Link(connected)

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        self._socket.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def connect(path: Path) -> Link | None:
    """Connect to a listener, or return None at once where none is there."""
    attempt = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    attempt.setblocking(False)
    try:
        attempt.connect(os.fspath(path))
    except OSError:
        attempt.close()
        return None
    return Link(attempt)
