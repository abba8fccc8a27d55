"""The fault library: what may be wrong, and the check that must catch it.

A check that no fault can make fail proves nothing, so there is one here for each limit of
``hil/budgets.py``; the proof (``hil/suites/proof.py``) seeds every fault into the simulated bench
and demands that its checks fail, and that nothing fails without one.
"""

# ruff: noqa: E501 - a table is read across
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal[
    "cold", "room", "dew", "heat", "damp", "latency", "recovery", "cold recovery", "link"
]
"""Which part of the suites shows it."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    id: str
    what: str
    stage: Stage
    caught_by: tuple[str, ...]
    """Ids of the table; each must fail."""
    plant: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``PlantFaults``."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Fields of ``Parameters``: what the hardware is made of."""
    bench: str = ""
    """What is wrong with an instrument or a person, by name (``hil/suites/proof.py``)."""


FAULTS: tuple[Fault, ...] = (
    # ---- the bench itself ------------------------------------------------------------------------
    Fault("chamber-fast", "a chamber that ramps at 8 K/min", "cold", ("ramp",), bench="fast chamber"),
    Fault("chamber-wanders", "a chamber whose air swings by ±5 K", "cold", ("soak-air",), parameters={"chamber_wanders_k": 2.5, "chamber_lag_s": 200.0}),
    Fault("chamber-lies", "a chamber that shows its setpoint for its air, its cooling dead", "cold", ("chamber-honest", "soak-air", "stabilised"), bench="lying chamber"),
    Fault("soak-cut-short", "an operator who stops the soak", "cold", ("soak",), bench="short soak"),
    Fault("line-lost", "the chamber's line is cut and nobody notices", "link", ("link-said", "link-safe"), bench="no guard"),
    # ---- start -------------------------------------------------------------------------------------
    Fault("hold-off-missing", "the module gets power at −40 °C", "cold", ("module-powered", "cold-dry", "cold-wet"), plant={"hold_off_missing": True}),
    Fault("pre-heater-dead", "the pre-heater does not heat", "cold", ("cold-dry", "cold-wet", "module-powered"), plant={"pre_heater_dead": True}),
    Fault("slow-start", "the audio unit takes 15 s longer", "room", ("room-dry", "room-wet"), plant={"dry_later_s": 15.0}),
    Fault("never-wet", "presets never load", "room", ("room-wet",), plant={"never_wet": True}),
    Fault("relay-welded", "the relay does not let the guitar pass", "room", ("off-passes", "passes"), plant={"relay_stuck": True}),
    # ---- sound -------------------------------------------------------------------------------------
    Fault("xruns", "a period is lost each minute", "room", ("xruns",), plant={"xruns_per_s": 0.05}),
    Fault("xruns-cold", "periods are lost below 0 °C alone", "cold", ("xruns",), plant={"xruns_per_s": 0.05, "xruns_below_c": 0.0}),
    Fault("latency-cold", "a buffer more than before", "cold", ("latency-shift",), plant={"latency_extra_frames": 64.0}),
    Fault("latency-jitter", "the delay wanders by ±2 frames", "room", ("latency-spread",), plant={"latency_jitter_frames": 1.0}),
    Fault("quiet", "3 dB less than before", "cold", ("level-shift",), plant={"level_db": -3.0}),
    Fault("clock-off", "the interface's quartz runs 400 ppm off", "room", ("drift",), plant={"clock_extra_ppm": 400.0}),
    Fault("knob-dead", "the knob's converter is dead from the start", "room", ("knob",), plant={"adc_dead": True}),
    Fault("restarts", "a process dies again and again", "room", ("restarts-unasked",), plant={"restarts": 3}),
    Fault("relay-lies", "status says bypass while the pedal plays", "room", ("relay-agrees",), plant={"says_bypass": True}),
    Fault("current", "a short takes 40 W", "room", ("current",), plant={"extra_w": 40.0}),
    # ---- states --------------------------------------------------------------------------------------
    Fault("zone-reads-warm", "the module's sensors read 60 K too much", "cold", ("cold-state",), plant={"zone_offset_k": 60.0}),
    Fault("heater-dead", "the heater does not heat", "cold", ("heater-works",), plant={"heater_dead": True}),
    Fault("no-throttle", "the firmware does not hear of heat", "heat", ("hot-steps-down",), plant={"no_throttle": True}),
    Fault("no-heat-path", "the heat sink has come off", "heat", ("hot-playing", "hot-sound"), parameters={"module_to_enclosure": 0.28}, plant={"no_throttle": True}),
    Fault("heater-on-hot", "the heater is on in the heat", "heat", ("heater-hot",), plant={"heater_stuck": True}),
    Fault("dew-ignored", "the dew guard does not see humidity", "dew", ("dew-held",), plant={"dew_ignored": True}),
    Fault("dew-for-ever", "the pedal never plays after dew", "dew", ("dew-ends",), plant={"interface_absent": True}),
    Fault("damp-kills", "damp heat takes the interface away", "damp", ("damp-sound",), plant={"damp_kills": True}),
    Fault("broken", "the case is cracked after the drop", "room", ("intact",), bench="cracked"),
    # ---- latency -------------------------------------------------------------------------------------
    Fault("late", "the interface buffers 200 frames more", "latency", ("round-trip-64x2", "round-trip-32x2"), plant={"latency_extra_frames": 200.0}),
    Fault("stage-late", "the stage engine is a period late", "latency", ("stage-adds",), plant={"stage_late_frames": 64.0}),
    Fault("studio-late", "the studio engine is later than it says", "latency", ("studio-latency",), plant={"studio_late_frames": 480.0}),
    Fault("knob-slow", "the knob is filtered for 30 ms", "latency", ("knob-to-sound",), plant={"knob_later_s": 0.03}),
    Fault("no-sound", "every fifth shot is not heard", "latency", ("shots-heard",), bench="deaf"),
    # ---- recovery ------------------------------------------------------------------------------------
    Fault("no-bypass", "without power the guitar is cut off", "recovery", ("cut-passes", "fault-passes"), plant={"relay_stuck": True}),
    Fault("slow-boot", "Linux takes half a minute", "recovery", ("cut-back",), parameters={"linux_boot_s": 32.0}),
    Fault("forgets", "a power cut loses the settings", "recovery", ("cut-same",), plant={"loses_settings": True}),
    Fault("no-restart", "nothing starts a dead process again", "recovery", ("kill-back",), plant={"never_restarts": True}),
    Fault("slow-restart", "a restart takes 3 s longer", "recovery", ("kill-back",), plant={"restart_later_s": 3.0}),
    Fault("engine-takes-periods", "the engine's death costs periods", "recovery", ("engine-xruns",), plant={"engine_death_xruns": 3}),
    Fault("slow-usb", "the interface takes 8 s to come back", "recovery", ("unplug-back",), parameters={"enumerate_s": 8.0}),
    Fault("knob-drops", "a dead converter reads 0", "recovery", ("knob-held",), plant={"adc_reads_zero": True}),
    Fault("knob-mute", "a dead converter is not reported", "recovery", ("knob-said",), plant={"adc_unsaid": True}),
    Fault("disk", "a full disk kills audio", "recovery", ("borne-plays",), plant={"full_disk_kills": True}),
    Fault("clock", "a clock that jumps kills audio", "recovery", ("borne-plays",), plant={"clock_jump_kills": True}),
    Fault("update-cuts", "an update stops the sound", "cold recovery", ("borne-plays",), plant={"update_stops_sound": True}),
    Fault("update-xruns", "an update costs periods", "cold recovery", ("borne-xruns",), plant={"update_xruns": 4}),
    Fault("heater-runs-away", "a heater of twice the power on a loose heat sink", "cold recovery", ("heater-bounded",), parameters={"heater_w": 40.0, "module_to_enclosure": 0.3}),
)  # fmt: skip
"""Every fault by id. What the real rig can seed is done by hand there; these are the simulation's."""
