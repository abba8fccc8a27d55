"""A process is killed or frozen while one plays: the guitar passes through, then sound is back."""

import signal
import time
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import Bench
from hil.virtual.guest.guitar import Guitar, riff
from hil.virtual.guest.relay import Gap, gap_after
from hil.virtual.scenarios.report import check, fact, mark, span

RELAY_LIMIT_MS = 150.0
KILL_LIMIT_S, FREEZE_LIMIT_S = 2.5, 4.5
_FAULTS = (
    ("audio", signal.SIGKILL, KILL_LIMIT_S),
    ("control", signal.SIGKILL, KILL_LIMIT_S),
    ("audio", signal.SIGSTOP, FREEZE_LIMIT_S),
    ("control", signal.SIGSTOP, FREEZE_LIMIT_S),
)


def _wait_for_relay(bench: Bench, what: str, fault_s: float) -> Gap:
    """Wait until the relay has dropped and is held again, and a preset is heard through it."""
    # Asleep for as long as it may take: who looks meanwhile takes the processor from what starts.
    time.sleep(FREEZE_LIMIT_S)
    deadline_s = time.monotonic() + 15.0
    while (gap := gap_after(bench.scope, fault_s)).back_s is None:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the relay was not held again after {what}")
        time.sleep(0.5)
    bench.wait(f"sound, after {what}", bench.wet, 5.0)
    return gap


def run(bench: Bench) -> dict[str, Any]:
    """Each fault in turn, ``rounds`` times; the worst of each is what counts."""
    sound = Path("/tmp/guitar.wav")
    rounds = bench.options.get("rounds", 2)
    riff(sound, 40.0 * rounds)
    bench.wait("playing", bench.plays, 40.0)
    guitar = Guitar(sound)
    checks, timeline, marks = [], [], []
    began_s = time.monotonic()
    for process, number, limit_s in _FAULTS:
        verb = "killed" if number == signal.SIGKILL else "frozen"
        name, group = f"{verb}-{process}", f"{process} {verb}"
        dropped_ms, back_s = [], []
        for _ in range(rounds):
            bench.wait("playing", bench.plays, 20.0)
            time.sleep(1.0)
            bench.scope.clear()
            time.sleep(0.3)
            fault_s = bench.signal(process, number)
            marks.append(mark(fault_s, group))
            gap = _wait_for_relay(bench, f"{process} {verb}", fault_s)
            if gap.dropped_s is not None and gap.back_s is not None:
                dropped_ms.append(1000.0 * (gap.dropped_s - fault_s))
                back_s.append(gap.back_s - fault_s)
                timeline += [
                    span("wet", began_s, gap.dropped_s),
                    span("relay", gap.dropped_s, gap.back_s),
                ]
                began_s = gap.back_s
        all_seen = len(dropped_ms) == rounds
        checks += [
            check(
                f"relay-{name}",
                group,
                "until the guitar passes through the relay",
                RELAY_LIMIT_MS,
                max(dropped_ms) if all_seen else None,
                "ms",
                note=f"worst of {rounds}; the circuit that holds longest",
            ),
            check(
                f"back-{name}",
                group,
                "until processed sound is back",
                limit_s,
                max(back_s) if all_seen else None,
                "s",
                note=f"worst of {rounds}",
            ),
        ]
    timeline.append(span("wet", began_s, time.monotonic()))
    guitar.stop()
    checks.append(
        fact("faults-guitar", "all faults", "the guitar went on at the far end", guitar.started)
    )
    return {"checks": checks, "timeline": timeline, "marks": marks}
