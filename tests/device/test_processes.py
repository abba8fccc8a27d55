"""The audio and control loops on the simulated board: every failure is counted and sounds."""

import threading
from pathlib import Path

import numpy as np
import pytest

from device.boards.audio_port import PortStatus
from device.boards.scripted import FollowingClock
from device.boards.simulated import LeadingClock, PortFaults, SimulatedAudio
from device.processes.audio import AudioLoop
from device.processes.control import ControlLoop
from device.processes.link import Listener, connect
from device.processes.meters import Meters, Reading, read_meters
from device.script import KnobFault, Script, sweep, there_and_back
from device.sound.path import SoundPath
from device.sound.player import Player
from models.units import Audio
from tests.device.control_support import scripted_control
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, sine

PERIOD = 64


class StoppedClock:
    """Processing takes no time; every wait is one period."""

    def __init__(self, busy_ns: int = 0) -> None:
        self._now_ns = 0
        self._busy_ns = busy_ns
        self.turn = -1

    def busy_ns(self) -> int:
        self._now_ns += self._busy_ns
        return self._now_ns

    def wait(self) -> float | None:
        self.turn += 1
        return self.turn * PERIOD / 48000


class Rig:
    """An audio loop over arrays, and a control loop to be turned by hand."""

    def __init__(
        self,
        folder: Path,
        sound: Audio,
        paths: list[SoundPath],
        faults: PortFaults | None = None,
        busy_ns: int = 0,
    ) -> None:
        self.player = Player(paths)
        self.player.prepare(48000, PERIOD)
        self.port = SimulatedAudio(sound, 48000, PERIOD, faults)
        self.meters_file = folder / "meters"
        self.socket = folder / "audio.sock"
        self.loop = AudioLoop(
            self.port,
            self.player,
            Meters(self.meters_file),
            StoppedClock(busy_ns),
            Listener(self.socket),
        )

    def reading(self) -> Reading:
        self.loop.finish()
        return read_meters(self.meters_file)

    def control(self, script: Script) -> ControlLoop:
        return scripted_control(script, StoppedClock(), lambda: connect(self.socket))


def straight() -> SoundPath:
    return path([Scale(1.0)], [Scale(0.5)])


def test_a_run_without_control_plays_and_counts_periods(tmp_path: Path) -> None:
    sound = sine(110.0, 6400)
    rig = Rig(tmp_path, sound, [straight()])
    rig.loop.run()
    assert np.array_equal(rig.port.played, sound)
    values = rig.reading().values
    assert values["periods"] == 100 and values["total_periods"] == 100
    assert not rig.socket.exists()


def test_the_knob_reaches_the_sound_within_one_period(tmp_path: Path) -> None:
    rig = Rig(tmp_path, np.full((1, 6400), 0.5, np.float32), [straight()])
    control = rig.control(Script(points=((0.0, 0.0), (0.02, 0.0), (0.020001, 1.0))))
    rig.port.open()
    control.turn()
    while rig.loop.step():
        control.turn()
    played = rig.port.played[0]
    moved = int(np.argmax(played < 0.5))
    assert 0.02 <= moved / 48000 <= 0.02 + 2 * PERIOD / 48000
    assert played[-1] == 0.25 and rig.reading().values["position_ppm"] == 1_000_000


def test_a_position_at_the_start_is_taken_without_a_glide(tmp_path: Path) -> None:
    rig = Rig(tmp_path, np.full((1, 640), 0.5, np.float32), [straight()])
    control = rig.control(Script(points=((0.0, 1.0),)))
    control.turn()
    rig.loop.run()
    assert (rig.port.played == 0.25).all()


def test_xruns_and_absence_are_counted_and_the_sound_goes_on(tmp_path: Path) -> None:
    sound = sine(110.0, 64 * 300)
    faults = PortFaults(capture_xruns={50}, playback_xruns={80, 81}, absent=range(100, 150))
    rig = Rig(tmp_path, sound, [straight()], faults)
    rig.loop.run()
    values = rig.reading().values
    assert values["xruns"] == 3 and values["absent_periods"] == 50 and values["absent"] == 0
    assert np.array_equal(rig.port.played[:, 64 * 150 :], sound[:, 64 * 150 :])


def test_a_control_process_that_dies_is_counted_its_position_held_and_a_new_one_heard(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, np.full((1, 64 * 200), 0.5, np.float32), [straight()])
    first = rig.control(Script(points=((0.0, 0.5),)))
    rig.port.open()
    first.turn()
    for _ in range(50):
        rig.loop.step()
    assert first._link is not None
    first._link.close()
    for _ in range(50):
        rig.loop.step()
    assert rig.port.played[0, 99 * 64] == pytest.approx(0.375)
    assert rig.reading().values["control_lost"] == 1
    second = rig.control(Script(points=((0.0, 1.0),)))
    second.turn()
    for _ in range(50):
        rig.loop.step()
    assert rig.port.played[0, 149 * 64] == 0.25


def test_control_finds_an_audio_process_that_was_restarted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sine(110.0, 6400), [straight()])
    control = rig.control(Script(points=((0.0, 1.0),)))
    control.turn()
    rig.loop.run()
    control.turn()
    control.turn()
    again = Rig(tmp_path, np.full((1, 6400), 0.5, np.float32), [straight()])
    control.turn()
    again.loop.run()
    assert (again.port.played == 0.25).all()


def test_a_flood_of_packets_does_not_hold_the_loop(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sine(110.0, 6400), [straight()])
    link = connect(rig.socket)
    assert link is not None
    for _ in range(5000):
        link.send(b"nonsense")
    rig.loop.run()
    values = rig.reading().values
    assert values["periods"] == 100 and 0 < values["control_foreign"] <= 16 * 100


def test_a_defect_in_a_preset_ends_in_dry_sound_and_a_counter(tmp_path: Path) -> None:
    sound = sine(110.0, 48000)
    rig = Rig(tmp_path, sound, [path([Scale(0.5, raise_at=300)], []), straight()])
    control = rig.control(Script(presets=((0.8, 1),)))
    rig.port.open()
    control.turn()
    while rig.loop.step():
        control.turn()
    played = rig.port.played
    assert rig.reading().values["path_errors"] == 1
    dry = slice(64 * 320, 64 * 550)
    assert np.array_equal(played[:, dry], sound[:, dry])
    # A change of preset leaves it behind.
    assert rig.player.active == 1 and np.array_equal(played[:, 46000:], sound[:, 46000:])
    assert np.abs(np.diff(played[0])).max() < 0.1


def test_nan_from_the_interface_is_counted_and_not_heard(tmp_path: Path) -> None:
    sound = sine(110.0, 48000)
    sound[0, 24000] = np.nan
    rig = Rig(tmp_path, sound, [straight()])
    rig.loop.run()
    values = rig.reading().values
    assert np.isfinite(rig.port.played).all()
    assert values["input_nan_periods"] == 1 and values["tone_nan_periods"] == 0


def test_overload_is_limited_and_counted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sine(110.0, 6400), [path([Scale(10.0)], [])])
    rig.loop.run()
    values = rig.reading().values
    assert np.abs(rig.port.played).max() == 1.0
    assert values["clipped_periods"] > 50 and abs(values["peak_ppm"] - 5_000_000) < 5000


def test_a_period_that_takes_too_long_is_a_counted_miss(tmp_path: Path) -> None:
    for busy_ns, misses in ((1_000_000, 0), (1_400_000, 10)):
        rig = Rig(tmp_path, sine(110.0, 640), [straight()], busy_ns=busy_ns)
        rig.loop.run()
        assert rig.reading().values["deadline_misses"] == misses


def test_a_preset_that_is_not_there_is_refused_and_counted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sine(110.0, 6400), [straight()])
    control = rig.control(Script(presets=((0.05, 7),)))
    rig.port.open()
    control.turn()
    while rig.loop.step():
        control.turn()
    assert rig.reading().values["preset_refused"] == 1 and rig.player.active == 0


@pytest.mark.parametrize("kind", ["stuck", "open", "noisy", "dead"])
def test_a_failing_knob_never_jumps_and_is_counted(tmp_path: Path, kind: str) -> None:
    sound = sine(110.0, 48000)
    rig = Rig(tmp_path, sound, [path([Scale(1.0)], [Scale(0.0)])])
    script = Script(points=((0.0, 0.3),), faults=(KnobFault(kind, 0.3, 0.6),))  # type: ignore[arg-type]
    control = rig.control(script)
    rig.port.open()
    control.turn()
    while rig.loop.step():
        control.turn()
    faults = rig.reading().values["knob_faults"]
    if kind in ("open", "dead"):
        assert 200 < faults < 240
        np.testing.assert_allclose(rig.port.played, 0.7 * sound, atol=1e-4)
    else:
        assert faults == 0
        # A median lets a jump through only where two of three readings agree on one.
        assert click_dbfs(rig.port.played) < -40.0


def test_virtual_time_couples_two_threads_and_survives_the_follower(tmp_path: Path) -> None:
    leader = LeadingClock(tmp_path / "clock")
    port = SimulatedAudio(sine(110.0, 6400), 48000, PERIOD, clock=leader)
    seen: list[float] = []

    def follow() -> None:
        clock = FollowingClock(tmp_path / "clock")
        for _ in range(50):
            now_s = clock.wait()
            assert now_s is not None
            seen.append(now_s)
        clock._leader.close()

    thread = threading.Thread(target=follow)
    thread.start()
    target = np.empty((1, PERIOD), np.float32)
    periods = 0
    while port.read(target) != PortStatus.END:
        periods += 1
    thread.join()
    port.close()
    assert periods == 100
    np.testing.assert_allclose(seen, np.arange(50) * PERIOD / 48000)


def test_scripts() -> None:
    turn = sweep(10.0)
    assert [turn.position(t) for t in (0, 1, 5, 9, 20)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    back = there_and_back(100.0)
    assert back.position(50.0) == 1.0 and back.position(0.0) == back.position(99.0) == 0.0
    feet = Script(presets=((1.0, 2), (2.0, 0)), bypass=((1.0, True), (1.5, False)))
    assert [feet.preset(t, 5) for t in (0, 1, 1.9, 2)] == [5, 2, 2, 0]
    assert [feet.bypassed(t) for t in (0, 1, 1.4, 2)] == [False, True, True, False]
