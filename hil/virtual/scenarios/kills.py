"""Killed again and again, as soon as it plays: never left dead."""

import signal
import time
from typing import Any

from hil.virtual.guest.bench import Bench
from hil.virtual.scenarios.report import check, mark, span


def run(bench: Bench) -> dict[str, Any]:
    """Options: ``kills`` in a row; every fifth time control dies too."""
    kills = bench.options["kills"]
    bench.wait("playing", bench.plays, 40.0)
    before = bench.restarts("audio")
    start_s = time.monotonic()
    back_s, marks = [], []
    for number in range(kills):
        before_pid = bench.main_pid("audio")
        killed_s = bench.signal("audio", signal.SIGKILL)
        if number % 5 == 4:
            bench.signal("control", signal.SIGKILL)
        marks.append(mark(killed_s, ""))
        _wait_for_another(bench, before_pid)
        # Half of them are killed as soon as they start, the others once they play.
        if number % 2:
            back_s.append(bench.wait(f"back after kill {number + 1}", bench.wet, 15.0) - killed_s)
    bench.wait("playing at the end", bench.plays, 20.0)
    return {
        "checks": [
            check(
                "kills",
                f"audio killed {kills} times in a row",
                "plays again after the last",
                kills,
                bench.restarts("audio") - before,
                "restarts",
                least=True,
                note="every second one as soon as it has started; control five times too",
            ),
            check(
                "kills-back",
                f"audio killed {kills} times in a row",
                "longest time until processed sound was back",
                6.0,
                max(back_s),
                "s",
                note="with the start of a control process beside it every fifth time",
            ),
        ],
        "timeline": [span("wet", start_s, time.monotonic())],
        "marks": marks,
    }


def _wait_for_another(bench: Bench, pid: int) -> None:
    """Wait until audio is another process than ``pid``."""
    bench.wait("a new process", lambda: bench.main_pid("audio") not in (0, pid), 10.0)
