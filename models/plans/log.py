"""What TensorRT says while it works: its errors kept for a sentence, its steps for a bar."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], None]
"""Called while a plan is built with a phase's name, its steps done and all its steps."""


def make_log(trt: Any) -> Any:
    """A logger that keeps errors; ``last()`` is the newest one's first line."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._said: deque[str] = deque(maxlen=8)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self._said.append(msg)

        def last(self) -> str:
            lines = self._said[-1].strip().splitlines() if self._said else []
            return lines[0][:200] if lines else "it gives no reason"

    return Log()


def make_monitor(trt: Any, progress: Progress | None, cancelled: threading.Event) -> Any:
    """A progress monitor: tells of the outermost phases, ends the build once ``cancelled``.

    TensorRT calls it from threads of its own.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                with self._lock:
                    self._steps[phase_name] = num_steps
                    self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                self._tell(phase_name, step + 1)
            return not cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._tell(phase_name, self._steps.get(phase_name, 0))
                self._steps.pop(phase_name, None)

        def _tell(self, phase: str, done: int) -> None:
            if progress is not None and phase in self._steps:
                progress(phase, min(done, self._steps[phase]), self._steps[phase])

    return Monitor()
