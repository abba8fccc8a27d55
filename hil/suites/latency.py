"""The latency suite: how late the pedal is, how steadily, with each engine and period.

A chirp where the phase is kept (crossfade, stage), onsets where it is not (studio); a thousand
shots each, so that one in a thousand is seen. The interface's own round trip, with a cable in the
pedal's place, is taken off by the bench.
"""

import math
from dataclasses import dataclass

import numpy as np

from hil.errors import BenchError, InstrumentError
from hil.suites.conditions import go_to
from hil.suites.delay import Signal
from hil.suites.functional import key_off, key_on, slope_ppm
from hil.suites.onset import bursts, find_onset_delay
from hil.suites.rig import Rig

SHOTS = 1000
STUDIO_SHOTS = 20
TONE_HZ = 1000.0
ROOM_C = 23.0


@dataclass(frozen=True)
class Setting:
    """What is measured together."""

    engine: str
    period_frames: int
    periods: int

    @property
    def at(self) -> str:
        """Its name in the report."""
        return f"{self.engine} {self.period_frames}×{self.periods}"


SETTINGS = (
    Setting("crossfade", 64, 2),
    Setting("stage", 64, 2),
    Setting("stage", 32, 2),
    Setting("stage", 64, 3),
    Setting("stage", 128, 2),
    Setting("stage", 128, 4),
)
STUDIO = Setting("studio", 64, 3)


def latency(rig: Rig, shots: int = SHOTS) -> None:
    """All of it, at room temperature."""
    go_to(rig, ROOM_C)
    key_on(rig, "latency", cold=False)
    medians = {setting: _distribution(rig, setting, shots) for setting in SETTINGS}
    _stage_adds(rig, medians)
    _loaded(rig, shots // 2)
    _studio(rig, medians)
    _knob(rig)
    start_s = rig.now_s()
    rig.wait(300.0)
    status = rig.status()
    ppm = slope_ppm(rig.trace.between(start_s), status.get("period_frames"), status.get("rate_hz"))
    rig.check("drift", None if ppm is None else abs(ppm), "latency")
    key_off(rig)


def _distribution(rig: Rig, setting: Setting, shots: int, at: str = "") -> float | None:
    """The round trip's distribution; its median in frames, None where nothing was heard."""
    at = at or setting.at
    rig.bench.unit.choose(setting.engine)
    rig.bench.unit.configure(setting.period_frames, setting.periods)
    rig.wait(5.0)
    rig.mark(f"{shots} shots, {at}")
    before = rig.status().get("xruns")
    delays = np.array([each.frames for each in rig.shots(shots)]) - rig.bench.audio.own_frames
    after = rig.status().get("xruns")
    lost = None if before is None or after is None else float(after - before)
    rig.check("xruns", lost, at)
    heard = 100.0 * len(delays) / shots
    rig.check("shots-heard", heard, at)
    if len(delays) < 2:
        rig.check("latency-spread", None, at)
        return None
    low, middle, high = np.percentile(delays, (0.0, 50.0, 100.0))
    rig.check("latency-spread", float(high - low), at, note=f"of {len(delays)} shots")
    budget = f"round-trip-{setting.period_frames}x{setting.periods}"
    if at == setting.at and setting.engine == "stage" and budget in _BUDGETED:
        rig.check(budget, 1000.0 * float(middle) / rig.bench.audio.rate_hz, at)
    rig.figures.setdefault("round_trips", {})[at] = {
        "shots": len(delays),
        "frames": {
            "median": float(middle),
            "p1": float(np.percentile(delays, 1)),
            "p99": float(np.percentile(delays, 99)),
            "p99.9": float(np.percentile(delays, 99.9)),
            "lowest": float(low),
            "highest": float(high),
        },
        "ms": round(1000.0 * float(middle) / rig.bench.audio.rate_hz, 4),
        "jitter": _histogram(delays - middle),
    }
    return float(middle)


_BUDGETED = frozenset({"round-trip-64x2", "round-trip-32x2"})


def _histogram(jitter: Signal, bins: int = 41) -> dict[str, list[float]]:
    """Counts of shots by how far they were off the median, in frames."""
    reach = max(1e-6, float(np.abs(jitter).max()))
    counts, edges = np.histogram(jitter, bins=bins, range=(-reach, reach))
    return {"frames": [float(edge) for edge in edges], "shots": [float(each) for each in counts]}


def _stage_adds(rig: Rig, medians: dict[Setting, float | None]) -> None:
    """The stage engine has no latency: it is as late as the crossfade."""
    stage, crossfade = medians[Setting("stage", 64, 2)], medians[Setting("crossfade", 64, 2)]
    added = None if stage is None or crossfade is None else abs(stage - crossfade)
    rig.check("stage-adds", added)


def _loaded(rig: Rig, shots: int) -> None:
    """The same with every processor busy: an unloaded figure proves nothing."""
    if not rig.bench.unit.inject("load", True):
        rig.figures["not measured"] = [*rig.figures.get("not measured", []), "loaded latency"]
        return
    try:
        _distribution(rig, Setting("stage", 64, 3), shots, at="stage 64×3, loaded")
    finally:
        rig.bench.unit.inject("load", False)


def _studio(rig: Rig, medians: dict[Setting, float | None]) -> None:
    """The studio engine against what it says of itself, by onsets."""
    unit, audio = rig.bench.unit, rig.bench.audio
    unit.choose(STUDIO.engine)
    unit.configure(STUDIO.period_frames, STUDIO.periods)
    rig.wait(10.0)
    rig.mark(f"{STUDIO_SHOTS} phrases, studio")
    played = bursts(audio.rate_hz)
    delays, spread = [], []
    for _ in range(STUDIO_SHOTS):
        try:
            found = find_onset_delay(played, audio.shot(played), audio.rate_hz)
        except BenchError:
            continue
        delays.append(found.frames - audio.own_frames)
        spread.append(found.tolerance_frames)
    base = medians[Setting("stage", 64, 3)]
    said = rig.status().get("latency_frames")
    off = None
    if base is not None and said is not None and len(delays) == STUDIO_SHOTS:
        off = abs(float(np.median(delays)) - base - said)
    rig.check(
        "studio-latency", off, note=f"onsets agree within {max(spread, default=0.0):.0f} frames"
    )
    unit.choose("stage")


def _knob(rig: Rig) -> None:
    """Knob to sound: a steady tone, the knob thrown in the middle of it."""
    unit, audio = rig.bench.unit, rig.bench.audio
    rig.wait(2.0)
    length = audio.rate_hz
    tone = (0.25 * np.sin(2 * np.pi * TONE_HZ / audio.rate_hz * np.arange(length))).astype(
        np.float32
    )
    late_ms = []
    for number in range(10):
        to = float(1 - number % 2)
        unit.turn(1.0 - to)
        rig.bench.clock.sleep(2.0)
        try:
            unit.turn(to, after_s=0.5)
        except InstrumentError:
            rig.figures["not measured"] = [*rig.figures.get("not measured", []), "knob to sound"]
            return
        heard = audio.shot(tone)
        found = _step_s(heard, audio.rate_hz)
        if found is not None:
            late_ms.append(1000.0 * (found - 0.5))
    trip = find_trip_ms(rig)
    worst = max(late_ms) - trip if len(late_ms) == 10 and trip is not None else None
    rig.check("knob-to-sound", worst, note=f"{len(late_ms)} of 10 throws, the round trip taken off")
    rig.figures["knob_ms"] = late_ms


def find_trip_ms(rig: Rig) -> float | None:
    """The round trip now, ms."""
    found = rig.shot()
    return None if found is None else 1000.0 * found.frames / rig.bench.audio.rate_hz


def _step_s(heard: Signal, rate_hz: int) -> float | None:
    """When a tone's level changes: half-way between what it was and what it becomes."""
    window = round(rate_hz / TONE_HZ)
    energy = np.concatenate([[0.0], np.cumsum(np.square(heard, dtype=np.float64))])
    level = np.sqrt((energy[window:] - energy[:-window]) / window)
    first, last = level[round(0.3 * rate_hz)], level[round(0.95 * rate_hz)]
    if not 0.5 < max(first, last) / max(1e-9, min(first, last)) < math.inf:
        return None
    between = level[round(0.3 * rate_hz) : round(0.95 * rate_hz)]
    crossed = np.nonzero((between - 0.5 * (first + last)) * (last - first) > 0)[0]
    if not len(crossed) or abs(last - first) < 0.1 * max(first, last):
        return None
    return float(0.3 + (crossed[0] + window / 2) / rate_hz)
