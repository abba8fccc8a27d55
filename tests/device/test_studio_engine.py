"""The engine's end of the link, packet by packet, on a socket pair; and what it keeps back."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.errors import LinkError
from device.processes.engine import MOST_PENDING_FRAMES, Connection, EngineLoop, TimedCodec
from device.processes.engine_state import EngineState
from device.processes.studio_link import CHANGE, DONE, HEADER, PERIOD, REPLY, VERSION, StudioLink
from device.sound.morph.studio_feed import Change, StudioFeed
from models.music2latent.stream import StreamSettings
from models.units import Audio
from tests.models.studio_support import PassCodec

RATE_HZ, FRAMES = 48000, 64
SETTINGS = StreamSettings(window_frames=8, hop_frames=2)
SOUND = np.random.default_rng(0).normal(size=(1, 64_000)).astype(np.float32) * 0.1


class Bench:
    """A connection whose other end a test holds."""

    def __init__(self) -> None:
        here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.there.setblocking(False)
        self.there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.changes: list[Change | None] = []
        self.connection = Connection(here, self._make, RATE_HZ)
        self.replies: dict[int, float] = {}
        """Every frame that was given."""
        self.done: list[tuple[int, int]] = []

    def _make(self, change: Change | None) -> StudioFeed:
        self.changes.append(change)
        return StudioFeed(PassCodec(8), SETTINGS, RATE_HZ, MOST_PENDING_FRAMES, change)

    def send(self, frame: int, generation: int = 1) -> None:
        """One period of ``SOUND``."""
        piece = SOUND[0, frame : frame + FRAMES]
        rows = np.stack([piece, piece, np.full(FRAMES, 0.5, np.float32)])
        header = HEADER.pack(VERSION, PERIOD, FRAMES, RATE_HZ, generation, frame)
        self.there.send(header + rows.astype(np.float32).tobytes())

    def turn(self) -> None:
        """Let the connection work, and take what it sent."""
        self.connection.turn()
        while True:
            try:
                packet = self.there.recv(1 << 16)
            except BlockingIOError:
                return
            version, kind, frames, rate_hz, generation, frame = HEADER.unpack_from(packet)
            assert (version, rate_hz) == (VERSION, RATE_HZ)
            assert len(packet) == HEADER.size + 4 * frames
            if kind == DONE:
                self.done.append((generation, frame))
                continue
            assert kind == REPLY and 0 < frames <= 1024
            values = np.frombuffer(packet, np.float32, offset=HEADER.size).tolist()
            assert not set(range(frame, frame + frames)) & set(self.replies), "given twice"
            self.replies.update(enumerate(values, frame))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.there.close()
    bench.connection.close()


@pytest.fixture(scope="module")
def whole() -> dict[int, float]:
    """What an unbroken stream gives."""
    bench = Bench()
    for frame in range(0, 48_000, FRAMES):
        bench.send(frame)
        bench.turn()
    bench.there.close()
    assert sorted(bench.replies) == list(range(len(bench.replies)))
    return bench.replies


@pytest.mark.parametrize("at_once", [1, 3, 90])
def test_however_many_periods_wait_the_replies_are_the_same(
    at_once: int, bench: Bench, whole: dict[int, float]
) -> None:
    frames = list(range(0, 48_000, FRAMES))
    for start in range(0, len(frames), at_once):
        for frame in frames[start : start + at_once]:
            bench.send(frame)
        bench.turn()
        assert bench.done[-1] == (1, frames[min(start + at_once, len(frames)) - 1] + FRAMES)
    assert bench.replies == whole


@pytest.mark.parametrize("at_once", [1, 180])
def test_behind_a_gap_nothing_is_given_that_knows_of_it(
    at_once: int, bench: Bench, whole: dict[int, float]
) -> None:
    """Also where the gap lies between periods that waited together."""
    frames = [each for each in range(0, 48_000, FRAMES) if not 16_000 <= each < 17_000]
    for start in range(0, len(frames), at_once):
        for frame in frames[start : start + at_once]:
            bench.send(frame)
        bench.turn()
    assert bench.connection.gaps == 1
    behind = [frame for frame in bench.replies if frame >= 16_000]
    assert behind and min(behind) > 17_000 + 8 * 512
    for frame, value in bench.replies.items():
        assert value == pytest.approx(whole[frame], abs=1e-6)


def test_a_new_generation_begins_after_silence(bench: Bench, whole: dict[int, float]) -> None:
    for frame in range(0, 9600, FRAMES):
        bench.send(frame)
        bench.turn()
    bench.replies.clear()
    for frame in range(0, 48_000, FRAMES):
        bench.send(frame, generation=2)
        bench.turn()
    assert bench.replies == whole and bench.connection.gaps == 0
    assert bench.done[-1] == (2, 48_000)


@pytest.mark.parametrize(
    "packet",
    [
        b"x",
        HEADER.pack(VERSION + 1, PERIOD, 1, RATE_HZ, 1, 0) + bytes(12),
        HEADER.pack(VERSION, PERIOD, 1, 44100, 1, 0) + bytes(12),
        HEADER.pack(VERSION, PERIOD, 1, RATE_HZ, 1, 0) + bytes(13),
        HEADER.pack(VERSION, PERIOD, 0, RATE_HZ, 1, 0),
        HEADER.pack(VERSION, REPLY, 1, RATE_HZ, 1, 0) + bytes(4),
        HEADER.pack(VERSION, CHANGE, 2, RATE_HZ, 1, 0) + bytes(4),
        HEADER.pack(VERSION, CHANGE, 1, RATE_HZ, 0, 0) + np.float32("nan").tobytes(),
        HEADER.pack(VERSION, PERIOD, 5000, RATE_HZ, 1, 0) + bytes(60_000),
    ],
    ids=range(9),
)
def test_foreign_packets_are_counted_and_change_nothing(
    packet: bytes, bench: Bench, whole: dict[int, float]
) -> None:
    for frame in range(0, 16_000, FRAMES):
        bench.send(frame)
        bench.there.send(packet)
        bench.turn()
    assert bench.connection.foreign == 250 and bench.connection.open
    assert bench.replies == {frame: whole[frame] for frame in bench.replies}
    for _ in range(300):
        try:
            bench.there.send(packet)
        except (BlockingIOError, BrokenPipeError):
            break
        bench.turn()
    assert not bench.connection.open, "who only floods is hung up on"


def test_a_change_comes_first_and_once(bench: Bench) -> None:
    change = np.linspace(-1.0, 1.0, 64, dtype=np.float32)
    packet = HEADER.pack(VERSION, CHANGE, 64, RATE_HZ, 0, 0) + change.tobytes()
    bench.there.send(packet)
    bench.send(0)
    bench.turn()
    (taken,) = bench.changes
    assert taken is not None and np.array_equal(taken, change[:, None])
    bench.there.send(packet)
    bench.turn()
    assert bench.connection.foreign == 1 and len(bench.changes) == 1


def test_a_change_that_does_not_fit_the_network_ends_the_connection_only(bench: Bench) -> None:
    bench.there.send(HEADER.pack(VERSION, CHANGE, 7, RATE_HZ, 0, 0) + bytes(28))
    bench.send(0)
    bench.turn()
    assert not bench.connection.open and not bench.replies


def test_who_does_not_read_is_not_waited_for(bench: Bench) -> None:
    """The other end takes nothing: what does not fit is counted and left."""
    for frame in range(0, 64_000 - FRAMES, FRAMES):
        bench.send(frame)
        bench.connection.turn()
        for _ in range(20):
            bench.connection._send(bytes(4096))  # type: ignore[arg-type]
    assert bench.connection.refused > 0 and bench.connection.open


def test_a_decode_that_is_not_finite_is_kept_back_until_it_is_forgotten(
    whole: dict[int, float],
) -> None:
    class Failing(PassCodec):
        def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
            super().decode(latents, noise, position, target)
            if len(self.positions) == 10:
                target[0, 0, 3, -1] = np.nan

    feed = StudioFeed(Failing(8), SETTINGS, RATE_HZ, FRAMES)
    half = np.full(FRAMES, 0.5, np.float32)
    given: dict[int, float] = {}
    target = np.zeros((1, 1024), np.float32)
    for frame in range(0, 48_000, FRAMES):
        piece = SOUND[:, frame : frame + FRAMES]
        feed.push(1, frame, piece, piece, half)
        while count := feed.pull(target):
            given.update(enumerate(target[0, :count].tolist(), feed.frame))
    assert feed.nan_windows == 1
    assert given == {frame: whole[frame] for frame in given}
    assert 20_000 < len(given) < len(whole)


def test_windows_and_their_time_are_counted() -> None:
    codec = TimedCodec(PassCodec(8))
    feed = StudioFeed(codec, SETTINGS, RATE_HZ, 4096)
    piece = SOUND[:, :4096]
    for number in range(8):
        feed.push(1, 4096 * number, piece, piece, np.full(4096, 0.5, np.float32))
        while feed.pull(np.zeros((1, 4096), np.float32)):
            pass
    state = EngineState(1, codec.provider, "fp32", "x", 8, 2, 23.2)
    codec.note(state)
    hops = 8 * 4096 * 44_100 / 48_000 / (2 * 512)
    assert hops - 2 < state.windows <= hops
    assert 0.0 < state.window_ms <= state.longest_ms and codec.window_frames == 8


def test_a_loop_serves_several_and_replaces_what_a_dead_one_left(tmp_path: Path) -> None:
    path = tmp_path / "studio.sock"
    path.write_text("left by a dead process")
    state = EngineState(1, "pass", "fp32", "x", 8, 2, 23.2)
    loop = EngineLoop(
        path,
        lambda change: StudioFeed(PassCodec(8), SETTINGS, RATE_HZ, MOST_PENDING_FRAMES, change),
        RATE_HZ,
        state,
    )
    links = [StudioLink(path) for _ in range(3)]
    half = np.full(FRAMES, 0.5, np.float32)
    received = [0, 0, 0]
    for link in links:
        link.prepare(RATE_HZ, FRAMES)
    for frame in range(0, 9600, FRAMES):
        piece = SOUND[:, frame : frame + FRAMES]
        # The third is connected and does not play.
        for link in links[: 3 if frame == 0 else 2]:
            link.send(1, frame, piece, piece, half)
        for _ in range(4):
            loop.turn(0)
        for index, link in enumerate(links):
            while (frames := link.receive()) != 0:
                received[index] += max(0, frames)
            assert not link.behind()
    assert loop.state().connections == 3
    assert received[0] == received[1] > 5000 and received[2] == 0
    links[0].close()
    loop.turn(0)
    assert loop.state().connections == 2
    loop.close()
    assert links[1].receive() == 0 and links[1].lost == 1 and not path.exists()
    with pytest.raises(LinkError, match="--runtime"):
        EngineLoop(tmp_path / "none" / "s", lambda _: None, RATE_HZ, state)  # type: ignore[arg-type, return-value]
