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
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Process:
    """One row of the machine: a process, and what its end means."""

    name: str
    ends_run: bool
    """Whether the run is over when it ends by itself, with exit code 0."""


PROCESSES: Sequence[Process] = (
    Process("audio", ends_run=True),
    Process("control", ends_run=False),
)


class Supervisor:
    """Starts the processes of the table, restarts what dies, and ends only what it started."""

    def __init__(self, arguments: dict[str, list[str]], restart_audio: bool) -> None:
        """``arguments`` by process name; ``restart_audio`` as on stage, not in a simulation."""
        self._arguments = arguments
        self._restart_audio = restart_audio
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, idle: Callable[[], None] = lambda: None) -> int:
        """Run until the end; call ``idle`` now and then. Returns the exit code to end with.

        A process that ends with 2 was given something it cannot use: no restart would mend it.
        """
        with _terminate_as_exit():
            try:
                for process in PROCESSES:
                    self._start(process.name)
                return self._watch(idle)
            except KeyboardInterrupt:
                return 0
            finally:
                self._stop_all()

    def _watch(self, idle: Callable[[], None]) -> int:
        while True:
            idle()
            for process in PROCESSES:
                code = self._running[process.name].poll()
                if code is None:
                    continue
                if code == 0 and process.ends_run:
                    return 0
                if code == 2:
                    return 2
                if process.name == "audio" and not self._restart_audio:
                    print(f"audio ended with {code}; the run stops", file=sys.stderr)
                    return 1
                if code != 0 or self._restart_audio:
                    print(f"{process.name} ended with {code}; starting it again", file=sys.stderr)
                    time.sleep(RESTART_DELAY_S)
                    self._start(process.name)
            time.sleep(0.02)

    def _start(self, name: str) -> None:
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
