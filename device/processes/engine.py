"""The engine process: the studio sound for the audio loop, over a socket.

One connection for each studio preset, each with a stream of its own on the one network; a preset
that does not sound sends nothing and costs nothing. All packets that wait are taken before
anything is computed, so what a freeze has left behind is seen to be old and is left out. Nobody
is waited for but the next packet, and that only when there is nothing to compute.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from device.processes.engine_state import EngineState
from device.processes.link import listening
from device.processes.studio_link import (
    BUNDLE,
    CHANGE,
    DONE,
    HEADER,
    MOST_CHANNELS,
    PERIOD,
    QUEUE_BYTES,
    REPLY,
    ROWS,
    SOCKET_NAME,
    VERSION,
    reply_buffer,
)
from device.sound.morph.studio_feed import MOST_REPLY_FRAMES, Change, StudioFeed
from models.errors import ModelError
from models.music2latent.codec import Codec
from models.units import Audio

MOST_PERIOD_FRAMES = 4096
MOST_PENDING_FRAMES = 16384
"""Frames taken before they are computed: a third of a second."""

MOST_CONNECTIONS = 64
"""As many as a bank has presets."""

_PACKETS_AT_ONCE = 512
_FOREIGN_IN_A_ROW = 256
"""Packets after which whoever floods is hung up on."""

_IDLE_MS = 500
_BUNDLE_BYTES = 32

MakeFeed = Callable[[Change | None], StudioFeed]
"""Makes a stream of its own for pushes of ``MOST_PENDING_FRAMES``. Raises ``ModelError``."""

Choose = Callable[[str], MakeFeed | None]
"""What makes streams on the bundle of that hash; None where it is not held."""


class TimedCodec:
    """A codec that counts its windows and what they take."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.windows = 0
        self.total_ns = self.longest_ns = 0
        self._window_ns = 0

    @property
    def window_frames(self) -> int:
        """Short-time frames in a window."""
        return self._codec.window_frames

    @property
    def provider(self) -> str:
        """What computes."""
        return self._codec.provider

    def note(self, state: EngineState) -> None:
        """Put the figures where ``status`` finds them."""
        state.windows = self.windows
        state.window_ms = round(self.total_ns / max(1, self.windows) / 1e6, 2)
        state.longest_ms = round(self.longest_ns / 1e6, 2)

    def encode(self, spectra: Audio, target: Audio) -> None:
        """See ``Codec.encode``."""
        start = time.perf_counter_ns()
        self._codec.encode(spectra, target)
        self._window_ns = time.perf_counter_ns() - start

    def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
        """See ``Codec.decode``."""
        start = time.perf_counter_ns()
        self._codec.decode(latents, noise, position, target)
        window_ns = self._window_ns + time.perf_counter_ns() - start
        self.windows += 1
        self.total_ns += window_ns
        self.longest_ns = max(self.longest_ns, window_ns)


class Connection:
    """One preset's end of the link, and its stream."""

    def __init__(
        self,
        connected: socket.socket,
        make_feed: MakeFeed,
        rate_hz: int,
        choose: Choose | None = None,
    ) -> None:
        """Take over a connected socket; the stream is made when the first period comes.

        By ``make_feed``, unless the other side says which bundle it is for.
        """
        connected.setblocking(False)
        self.socket = connected
        self._choose = choose
        self.bundle = ""
        """The bundle that it is for, where the other side says."""
        self._make_feed, self._rate_hz = make_feed, rate_hz
        self._feed: StudioFeed | None = None
        self._change: Change | None = None
        self.open = True
        self.foreign = self.refused = 0
        self._foreign_in_a_row = 0
        self._packet, samples = reply_buffer(ROWS * MOST_PERIOD_FRAMES)
        self._samples = samples
        self._rows = np.zeros((ROWS, 1, MOST_PENDING_FRAMES), np.float32)
        self._pending = 0
        self._generation = self._first = 0
        self._reply, sound = reply_buffer(MOST_REPLY_FRAMES)
        self._sound = sound[None, :]
        self._done = bytearray(HEADER.size)

    @property
    def gaps(self) -> int:
        """Times that periods were missing."""
        return 0 if self._feed is None else self._feed.gaps

    @property
    def nan_windows(self) -> int:
        """Windows that were not finite."""
        return 0 if self._feed is None else self._feed.nan_windows

    def turn(self) -> None:
        """Take what waits, compute, and send what is ready. Raises ``CodecError``."""
        self._drain()
        if self._pending == 0:
            return
        if self._feed is None:
            try:
                self._feed = self._make_feed(self._change)
            except ModelError:
                # What was asked for does not fit this network.
                self.foreign += 1
                self.open = False
                return
        feed, frames = self._feed, self._pending
        self._pending = 0
        a, b, position = self._rows[..., :frames]
        feed.push(self._generation, self._first, a, b, position[0])
        while self.open and (count := feed.pull(self._sound)):
            size = self._head(self._reply, REPLY, count, feed.frame) + 4 * count
            self._send(memoryview(self._reply)[:size])
        self._head(self._done, DONE, 0, self._first + frames)
        self._send(self._done)

    def close(self) -> None:
        """Let the audio loop see an end of file."""
        self.socket.close()
        self.open = False

    def _drain(self) -> None:
        for _ in range(_PACKETS_AT_ONCE):
            if self._pending + MOST_PERIOD_FRAMES > MOST_PENDING_FRAMES:
                return
            try:
                size = self.socket.recv_into(self._packet, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if size == 0:
                self.open = False
                return
            if self._take(size):
                if not self.open:
                    return
                self._foreign_in_a_row = 0
                continue
            self.foreign += 1
            self._foreign_in_a_row += 1
            if self._foreign_in_a_row >= _FOREIGN_IN_A_ROW:
                self.open = False
                return

    def _take(self, size: int) -> bool:
        """Take over one packet; False for one that is none of ours."""
        if size < HEADER.size:
            return False
        version, kind, frames, rate_hz, generation, frame = HEADER.unpack_from(self._packet)
        samples = size - HEADER.size
        if version != VERSION or rate_hz != self._rate_hz or frames == 0:
            return False
        if kind == BUNDLE and samples == 4 * frames == _BUNDLE_BYTES and self._feed is None:
            return self._play_on(bytes(self._packet[HEADER.size : size]).hex())
        if kind == CHANGE and samples == 4 * frames and frames <= MOST_CHANNELS:
            if self._feed is not None or not np.isfinite(self._samples[:frames]).all():
                return False
            self._change = self._samples[:frames, None].copy()
            return True
        if kind != PERIOD or samples != 4 * ROWS * frames or frames > MOST_PERIOD_FRAMES:
            return False
        joins = generation == self._generation and frame == self._first + self._pending
        if self._pending == 0 or not joins:
            # What came before a gap would be late; the stream begins anew behind it.
            self._generation, self._first, self._pending = generation, frame, 0
        rows = self._samples[: ROWS * frames].reshape(ROWS, 1, frames)
        self._rows[..., self._pending : self._pending + frames] = rows
        self._pending += frames
        return True

    def _play_on(self, bundle: str) -> bool:
        """Take the bundle that is asked for; hang up where it is not there (yet)."""
        if self._choose is None:
            return True
        make_feed = self._choose(bundle)
        if make_feed is None:
            self.open = False
            return True
        self._make_feed, self.bundle = make_feed, bundle
        return True

    def _head(self, packet: bytearray, kind: int, frames: int, frame: int) -> int:
        HEADER.pack_into(packet, 0, VERSION, kind, frames, self._rate_hz, self._generation, frame)
        return HEADER.size

    def _send(self, packet: bytearray | memoryview) -> None:
        try:
            self.socket.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.refused += 1
        except OSError:
            self.open = False


class EngineLoop:
    """Listens, and serves whoever has connected."""

    def __init__(
        self,
        path: Path,
        make_feed: MakeFeed,
        rate_hz: int,
        state: EngineState,
        choose: Choose | None = None,
    ) -> None:
        """Listen on ``path``, or where the service manager does already. Raises ``LinkError``."""
        self._choose = choose
        self._path, self._make_feed, self._rate_hz = path, make_feed, rate_hz
        self._connections: dict[int, Connection] = {}
        self._ended = {"gaps": 0, "foreign": 0, "refused": 0, "nan_windows": 0}
        self._state = state
        self._listener, self._ours = listening(path, SOCKET_NAME, MOST_CONNECTIONS)
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)

    def turn(self, idle_ms: int = _IDLE_MS) -> None:
        """Serve what waits, or wait for it. Raises ``CodecError``."""
        for number, _ in self._poll.poll(idle_ms):
            connection = self._connections.get(number)
            if connection is None:
                self._accept()
                continue
            connection.turn()
            if not connection.open:
                self._leave(number)

    def state(self) -> EngineState:
        """What is counted, up to now."""
        self._state.connections = len(self._connections)
        for name, before in self._ended.items():
            now = sum(getattr(each, name) for each in self._connections.values())
            setattr(self._state, name, before + now)
        return self._state

    @property
    def bundles(self) -> set[str]:
        """Those that connections are for."""
        return {each.bundle for each in self._connections.values()}

    def close(self) -> None:
        """Hang up on everybody and remove the socket file."""
        for number in list(self._connections):
            self._leave(number)
        self._listener.close()
        if self._ours:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            connected.close()
            return
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
        connection = Connection(connected, self._make_feed, self._rate_hz, self._choose)
        self._connections[connected.fileno()] = connection
        self._poll.register(connected, select.POLLIN)

    def _leave(self, number: int) -> None:
        connection = self._connections.pop(number)
        for name in self._ended:
            self._ended[name] += getattr(connection, name)
        self._poll.unregister(number)
        connection.close()
