"""A child process for what a foreign model makes a library do: bounded, idle, and expendable.

Whatever becomes of the child, the parent gets an answer: a model that crashes a library has
failed its trial, and nothing else has happened.
"""

import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.trial.verdict import one_line

ROOT = Path(__file__).resolve().parents[2]
LONGEST_ANSWER = 1 << 20
STARVED = 0.5
"""Below this share of one processor a child that ran out of time was kept from it by others."""

_LAST = 19
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS, _IOPRIO_IDLE = 1, 3 << 13  # linux/ioprio.h


@dataclass(frozen=True)
class Ended:
    """How a child ended: with an answer, or why without one."""

    answer: Mapping[str, Any] | None
    why: str = ""
    again: bool = False
    """Without an answer: whether it may have been nobody's fault."""
    seconds: float = 0.0


def run_child(command: Sequence[str], wall_s: float) -> Ended:
    """Run a command that prints one JSON object, for at most ``wall_s``. Raises nothing.

    Its standard error is this process's. When time is up it is killed with all that it started.
    """
    begin_s, begin_cpu_s = time.monotonic(), _children_cpu_s()
    try:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
        )
    except OSError as problem:
        return Ended(None, f"it could not be started ({problem.strerror})", again=True)
    try:
        with child:
            output, late = _listen(child, wall_s)
    finally:
        _kill(child)
    seconds = time.monotonic() - begin_s
    if late:
        cpu_s = _children_cpu_s() - begin_cpu_s
        starved = cpu_s < STARVED * seconds
        why = f"it was not done after {seconds:.0f} s"
        why += ", for most of which others had the processors" if starved else ""
        return Ended(None, why, starved, seconds)
    if child.returncode != 0:
        return Ended(None, *_ending(child.returncode), seconds)
    try:
        answer = json.loads(output)
        if not isinstance(answer, dict):
            raise ValueError("no object")
    except ValueError:
        return Ended(None, "it gave no answer", seconds=seconds)
    return Ended(answer, seconds=seconds)


def _listen(child: "subprocess.Popen[bytes]", wall_s: float) -> tuple[bytes, bool]:
    """What a child says until it ends, and whether time ran out before."""
    try:
        output, _ = child.communicate(timeout=wall_s)
    except subprocess.TimeoutExpired:
        _kill(child)
        child.communicate()
        return b"", True
    return output[:LONGEST_ANSWER], False


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End a child and what it started; its session is its own, so nobody else is met."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _ending(code: int) -> tuple[str, bool]:
    """What an exit status means, and whether it may have been nobody's fault."""
    if code >= 0:
        return f"it ended with status {code} and no answer", False
    if -code == signal.SIGXCPU:
        return "it computed for longer than it may", False
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # Somebody ended it: an operator, the service manager, the kernel that ran out of memory.
    ended = -code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    return f"it {'was ended by' if ended else 'crashed with'} {name}", ended


def _children_cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def confine(memory_bytes: int, cpu_s: int, gpu: bool, idle: bool = True) -> None:
    """Give way to everything else, and take no more than is allowed; in the child, at its start.

    On a GPU the address space is not bounded, because CUDA reserves far more of it than it uses;
    what may be written to is. What the system refuses is left: it only makes the child dearer.
    """
    if idle:
        _be_idle()
    with contextlib.suppress(OSError):
        # Should memory run out, this is what may go.
        Path("/proc/self/oom_score_adj").write_text("1000")
    kinds = [resource.RLIMIT_DATA] if gpu else [resource.RLIMIT_DATA, resource.RLIMIT_AS]
    for kind in kinds:
        _limit(kind, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, most: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    # The soft limit of processor time sends SIGXCPU, the hard one SIGKILL.
    hardest = most + 5 if kind == resource.RLIMIT_CPU else most
    if hard != resource.RLIM_INFINITY:
        hardest = min(hardest, hard)
    resource.setrlimit(kind, (most, hardest))


def _be_idle() -> None:
    """Processors and disk only when nobody else wants them."""
    with contextlib.suppress(OSError):
        os.nice(_LAST)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # ioprio_set(2), which Python does not wrap.
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def told(what: str, ended: Ended) -> str:
    """The sentence about a child that gave no answer."""
    return one_line(f"{what} gave no verdict: {ended.why}.")
