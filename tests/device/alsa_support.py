"""A card to test with: a fake one in virtual time, PCMs without a clock, and PipeWire's."""

import errno
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from device.boards.alsa import AlsaConfig, AlsaPort

CARD = "hw:CARD=USB"
WIDE_CARD = """
pcm.nothing { type null }
pcm.wide {
    type multi
    slaves.a { pcm nothing channels 4 }
    bindings { 0 { slave a channel 0 } 1 { slave a channel 1 } 2 { slave a channel 2 } }
}
"""
"""A card, ``wide``, of three channels: it is there and refuses what a pedal asks."""

# -- a fake card --------------------------------------------------------------------------------


class FakeError(Exception):
    """Stands for ``ALSAAudioError``, which carries nothing but a text."""


def alsa_error(code: int, name: str = CARD) -> FakeError:
    return FakeError(f"{os.strerror(code)} [{name}]")


class FakeCard:
    """One clock for both directions, counted in frames, moved on only by waiting or ``late``.

    Capture delivers, as 24 bits in S32, the number of the frame since the card's clock began.
    So every sample that is played says when it was captured, and ``latencies`` can tell the
    round trip of each.
    """

    def __init__(self, cards: Path) -> None:
        self.cards = cards
        self.now = 0
        self.given: dict[str, object] = {}
        self.open_errors: list[int] = []
        self.faults: dict[str, list[int]] = {"capture": [], "playback": []}
        self.opened = 0
        self.pcms: list[FakePcm] = []
        self.played: list[tuple[int, np.ndarray]] = []
        self.stalled = False
        self.plug()

    def plug(self) -> None:
        (self.cards / "USB").mkdir(parents=True, exist_ok=True)
        self.present = True

    def unplug(self) -> None:
        (self.cards / "USB").rmdir()
        self.present = False

    def stall(self) -> None:
        self.stalled = True
        for pcm in self.pcms:
            pcm.quiet()

    def fail(self, direction: str, *codes: int) -> None:
        """Make the next transfers of a direction answer with these errnos; 0 is a good one."""
        self.faults[direction].extend(codes)

    def late(self, frames: int) -> None:
        """Let the card's time pass, as if the loop had slept."""
        self.now += frames

    def latencies(self) -> set[int]:
        """Round trips, in frames, of all the samples that were played and are not silence."""
        found: set[int] = set()
        for start, frames in self.played:
            heard = np.flatnonzero(frames)
            found.update((start + heard - frames[heard]).tolist())
        return found


class FakePcm:
    """One direction of the fake card, with the methods of ``alsaaudio.PCM`` that are used."""

    def __init__(self, card: FakeCard, asked: dict) -> None:
        if card.open_errors:
            raise alsa_error(card.open_errors.pop(0))
        if not card.present:
            raise alsa_error(errno.ENODEV)
        self.card = card
        self.asked = asked
        self.direction = "capture" if asked["type"] == FakeLibrary.PCM_CAPTURE else "playback"
        self.period = asked["periodsize"]
        self.buffer = asked["periodsize"] * asked["periods"]
        self.start: int | None = None
        self.moved = 0
        self.queue: list[np.ndarray] = []
        self.ready = os.eventfd(0 if card.stalled else 1)
        card.opened += 1
        card.pcms.append(self)

    def info(self) -> dict:
        asked = self.asked
        return {
            "rate": asked["rate"],
            "channels": asked["channels"],
            "format": asked["format"],
            "format_name": "S32_LE",
            "period_size": asked["periodsize"],
            "periods": asked["periods"],
            "access_type": "RW_INTERLEAVED",
        } | self.card.given

    def getformats(self) -> dict:
        return {"S32_LE": 10}

    def polldescriptors(self) -> list[tuple[int, int]]:
        return [(self.ready, select.POLLIN)]

    def quiet(self) -> None:
        os.eventfd_read(self.ready)

    def _fault(self) -> int:
        queued = self.card.faults[self.direction]
        code = queued.pop(0) if queued else 0
        return code if self.card.present else errno.ENODEV

    def avail(self) -> int:
        code = self._fault()
        if code:
            return -code
        if self.start is None:
            return 0
        passed = self.card.now - self.start
        if self.direction == "capture":
            frames = passed - self.moved
            lost = frames > self.buffer
        else:
            frames = self.buffer - (self.moved - passed)
            lost = frames >= self.buffer
        if lost:
            return -errno.EPIPE
        if frames < self.period and not self.card.stalled:
            self.card.now += self.period - frames  # the poll that follows waits this long
        return frames

    def read(self) -> tuple[int, bytes]:
        if not self.card.present:
            raise alsa_error(errno.ENODEV)
        if self.start is None:
            self.start, self.moved = self.card.now, 0
            return 0, b""
        numbers = np.arange(self.period, dtype="<i4") + self.start + self.moved
        self.moved += self.period
        return self.period, np.repeat(numbers << 8, self.asked["channels"]).tobytes()

    def write(self, data: np.ndarray) -> int:
        code = self._fault()
        if code == errno.EPIPE:
            return -code
        if code:
            raise alsa_error(code)
        frames = np.frombuffer(bytes(data), dtype="<i4").reshape(-1, self.asked["channels"])
        if self.start is None:
            self.start, self.moved = self.card.now, 0
        self.moved += len(frames)
        self.queue.append(frames[:, 0] >> 8)
        return len(frames)

    def drop(self) -> int:
        if not self.card.present:
            raise alsa_error(errno.ENODEV)
        if self.queue and self.start is not None:
            played = np.concatenate(self.queue)[: self.card.now - self.start]
            self.card.played.append((self.start, played))
        self.start, self.queue = None, []
        return 0

    def close(self) -> None:
        if self in self.card.pcms:
            self.card.pcms.remove(self)
            os.close(self.ready)


class FakeLibrary:
    """Stands at the seam of the module ``alsaaudio``.

    A hot unplug, a stall, and an xrun at a chosen moment cannot be had from the real library
    without a kernel driver.
    """

    PCM_PLAYBACK, PCM_CAPTURE = 0, 1
    PCM_NONBLOCK = 1
    PCM_FORMAT_S16_LE, PCM_FORMAT_S24_LE, PCM_FORMAT_S32_LE = 2, 6, 10
    PCM_FORMAT_FLOAT_LE, PCM_FORMAT_S24_3LE = 14, 32
    ALSAAudioError = FakeError

    def __init__(self, card: FakeCard) -> None:
        self.card = card

    def PCM(self, **asked: object) -> FakePcm:  # noqa: N802 - pyalsaaudio's name
        return FakePcm(self.card, asked)


class FakeTime:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


# -- real ALSA ----------------------------------------------------------------------------------


def needs_alsa() -> None:
    """Skip where pyalsaaudio is not installed (it is built from source, with libasound2-dev)."""
    pytest.importorskip("alsaaudio", reason="pyalsaaudio is not installed")


def use_asoundrc(text: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make alsa-lib read ALSA's own configuration plus ``text``, in this process."""
    system = Path("/usr/share/alsa/alsa.conf")
    if not system.exists():
        pytest.skip("libasound2-data is not installed: no /usr/share/alsa/alsa.conf")
    path = folder / "asoundrc"
    path.write_text(f"<{system}>\n{text}\n")
    patch.setenv("ALSA_CONFIG_PATH", str(path))


def run_periods(port: AlsaPort, count: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Play ``count`` periods straight through; what came in ``(frames,)`` and the statuses."""
    period = np.zeros((1, port.period_frames), dtype=np.float32)
    heard = np.zeros(count * port.period_frames, dtype=np.float32)
    statuses = []
    for index in range(count):
        read = port.read(period)
        heard[index * port.period_frames :][: port.period_frames] = period[0]
        statuses.append((int(read), int(port.write(period))))
    return heard, statuses


# -- PipeWire -----------------------------------------------------------------------------------

_DAEMON = """
context.properties = {
    core.daemon = true
    core.name = pipewire-0
    default.clock.rate = 48000
    default.clock.allowed-rates = [ 48000 ]
    default.clock.quantum = 128
    default.clock.min-quantum = 64
    default.clock.max-quantum = 1024
    module.x11.bell = false
    support.dbus = false
}
context.spa-libs = {
    audio.convert.* = audioconvert/libspa-audioconvert
    support.* = support/libspa-support
}
context.modules = [
    { name = libpipewire-module-protocol-native }
    { name = libpipewire-module-metadata }
    { name = libpipewire-module-spa-node-factory }
    { name = libpipewire-module-client-node }
    { name = libpipewire-module-access args = { } }
    { name = libpipewire-module-adapter }
    { name = libpipewire-module-link-factory }
    { name = libpipewire-module-session-manager }
]
context.objects = [
    { factory = adapter args = { factory.name = support.null-audio-sink node.name = pedal_out
        media.class = Audio/Sink audio.position = [ FL FR ] object.linger = true } }
    { factory = adapter args = { factory.name = support.null-audio-sink node.name = pedal_in
        media.class = Audio/Sink audio.position = [ FL FR ] object.linger = true } }
]
"""

_PIPEWIRE_PCM = """
pcm.pedal { type pipewire playback_node "pedal_out" capture_node "pedal_in" }
"""


class PipeWire:
    """A PipeWire of the test's own: two sinks without hardware, one clock, 48 kHz.

    ``pedal_in`` is the guitar's cable (its monitor is captured), ``pedal_out`` the amplifier's.
    Debian packages: pipewire pipewire-bin pipewire-alsa wireplumber dbus.
    """

    programs = ("dbus-daemon", "pipewire", "wireplumber", "pw-cli", "pw-play", "pw-record")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "XDG_RUNTIME_DIR": str(folder),
            "PIPEWIRE_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}",
        }
        self._running: list[subprocess.Popen] = []
        (folder / "daemon.conf").write_text(_DAEMON)

    def start_program(self, *command: str) -> subprocess.Popen:
        """Start one program beside the daemon; ``stop`` ends it, by its own process number."""
        log = (self.folder / f"{command[0]}.log").open("ab")
        process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        self._running.append(process)
        return process

    def start(self) -> None:
        """Start the daemon and wait until both sinks are there; skips where they never come."""
        if not (self.folder / "bus").exists():
            bus = f"--address=unix:path={self.folder / 'bus'}"
            self.start_program("dbus-daemon", "--session", "--nofork", "--nopidfile", bus)
        self.daemon = self.start_program("pipewire", "-c", str(self.folder / "daemon.conf"))
        self._await("pedal_in", "pedal_out")
        self.manager = self.start_program("wireplumber")
        self._await("WirePlumber")
        # Its scripts, which link the streams, load after it has said its name.
        time.sleep(1.0)

    def _await(self, *names: str) -> None:
        deadline_s = time.monotonic() + 10.0
        while time.monotonic() < deadline_s:
            listing = subprocess.run(
                ["pw-cli", "ls"], env=self.environment, capture_output=True, text=True, timeout=5
            ).stdout
            if all(name in listing for name in names):
                return
            time.sleep(0.1)
        pytest.skip(f"PipeWire did not bring up {' and '.join(names)} here")

    def end(self, *processes: subprocess.Popen) -> None:
        for process in processes:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._running.remove(process)

    def stop(self) -> None:
        self.end(*reversed(self._running))


@contextmanager
def pipewire(folder: Path) -> Iterator[PipeWire]:
    """Run a PipeWire under ``folder`` (short: its socket's path has a limit), or skip."""
    missing = [program for program in PipeWire.programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (pipewire pipewire-bin wireplumber dbus)")
    plugins = Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pipewire.so")
    if not list(plugins):
        pytest.skip("ALSA's PipeWire plugin is not installed (pipewire-alsa)")
    server = PipeWire(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def use_pipewire(server: PipeWire, patch: pytest.MonkeyPatch) -> AlsaConfig:
    """Point ALSA in this process at the server; the configuration of the pedal's port."""
    use_asoundrc(_PIPEWIRE_PCM, server.folder, patch)
    for name in ("XDG_RUNTIME_DIR", "PIPEWIRE_RUNTIME_DIR"):
        patch.setenv(name, str(server.folder))
    patch.setenv("PIPEWIRE_ALSA", "{ stream.capture.sink=true }")
    return AlsaConfig(card="pedal", period_frames=128, periods=2)
