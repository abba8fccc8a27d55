"""The engine process over real sockets: killed, frozen, flooded, in the middle of a phrase.

Time is virtual: a test waits for the engine between two periods, as the simulated board does, until
it plays a fault; then time goes on regardless.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.boards.simulated import SimulatedAudio
from device.processes.audio import AudioLoop
from device.processes.engine_state import read_state
from device.processes.meters import Meters, read_meters
from device.processes.studio_link import DONE, HEADER, REPLY, VERSION, StudioLink, new_socket
from device.sound.chain import ToneChain
from device.sound.morph import Crossfade, Studio
from device.sound.morph.studio import Peer
from device.sound.morph.studio_feed import LocalPeer, timing_of
from device.sound.path import SoundPath
from device.sound.player import Player
from device.studio import StudioBundle, read_studio
from models.units import Audio
from tests.conftest import ROOT, plucked
from tests.device.parts import Scale
from tests.device.studio_parts import tiny_bundle

PERIOD, RATE_HZ = 64, 48000
FIVE_MS = 240
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> StudioBundle:
    return read_studio(tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").folder)


@pytest.fixture(scope="module")
def phrase() -> Audio:
    return plucked(RATE_HZ * 3)


class Engine:
    """The engine process as the supervisor starts it, and what may befall it."""

    def __init__(self, bundle: Path, runtime: Path) -> None:
        self.socket = runtime / "studio.sock"
        self._command = [sys.executable, "-m", "device", "engine", "--bundle", str(bundle)]
        self._command += ["--runtime", str(runtime)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, cwd=ROOT)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with new_socket() as attempt:
                if attempt.connect_ex(str(self.socket)) == 0:
                    return
            assert self._process.poll() is None
            time.sleep(0.02)
        raise AssertionError("the engine does not listen")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=10)


@pytest.fixture
def engine(bundle: StudioBundle, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(bundle.bundle.folder, tmp_path)
    try:
        yield engine
    finally:
        engine.stop()


class CpuTime:
    """What the audio loop times its periods with: other work on the machine does not count."""

    def busy_ns(self) -> int:
        return time.thread_time_ns()


class Log:
    """Every period's processing time."""

    def __init__(self) -> None:
        self.busy_ns: list[int] = []

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        self.busy_ns.append(busy_ns)


class Pedal:
    """An audio loop over arrays with one studio preset, the knob half way."""

    def __init__(self, folder: Path, bundle: StudioBundle, sound: Audio, peer: Peer) -> None:
        a, b = (ToneChain([Scale(gain)]) for gain in (1.0, -0.5))
        self.studio = Studio(Crossfade(), peer, timing_of(bundle.settings, RATE_HZ))
        self.player = Player([SoundPath("studio", a, b, self.studio)])
        self.player.prepare(RATE_HZ, PERIOD, 0.5)
        self.port = SimulatedAudio(sound, RATE_HZ, PERIOD)
        self.log = Log()
        self._meters = folder / "meters"
        self.loop = AudioLoop(
            self.port,
            self.player,
            Meters(self._meters),
            CpuTime(),
            log=self.log,
            studios={0: self.studio},
        )
        self.loop.control.position = 0.5
        self.port.open()

    def play(self, periods: int, waiting: bool = True) -> None:
        """Play on; time waits for the engine between periods, or goes on regardless."""
        for _ in range(periods):
            if waiting:
                assert self.studio.catch_up(PATIENCE_S)
            assert self.loop.step()

    def counted(self) -> dict[str, int]:
        """The meters of the studio engine that are not 0, without its name."""
        self.loop.finish()
        values = read_meters(self._meters).values
        return {
            name.removeprefix("studio_"): value
            for name, value in values.items()
            if name.startswith("studio_") and value
        }


def link(engine: Engine) -> StudioLink:
    return StudioLink(engine.socket)


@pytest.fixture(scope="module")
def computed(
    bundle: StudioBundle, phrase: Audio, tmp_path_factory: pytest.TempPathFactory
) -> Audio:
    """The phrase with the studio sound throughout, computed in this process."""
    peer = LocalPeer(bundle.codec, bundle.settings)
    pedal = Pedal(tmp_path_factory.mktemp("local"), bundle, phrase, peer)
    pedal.play(pedal.port.total_periods)
    assert pedal.counted().keys() == {"alive", "heard", "reserve_frames"}
    return pedal.port.played


def weights_of(played: Audio, studio: Audio, phrase: Audio, latency: int) -> Audio:
    """How much of the studio sound is heard, frame by frame; proves that it is a fade of both.

    NaN where both are too alike to tell.
    """
    assert np.isfinite(played).all()
    stand_in = np.zeros_like(phrase)
    stand_in[:, latency:] = 0.25 * phrase[:, :-latency]
    apart = studio - stand_in
    clear = np.abs(apart) > 2e-3
    weights = np.where(clear, (played - stand_in) / np.where(clear, apart, 1.0), np.nan)[0]
    assert np.nanmin(weights) > -1e-3 and np.nanmax(weights) < 1.0 + 1e-3
    known = np.flatnonzero(np.isfinite(weights))
    steps = np.abs(np.diff(weights[known])) / np.diff(known)
    assert steps.max() <= 1.0 / FIVE_MS + 1e-3, "steeper than a ramp of 5 ms"
    return np.asarray(weights)


def heard(weights: Audio, first_period: int, last_period: int) -> tuple[float, float]:
    """Least and most weight between two periods."""
    piece = weights[first_period * PERIOD : last_period * PERIOD]
    return float(np.nanmin(piece)), float(np.nanmax(piece))


def test_the_process_plays_the_bits_that_are_computed_offline(
    bundle: StudioBundle, phrase: Audio, computed: Audio, engine: Engine, tmp_path: Path
) -> None:
    engine.start()
    pedal = Pedal(tmp_path, bundle, phrase, link(engine))
    pedal.play(pedal.port.total_periods)
    assert np.array_equal(pedal.port.played, computed)
    assert pedal.counted().keys() == {"alive", "heard", "reserve_frames"}
    assert np.abs(computed).max() > 0.01


def test_killed_in_mid_phrase_it_is_masked_and_comes_back(
    bundle: StudioBundle, phrase: Audio, computed: Audio, engine: Engine, tmp_path: Path
) -> None:
    engine.start()
    pedal = Pedal(tmp_path, bundle, phrase, link(engine))
    latency = pedal.player.latency_frames
    pedal.play(700)
    engine.kill()
    pedal.play(400, waiting=False)
    engine.start()
    pedal.play(pedal.port.total_periods - 1100)
    weights = weights_of(pedal.port.played, computed, phrase, latency)
    assert heard(weights, 0, 700) == pytest.approx((1.0, 1.0), abs=1e-3)
    assert heard(weights, 900, 1100) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert heard(weights, 2000, 2250) == pytest.approx((1.0, 1.0), abs=1e-3)
    counted = pedal.counted()
    assert counted["lost"] == counted["crossfades"] == counted["alive"] == counted["heard"] == 1
    assert 300 < counted["absent_periods"] <= 500 and counted["late_periods"] > 0
    assert pedal.player.latency_frames == latency
    assert "nan" not in counted and "foreign" not in counted


def test_frozen_in_mid_phrase_it_is_masked_and_comes_back(
    bundle: StudioBundle, phrase: Audio, computed: Audio, engine: Engine, tmp_path: Path
) -> None:
    engine.start()
    pedal = Pedal(tmp_path, bundle, phrase, link(engine))
    pedal.play(500)
    engine.signal(signal.SIGSTOP)
    pedal.play(700, waiting=False)
    refused = pedal.counted()["refused"]
    engine.signal(signal.SIGCONT)
    pedal.play(pedal.port.total_periods - 1200)
    weights = weights_of(pedal.port.played, computed, phrase, pedal.player.latency_frames)
    assert heard(weights, 0, 500) == pytest.approx((1.0, 1.0), abs=1e-3)
    assert heard(weights, 700, 1200) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert heard(weights, 2000, 2250) == pytest.approx((1.0, 1.0), abs=1e-3)
    counted = pedal.counted()
    assert 0 < refused < 700 and counted["refused"] == refused, "a full queue is left at once"
    assert counted["crossfades"] == 1 and "lost" not in counted


def test_a_flooded_engine_goes_on_and_hangs_up_on_who_floods(
    bundle: StudioBundle, phrase: Audio, computed: Audio, engine: Engine, tmp_path: Path
) -> None:
    engine.start()
    packets = [
        b"nonsense",
        HEADER.pack(VERSION, 1, 64, RATE_HZ, 1, 0),
        HEADER.pack(VERSION, 1, 64, 44100, 1, 0) + bytes(768),
        HEADER.pack(VERSION, REPLY, 16, RATE_HZ, 1, 0) + bytes(64),
        HEADER.pack(VERSION, 2, 4, RATE_HZ, 0, 0) + np.full(4, np.nan, np.float32).tobytes(),
        bytes(100_000),
    ]
    pedal = Pedal(tmp_path, bundle, phrase, link(engine))
    hung_up = 0
    flood: socket.socket | None = None
    for _ in range(pedal.port.total_periods):
        if flood is None:
            flood = new_socket()
            flood.connect(str(engine.socket))
        try:
            for packet in packets * 4:
                flood.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            hung_up += 1
            flood.close()
            flood = None
        pedal.play(1)
    assert np.array_equal(pedal.port.played, computed)
    assert hung_up > 0
    deadline = time.monotonic() + PATIENCE_S
    while (state := read_state(tmp_path / "engine.json")) is None or state.foreign < 256:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if flood is not None:
        flood.close()


def test_a_flood_of_replies_is_bounded_and_not_heard(
    bundle: StudioBundle, phrase: Audio, tmp_path: Path
) -> None:
    """Somebody else listens there, and sends as much as the queue takes, all of it wrong."""
    listener = new_socket()
    listener.bind(str(tmp_path / "rogue"))
    listener.listen(1)
    loud = np.full(64, 9.0, np.float32).tobytes()
    packets = [
        HEADER.pack(VERSION, REPLY, 64, RATE_HZ, 99, 0) + loud,
        HEADER.pack(VERSION, REPLY, 64, RATE_HZ, 1, 2**40) + loud,
        HEADER.pack(VERSION, REPLY, 64, 44100, 1, 0) + loud,
        HEADER.pack(VERSION, REPLY, 63, RATE_HZ, 1, 0) + loud,
        HEADER.pack(VERSION, DONE, 0, RATE_HZ, 1, 2**60),
        b"x",
    ]
    pedal = Pedal(tmp_path, bundle, phrase, StudioLink(tmp_path / "rogue"))
    pedal.play(1, waiting=False)
    rogue, _ = listener.accept()
    rogue.setblocking(False)
    for _ in range(1500):
        try:
            for packet in packets * 8:
                rogue.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        pedal.play(1, waiting=False)
    rogue.close()
    listener.close()
    latency = pedal.player.latency_frames
    played = pedal.port.played[:, latency : 1500 * PERIOD]
    np.testing.assert_allclose(played, 0.25 * phrase[:, : 1500 * PERIOD - latency], atol=1e-7)
    counted = pedal.counted()
    assert counted["stale"] > 1500 and counted["foreign"] > 4500
    assert sum(counted[name] for name in ("stale", "foreign")) <= 8 * 1501


class Recorder:
    """A socket that writes down how it was used."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.flags: list[int] = []

    def setblocking(self, on: bool) -> None:
        self._real.setblocking(on)

    def send(self, packet: bytes, flags: int = 0) -> int:
        self.flags.append(flags)
        return self._real.send(packet, flags)

    def recv_into(self, buffer: bytearray, size: int = 0, flags: int = 0) -> int:
        self.flags.append(flags)
        return self._real.recv_into(buffer, size, flags)

    def close(self) -> None:
        self._real.close()


def test_every_transfer_of_a_period_is_told_not_to_wait(
    bundle: StudioBundle, phrase: Audio, tmp_path: Path
) -> None:
    """Nobody reads at the other end: the first that waited would wait for ever."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    recorder = Recorder(here)
    peer = StudioLink(tmp_path / "none")
    pedal = Pedal(tmp_path, bundle, phrase, peer)
    peer.adopt(recorder)  # type: ignore[arg-type]
    here.setblocking(True)
    pedal.play(1000, waiting=False)
    there.close()
    assert peer.refused > 0 and len(recorder.flags) == 2000
    assert set(recorder.flags) == {socket.MSG_DONTWAIT}
    pedal.play(1, waiting=False)
    assert peer.lost == 1 and not peer.alive


@pytest.mark.alone
def test_a_frozen_engine_costs_no_period_more_than_an_absent_one(
    bundle: StudioBundle, phrase: Audio, engine: Engine, tmp_path: Path
) -> None:
    """Processing time, and the time that goes by: nothing waits, so both stay as they were."""
    engine.start()
    frozen = Pedal(tmp_path, bundle, phrase, link(engine))
    frozen.play(100)
    engine.signal(signal.SIGSTOP)
    (tmp_path / "absent").mkdir()
    absent = Pedal(tmp_path / "absent", bundle, phrase, StudioLink(tmp_path / "none"))
    pedals = {"absent": absent, "frozen": frozen}
    spent = dict.fromkeys(pedals, 0.0)
    for pedal in pedals.values():
        pedal.log.busy_ns.clear()
    # By turns: what the machine does beside it meets both.
    for _ in range(30):
        for name, pedal in pedals.items():
            start = time.perf_counter()
            pedal.play(50, waiting=False)
            spent[name] += time.perf_counter() - start
    assert frozen.counted()["refused"] > 500
    busy_absent, busy_frozen = (np.array(each.log.busy_ns) for each in (absent, frozen))
    assert np.median(busy_frozen) < 2.0 * np.median(busy_absent)
    assert np.percentile(busy_frozen, 99) < 3.0 * np.percentile(busy_absent, 99)
    assert spent["frozen"] < 5.0 * spent["absent"] + 0.5


PRESET = """
format = 1
name = "Studio"
[tone.a]
chain = [{ block = "gain", gain_db = -3.0 }]
[tone.b]
chain = [{ block = "drive", drive_db = 12.0 }]
[morph]
engine = "studio"
path = "direct"
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    file = tmp_path / "studio.toml"
    file.write_text(PRESET)
    return file


@pytest.mark.alone
def test_a_run_restarts_the_engine_that_was_killed(
    bundle: StudioBundle, preset: Path, tmp_path: Path
) -> None:
    """The whole pedal in the foreground; the audio process is held until the engine is back."""
    guitar, runtime, out = tmp_path / "guitar.wav", tmp_path / "rt", tmp_path / "out"
    soundfile.write(guitar, np.tile(plucked(RATE_HZ), 20)[0], RATE_HZ, subtype="FLOAT")
    (tmp_path / "pedal.toml").write_text(
        f'[studio]\nbundle = "{bundle.bundle.folder}"\n[knob]\npoints = [[0.0, 0.5]]\n'
    )
    command = [sys.executable, "-m", "device", "run", "--config", str(tmp_path / "pedal.toml")]
    command += ["--preset", str(preset), "--input", str(guitar), "--runtime", str(runtime)]
    with subprocess.Popen(
        [*command, "--out", str(out), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        first = _engine_pid(runtime, 0)
        values = _wait_for_periods(runtime / "meters", 1000)
        assert values["studio_alive"] == values["studio_heard"] == 1
        os.kill(first, signal.SIGKILL)
        _wait_for_periods(runtime / "meters", values["periods"] + 1000)
        os.kill(values["pid"], signal.SIGSTOP)
        try:
            assert _engine_pid(runtime, first) != first
        finally:
            os.kill(values["pid"], signal.SIGCONT)
        status = subprocess.run(
            [sys.executable, "-m", "device", "status", "--runtime", str(runtime)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        output, error = run.communicate(timeout=110)
    assert run.returncode == 0, error
    assert "engine ended with -9; starting it again" in error
    assert "ONNX Runtime CPU, fp32, tiny" in status.stdout
    counters = json.loads(output.splitlines()[-1])["counters"]
    # Once; a machine that is busy with other things may part with it again.
    assert counters["studio_lost"] >= 1 and counters["studio_crossfades"] >= 1
    assert counters["studio_nan"] == counters["path_errors"] == counters["guard_nan_periods"] == 0
    assert 0 < counters["studio_absent_periods"] < counters["periods"] / 2
    latency = json.loads((out / "report.json").read_text())["latency_frames"]
    assert latency == timing_of(bundle.settings, RATE_HZ).latency_frames(RATE_HZ, PERIOD)
    sound = soundfile.read(out / "run.wav")[0]
    assert np.isfinite(sound).all() and len(sound) == 20 * RATE_HZ


def _engine_pid(runtime: Path, other: int) -> int:
    """The engine process that runs there now, which is not ``other``."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        state = read_state(runtime / "engine.json")
        if state is not None and state.pid != other:
            return state.pid
        time.sleep(0.02)
    raise AssertionError("no engine process")


def _wait_for_periods(meters: Path, periods: int) -> dict[str, int]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if meters.exists() and (values := read_meters(meters).values)["periods"] >= periods:
            return dict(values)
        time.sleep(0.01)
    raise AssertionError("the pedal does not play")
