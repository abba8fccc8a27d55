"""Probation reads what the pedal writes, and goes on after a power cut."""

import os
from pathlib import Path

import pytest

from deploy.places import Component
from deploy.trial.probation import STALE_S, Probation
from deploy.trial.watched import WatchLimits
from device.processes.bank_report import BankEntry, BankReport, write_bank
from device.processes.control_report import write_report
from device.processes.engine_state import EngineState, write_state
from device.processes.meters import Meters

SHA = "b" * 64
LIMITS = WatchLimits(played_s=30.0)
SECOND = 750


class Bench:
    """A pedal's runtime folder, written by the pedal's own writers."""

    def __init__(self, folder: Path) -> None:
        self.runtime, self.state = folder / "run", folder / "probation.json"
        self.slot = folder / "models" / "b"
        self.runtime.mkdir()
        self.slot.mkdir(parents=True)
        self.now_s, self.boot = 1000.0, "boot 1"
        self.start()

    def start(self) -> None:
        """A process of audio."""
        self.meters = Meters(self.runtime / "meters")
        self.meters.store("rate_hz", 48000)
        self.meters.store("period_frames", 64)

    def bank(self, **changes: object) -> None:
        given = {"pid": os.getpid(), **changes}
        write_bank(self.runtime, BankReport(**given))  # type: ignore[arg-type]

    def plays(self) -> None:
        self.bank(slot=str(self.slot), version=7)

    def control(self, state: str = "play", hottest_c: float | None = 61.0, **more: object) -> None:
        report = {
            "monotonic_s": self.now_s,
            "state": state,
            "cause": "playing",
            "temperatures": {"hottest_c": hottest_c},
            **more,
        }
        write_report(self.runtime / "control.json", report)

    def play(self, seconds: float) -> None:
        self.now_s += seconds
        self.meters.count("periods", round(seconds * SECOND))
        self.control()

    def probation(self, component: Component = "models", sha: str = SHA) -> Probation:
        return Probation(
            self.runtime,
            self.state,
            component,
            self.slot,
            sha,
            LIMITS,
            lambda: self.now_s,
            lambda: self.boot,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_good_after_enough_playing(bench: Bench) -> None:
    bench.play(100.0)
    bench.bank()
    probation = bench.probation()
    probation.begin()
    assert probation.look() is None
    bench.plays()
    assert probation.look() is None
    bench.play(29.0)
    assert probation.look() is None
    assert probation.played_s == pytest.approx(29.0)
    bench.play(2.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok
    assert verdict.figures["hottest_c"] == 61.0


def test_it_goes_on_where_it_was_after_a_power_cut(bench: Bench) -> None:
    bench.bank()
    bench.probation().begin()
    bench.plays()
    for number in range(3):
        probation = bench.probation()
        assert probation.look() is None
        bench.play(11.0)
        verdict = probation.look()
        assert (verdict is None) == (number < 2)
        bench.boot = f"boot {number + 2}"
        bench.start()
        bench.plays()
    assert verdict is not None and verdict.ok
    assert verdict.figures["boots"] == 3.0


def test_another_process_of_the_update_counts_nothing_twice(bench: Bench) -> None:
    bench.plays()
    bench.probation().look()
    for _ in range(4):
        bench.play(4.0)
        assert bench.probation().look() is None
    probation = bench.probation()
    probation.look()
    assert probation.played_s == pytest.approx(16.0)


def test_little_is_written_while_it_just_plays(bench: Bench) -> None:
    bench.plays()
    probation = bench.probation()
    probation.look()
    before = bench.state.stat().st_mtime_ns, bench.state.stat().st_ino
    for _ in range(9):
        bench.play(1.0)
        assert probation.look() is None
    assert (bench.state.stat().st_mtime_ns, bench.state.stat().st_ino) == before
    bench.play(2.0)
    probation.look()
    assert bench.state.stat().st_ino != before[1]


def test_another_release_begins_anew(bench: Bench) -> None:
    bench.plays()
    bench.probation().look()
    bench.play(20.0)
    bench.probation().look()
    other = bench.probation(sha="c" * 64)
    assert other.played_s == 0.0
    assert other.look() is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100, b"[]", b'{"format": 1}'])
def test_a_damaged_state_begins_anew(bench: Bench, content: bytes) -> None:
    bench.state.write_bytes(content)
    bench.plays()
    probation = bench.probation()
    assert probation.look() is None
    bench.play(31.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok


def test_a_disk_that_takes_nothing_costs_nothing_else(bench: Bench) -> None:
    bench.state = bench.runtime / "nothing" / "probation.json"
    bench.plays()
    probation = bench.probation()
    probation.begin()
    assert probation.look() is None
    bench.play(31.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok


def test_a_pedal_that_is_off_says_nothing(bench: Bench, tmp_path: Path) -> None:
    (bench.runtime / "meters").unlink()
    probation = bench.probation()
    probation.begin()
    for _ in range(10):
        assert probation.look() is None


@pytest.mark.parametrize("name", ["meters", "bank.json", "control.json", "engine.json"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 5000, b'{"pid": "x"}', b"[1, 2]"])
def test_files_that_are_none_are_no_verdict(bench: Bench, name: str, content: bytes) -> None:
    bench.plays()
    bench.control()
    probation = bench.probation()
    assert probation.look() is None
    (bench.runtime / name).write_bytes(content)
    assert probation.look() is None


def test_the_own_models_or_another_slot_do_not_count(bench: Bench) -> None:
    probation = bench.probation()
    for slot in ("", str(bench.slot.parent / "a")):
        bench.bank(slot=slot)
        for _ in range(3):
            bench.play(60.0)
            assert probation.look() is None
    assert probation.played_s == 0.0


def test_a_report_of_a_process_that_has_ended_does_not_count(bench: Bench) -> None:
    bench.bank(pid=1, slot=str(bench.slot))
    probation = bench.probation()
    probation.look()
    bench.play(60.0)
    assert probation.look() is None
    assert probation.played_s == 0.0


def test_the_slot_may_be_named_through_a_link(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bench.slot.parent)
    bench.plays()
    bench.slot = tmp_path / "link" / "b"
    probation = bench.probation()
    probation.look()
    bench.play(31.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok


def test_what_audio_sent_back(bench: Bench) -> None:
    bench.bank()
    probation = bench.probation()
    probation.begin()
    reason = f"{bench.slot}, version 7: its network gave what is no number"
    bench.bank(rejected_slot=str(bench.slot), rejected=reason)
    verdict = bench.probation().look()
    assert verdict is not None and not verdict.ok
    assert "its network gave what is no number" in verdict.why


def test_another_slot_that_was_sent_back_is_not_this_one(bench: Bench) -> None:
    bench.bank(slot=str(bench.slot), rejected_slot=str(bench.slot.parent / "a"), rejected="slow")
    assert bench.probation().look() is None


def test_a_preset_of_the_slot_that_cannot_be_played(bench: Bench) -> None:
    file = str(bench.slot / "presets" / "x.toml")
    own = BankEntry("own", "/opt/purga/device/presets/1.toml", 0, "is broken")
    bench.bank(slot=str(bench.slot), presets=(own,))
    assert bench.probation().look() is None
    bench.bank(slot=str(bench.slot), presets=(own, BankEntry("x", file, 0, f"{file}: no capture")))
    verdict = bench.probation().look()
    assert verdict is not None and "presets/x.toml: no capture" in verdict.why


def test_an_old_report_of_control_says_nothing_of_now(bench: Bench) -> None:
    bench.plays()
    bench.control(state="fault", cause="missing device")
    probation = bench.probation("firmware")
    probation.look()
    bench.now_s += STALE_S + 1.0
    bench.meters.count("periods", 31 * SECOND)
    verdict = probation.look()
    assert verdict is not None and verdict.ok  # control is silent, and audio plays


def test_firmware_is_heard_whatever_models_play(bench: Bench) -> None:
    bench.bank()
    probation = bench.probation("firmware")
    probation.begin()
    bench.start()
    bench.boot = "boot 2"
    assert probation.look() is None
    bench.play(31.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok


def test_the_engine_process(bench: Bench) -> None:
    bench.plays()
    probation = bench.probation()
    probation.look()
    state = EngineState(5, "ONNX Runtime CPU", "int8", "small", 16, 8, 92.9, nan_windows=2)
    write_state(bench.runtime / "engine.json", state)
    bench.play(1.0)
    verdict = probation.look()
    assert verdict is not None and "2 windows" in verdict.why
