"""The link between two processes of the pedal: packets that are never waited for.

A Unix ``SOCK_SEQPACKET`` socket keeps packets whole and in order. Both sides send and receive
with ``MSG_DONTWAIT``; a full queue is counted by the sender and forgotten, an end of file shows
that the other side has died, and no packet is empty, so the two cannot be confused.

Both packets are little-endian without padding::

    control → audio    version, flags, ceiling: u8    preset, bank: u16
                       sequence, knob faults: u32    position: f32            flags: bypass, mute
    audio → control    version, flags: u8    preset, presets, broken, latency: u16
                       sequence, xruns, misses: u32    periods: u64
                                       flags: absent, loading, studio, studio alive, studio heard
"""

import contextlib
import os
import socket
import struct
from pathlib import Path

from device.engine_kinds import Ceiling
from device.errors import LinkError
from device.plain import dataclass
from device.processes.activation import passed_socket

VERSION = 3
SOCKET_NAME = "audio"
"""``FileDescriptorName=`` of the socket unit."""

CEILINGS = tuple(Ceiling)
_RECEIVED_AT_ONCE = 16
"""Packets drained per call: a flood costs a bounded time."""
_ACCEPTED_AT_ONCE = 8

_CONTROL = struct.Struct("<BBBHHIIf")
_BYPASS, _MUTE = 1, 2
_HEARTBEAT = struct.Struct("<BBHHHHIIIQ")
_ABSENT, _LOADING, _STUDIO, _STUDIO_ALIVE, _STUDIO_HEARD = 1, 2, 4, 8, 16
_MOST_U16, _MOST_U32 = 0xFFFF, 0xFFFFFFFF


@dataclass
class ControlState:
    """What ``control`` tells ``audio``, whole in every packet, so that losing one is harmless."""

    position: float = 0.0
    preset: int = 0
    bypass: bool = False
    knob_faults: int = 0
    sequence: int = 0
    mute: bool = False
    """Silence, as for tuning; it goes before bypass."""
    ceiling: Ceiling = Ceiling.STUDIO
    """The costliest engine that may play."""
    bank: int = 0
    """Another number than before says that the models slot may be another; it wraps around."""

    def pack(self) -> bytes:
        """As a packet; the sequence number is stepped by it."""
        self.sequence = (self.sequence + 1) & _MOST_U32
        flags = _BYPASS * self.bypass | _MUTE * self.mute
        return _CONTROL.pack(
            VERSION,
            flags,
            self.ceiling,
            self.preset,
            self.bank & _MOST_U16,
            self.sequence,
            self.knob_faults & _MOST_U32,
            self.position,
        )

    def unpack(self, packet: memoryview) -> bool:
        """Take over a packet; False, and nothing changed, for one that is foreign or stale."""
        if len(packet) != _CONTROL.size:
            return False
        version, flags, ceiling, preset, bank, sequence, faults, position = _CONTROL.unpack(packet)
        newer = 0 < (sequence - self.sequence) & _MOST_U32 < 0x80000000
        if version != VERSION or not newer or not 0.0 <= position <= 1.0:
            return False
        if ceiling > Ceiling.STUDIO or flags > (_BYPASS | _MUTE):
            return False
        self.position, self.preset, self.knob_faults = position, preset, faults
        self.bypass, self.mute = bool(flags & _BYPASS), bool(flags & _MUTE)
        self.ceiling, self.sequence, self.bank = CEILINGS[ceiling], sequence, bank
        return True


@dataclass
class Heartbeat:
    """What ``audio`` tells ``control``: that its periods advance, and what it plays."""

    periods: int = 0
    """Turns of the loop so far, with an interface or without; it stands still where audio does."""
    preset: int = 0
    absent: bool = False
    """There is no interface; it is looked for all the time."""
    sequence: int = 0
    loading: bool = False
    """The dry guitar plays while the presets are being loaded."""
    presets: int = 0
    """Presets of the bank, broken ones too; 0 while it is not known."""
    broken: int = 0
    """Those of them that cannot be played; the dry guitar plays in their place."""
    xruns: int = 0
    misses: int = 0
    """Periods whose processing took longer than the period lasts."""
    latency_frames: int = 0
    """Of the preset that plays, without the interface's buffers; no more than 65535 are told."""
    studio: bool = False
    """The preset that plays has a studio engine …"""
    studio_alive: bool = False
    """… whose process is there …"""
    studio_heard: bool = False
    """… and whose sound is heard; otherwise the stage engine stands in."""

    def pack(self) -> bytes:
        """As a packet; the sequence number is stepped by it."""
        self.sequence = (self.sequence + 1) & _MOST_U32
        flags = (
            _ABSENT * self.absent
            | _LOADING * self.loading
            | _STUDIO * self.studio
            | _STUDIO_ALIVE * self.studio_alive
            | _STUDIO_HEARD * self.studio_heard
        )
        return _HEARTBEAT.pack(
            VERSION,
            flags,
            self.preset,
            self.presets,
            self.broken,
            min(self.latency_frames, _MOST_U16),
            self.sequence,
            self.xruns & _MOST_U32,
            self.misses & _MOST_U32,
            self.periods,
        )

    def unpack(self, packet: memoryview) -> bool:
        """Take over a packet; False, and nothing changed, for one that is foreign."""
        if len(packet) != _HEARTBEAT.size or packet[0] != VERSION:
            return False
        (
            _version,
            flags,
            self.preset,
            self.presets,
            self.broken,
            self.latency_frames,
            self.sequence,
            self.xruns,
            self.misses,
            self.periods,
        ) = _HEARTBEAT.unpack(packet)
        self.absent, self.loading = bool(flags & _ABSENT), bool(flags & _LOADING)
        self.studio, self.studio_alive = bool(flags & _STUDIO), bool(flags & _STUDIO_ALIVE)
        self.studio_heard = bool(flags & _STUDIO_HEARD)
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
    """The end that others connect to; ``audio`` has one.

    Where the service manager listens already (``SOCKET_NAME``) its socket is taken over: whoever
    connects while ``audio`` is being started again waits in it and is not refused.
    """

    def __init__(self, path: Path) -> None:
        """Listen on ``path``, replacing what a dead process left there. Raises ``LinkError``."""
        self.path = path
        self._socket, self._ours = listening(path, SOCKET_NAME, backlog=1)

    def accept(self) -> Link | None:
        """Return a link to whoever has connected last, or None at once."""
        newest = None
        # Whoever connected before was restarted since.
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connected, _address = self._socket.accept()
            except OSError:
                break
            if newest is not None:
                newest.close()
            newest = Link(connected)
        return newest

    def close(self) -> None:
        """Stop listening, and remove the socket file unless the service manager keeps it."""
        self._socket.close()
        if self._ours:
            with contextlib.suppress(OSError):
                self.path.unlink()


def listening(path: Path, name: str, backlog: int) -> tuple[socket.socket, bool]:
    """A socket that listens and never blocks: the one passed under ``name``, else one at ``path``.

    With it, whether it was made here. Raises ``LinkError``.
    """
    passed = passed_socket(name)
    if passed is not None:
        passed.setblocking(False)
        return passed, False
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    try:
        path.unlink(missing_ok=True)
        made.bind(os.fspath(path))
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise LinkError(
            f"{path}: cannot listen there ({error.strerror or error}); choose another "
            "runtime folder with --runtime"
        ) from None
    return made, True


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
