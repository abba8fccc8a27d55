"""Side by side: as many tasks at once as there are cores, each in a process of its own."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from device.processes.realtime import die_with_parent
from hil.runs.software import ROOT

_SAFE_S = 60.0
"""A lane that was asked to end has this long to leave its bench safe."""


_LEAN = {
    # Arrays are small here: threads of one task would but take another's core.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Shots of half a second come and go: asking the kernel for each takes a third of the time.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}
"""On the latency stage: a quarter of the processor time that it takes without."""


class Task(Protocol):
    """One thing to run. ``run`` never raises for what it found; it says so by ``tell``."""

    def run(self) -> str:
        """Run to the end; a sentence for what went wrong, empty where nothing did."""

    def stop(self) -> None:
        """Be asked to end soon, from another thread."""


@dataclass
class ChildTask:
    """Stages in a process of their own (``hil/runs/child.py``)."""

    asked: dict[str, Any]
    event: Callable[[dict[str, Any]], None]
    """Called for each event, in the task's thread."""
    process: "subprocess.Popen[str] | None" = None
    _stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> str:
        """See ``Task.run``."""
        command = [sys.executable, "-m", "hil.runs.child", json.dumps(self.asked)]
        log = Path(self.asked["folder"]) / f"{self.asked['stages'][0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w+", encoding="utf-8") as errors:
            with self._lock:
                if self._stopped:
                    return ""
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    cwd=ROOT,
                    env={**os.environ, **_LEAN},
                    preexec_fn=die_with_parent,
                )
                self.process = process
            assert process.stdout is not None
            for line in process.stdout:
                self.event(json.loads(line))
            code = process.wait()
            errors.seek(0)
            said = errors.read().strip().splitlines()
        if code == 0 or self._stopped:
            log.unlink()
            return ""
        last = said[-1] if said else "it said nothing"
        return f"{', '.join(self.asked['stages'])}: ended with {code} ({last}); see {log}"

    def stop(self) -> None:
        """See ``Task.stop``."""
        with self._lock:
            first, self._stopped = not self._stopped, True
            if first and self.process is not None and self.process.poll() is None:
                self.process.terminate()


@dataclass
class CallTask:
    """Something that waits for processes of its own: the virtual pedal."""

    call: Callable[[], str]
    _stopped: bool = False

    def run(self) -> str:
        """See ``Task.run``."""
        return "" if self._stopped else self.call()

    def stop(self) -> None:
        """Its machine ends with this process; nothing of it has to be left safe."""
        self._stopped = True


@dataclass
class Pool:
    """Threads that take tasks in order. They end with the process, whatever they wait for."""

    at_once: int
    tasks: Sequence[Task]
    failed: list[str] = field(default_factory=list)
    _running: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin."""
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        for number in range(len(self.tasks)):
            self._waiting.put(number)
        for _ in range(min(self.at_once, len(self.tasks))):
            threading.Thread(target=self._work, daemon=True).start()

    def wait(self) -> None:
        """Until all have ended. Raises what a task raised, once the others were asked to end."""
        for _ in self.tasks:
            error = self._ended.get()
            if error is not None:
                self.stop()
                raise error

    def stop(self) -> None:
        """Ask those that run to end, and wait for those that have something to leave safe."""
        with self._lock:
            running = [self.tasks[number] for number in self._running]
            for task in self.tasks:
                task.stop()
        for task in running:
            process = task.process if isinstance(task, ChildTask) else None
            if process is None:
                continue
            try:
                process.wait(_SAFE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _work(self) -> None:
        while True:
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                self._running.add(number)
            try:
                said = self.tasks[number].run()
                if said:
                    self.failed.append(said)
                self._ended.put(None)
            except Exception as error:
                self._ended.put(error)
            finally:
                with self._lock:
                    self._running.discard(number)
