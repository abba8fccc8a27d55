"""What every suite does with a bench: wait while everything is recorded, listen, look."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from hil.bench import Bench
from hil.budgets import judge
from hil.errors import BenchError, InstrumentError
from hil.results import Check, Mark, ScenarioResult, Span
from hil.suites.delay import Delay, chirp, find_delay
from hil.suites.trace import Trace

Heard = Literal["relay", "pedal", "silence"]
"""By the recorder: at once (past the pedal), late (through it), not at all."""

LOOK_S = 10.0
"""How often everything is recorded."""
QUICK_S = 0.25
"""How often while something is timed."""
_RELAY_FRAMES = 8.0
"""Later than this, the guitar has been through converters."""


@dataclass
class Rig:
    """A bench in use by one suite, and what it found."""

    bench: Bench
    trace: Trace
    name: str
    checks: list[Check] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = print
    engine: str = "stage"
    start_s: float = 0.0

    def __post_init__(self) -> None:
        """Begin now."""
        self.start_s = self.now_s()

    # -- time -------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """The bench's time."""
        return self.bench.clock.now_s()

    def wait(self, seconds: float) -> None:
        """Wait, recording everything every ``LOOK_S``."""
        end_s = self.now_s() + seconds
        while (left_s := end_s - self.now_s()) > 1e-6:
            self.bench.clock.sleep(min(LOOK_S, left_s))
            self.look()

    def wait_until(
        self, what: str, condition: Callable[[], bool], limit_s: float, every_s: float = LOOK_S
    ) -> float | None:
        """Wait until something holds; seconds that it took, None where it did not in ``limit_s``.

        What was missed is said, and is the suite's to judge.
        """
        begin_s = self.now_s()
        recorded_s = -math.inf
        while not condition():
            if self.now_s() - begin_s >= limit_s:
                self.mark(f"{what}: not within {limit_s:g} s")
                return None
            self.bench.clock.sleep(every_s)
            if self.now_s() - recorded_s >= LOOK_S:
                recorded_s = self.now_s()
                self.look()
        return self.now_s() - begin_s

    def mark(self, label: str) -> None:
        """Something was done now."""
        self.marks.append(Mark(self.now_s(), label))
        self.say(f"{self.name} {_clock(self.now_s())} {label}")

    # -- looking ----------------------------------------------------------------------------------

    def look(self) -> Mapping[str, float | str]:
        """Read every instrument and keep it."""
        bench = self.bench
        air, supply, couples = bench.chamber.read(), bench.supply.read(), bench.thermocouples.read()
        status = self.status()
        control = status.get("control") or {}
        row: dict[str, float | str] = {
            "time_s": self.now_s(),
            "chamber_c": air.air_c,
            "setpoint_c": air.setpoint_c if air.running else math.nan,
            "humidity_percent": math.nan if air.humidity_percent is None else air.humidity_percent,
            "volts": supply.volts,
            "amperes": supply.amperes,
            "key": float(supply.on),
            "state": str(control.get("state", "")),
            "relay": float(bool(control.get("relay"))),
            "heater": float(bool(control.get("heater"))),
            "ceiling": str(control.get("ceiling", "")),
            "hottest_c": _or_nan((control.get("temperatures") or {}).get("hottest_c")),
            "xruns": _or_nan(status.get("xruns")),
            "periods": _or_nan(status.get("periods")),
            "restarts": _or_nan(control.get("restarts")),
        }
        row |= {f"{position}_c": celsius for position, celsius in couples.items()}
        self.trace.add(row)
        if air.alarms:
            raise InstrumentError(
                f"{bench.chamber.model}: alarm {', '.join(air.alarms)}; the chamber is stopped."
            )
        return row

    def status(self) -> Mapping[str, Any]:
        """What the pedal says of itself; nothing where it does not."""
        return self.bench.unit.status()

    def state(self) -> str:
        """The pedal's state, by itself; empty while it says nothing."""
        return str((self.status().get("control") or {}).get("state", ""))

    def couples(self) -> dict[str, float]:
        """The thermocouples, those left out that are open."""
        read = self.bench.thermocouples.read()
        return {name: celsius for name, celsius in read.items() if math.isfinite(celsius)}

    # -- listening --------------------------------------------------------------------------------

    def shot(self) -> Delay | None:
        """One chirp through the pedal; None where it is not heard."""
        signal = chirp()
        try:
            found = find_delay(signal, self.bench.audio.shot(signal))
        except BenchError:
            return None
        return found

    def heard(self) -> Heard:
        """Which way the guitar goes."""
        found = self.shot()
        if found is None or found.gain_db < -40.0:
            return "silence"
        own = self.bench.audio.own_frames
        return "relay" if abs(found.frames - own) < _RELAY_FRAMES else "pedal"

    def shots(self, count: int) -> list[Delay]:
        """So many chirps, those left out that were not heard."""
        return [found for found in (self.shot() for _ in range(count)) if found is not None]

    # -- saying -----------------------------------------------------------------------------------

    def check(
        self, budget: str, measured: float | bool | None, at: str = "", note: str = ""
    ) -> None:
        """Judge a figure by the table."""
        self.checks.append(judge(budget, measured, at=at, note=note))

    def result(self, wall_s: float, failed_because: str | None = None) -> ScenarioResult:
        """What was found so far."""
        return ScenarioResult(
            name=self.name,
            checks=tuple(self.checks),
            timeline=tuple(_spans(self.trace, self.start_s)),
            marks=tuple(self.marks),
            virtual_s=self.now_s() - self.start_s,
            wall_s=wall_s,
            figures=dict(self.figures),
            failed_because=failed_because,
        )


def open_trace(folder: Path | None, name: str) -> Trace:
    """The trace of a suite, in ``folder/NAME/trace.csv``."""
    return Trace(None if folder is None else folder / name / "trace.csv")


def middle(delays: list[Delay]) -> Delay | None:
    """The shot in the middle by delay; None of none."""
    if not delays:
        return None
    at = median(sorted(each.frames for each in delays))
    return min(delays, key=lambda each: abs(each.frames - at))


def _spans(trace: Trace, start_s: float) -> list[Span]:
    """What was heard by the pedal's own word, from row to row."""
    spans: list[Span] = []
    before_s, before = start_s, ""
    for row in trace.rows:
        held = row.get("relay") == 1.0
        kind = "wet" if held and row.get("state") in ("play", "hot", "warm-up") else "relay"
        kind = "dry" if held and kind == "relay" else kind
        time_s = float(row["time_s"])
        if kind != before:
            if before and time_s > before_s:
                spans.append(Span(before, before_s, time_s))
            before_s, before = time_s, kind
    if before and trace.rows:
        spans.append(Span(before, before_s, float(trace.rows[-1]["time_s"])))
    return spans


def _or_nan(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:2d}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"
