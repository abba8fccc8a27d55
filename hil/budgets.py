"""Every limit of the bench, in one table: what, how much, why, and where it can be measured.

A check has its limit from here and nowhere else; ``hil/faults.py`` names for each what makes it
fail. *target* is the design's own; a standard is named where the number is the standard's.
"""

# ruff: noqa: E501 - a table is read across
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hil.results import Check

Sense = Literal["≤", "≥", "="]


@dataclass(frozen=True)
class Budget:
    """One limit. ``unit`` is empty for a count, ``yes`` for a question of yes or no."""

    id: str
    group: str
    what: str
    sense: Sense
    limit: float
    unit: str
    source: str

    @property
    def asked(self) -> str:
        """For people: ``≤ 150 ms``."""
        if self.unit == "yes":
            return "yes"
        sign = "" if self.sense == "=" else f"{self.sense} "
        return f"{sign}{self.limit:g} {self.unit}".strip()

    def holds(self, measured: float | None) -> bool:
        """Whether a number keeps it; what was not measured does not."""
        if measured is None or not math.isfinite(measured):
            return False
        if self.sense == "≤":
            return measured <= self.limit
        return measured >= self.limit if self.sense == "≥" else measured == self.limit


def _yes(id_: str, group: str, what: str, source: str) -> Budget:
    return Budget(id_, group, what, "=", 1.0, "yes", source)


_MIL_COLD, _MIL_HOT = "MIL-STD-810H 502.7", "MIL-STD-810H 501.7"
_CONDITIONS, _COLD, _SOUND, _HEAT, _DAMP, _POWER, _SHOCK, _LATENCY, _RECOVERY = (
    "conditions",
    "cold start",
    "sound",
    "heat",
    "moisture",
    "power",
    "shock",
    "latency",
    "recovery",
)

_TABLE = (
    # ---- whether the test was the test ---------------------------------------------------------
    Budget("ramp", _CONDITIONS, "fastest change of air, mean of 5 minutes", "≤", 3.0, "K/min", _MIL_COLD),
    Budget("soak-air", _CONDITIONS, "air off its setpoint while soaking", "≤", 2.0, "K", _MIL_COLD),
    Budget("soak", _CONDITIONS, "soak after stabilisation, of what was planned", "≥", 100.0, "%", _MIL_COLD),
    _yes("stabilised", _CONDITIONS, "the product itself was at temperature before the soak", _MIL_COLD),
    _yes("chamber-honest", _CONDITIONS, "the air by our own couple agrees with the chamber", "target: 2 K"),
    # ---- cold start ----------------------------------------------------------------------------
    Budget("module-powered", _COLD, "module when it was given power", "≥", -28.0, "°C", "T234 MB1: min_chip_limit"),
    Budget("cold-dry", _COLD, "key-on to the guitar through the pedal, dry", "≤", 480.0, "s", "target"),
    Budget("cold-wet", _COLD, "key-on to processed sound", "≤", 490.0, "s", "target"),
    Budget("room-dry", _COLD, "key-on to dry sound at room temperature", "≤", 25.0, "s", "target"),
    Budget("room-wet", _COLD, "key-on to processed sound at room temperature", "≤", 30.0, "s", "target"),
    _yes("passes", _COLD, "the guitar passes from key-on until the pedal plays", "design: relay"),
    _yes("off-passes", _COLD, "the guitar passes while the pedal is off", "design: relay"),
    # ---- sound ---------------------------------------------------------------------------------
    Budget("xruns", _SOUND, "lost periods", "=", 0.0, "", "target"),
    Budget("latency-shift", _SOUND, "round trip against room temperature", "≤", 1.0, "frames", "target"),
    Budget("latency-spread", _SOUND, "round trip, shots among each other", "≤", 0.5, "frames", "target"),
    Budget("level-shift", _SOUND, "level against room temperature", "≤", 1.0, "dB", "target"),
    Budget("drift", _SOUND, "interface's clock", "≤", 100.0, "ppm", "USB audio: ±500 ppm; target"),
    _yes("knob", _SOUND, "the knob moves the sound from one end to the other", "target"),
    Budget("shots-heard", _LATENCY, "shots that were heard", "=", 100.0, "%", "target"),
    Budget("round-trip-64x2", _LATENCY, "round trip at 64 × 2 frames, 48 kHz", "≤", 6.0, "ms", "issue: to be measured on hardware"),
    Budget("round-trip-32x2", _LATENCY, "round trip at 32 × 2 frames, 48 kHz", "≤", 5.0, "ms", "issue: to be measured on hardware"),
    Budget("stage-adds", _LATENCY, "what the stage engine adds", "≤", 0.05, "frames", "design: none"),
    Budget("studio-latency", _LATENCY, "studio engine against what it says, by onsets", "≤", 96.0, "frames", "target: 2 ms, the envelope's window"),
    Budget("knob-to-sound", _LATENCY, "knob to sound", "≤", 11.4, "ms", "target: 10 ms and a period"),
    # ---- recovery ------------------------------------------------------------------------------
    _yes("cut-passes", _RECOVERY, "the guitar passes within 150 ms", "design: relay"),
    Budget("cut-back", _RECOVERY, "power back to processed sound", "≤", 30.0, "s", "target"),
    _yes("cut-same", _RECOVERY, "preset and latency are what they were", "target"),
    _yes("fault-passes", _RECOVERY, "the guitar passes within 150 ms (300 ms unplugged)", "design: relay"),
    Budget("kill-back", _RECOVERY, "killed to processed sound", "≤", 2.5, "s", "target"),
    Budget("engine-xruns", _RECOVERY, "lost periods when the engine process dies", "=", 0.0, "", "target"),
    Budget("unplug-back", _RECOVERY, "interface back to processed sound", "≤", 2.0, "s", "target"),
    _yes("knob-held", _RECOVERY, "the position is held without its converter", "design"),
    _yes("knob-said", _RECOVERY, "and status says so", "design"),
    Budget("borne-xruns", _RECOVERY, "lost periods meanwhile", "=", 0.0, "", "target"),
    _yes("borne-plays", _RECOVERY, "it plays all the while", "target"),
    Budget("heater-bounded", _RECOVERY, "module with the heater stuck on", "≤", 70.0, "°C", "deploy/hardware.md: commercial parts"),
    _yes("link-said", _RECOVERY, "the lost line is reported", "bench"),
    _yes("link-safe", _RECOVERY, "the chamber regulates no more", "bench"),
    # ---- states --------------------------------------------------------------------------------
    _yes("cold-state", _COLD, "cold: no studio engine, the heater warms", "device/states"),
    _yes("heater-works", _COLD, "the heater raises the module", "device/states: heater"),
    _yes("relay-agrees", _SOUND, "relay and sound agree at each look", "design: relay"),
    Budget("hot-playing", _HEAT, "module's hottest zone while the relay is held", "≤", 99.0, "°C", "Orin NX / Nano: hot trip"),
    _yes("hot-steps-down", _HEAT, "the engine steps down with heat, at the preset's latency", "device/states"),
    Budget("hot-sound", _HEAT, "processed sound at the hot end", "=", 1.0, "yes", _MIL_HOT),
    Budget("heater-hot", _HEAT, "heater on above 55 °C", "=", 0.0, "looks", "device/states: heater_max_c"),
    _yes("dew-held", _DAMP, "out of the cold into damp air: bypass until the board is dry", "device/states: dew"),
    _yes("dew-ends", _DAMP, "and then it plays", "device/states: dew_max_s"),
    _yes("damp-sound", _DAMP, "plays through damp heat", "IEC 60068-2-78"),
    _yes("intact", _SHOCK, "whole after the drop, by the operator's word", "2 m: bespoke; IEC 60068-2-31 Ec for the method"),
    # ---- power ---------------------------------------------------------------------------------
    Budget("current", _POWER, "largest current", "≤", 4.5, "A", "target: the fuse is 5 A"),
    Budget("restarts-unasked", _POWER, "processes started again unasked", "=", 0.0, "", "target"),
)  # fmt: skip

BUDGETS: Mapping[str, Budget] = {each.id: each for each in _TABLE}


def judge(id_: str, measured: float | bool | None, *, at: str = "", note: str = "") -> Check:
    """A check by the table; ``at`` says of which stage, and makes its id one of its own."""
    budget = BUDGETS[id_]
    value = None if measured is None else float(measured)
    return Check(
        id=f"{id_}@{at}" if at else id_,
        group=budget.group,
        what=f"{budget.what} ({at})" if at else budget.what,
        asked=budget.asked,
        limit=budget.limit,
        measured=value,
        unit="" if budget.unit == "yes" else budget.unit,
        ok=budget.holds(value),
        note=note,
    )


def budget_of(check: str) -> str:
    """The table's id of a check's id."""
    return check.partition("@")[0]
