"""``python -m device status``: what the pedal's processes say of themselves, for eyes and programs.

Audio's numbers come from the meters, which cost it nothing; control's and the engine's from the
files that they leave beside them. Any of them may be missing: what is there is shown.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from device.config import CONTROL_FILE, ENGINE_FILE, default_runtime
from device.errors import LinkError
from device.outcome import Outcome
from device.plain import asdict as plain_asdict
from device.processes.bank_report import BankReport, read_bank
from device.processes.control_report import read_report
from device.processes.engine_state import EngineState, read_state
from device.processes.meters import COUNTERS, Reading, read_meters, resident_mib

PERCENTILES = (50.0, 99.0, 99.9)
WATCH_S = 1.0
_CLEAR = "\x1b[H\x1b[2J"


def status(options: argparse.Namespace) -> Outcome:
    """Show it once, or again and again until Ctrl-C. Raises ``LinkError`` where nothing ran."""
    folder = options.runtime or default_runtime()
    if not options.watch:
        return _status(folder, None)[0]
    before = None
    try:
        while True:
            outcome, before = _status(folder, before)
            print(_frame(outcome, options.json), flush=True)
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        return Outcome()


def _frame(outcome: Outcome, as_json: bool) -> str:
    if as_json:
        return json.dumps(outcome.figures)
    return ("\n" if not sys.stdout.isatty() else _CLEAR) + "\n".join(outcome.lines)


def _status(folder: Path, before: Reading | None) -> tuple[Outcome, Reading | None]:
    """What there is to say; load since ``before`` where there was a reading before."""
    control = read_report(folder / CONTROL_FILE)
    state = read_state(folder / ENGINE_FILE)
    try:
        reading = read_meters(folder / "meters")
    except LinkError:
        if control is None:
            raise
        reading = None
    lines = [] if control is None else control_lines(control)
    figures: dict[str, object] = {}
    if reading is None:
        lines.append("audio        has not played yet")
    else:
        lines += status_lines(reading.since(before), state)
        figures |= status_figures(reading)
    figures["engine"] = (
        None if state is None else {**asdict(state), "resident_mib": state.resident_mib()}
    )
    bank = read_bank(folder)
    if bank is not None:
        lines += bank_lines(bank, reading)
        figures["bank"] = plain_asdict(bank)
    figures["control"] = None if control is None else control_figures(control)
    return Outcome(lines, figures), reading


def bank_lines(bank: BankReport, reading: Reading | None) -> list[str]:
    """What was loaded, and why what was not; the preset that plays is marked."""
    lines = [f"bank         nothing was loaded: {bank.problem}"] if bank.problem else []
    if bank.slot:
        version = "" if bank.version is None else f", version {bank.version}"
        lines.append(f"models       {bank.slot}: {bank.release or 'no name'}{version}")
    if bank.rejected:
        lines.append(f"rejected     {bank.rejected}")
    plays = -1 if reading is None else reading.values["preset"]
    for index, preset in enumerate(bank.presets):
        mark = "*" if index == plays else " "
        told = f"broken, dry: {preset.problem}" if preset.problem else f"{preset.name}"
        lines.append(f"{mark if index else 'bank  ' + mark:>12} {index} {told}")
    return lines


def control_figures(control: Mapping[str, Any]) -> dict[str, object]:
    """What control says, with whether it still runs."""
    resident = _resident(control)
    return {**control, "running": resident is not None, "resident_mib": resident}


def _resident(control: Mapping[str, Any]) -> float | None:
    pid = control.get("pid")
    return resident_mib(pid) if isinstance(pid, int) else None


def control_lines(control: Mapping[str, Any]) -> list[str]:
    """States, hands and what is wrong, as a table. Whatever the report lacks is left out."""
    resident = _resident(control)
    runs = f"{resident:.0f} MiB resident" if resident else "not running; these are its last words"
    held = "held" if resident and control.get("relay") else "dropped: the guitar bypasses the pedal"
    heater = "on" if resident and control.get("heater") else "off"
    lines = [
        f"state        {control.get('state')}: {control.get('cause')}",
        f"control      process {control.get('pid')}, {runs}",
        f"relay        {held}; heater {heater}, ceiling {control.get('ceiling')}",
        f"hands        {_hands_line(control)}",
    ]
    temperatures = _temperatures_line(control.get("temperatures") or {})
    if temperatures:
        lines.append(f"temperatures {temperatures}")
    lines += [f"wrong        {problem}" for problem in control.get("problems", ())]
    lines += [f"warning      {warning}" for warning in control.get("warnings", ())]
    return lines


def _hands_line(control: Mapping[str, Any]) -> str:
    knob = control.get("knob") or {}
    parts = [
        f"{control.get('source')} at {float(control.get('position', 0.0)):.3f}",
        f"knob {knob.get('condition')}"
        + (f" ({knob.get('faults')} bad readings)" if knob.get("faults") else ""),
    ]
    expression = control.get("expression")
    if expression:
        parts.append(f"expression pedal {expression.get('condition')}")
    parts += [name for name in ("bypass", "mute", "learning") if control.get(name)]
    if control.get("learning"):
        parts.append("moved so far: " + (", ".join(control.get("moved", ())) or "nothing"))
    return ", ".join(parts)


def _temperatures_line(temperatures: Mapping[str, Any]) -> str:
    coldest, hottest = temperatures.get("coldest_c"), temperatures.get("hottest_c")
    parts = []
    if coldest is not None and hottest is not None:
        parts.append(f"module {coldest:.1f}…{hottest:.1f} °C")
    for name, what, unit in (
        ("surface_c", "surface", "°C"),
        ("air_c", "air", "°C"),
        ("humidity_percent", "humidity", "%"),
    ):
        if temperatures.get(name) is not None:
            parts.append(f"{what} {temperatures[name]:.1f} {unit}")
    return ", ".join(parts)


def status_figures(reading: Reading) -> dict[str, object]:
    """The meters as JSON-able values, with load percentiles in % of the period."""
    loads = {f"load_p{p:g}_percent": reading.load_percentile(p) for p in PERCENTILES}
    return {
        **reading.values,
        **loads,
        "load_max_percent": reading.load_percentile(100.0),
        "interface_lost_because": reading.message,
        "resident_mib": reading.resident_mib(),
    }


def status_lines(reading: Reading, state: EngineState | None = None) -> list[str]:
    """The meters as a table: values first, then what has been counted."""
    values = reading.values
    rate_hz = max(1, values["rate_hz"])
    interface, blocks = values["interface_frames"], values["latency_frames"]
    total = interface + blocks
    resident = reading.resident_mib()
    runs = f"process {values['pid']}, {resident:.0f} MiB resident" if resident else "not running"
    loads = [f"p{p:g} {reading.load_percentile(p):g} %" for p in PERCENTILES]
    lines = [
        f"audio        {runs}" + ("" if resident else "; these are its last numbers"),
        f"playing      preset {values['preset']}, position {values['position_ppm'] / 1e6:.3f}"
        + f", knob {values['knob_ppm'] / 1e6:.3f}"
        + (", scenes" if values["scenes"] else "")
        + (", bypassed" if values["bypass"] else "")
        + (", muted" if values["mute"] else "")
        + (", presets are loading" if values["loading"] else "")
        + (", interface absent" if values["absent"] else ""),
        f"latency      interface {interface} + preset {blocks} = {total} frames, "
        f"{1000.0 * total / rate_hz:.2f} ms",
        f"load         {', '.join(loads)}, max {reading.load_percentile(100.0):g} %"
        + f" of {1000.0 * values['period_frames'] / rate_hz:.3f} ms",
    ]
    if values["dry_after_ms"]:
        wet_ms = values["wet_after_ms"]
        wet = f"a preset after {wet_ms} ms" if wet_ms else "no preset yet"
        lines.append(f"start        dry guitar after {values['dry_after_ms']} ms, {wet}")
    if reading.message:
        lines.append(f"interface    last lost: {reading.message}")
    lines += _studio_lines(values, state)
    lines += [f"{values[name]:>12} {name}: {meaning}" for name, meaning in COUNTERS.items()]
    return lines


def _studio_lines(values: Mapping[str, int], state: EngineState | None) -> list[str]:
    """What the studio engine does, where a preset plays it or its process runs."""
    lines = []
    if values["studio"]:
        heard = "the studio sound" if values["studio_heard"] else "the stage engine in its place"
        there = "there" if values["studio_alive"] else "absent"
        reserve_ms = 1000.0 * values["studio_reserve_frames"] / max(1, values["rate_hz"])
        lines.append(
            f"studio       {heard} is heard; engine process {there}, reserve {reserve_ms:.1f} ms"
        )
    if state is not None:
        resident = state.resident_mib()
        runs = "not running" if resident is None else f"{resident:.0f} MiB resident"
        lines += [
            f"engine       {state.provider}, {state.precision}, {state.bundle}: process "
            f"{state.pid}, {runs}",
            f"             windows of {state.window_frames} frames each {state.hop_ms:.1f} ms: "
            f"{state.windows}, {state.window_ms:.1f} ms each, {state.longest_ms:.1f} at most",
            f"             presets {state.connections}, gaps {state.gaps}, foreign "
            f"{state.foreign}, refused {state.refused}, NaN {state.nan_windows}",
        ]
    return lines
