"""What a scenario has at hand: the pedal's units, its meters, the hardware around it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.config import CONTROL_FILE
from device.processes.control_report import read_report
from device.processes.meters import Reading, read_meters
from hil.virtual.guest.pins import Scope, pull

RUNTIME = Path("/run/purga")
FOOTSWITCH_OFFSET = 105
"""Pin 29 of an Orin Nano's header."""
_KNOB = Path("/sys/module/mcp3008_sim/parameters")
_CARD = Path("/sys/bus/platform/drivers/snd_aloop")
UNITS = ("purga-audio.service", "purga-control.service", "purga-engine.service")


class Bench:
    """The guest from outside the pedal."""

    def __init__(self, out: Path, options: dict[str, Any], boot: int) -> None:
        """``out`` lies on the host; ``boot`` counts the machine's starts in this run, from 1."""
        self.out = out
        self.options = options
        self.boot = boot
        self.scope = Scope()
        self.codes = [12, 512, 0, 0, 0, 0, 0, 512]
        """What the converter's channels read, 0…1023."""

    def close(self) -> None:
        """Stop watching."""
        self.scope.close()

    # -- the pedal --------------------------------------------------------------------------------

    def systemctl(self, *words: str) -> str:
        """Run ``systemctl``; what it printed."""
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def main_pid(self, process: str) -> int:
        """The process of ``audio``, ``control`` or ``engine``; 0 when it is not running."""
        return int(self.systemctl("show", "-P", "MainPID", f"purga-{process}.service") or 0)

    def restarts(self, process: str) -> int:
        """How often the service manager has restarted it."""
        return int(self.systemctl("show", "-P", "NRestarts", f"purga-{process}.service") or 0)

    def signal(self, process: str, number: signal.Signals) -> float:
        """Send a signal to a process of the pedal; the time at which that was done."""
        pid = self.main_pid(process)
        assert pid > 1, f"{process} is not running"
        now_s = time.monotonic()
        os.kill(pid, number)
        return now_s

    def meters(self) -> Reading | None:
        """The audio process's meters, None where there are none."""
        try:
            return read_meters(RUNTIME / "meters")
        except OSError:
            return None

    def control(self) -> dict[str, Any]:
        """What the control process says of itself; empty where it says nothing."""
        return read_report(RUNTIME / CONTROL_FILE) or {}

    def complaints(self) -> list[str]:
        """What the control process says is missing or wrong."""
        report = self.control()
        return [str(line) for line in [*report.get("problems", ()), *report.get("warnings", ())]]

    def value(self, name: str) -> int:
        """One of the meters, −1 where there are none."""
        reading = self.meters()
        return -1 if reading is None else reading.values[name]

    def plays(self) -> bool:
        """Whether the relay is held and a prepared preset is heard through it."""
        return self.control().get("state") in ("play", "hot") and self.wet()

    def next_preset(self) -> None:
        """Press the footswitch twice."""
        for _ in range(2):
            pull(FOOTSWITCH_OFFSET, up=False)
            time.sleep(0.06)
            pull(FOOTSWITCH_OFFSET, up=True)
            time.sleep(0.06)

    def wet(self) -> bool:
        """Whether periods advance and a prepared preset is heard."""
        before = self.meters()
        if before is None or before.values["loading"] or before.values["absent"]:
            return False
        time.sleep(0.03)
        return self.value("periods") > before.values["periods"]

    def wait(self, what: str, condition: Callable[[], bool], limit_s: float) -> float:
        """Wait until something holds; the time at which it was seen to.

        Raises ``TimeoutError`` after ``limit_s`` of virtual time.
        """
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{what}: not within {limit_s:g} s of virtual time")
            time.sleep(0.02)
        return time.monotonic()

    def wait_for_state(self, state: str, limit_s: float) -> float:
        """Wait until the control process is in a state; the time at which it was seen to be."""
        return self.wait(state, lambda: self.control().get("state") == state, limit_s)

    # -- the hardware -----------------------------------------------------------------------------

    def turn_knob(self, position: float) -> None:
        """Turn the knob to a part of its travel, 0…1."""
        self.codes[0] = round(12 + position * (1011 - 12))
        self.write_codes()

    def write_codes(self) -> None:
        """Have the converter read ``codes``."""
        (_KNOB / "ch").write_text(",".join(map(str, self.codes)))

    def break_spi(self, broken: bool) -> None:
        """Have every transfer on the bus fail, or not."""
        (_KNOB / "fail").write_text(str(int(broken)))

    def temperature(self, celsius: float) -> None:
        """Set the module's own temperature."""
        path = Path("/sys/module/thermal_sim/parameters/temp")
        path.write_text(str(round(celsius * 1000)))

    def insert_card(self) -> float:
        """Plug in an interface that was missing at boot."""
        subprocess.run(["modprobe", "snd-aloop", "pcm_substreams=1"], check=True)
        return time.monotonic()

    def hang(self) -> None:
        """Hang the kernel, interrupts off. Does not return."""
        os.sync()
        Path("/sys/module/hang_sim/parameters/hang").write_text("1")

    def unplug(self) -> float:
        """Pull the interface out."""
        now_s = time.monotonic()
        (_CARD / "unbind").write_text("snd_aloop.0")
        return now_s

    def plug(self) -> float:
        """Plug the interface in again; the time at which it was there."""
        (_CARD / "bind").write_text("snd_aloop.0")
        return time.monotonic()
