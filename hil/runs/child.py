"""A lane of a simulated run in a process of its own; ``hil/runs/tasks.py`` starts it.

What happens goes to standard output, a JSON object a line; results go to the disk.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from hil.results import ScenarioResult
from hil.runs.lane import Lane
from hil.runs.opening import opened
from hil.runs.safe import Interrupted
from hil.runs.simulated import run_simulated
from hil.runs.stages import PROFILES, every_stage
from hil.runs.store import Key, forget, keep
from hil.suites.functional import Found


def main(text: str) -> int:
    """Run what the JSON ``text`` asks for."""
    asked: dict[str, Any] = json.loads(text)
    folder, scale = Path(asked["folder"]), PROFILES[asked["profile"]]
    key = Key(**asked["key"])
    stages = [each for each in every_stage() if each.name in asked["stages"]]

    def tell(stage: str, bench_s: float, label: str) -> None:
        _event(stage=stage, bench_s=bench_s, label=label)

    def ended(result: ScenarioResult) -> None:
        _event(stage=result.name, ended=True)

    if stages[0].run is None:
        for stage in stages:
            forget(folder, stage.name)

            def say(done: float, label: str, name: str = stage.name) -> None:
                _event(stage=name, done=done, label=label)

            result = run_simulated(stage.name, scale, folder, say)
            keep(folder, result, key)
            ended(result)
        return 0
    reference = Found(**asked["reference"]) if asked["reference"] else None
    with opened(None) as bench:
        lane = Lane(bench, folder, key, scale, tell, ended, reference)
        try:
            lane.run(stages)
        finally:
            _event(unsafe=lane.unsafe, refused=str(lane.refused or ""))
    return 0


def _event(**what: object) -> None:
    os.write(_OUT, json.dumps(what).encode() + b"\n")


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted("by hand")


_OUT = 1

if __name__ == "__main__":
    # A terminal's Ctrl-C reaches all of its processes; here it comes by way of the one above.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    # What somebody prints must not stand among the events.
    _OUT = os.dup(1)
    os.dup2(2, 1)
    try:
        sys.exit(main(sys.argv[1]))
    except Interrupted:
        sys.exit(130)
