"""Commands that run beside the music: at idle priority, with nothing of whoever calls them."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware.pip import reason_in

_FULL = ("No space left on device", "Disk quota exceeded")
_KEPT = ("PATH", "HOME", "LANG", "TZ", "CUDA_HOME", "LD_LIBRARY_PATH")


def clean_environment() -> dict[str, str]:
    """What a command of the firmware needs to be told, and nothing that turns it elsewhere."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "ORT_DISABLE_TELEMETRY": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PYTHONNOUSERSITE": "1",
    }


def run_idle(
    command: Sequence[object],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    what: str,
    fault: type[UpdateError] = UpdateFailedError,
) -> str:
    """Run a command in ``folder`` and give what it printed.

    Raises ``fault`` where it ends with a status of its own, with ``what`` and its last words. Where
    it was ended, took too long, could not be begun or filled the disk, the machine is at fault and
    not what was run: ``UpdateFailedError``.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            preexec_fn=lambda: be_idle(),  # by its name: tests are not idle
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UpdateFailedError(f"{what} took more than {timeout_s:.0f} s and was ended.") from None
    except OSError as problem:
        raise UpdateFailedError(f"{what} could not be begun ({problem.strerror}).") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr or done.stdout
    if any(text in said for text in _FULL):
        raise UpdateFailedError(f"{what} filled the disk; free some space and try again.")
    if done.returncode < 0:
        raise UpdateFailedError(f"{what} was ended by signal {-done.returncode}; try again.")
    raise fault(f"{what} did not work: {reason_in(said)}")


def be_idle() -> None:
    """Have this process, and those it starts, only run and read when nobody else wants to.

    The kernel gives a process of SCHED_IDLE the idle class of the disk too.
    """
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
