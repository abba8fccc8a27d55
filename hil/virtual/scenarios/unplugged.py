"""The interface is pulled out and plugged in again, and again, and is missing at boot."""

import time
from typing import Any

from hil.virtual.guest.bench import Bench
from hil.virtual.guest.relay import energised
from hil.virtual.scenarios.report import check, fact, mark, span

_WATCHDOG_S = 2.0
_LIMIT_S = 2.0


def run(bench: Bench) -> dict[str, Any]:
    """Options: ``rounds``. The machine was booted without an interface."""
    rounds = bench.options["rounds"]
    checks, timeline, marks = [], [], []
    bench.wait("turning without an interface", lambda: bench.value("absent") == 1, 30.0)
    since_s = time.monotonic()
    time.sleep(5.0 * _WATCHDOG_S)
    checks.append(
        fact(
            "missing-at-boot",
            "interface missing at boot",
            "audio runs all the same, for five watchdog periods",
            bench.value("absent") == 1 and bench.restarts("audio") == 0,
        )
    )
    plugged_s = bench.insert_card()
    back_s = bench.wait("sound after it was plugged in", bench.wet, 10.0) - plugged_s
    timeline += [span("absent", since_s, plugged_s)]
    checks.append(
        check(
            "missing-back",
            "interface missing at boot",
            "sound after it came",
            _LIMIT_S,
            back_s,
            "s",
        )
    )
    bench.wait("playing", bench.plays, 10.0)
    times = []
    for number in range(rounds):
        start_s = time.monotonic()
        time.sleep(0.5)
        gone_s = bench.unplug()
        marks.append(mark(gone_s, "out" if number == 0 else ""))
        # Most are short; the longest is five watchdog periods.
        time.sleep(5.0 * _WATCHDOG_S if number == rounds // 2 else 0.3 + 0.1 * (number % 7))
        plugged_s = bench.plug()
        back = bench.wait(f"back after {number + 1} times", bench.wet, 10.0)
        times.append(back - plugged_s)
        timeline += [span("wet", start_s, gone_s), span("absent", gone_s, back)]
    group = f"unplugged and plugged in {rounds} times"
    bench.wait("playing at the end", bench.plays, 10.0)
    checks += [
        check("unplugged-back", group, "longest time until sound", _LIMIT_S, max(times), "s"),
        check(
            "unplugged-restarts",
            group,
            "restarts of units",
            0,
            bench.restarts("audio") + bench.restarts("control"),
            "",
        ),
        fact(
            "unplugged-said",
            group,
            "status says why it was lost",
            bool((reading := bench.meters()) and reading.message),
            note=reading.message if reading else "",
        ),
        fact("unplugged-relay", group, "the relay is held again", bool(energised(bench.scope))),
    ]
    return {"checks": checks, "timeline": timeline, "marks": marks}
