"""The kernel hangs: the relay falls off, the hardware watchdog resets, the pedal plays again."""

import json
import time
from typing import Any

from device.pump import HOLD_MAX_S
from hil.virtual.guest.bench import Bench
from hil.virtual.guest.relay import RELAY_OFFSET
from hil.virtual.scenarios.faults import RELAY_LIMIT_MS
from hil.virtual.scenarios.report import check, fact


def run(bench: Bench) -> dict[str, Any]:
    """First boot: play, then hang. Second boot: it must play without being asked to."""
    kept = bench.out / "hang.json"
    if bench.boot == 1:
        bench.wait("playing", bench.plays, 40.0)
        time.sleep(1.0)
        edges = bench.scope.edges(RELAY_OFFSET)
        hang_s = time.monotonic()
        kept.write_text(
            json.dumps({"edges": len(edges), "last_s": edges[-1].time_s, "at_s": hang_s})
        )
        bench.hang()
    played_s = bench.wait("playing after the reset", bench.plays, 40.0)
    before = json.loads(kept.read_text())
    # Nothing of the firmware runs in a hung kernel: the edge before it was the last.
    held_ms = 1000.0 * (before["last_s"] + HOLD_MAX_S - before["at_s"])
    group = "kernel hung"
    return {
        "checks": [
            check(
                "hang-relay",
                group,
                "until the guitar passes through the relay",
                RELAY_LIMIT_MS,
                held_ms,
                "ms",
                note=f"from the last of {before['edges']} edges; the circuit that holds longest",
            ),
            fact("hang-reset", group, "the hardware watchdog reset the machine", bench.boot == 2),
            check(
                "hang-back",
                group,
                "from the reset to processed sound, by itself",
                40.0,
                played_s,
                "s",
                note="boot of the machine included",
            ),
        ]
    }
