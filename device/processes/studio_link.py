"""Packets between the audio loop and the engine process, and the audio loop's end of the link.

A Unix ``SOCK_SEQPACKET`` socket, ``MSG_DONTWAIT`` and ``recv_into`` on both sides, as in ``link``.
Every packet is a header and float32 samples::

    version, kind: u8    frames: u16    rate_hz, generation: u32    frame: u64    samples …

========  =======================  ==================================================
kind      way                      samples
========  =======================  ==================================================
PERIOD    audio to engine          tone A, tone B, position: ``frames`` each
BUNDLE    audio to engine, first   the SHA-256 of the bundle that is to compute, in their place
CHANGE    audio to engine, then    the change of the latents, ``frames`` channels
REPLY     engine to audio          the morph of ``frames`` frames from ``frame`` on
DONE      engine to audio          none: all before ``frame`` has been computed
========  =======================  ==================================================

Frames are absolute within a generation, so nothing depends on order or on what was lost.
"""

import os
import select
import socket
import struct
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.sound.morph.studio_feed import MOST_REPLY_FRAMES, Change
from models.morph import Positions
from models.units import Audio

SOCKET_NAME = "studio"
"""``FileDescriptorName=`` of the socket unit."""

VERSION = 2
PERIOD, CHANGE, REPLY, DONE, BUNDLE = range(1, 6)
HEADER = struct.Struct("<BBHIIQ")
"""Version, kind, frames, rate, generation, frame."""

ROWS = 3
"""Tone A, tone B and the position."""

MOST_CHANNELS = 1024
"""Longest change of the latents."""

QUEUE_BYTES = 1 << 18
"""What each side asks the kernel to keep for the other: some 0.4 s of periods of 64 frames. More
would be old before it is read."""

RETRY_S = 0.1
"""How often the audio loop looks for an engine that is not there."""

_POLL_S = 0.005


def reply_buffer(most_frames: int) -> tuple[bytearray, npt.NDArray[np.float32]]:
    """A packet of up to ``most_frames`` floats, with a byte to spare that shows one too long."""
    buffer = bytearray(HEADER.size + 4 * most_frames + 4)
    return buffer, np.frombuffer(buffer, np.float32, most_frames, HEADER.size)


def new_socket() -> socket.socket:
    """An unconnected socket of the right kind that never blocks."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
    return made


class StudioLink:
    """The audio loop's end: a ``device.sound.morph.studio.Peer`` behind a socket.

    While nobody listens it tries to connect ten times a second; nothing here waits.
    """

    def __init__(self, path: Path, change: Change | None = None, bundle: str = "") -> None:
        """``path`` is where the engine process listens; ``change`` is what tone B is instead.

        ``bundle`` is the hash of the one that is to compute, in hexadecimal digits: an engine
        process that has another hangs up. Empty: whichever it has.
        """
        self._path = os.fspath(path)
        self._change, self._bundle = change, bytes.fromhex(bundle)
        self._answered = False
        self._socket: socket.socket | None = None
        self.alive = False
        self.lost = self.refused = self.foreign = 0
        self.generation = self.frame = 0
        self._sent = self._done = (0, 0)

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate both packets."""
        self._rate_hz, self._period_frames = rate_hz, period_frames
        self._packet = bytearray(HEADER.size + 4 * ROWS * period_frames)
        samples = np.frombuffer(self._packet, np.float32, offset=HEADER.size)
        self._rows = samples.reshape(ROWS, period_frames)
        self._buffer, reply = reply_buffer(MOST_REPLY_FRAMES)
        self._view = memoryview(self._buffer)
        self.sound = reply[None, :]
        self._retry_periods = max(1, round(RETRY_S * rate_hz / period_frames))
        self._until_retry = 0

    def adopt(self, connected: socket.socket) -> None:
        """Go on with a socket that is connected already."""
        connected.setblocking(False)
        self._socket, self.alive, self._answered = connected, True, False
        if self._bundle:
            size = len(self._bundle) // 4
            header = HEADER.pack(VERSION, BUNDLE, size, self._rate_hz, 0, 0)
            if not self._transmit(header + self._bundle):
                return
        if self._change is not None:
            values = np.ascontiguousarray(self._change, np.float32).ravel()
            header = HEADER.pack(VERSION, CHANGE, values.size, self._rate_hz, 0, 0)
            self._transmit(header + values.tobytes())

    def send(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        """Send a period, or count that it was not, or look for the engine."""
        if not self.alive:
            self._until_retry -= 1
            if self._until_retry > 0:
                return
            self._until_retry = self._retry_periods
            self._connect()
            if not self.alive:
                return
        rows, frames = self._rows, self._period_frames
        HEADER.pack_into(self._packet, 0, VERSION, PERIOD, frames, self._rate_hz, generation, frame)
        rows[0], rows[1], rows[2] = a[0], b[0], position
        if self._transmit(self._packet):
            self._sent = (generation, frame + frames)

    def receive(self) -> int:
        """Take one packet: a reply's frames, 0 where none waits, −1 for another packet."""
        if self._socket is None:
            return 0
        try:
            size = self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            size = 0
        if size == 0:
            self._lose()
            return 0
        if size < HEADER.size:
            self.foreign += 1
            return -1
        version, kind, frames, rate_hz, generation, frame = HEADER.unpack_from(self._buffer)
        samples = size - HEADER.size
        if version == VERSION and rate_hz == self._rate_hz:
            self._answered = True
            if kind == REPLY and samples == 4 * frames and 0 < frames <= MOST_REPLY_FRAMES:
                self.generation, self.frame = generation, frame
                return int(frames)
            if kind == DONE and samples == 0:
                self._done = (generation, frame)
                return -1
        self.foreign += 1
        return -1

    def behind(self) -> bool:
        """Whether what was sent has not been computed yet, by somebody who is there."""
        return self.alive and self._done != self._sent

    def wait(self, patience_s: float) -> bool:
        """Wait for a packet, or for an engine; only for a simulated clock, between periods."""
        if self._socket is not None:
            return bool(select.select([self._socket], [], [], patience_s)[0])
        deadline = time.monotonic() + patience_s
        while not self.alive and time.monotonic() < deadline:
            self._connect()
            time.sleep(0.0 if self.alive else _POLL_S)
        return self.alive

    def close(self) -> None:
        """Let the engine see an end of file."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self.alive = None, False

    def _connect(self) -> None:
        """Connect, or leave it at once where nobody listens."""
        attempt = new_socket()
        try:
            attempt.connect(self._path)
        except OSError:
            attempt.close()
            return
        self.adopt(attempt)

    def _transmit(self, packet: bytes | bytearray) -> bool:
        assert self._socket is not None
        try:
            self._socket.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.refused += 1
            return False
        except OSError:
            self._lose()
            return False
        return True

    def _lose(self) -> None:
        # Who hangs up before it has said anything has another bundle, for now.
        self.lost += self._answered or not self._bundle
        self.close()
        self._sent = self._done = (0, 0)
