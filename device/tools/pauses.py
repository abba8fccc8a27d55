"""What a loop that plays loses while another bank is loaded: ``python -m device.tools.pauses``.

A real-time loop as on stage, on a clock instead of an interface, plays the bundled presets out of
a slot; the slot is switched to and fro. For each part of that the table says how long periods took
and how late they began, and how much of both can be the loader's doing: no more than it computed
in the same period. What a busy machine does to the loop is in the other columns.
"""

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.boards.audio_port import PortStatus
from device.config import BUNDLED_PRESETS, load_config
from device.processes.audio import AudioLoop
from device.processes.banks import Banks
from device.processes.journal import Journal
from device.processes.link import ControlState, Listener, connect
from device.processes.loading import Loader
from device.processes.meters import Meters, read_meters
from device.processes.pace import Pace
from device.processes.realtime import go_realtime, quiet_arithmetic
from device.sound.networks import stage_network
from models.units import Audio

RATE_HZ, PERIOD_FRAMES, PERIODS = 48_000, 64, 3
PERIOD_NS = PERIOD_FRAMES * 1_000_000_000 // RATE_HZ
PATIENCE_S = 600.0
_COLUMNS = (
    *("part", "periods", "xruns", "took p99", "most", "began p99", "latest"),
    *("loader's p99.9", "most"),
)


class ClockPort:
    """An interface that gives noise and is on time; an xrun where it was asked too late."""

    rate_hz, period_frames, periods, latency_frames = RATE_HZ, PERIOD_FRAMES, PERIODS, 0

    def __init__(self) -> None:
        self._due_ns = 0
        self._noise = np.random.default_rng(0).uniform(-0.1, 0.1, (1, PERIOD_FRAMES))
        self.xruns = 0
        """Of the part that is measured."""
        self.late_ns = 0
        """By how much the last period began later than it was there."""

    def open(self) -> None:
        """Begin now."""
        self._due_ns = time.monotonic_ns()

    def read(self, target: Audio) -> PortStatus:
        """Wait for the next period."""
        self._due_ns += PERIOD_NS
        left_ns = self._due_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        np.copyto(target, self._noise)
        self.late_ns = time.monotonic_ns() - self._due_ns
        if self.late_ns < (PERIODS - 1) * PERIOD_NS:
            return PortStatus.OK
        self._due_ns += self.late_ns
        self.xruns += 1
        return PortStatus.XRUN

    def write(self, source: Audio) -> PortStatus:
        """It is played."""
        return PortStatus.OK

    def close(self) -> None:
        """Nothing to close."""


class WallClock:
    """Real time: what delays a period counts."""

    def busy_ns(self) -> int:
        """See ``StopWatch``."""
        return time.perf_counter_ns()


class Log:
    """Every period: how long it took, how late it began, what the loader computed meanwhile."""

    def __init__(self, port: ClockPort) -> None:
        self._port = port
        self.rows: list[tuple[int, int, int]] = []
        self.loader: int | None = None
        """The clock of the loader's thread."""
        self._before_ns = 0

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        """Store one period."""
        now_ns = 0 if self.loader is None else time.clock_gettime_ns(self.loader)
        self.rows.append((busy_ns, self._port.late_ns, now_ns - self._before_ns))
        self._before_ns = now_ns


def main(arguments: list[str] | None = None) -> int:
    """Play, switch, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m device.tools.pauses", description=__doc__)
    parser.add_argument("--switches", type=int, default=2, help="by default 2")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="purga-") as folder:
        _measure(Path(folder), options.switches)
    return 0


def _slots(folder: Path) -> Path:
    """Two slots with the bundled presets and the stage network; the ``pedal.toml`` for them."""
    for version, name in enumerate(("a", "b"), start=1):
        shutil.copytree(BUNDLED_PRESETS, folder / name / "presets")
        (folder / name / "stage.onnx").write_bytes(stage_network())
        (folder / name / "release.json").write_text(f'{{"version": {version}}}')
    (folder / "active").symlink_to("a")
    file = folder / "pedal.toml"
    file.write_text('[slots]\nmodels = "active"\n')
    return file


def _measure(folder: Path, switches: int) -> None:
    config = load_config(_slots(folder), None, None, folder / "rt")
    port, watch, pace = ClockPort(), WallClock(), Pace()
    banks = Banks(config, Journal("audio"), time.thread_time_ns, pace.rest)
    loader = Loader(banks.first, locked=True, swaps=banks, pace=pace)
    log, listener, meters = Log(port), Listener(config.control_socket), Meters(config.meters)
    loop = AudioLoop(port, None, meters, watch, listener, log, source=loader)
    link, state = connect(config.control_socket), ControlState(position=0.5)
    assert link is not None
    quiet_arithmetic()
    gc.freeze()
    gc.disable()
    for line in go_realtime(80, frozenset()):
        print(line, file=sys.stderr)
    port.open()
    loader.start()
    log.loader = time.pthread_getcpuclockid(loader.ident)

    def play(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not until():
            loop.step()

    def clear() -> None:
        port.open()  # printing took its time
        play(0.05)
        log.rows.clear()
        port.xruns = 0

    def part(name: str) -> None:
        _print_row(name, port.xruns, np.array(log.rows, np.float64) / 1e3)
        clear()

    print(" ".join(f"{each:>15}" for each in _COLUMNS) + "   µs")
    # The player and its trial are the loop's own: nobody else has to see them.
    play(PATIENCE_S, lambda: loop._player is not None)
    play(2.0)
    clear()
    play(20.0)
    part("nothing else")
    for number in range(1, switches + 1):
        (folder / "new").symlink_to("ab"[number % 2])
        os.replace(folder / "new", folder / "active")
        state.bank = number
        link.send(state.pack())
        play(PATIENCE_S, lambda: loop._player is not None and loop._player.trial is not None)
        part("loading")
        play(0.5)
        part("trial and fade")
        play(8.0)
        part("freeing")
    loop.finish()
    values = read_meters(config.meters).values
    names = ("banks_swapped", "banks_rejected", "xruns", "deadline_misses", "path_errors")
    print(", ".join(f"{name} {values[name]}" for name in names))


def _print_row(name: str, xruns: int, rows: npt.NDArray[np.float64]) -> None:
    took, late, loader = rows.T
    delay = np.maximum(took - np.median(took), 0.0) + np.maximum(late - np.median(late), 0.0)
    theirs = np.minimum(delay, loader)
    figures = (
        *(np.percentile(took, 99), took.max(), np.percentile(late, 99), late.max()),
        *(np.percentile(theirs, 99.9), theirs.max()),
    )
    print(
        f"{name:>15} {len(rows):15d} {xruns:15d} " + " ".join(f"{each:15.0f}" for each in figures)
    )


if __name__ == "__main__":
    sys.exit(main())
