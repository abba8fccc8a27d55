"""Hands and feet: knob, expression, MIDI, footswitch and LEDs, on the kernel's own drivers."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import FOOTSWITCH_OFFSET, Bench
from hil.virtual.guest.pins import level, pull
from hil.virtual.scenarios.report import check, fact

_STATUS_LED, _FAULT_LED = 53, 124
_KNOB_LIMIT_MS = 10.0
_TURNS = 12


def run(bench: Bench) -> dict[str, Any]:
    """All of them, one after another, while the pedal plays."""
    bench.wait("playing", bench.plays, 40.0)
    time.sleep(1.0)
    before = bench.value("xruns")
    checks = [*_knob(bench), *_ends(bench), *_broken_knob(bench)]
    checks += [*_foot(bench), *_midi(bench), *_learn(bench)]
    checks.append(
        check(
            "hands-xruns", "hands and feet", "xruns meanwhile", 0, bench.value("xruns") - before, ""
        )
    )
    # Last: it makes chips of its own, which no player does while playing.
    checks += _pins()
    return {"checks": checks}


def _knob(bench: Bench) -> list[dict[str, Any]]:
    """From the converter's code to the position that is played."""
    times_ms = []
    for number in range(_TURNS):
        before = bench.value("knob_ppm")
        target = 0.2 + 0.1 * (number % 2)
        start_s = time.monotonic()
        bench.turn_knob(target)
        while abs(bench.value("knob_ppm") - before) < 5_000:
            if time.monotonic() - start_s > 1.0:
                break
        if number:  # the first turn comes from wherever the knob was
            times_ms.append(1000.0 * (time.monotonic() - start_s))
        time.sleep(0.25)
    values = bench.meters()
    assert values is not None
    period_ms = 1000.0 * values.values["period_frames"] / values.values["rate_hz"]
    return [
        check(
            "knob-latency",
            "knob",
            "from a turn to the position that is played",
            round(_KNOB_LIMIT_MS + period_ms, 2),
            max(times_ms),
            "ms",
            note=f"10 ms and one period; slowest of {len(times_ms)} turns",
        )
    ]


def _ends(bench: Bench) -> list[dict[str, Any]]:
    found = []
    for position in (0.0, 1.0):
        bench.turn_knob(position)
        time.sleep(0.5)
        found.append(bench.value("knob_ppm") / 1e6)
    exact = found == [0.0, 1.0]
    return [fact("knob-ends", "knob", "its ends are exactly 0 and 1", exact, note=str(found))]


def _broken_knob(bench: Bench) -> list[dict[str, Any]]:
    """Each way to break it: the position is held, and status says what it is."""
    checks: list[dict[str, Any]] = []
    bench.turn_knob(0.5)
    time.sleep(0.5)
    held = bench.value("knob_ppm")

    def dead() -> None:
        bench.break_spi(True)

    def divider() -> None:
        bench.codes[7] = 0
        bench.write_codes()

    def wiper() -> None:
        bench.codes[0] = 1023
        bench.write_codes()

    for name, breaks in (
        ("SPI transfers fail", dead),
        ("the divider reads 0", divider),
        ("the wiper is open", wiper),
    ):
        breaks()
        time.sleep(0.5)
        moved = abs(bench.value("knob_ppm") - held)
        said = bench.control().get("knob", {})
        checks += [
            check(
                f"knob-held-{len(checks)}",
                "broken knob",
                f"{name}: the position moved by",
                20_000,
                moved,
                "ppm",
                note=str(said)[:160],
            ),
            fact(
                f"knob-said-{len(checks)}",
                "broken knob",
                f"{name}: status says so",
                any("knob" in text.lower() for text in bench.complaints()),
            ),
        ]
        bench.break_spi(False)
        bench.codes[7] = 512
        bench.turn_knob(0.5)
        bench.wait("the knob again", lambda: not bench.complaints(), 5.0)
    return checks


def _foot(bench: Bench) -> list[dict[str, Any]]:
    start_s = time.monotonic()
    pull(FOOTSWITCH_OFFSET, up=False)
    bench.wait("bypass", lambda: bench.value("bypass") == 1, 1.0)
    bypass_ms = 1000.0 * (time.monotonic() - start_s)
    time.sleep(0.1)
    pull(FOOTSWITCH_OFFSET, up=True)
    time.sleep(0.6)
    pull(FOOTSWITCH_OFFSET, up=False)
    time.sleep(0.1)
    pull(FOOTSWITCH_OFFSET, up=True)
    bench.wait("no bypass", lambda: bench.value("bypass") == 0, 1.0)
    time.sleep(0.6)
    before = bench.value("preset")
    bench.next_preset()
    bench.wait("the next preset", lambda: bench.value("preset") != before, 2.0)
    time.sleep(0.6)
    pull(FOOTSWITCH_OFFSET, up=False)
    bench.wait("mute", lambda: bench.value("mute") == 1, 2.0)
    pull(FOOTSWITCH_OFFSET, up=True)
    lit = {level(_STATUS_LED) for _ in _every(0.05, 24)}
    pull(FOOTSWITCH_OFFSET, up=False)
    time.sleep(0.1)
    pull(FOOTSWITCH_OFFSET, up=True)
    bench.wait("sound", lambda: bench.value("mute") == 0, 2.0)
    time.sleep(0.6)
    steady = {level(_STATUS_LED) for _ in _every(0.05, 24)}
    return [
        check(
            "foot-bypass",
            "footswitch",
            "from the press to bypass",
            40.0,
            bypass_ms,
            "ms",
            note="looked at every 20 ms",
        ),
        fact("foot-presets", "footswitch", "a double press is the next preset, a hold mutes", True),
        fact(
            "leds",
            "footswitch",
            "the status LED flashes while muted and is steady while playing",
            lit == {0, 1} and steady == {1},
            note=f"muted {lit}, playing {steady}",
        ),
    ]


def _every(pause_s: float, count: int) -> Any:
    for _ in range(count):
        yield
        time.sleep(pause_s)


def _midi(bench: Bench) -> list[dict[str, Any]]:
    """The far end of a MIDI cable: the second virtual port is wired to the first."""
    subprocess.run(["aconnect", _midi_port("-1"), _midi_port("-0")], check=True)
    card = Path("/proc/asound/VirMIDI").resolve().name.removeprefix("card")
    device = os.open(f"/dev/snd/midiC{card}D1", os.O_WRONLY)
    try:
        before = bench.value("preset")
        wanted = (before + 1) % 3
        os.write(device, bytes((0xC0, wanted)))
        bench.wait("program change", lambda: bench.value("preset") == wanted, 2.0)
        for value in (0, 30, 60, 90, 120, 127):
            os.write(device, bytes((0xB0, 11, value)))
            time.sleep(0.05)
        time.sleep(0.5)
        top = bench.value("knob_ppm") / 1e6
        os.write(device, bytes((0xB0, 11, 0)))
        time.sleep(0.5)
        bottom = bench.value("knob_ppm") / 1e6
    finally:
        os.close(device)
    return [
        fact("midi-program", "MIDI", "a program change selects the preset", True),
        fact(
            "midi-cc",
            "MIDI",
            "controller 11 moves the position from end to end",
            (top, bottom) == (1.0, 0.0),
            note=f"{top}, {bottom}",
        ),
    ]


def _midi_port(suffix: str) -> str:
    """``client:port`` of the virtual MIDI port whose name ends so."""
    client = ""
    for line in Path("/proc/asound/seq/clients").read_text().splitlines():
        if match := re.match(r"Client +(\d+) :", line):
            client = match[1]
        match = re.match(r' +Port +(\d+) : "VirMIDI [^"]*?(-\d+)"', line)
        if match is not None and match[2] == suffix:
            return f"{client}:{match[1]}"
    raise LookupError(f"no virtual MIDI port {suffix} in /proc/asound/seq/clients")


def _learn(bench: Bench) -> list[dict[str, Any]]:
    """A worn knob that reaches 200…800 of 1023 only: learnt by foot, by turning it end to end."""
    pull(FOOTSWITCH_OFFSET, up=False)
    bench.wait("learning", lambda: bool(bench.control().get("learning")), 8.0)
    pull(FOOTSWITCH_OFFSET, up=True)
    for code in (*range(300, 801, 20), *range(800, 199, -20), *range(200, 501, 20)):
        bench.codes[0] = code
        bench.write_codes()
        time.sleep(0.03)
    pull(FOOTSWITCH_OFFSET, up=False)
    time.sleep(0.1)
    pull(FOOTSWITCH_OFFSET, up=True)
    bench.wait("learnt", lambda: not bench.control().get("learning"), 3.0)
    found = []
    for code in (200, 800):
        bench.codes[0] = code
        bench.write_codes()
        time.sleep(0.6)
        found.append(bench.value("knob_ppm") / 1e6)
    return [
        fact(
            "learn",
            "knob",
            "a worn knob's ends, learnt by turning, are exactly 0 and 1",
            found == [0.0, 1.0],
            note=str(found),
        ),
    ]


def _pins() -> list[dict[str, Any]]:
    """The pin factory's own checks, the same that run on gpiozero's mock pins."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.device.pins_on_gpio_sim"],
        env=os.environ | {"PYTHONPATH": "/job/files:/opt/purga"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    print(done.stdout, done.stderr[-2000:], flush=True)
    return [
        fact(
            "pins",
            "pin factory",
            "its checks hold on gpio-sim",
            done.returncode == 0,
            note=(lines[-1] if lines else done.stderr[-200:]),
        )
    ]
