"""From 25 °C down to −40, up to 100 and back: states, relay, heater, and who may compute."""

import json
import subprocess
import time
from typing import Any

from hil.virtual.guest.bench import Bench
from hil.virtual.guest.relay import HEATER_OFFSET, RELAY_OFFSET
from hil.virtual.scenarios.report import check, fact, mark, span

_WAY: tuple[tuple[float, str, bool, bool, int], ...] = (
    # °C, state, relay held, heater held, ceiling (0 crossfade, 1 stage, 2 studio)
    (25.0, "play", True, False, 2),
    (-40.0, "hold", False, True, 1),
    (-10.0, "warm-up", True, True, 1),
    (25.0, "play", True, False, 2),
    (89.0, "hot", True, False, 1),
    (93.0, "hot", True, False, 0),
    (100.0, "fault", False, False, 0),
    (25.0, "play", True, False, 2),
)
_SETTLE_S = 4.0


def run(bench: Bench) -> dict[str, Any]:
    """Each temperature until its state has settled."""
    bench.wait("playing", bench.plays, 40.0)
    checks: list[dict[str, Any]] = []
    timeline, marks = [], []
    before = bench.value("xruns")
    for celsius, state, relay, heater, ceiling in _WAY:
        start_s = time.monotonic()
        bench.temperature(celsius)
        marks.append(mark(start_s, f"{celsius:g} °C"))
        bench.wait_for_state(state, 10.0)
        # A heater that was just off stays off for its pause; it is waited for.
        if heater:
            bench.wait("the heater", lambda: bool(_edges(bench, HEATER_OFFSET, 0.3)), 60.0)
        time.sleep(_SETTLE_S)
        bench.scope.clear()
        time.sleep(0.5)
        report = bench.control()
        held = len(bench.scope.edges(RELAY_OFFSET)) >= 20
        heated = len(bench.scope.edges(HEATER_OFFSET)) >= 20
        played = bench.value("ceiling")
        good = (report.get("state"), held, heated, played) == (state, relay, heater, ceiling)
        checks.append(
            fact(
                f"temperature-{len(checks)}",
                "temperature",
                f"at {celsius:g} °C: {state}, relay {_held(relay)}, heater {_held(heater)}",
                good,
                note=f"{report.get('state')} ({report.get('cause')}), relay {_held(held)}, heater "
                f"{_held(heated)}, ceiling {played}",
            )
        )
        timeline.append(span("wet" if held else "relay", start_s, time.monotonic()))
    checks.append(
        check(
            "temperature-xruns",
            "temperature",
            "xruns meanwhile",
            0,
            bench.value("xruns") - before,
            "",
        )
    )
    checks.append(_journal())
    return {"checks": checks, "timeline": timeline, "marks": marks}


def _edges(bench: Bench, offset: int, seconds: float) -> int:
    bench.scope.clear()
    time.sleep(seconds)
    return len(bench.scope.edges(offset))


def _held(held: bool) -> str:
    return "held" if held else "off"


def _journal() -> dict[str, Any]:
    """Every transition stands in the journal, with its cause in a field of its own."""
    command = ["journalctl", "--no-pager", "-o", "json", "-u", "purga-control.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    entries = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    states = [
        (each["PURGA_STATE"], each.get("PURGA_CAUSE")) for each in entries if "PURGA_STATE" in each
    ]
    wanted = [state for _, state, *_ in _WAY[1:]]
    walked = [state for state, _ in states]
    found = iter(walked)
    in_order = all(state in found for state in wanted)
    return fact(
        "temperature-journal",
        "temperature",
        "each transition is in the journal, with its cause",
        in_order and all(cause for _, cause in states),
        note=" → ".join(walked)[:300],
    )
