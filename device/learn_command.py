"""``python -m device learn``: the ends of knob and pedals are found by turning them.

The pedal that runs does the learning, because it has the controls; this command asks it to, by a
file in its runtime folder, and shows what it has seen. The footswitch does the same without it.
"""

import argparse
import select
import sys
import time
from pathlib import Path
from typing import Any

from device.config import CONTROL_FILE, default_runtime
from device.errors import ConfigError, LinkError
from device.outcome import Outcome
from device.processes.control_report import LEARN_REQUEST, read_report
from device.processes.meters import resident_mib

POLL_S = 0.1
ANSWER_S = 3.0
"""How long the pedal may take to begin, and to keep what it learnt."""


def learn(options: argparse.Namespace) -> Outcome:
    """Learn for ``--seconds``, or until Enter or Ctrl-C.

    Raises ``ConfigError`` for an impossible time, ``LinkError`` where no pedal runs or answers.
    """
    if options.seconds is not None and not 1.0 <= options.seconds <= 600.0:
        raise ConfigError(f"--seconds is {options.seconds:g}, but must lie in 1…600")
    folder = options.runtime or default_runtime()
    report = folder / CONTROL_FILE
    _running(report)
    request = folder / LEARN_REQUEST
    try:
        request.touch()
    except OSError as error:
        raise LinkError(
            f"{request}: cannot be written ({error.strerror}); check the folder"
        ) from None
    moved: list[str] = []
    try:
        _wait_for(report, learning=True)
        print(
            "turn each control from end to end" + ("" if options.seconds else ", then press Enter"),
            file=sys.stderr,
        )
        moved = _watch(report, options.seconds)
    except KeyboardInterrupt:
        moved = list(_running(report).get("moved", []))
    finally:
        request.unlink(missing_ok=True)
    after = _wait_for(report, learning=False)
    figures: dict[str, object] = {"learnt": moved, "problems": after.get("problems", [])}
    if not moved:
        return Outcome(["nothing was moved far enough; nothing has changed"], figures, exit_code=1)
    lines = [f"learnt: {', '.join(moved)}"]
    return Outcome([*lines, *(str(problem) for problem in after.get("problems", []))], figures)


def _watch(report: Path, seconds: float | None) -> list[str]:
    """Follow what is moved until the time is over, Enter, or the pedal ends it itself."""
    end_s = None if seconds is None else time.monotonic() + seconds
    moved: list[str] = []
    while end_s is None or time.monotonic() < end_s:
        said = _running(report)
        if not said.get("learning"):
            break
        if said.get("moved", []) != moved:
            moved = list(said["moved"])
            print(f"moved: {', '.join(moved)}", file=sys.stderr)
        if seconds is not None:
            time.sleep(POLL_S)
        elif select.select([sys.stdin], [], [], POLL_S)[0]:
            sys.stdin.readline()
            break
    return moved


def _running(report: Path) -> dict[str, Any]:
    """What the control process says. Raises ``LinkError`` where none runs."""
    said = read_report(report)
    pid = None if said is None else said.get("pid")
    if said is None or not isinstance(pid, int) or resident_mib(pid) is None:
        raise LinkError(
            f"{report.parent}: no pedal runs there whose controls could be learnt; start one, or "
            "name its folder with --runtime"
        )
    return said


def _wait_for(report: Path, learning: bool) -> dict[str, Any]:
    """Wait until the pedal learns, or no longer does. Raises ``LinkError``."""
    end_s = time.monotonic() + ANSWER_S
    while True:
        said = _running(report)
        if bool(said.get("learning")) == learning:
            return said
        if time.monotonic() > end_s:
            raise LinkError(f"{report.parent}: the pedal there does not answer; see its journal")
        time.sleep(POLL_S)
