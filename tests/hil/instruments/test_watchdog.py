"""The watchdog's process: benches that are killed, stopped, hang, are interrupted, lose a line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from hil.errors import InstrumentError
from hil.instruments.bounds import Bounds
from hil.instruments.factory import ChamberTable, SupplyTable
from hil.instruments.watchdog import Watch, Watchdog
from tests.hil.instruments.peers import Espec, Peer, Scpi

BOUNDS = Bounds(lowest_c=-45.0, highest_c=75.0, ramp_k_per_min=2.5, highest_v=20.0, limit_a=5.0)
WATCH = Watch(silent_s=15.0, stuck_s=600.0, every_s=0.1, lost=2, persist_s=20.0)
ROOT = Path(__file__).parents[3]

BENCH = """
import json, sys, time
from hil.clock import RealClock
from hil.instruments.bounds import Bounds
from hil.instruments.factory import ChamberTable, SupplyTable, make_chamber, make_supply
from hil.instruments.guard import Guard
from hil.instruments.watchdog import Watch, Watchdog
asked = json.loads(sys.argv[1])
chamber, supply = ChamberTable(**asked["chamber"]), SupplyTable(**asked["supply"])
bounds, clock = Bounds(**asked["bounds"]), RealClock()
watchdog = Watchdog(chamber, supply, bounds, Watch(**asked["watch"]))
guard = Guard(bounds, clock, make_chamber(chamber, clock), make_supply(supply, clock), watchdog)
try:
    guard.chamber.set(23.0)
    guard.chamber.start()
    guard.supply.set(12.0, 5.0)
    guard.supply.switch(True)
    print(watchdog.pid, flush=True)
    exec(asked["then"])
finally:
    guard.chamber.close()
    guard.supply.close()
"""
READS = "while True:\n    time.sleep(0.05); guard.chamber.read()"


@dataclass
class Rig:
    """A chamber and a supply that listen here, and are used by a bench in another process."""

    espec: Espec
    scpi: Scpi
    chamber: Peer
    second: Peer
    supply: Peer

    @property
    def tables(self) -> tuple[ChamberTable, SupplyTable]:
        chamber = ChamberTable(
            kind="espec",
            address=self.chamber.address,
            lowest_c=-70.0,
            highest_c=150.0,
            cooling_k_per_min=3.0,
            heating_k_per_min=3.0,
            second=self.second.address,
        )
        return chamber, SupplyTable(address=self.supply.address)

    @property
    def safe(self) -> bool:
        return self.espec.mode == "STANDBY" and not self.scpi.on

    def wait_safe(self) -> None:
        wait("both are safe", lambda: self.safe)


def wait(what: str, holds: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {limit_s} s: {what}"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@pytest.fixture
def rig() -> Iterator[Rig]:
    espec, scpi = Espec(), Scpi()
    with (
        Peer(espec) as chamber,
        Peer(espec) as second,
        Peer(scpi, b"\n") as supply,
    ):
        yield Rig(espec, scpi, chamber, second, supply)


@pytest.fixture
def bench(rig: Rig) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Starts a bench; gives its process and its watchdog's pid, once both outputs are on."""
    started: list[subprocess.Popen[str]] = []

    def start(then: str = READS, watch: Watch = WATCH) -> tuple[subprocess.Popen[str], int]:
        chamber, supply = rig.tables
        asked = {
            "chamber": asdict(chamber),
            "supply": asdict(supply),
            "bounds": asdict(BOUNDS),
            "watch": asdict(watch),
            "then": then,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", BENCH, json.dumps(asked)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        pid = process.stdout.readline()
        assert pid, process.communicate()[1]
        assert rig.espec.mode == "CONSTANT" and rig.scpi.on
        return process, int(pid)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_bench_that_is_killed(rig: Rig, bench) -> None:
    process, watchdog = bench()
    process.kill()
    rig.wait_safe()
    wait("the watchdog ends by itself", lambda: gone(watchdog))
    said = process.stderr.read()
    assert "watchdog: the bench has ended; stopping the chamber" in said
    assert "the chamber is safe" in said and "the supply is safe" in said


def test_a_bench_that_is_stopped_in_its_tracks(rig: Rig, bench) -> None:
    process, watchdog = bench(READS, replace(WATCH, silent_s=1.5))
    process.send_signal(signal.SIGSTOP)
    rig.wait_safe()
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=30)
    assert "the watchdog: the bench has said nothing for 1.5 s" in said
    assert gone(watchdog)


def test_a_bench_that_hangs(rig: Rig, bench) -> None:
    bench("time.sleep(600)", Watch(silent_s=1.0, stuck_s=1.0, every_s=0.1, persist_s=20.0))
    rig.wait_safe()


def test_ctrl_c_does_not_reach_the_watchdog(rig: Rig, bench) -> None:
    process, watchdog = bench()
    os.kill(watchdog, signal.SIGINT)
    os.kill(watchdog, signal.SIGHUP)
    time.sleep(0.3)
    assert not gone(watchdog) and not rig.safe
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert rig.safe and gone(watchdog)
    assert "NOT SAFE" not in said and "stopping the chamber" not in said


def test_a_crash_of_the_bench(rig: Rig, bench) -> None:
    process, watchdog = bench("raise RuntimeError('boom')")
    _, said = process.communicate(timeout=30)
    assert "boom" in said and rig.safe and gone(watchdog)


def test_a_bench_that_loses_the_chambers_line(rig: Rig, bench) -> None:
    process, watchdog = bench()
    rig.chamber.leave()
    _, said = process.communicate(timeout=60)
    assert "the chamber's line" in said
    assert "the chamber is stopped and the output is off" in said
    assert rig.safe and gone(watchdog)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"alarms": (14,)}, "alarm: alarm 14"),
        ({"air_c": -51.0}, "the air is at -51 °C"),
    ],
)
def test_an_alarm_while_the_bench_is_busy(rig: Rig, bench, change: dict, sentence: str) -> None:
    process, _ = bench("time.sleep(600)")
    for name, value in change.items():
        setattr(rig.espec, name, value)
    rig.wait_safe()
    process.kill()
    assert sentence in process.stderr.read()


def test_the_watchdogs_own_line_is_lost(rig: Rig, bench) -> None:
    process, watchdog = bench()
    rig.second.leave()
    _, said = process.communicate(timeout=60)
    assert "the watchdog: chamber at" in said and "does not answer" in said
    assert rig.safe
    wait("the watchdog ends", lambda: gone(watchdog))


def test_a_watchdog_that_is_killed(rig: Rig, bench) -> None:
    process, watchdog = bench()
    os.kill(watchdog, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert "it has ended, and nothing watches over the bench" in said and rig.safe


def test_a_watchdog_that_is_asked_to_end(rig: Rig, bench) -> None:
    process, watchdog = bench("time.sleep(600)")
    os.kill(watchdog, signal.SIGTERM)
    rig.wait_safe()
    wait("it ends", lambda: gone(watchdog))
    process.kill()


def test_it_goes_on_until_the_chamber_answers_again(rig: Rig, bench) -> None:
    process, watchdog = bench()
    rig.espec.deaf = True
    process.kill()
    wait("the supply is off", lambda: not rig.scpi.on)
    time.sleep(0.5)
    assert rig.espec.mode == "CONSTANT" and not gone(watchdog)
    rig.espec.deaf = False
    rig.wait_safe()
    wait("the watchdog ends", lambda: gone(watchdog))
    assert "the chamber is NOT SAFE, SWITCH IT OFF BY HAND" in process.stderr.read()


def test_without_a_line_it_does_not_begin(rig: Rig) -> None:
    rig.second.leave()
    with pytest.raises(InstrumentError, match="the watchdog cannot watch: chamber at"):
        Watchdog(*rig.tables, BOUNDS, WATCH)


def test_a_serial_line_is_opened_only_when_it_must_act(rig: Rig) -> None:
    _, supply = rig.tables
    chamber = ChamberTable(
        kind="espec",
        address=f"socket://{rig.chamber.address}",
        lowest_c=-70.0,
        highest_c=150.0,
        cooling_k_per_min=3.0,
        heating_k_per_min=3.0,
    )
    watchdog = Watchdog(chamber, supply, BOUNDS, WATCH)
    rig.espec.mode, rig.scpi.on = "CONSTANT", True
    time.sleep(0.5)
    assert rig.chamber.connections == 0
    watchdog.ask("the test wants it")
    assert watchdog.wait_safe() == [] and rig.safe
    watchdog.close()
    assert gone(watchdog.pid)


def test_nonsense_is_nothing_to_watch() -> None:
    for plan in ("no json", '{"chamber": 1}'):
        done = subprocess.run(
            [sys.executable, "-m", "hil.instruments.watchdog_process"],
            cwd=ROOT,
            input=plan + "\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2 and "nothing that it can watch" in done.stdout
