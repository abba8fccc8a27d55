"""The pedal in the foreground: the same processes that have a unit each under systemd."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RESTART_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
"""What dies again and again is started ever more rarely: a start takes much of the machine."""
LIVED_S = 10.0
"""What has lived this long is started again as soon as at first."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Process:
    """One row of the machine: a process, and what its end means."""

    name: str
    ends_run: bool
    """Whether the run is over when it ends by itself, with exit code 0."""
    needed: bool = True
    """Whether the pedal cannot play without it."""


PROCESSES: Sequence[Process] = (
    Process("audio", ends_run=True),
    Process("control", ends_run=False),
    Process("engine", ends_run=False, needed=False),
)


class Supervisor:
    """Starts the processes of the table, restarts what dies, and ends only what it started."""

    def __init__(self, arguments: dict[str, list[str]], restart_audio: bool) -> None:
        """``arguments`` by process name; ``restart_audio`` as on stage, not in a simulation.

        What has no arguments is not started.
        """
        self._arguments = arguments
        self._processes = [each for each in PROCESSES if each.name in arguments]
        self._restart_audio = restart_audio
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_s: dict[str, float] = {}
        self._delay_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}

    def run(self, idle: Callable[[], None] = lambda: None) -> int:
        """Run until the end; call ``idle`` now and then. Returns the exit code to end with.

        A process that ends with 2 was given something it cannot use: no restart would mend it,
        and only a process that is not needed is done without.
        """
        with _terminate_as_exit():
            try:
                for process in self._processes:
                    self._start(process.name)
                return self._watch(idle)
            except KeyboardInterrupt:
                return 0
            finally:
                self._stop_all()

    def _watch(self, idle: Callable[[], None]) -> int:
        while True:
            idle()
            self._start_due()
            for process in self._processes:
                child = self._running.get(process.name)
                code = None if child is None else child.poll()
                if code is None:
                    continue
                if code == 0 and process.ends_run:
                    return 0
                if code == 2 and process.needed:
                    return 2
                if code == 2:
                    print(f"{process.name} is done without", file=sys.stderr)
                    del self._running[process.name]
                    continue
                if process.name == "audio" and not self._restart_audio:
                    print(f"audio ended with {code}; the run stops", file=sys.stderr)
                    return 1
                if code != 0 or self._restart_audio:
                    print(f"{process.name} ended with {code}; starting it again", file=sys.stderr)
                    self._start_later(process.name)
            time.sleep(0.02)

    def _start_later(self, name: str) -> None:
        now_s = time.monotonic()
        lived = now_s - self._started_s[name] > LIVED_S
        delay_s = RESTART_DELAY_S if lived else self._delay_s.get(name, RESTART_DELAY_S)
        self._delay_s[name] = min(2.0 * delay_s, LONGEST_DELAY_S)
        self._due_s[name] = now_s + delay_s
        del self._running[name]

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for name in [name for name, due_s in self._due_s.items() if due_s <= now_s]:
            del self._due_s[name]
            self._start(name)

    def _start(self, name: str) -> None:
        self._started_s[name] = time.monotonic()
        command = [sys.executable, "-m", "device", name, *self._arguments[name], "--supervised"]
        # A session of its own, so that Ctrl-C reaches the processes through the supervisor only.
        self._running[name] = subprocess.Popen(command, cwd=_ROOT, start_new_session=True)

    def _stop_all(self) -> None:
        for child in self._running.values():
            if child.poll() is None:
                child.terminate()
        for child in self._running.values():
            try:
                child.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def _terminate_as_exit() -> Iterator[None]:
    """Let SIGTERM end the supervisor the way Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
