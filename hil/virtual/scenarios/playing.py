"""Plays for a while with the knob sweeping and presets changing: no period may be lost."""

import math
import time
from pathlib import Path
from typing import Any

from device.processes.meters import BINS_PER_PERIOD, Reading
from hil.virtual.guest.bench import Bench
from hil.virtual.guest.guitar import Guitar, recorded, riff
from hil.virtual.scenarios.report import check, mark, span

_SWEEP_S = 4.0
_STEP_S = 0.05
_LOAD_ASKED_PERCENT = 60.0


def run(bench: Bench) -> dict[str, Any]:
    """Options: ``label``, ``seconds``, ``changes``, ``tolerated`` (xruns, % of the periods)."""
    options = bench.options
    label, seconds = options["label"], options["seconds"]
    sound, recording = Path("/tmp/guitar.wav"), Path("/tmp/recording.wav")
    riff(sound, seconds + 2.0)
    bench.wait("playing", bench.plays, 40.0)
    guitar = Guitar(sound, recording)
    time.sleep(0.5)  # the far end's streams open
    first = bench.meters()
    assert first is not None
    start_s = time.monotonic()
    changes = _play(bench, start_s, seconds, options["changes"])
    last = bench.meters()
    assert last is not None
    end_s = time.monotonic()
    guitar.stop()
    period_ms = 1000.0 * last.values["period_frames"] / last.values["rate_hz"]
    counted = {name: last.values[name] - first.values[name] for name in COUNTED}
    loads = loads_between(first, last)
    played_s = counted["periods"] * period_ms / 1000.0
    heard = recorded(recording)
    tolerated = options["tolerated"]
    group = f"{label}, {seconds:g} s"
    return {
        "checks": [
            check(
                f"xruns-{label}",
                group,
                "xruns",
                int(tolerated / 100.0 * counted["periods"]),
                counted["xruns"],
                "",
                note=f"{tolerated:g} % of the periods tolerated: the loopback's clock is so coarse"
                if tolerated
                else "",
            ),
            check(
                f"load-{label}",
                group,
                "load of a period, p50",
                _LOAD_ASKED_PERCENT,
                loads["p50"],
                "%",
                note=f"p99 {loads['p99']:g} %, p99.9 {loads['p99.9']:g} %, "
                f"max {loads['max']:g} % of {period_ms:.3f} ms at the guest's speed",
            ),
            check(
                f"played-{label}",
                group,
                "periods played of the time that passed",
                99.0 - tolerated,
                100.0 * played_s / (end_s - start_s),
                "%",
                least=True,
            ),
            check(
                f"changes-{label}",
                group,
                "preset changes",
                options["changes"],
                counted["preset_changes"],
                "",
                least=True,
            ),
            check(
                f"swept-{label}",
                group,
                "part of the knob's travel that was played",
                0.95,
                changes["travel"],
                "",
                least=True,
            ),
            check(
                f"nan-{label}",
                group,
                "periods with a NaN, errors in the path",
                0,
                counted["guard_nan_periods"] + counted["path_errors"],
                "",
            ),
            check(
                f"heard-{label}",
                group,
                "longest silence in what came out",
                0.2,
                longest_silence_s(heard),
                "s",
            ),
        ],
        "timeline": [span("wet", start_s, end_s)],
        "marks": [mark(start_s, label)],
        "figures": {
            "loads": loads,
            "counted": counted,
            "histogram": loads["histogram"],
            "period_ms": period_ms,
        },
    }


COUNTED = (
    "periods",
    "xruns",
    "deadline_misses",
    "preset_changes",
    "path_errors",
    "guard_nan_periods",
    "clipped_periods",
    "absent_periods",
    "knob_faults",
)


def _play(bench: Bench, start_s: float, seconds: float, changes: int) -> dict[str, float]:
    """Sweep the knob and step through presets; what part of the travel was seen to be played."""
    lowest, highest, done = 1.0, 0.0, 0
    while (now_s := time.monotonic() - start_s) < seconds:
        bench.turn_knob(0.5 - 0.5 * math.cos(2.0 * math.pi * now_s / _SWEEP_S))
        position = bench.value("knob_ppm") / 1e6
        lowest, highest = min(lowest, position), max(highest, position)
        if changes and now_s > (done + 0.5) * seconds / changes:
            bench.next_preset()
            done += 1
        else:
            time.sleep(_STEP_S)
    return {"travel": highest - lowest}


def loads_between(first: Reading, last: Reading) -> dict[str, Any]:
    """Percentiles of the load between two readings, % of the period."""
    histogram = last.histogram - first.histogram
    between = Reading({}, histogram, "")
    used = [index for index, count in enumerate(histogram.tolist()) if count]
    figures: dict[str, Any] = {f"p{p:g}": between.load_percentile(p) for p in (50.0, 99.0, 99.9)}
    figures["max"] = (used[-1] + 1) * 100.0 / BINS_PER_PERIOD if used else 0.0
    figures["histogram"] = histogram.tolist()
    return figures


def longest_silence_s(sound: Any, floor: float = 1e-4, rate_hz: int = 48000) -> float:
    """The longest time below ``floor`` between the first and the last sound, s."""
    import numpy as np

    loud = np.flatnonzero(np.abs(sound) > floor)
    if loud.size < 2:
        return float("inf")
    return float(np.diff(loud).max()) / rate_hz
