"""The pedal at the end of its console: what it says of itself, and what is done to it in its shell.

Everything runs as root on the pedal, in the shell of its serial console. What cannot be done there
is not faked: a knob is turned by an actuator of the bench, a heater that sticks takes a jumper.
"""

import base64
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from hil.errors import BenchError, InstrumentError
from hil.instruments.knob import Knob
from hil.instruments.pedal_files import ENGINES, NAME, bench_config, preset
from hil.instruments.protocols import INJECTIONS

PROCESSES = ("audio", "control", "engine")
_STATUS_S = 4.0
_BACK = ".before-bench"
_FAR_S = 3 * 365 * 86400
"""How far the clock jumps."""


class Shell(Protocol):
    """A console on which commands run: ``SerialConsole``."""

    def run(self, line: str, timeout_s: float = 10.0) -> tuple[str, int]:
        """What a command printed, and its exit code. Raises ``InstrumentError``."""


@dataclass(frozen=True)
class Places:
    """Where things are on the pedal: as provisioning puts them."""

    firmware: str = "/run/purga-firmware/current"
    runtime: str = "/run/purga"
    config: str = "/etc/purga/pedal.toml"
    fill: str = "/var/lib"
    """On the disk that is to be full."""
    card: str = "Pedal"

    @property
    def python(self) -> str:
        """The firmware's interpreter."""
        return f"{self.firmware}/.venv/bin/python"


class ConsoleUnit:
    """See ``hil.instruments.protocols.Unit``."""

    def __init__(
        self,
        shell: Shell,
        knob: Knob | None = None,
        places: Places | None = None,
        serial: str = "",
    ) -> None:
        """Nothing is asked yet: the pedal may be off. ``serial`` is what is written on it."""
        self._shell, self._knob = shell, knob
        self._places = places or Places()
        self._own: str | None = None
        """Its own pedal.toml, once the bench has put another in its place."""
        self._engine = "stage"
        self._periods: tuple[int, int] | None = None
        self.serial = serial
        self.software = ""
        """SHA-256 over the firmware's files; empty until it was asked."""

    # -- who it is --------------------------------------------------------------------------------

    def identify(self) -> bool:
        """Find out ``serial`` and ``software``; False while the pedal does not answer."""
        try:
            serial = self.serial or self._do(
                "tr -d '\\0' < /proc/device-tree/serial-number 2>/dev/null || cat /etc/machine-id"
            )
            software = self._do(
                f"cd {self._places.firmware} && find device models deploy -type f "
                "! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | "
                "sha256sum | cut -c1-64",
                120.0,
            )
        except InstrumentError:
            return False
        self.serial, self.software = serial.strip(), software.strip()
        return True

    # -- what it says -----------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """See the protocol."""
        units = " ".join(f"purga-{each}.service" for each in PROCESSES)
        try:
            printed, code = self._shell.run(
                f"systemctl show -P NRestarts {units}; cd {self._places.firmware} && "
                f"{self._places.python} -m device status --json --runtime {self._places.runtime}",
                _STATUS_S,
            )
        except InstrumentError:
            return {}  # off, or it boots
        if code != 0 or not printed:
            return {}
        *before, last = printed.splitlines()
        try:
            figures = json.loads(last)
        except ValueError:
            return {}
        restarts = sum(int(each) for each in before if each.isdigit())
        return _as_asked(figures, restarts) if isinstance(figures, dict) else {}

    # -- what is done to it -----------------------------------------------------------------------

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """See the protocol."""
        if self._knob is None:
            raise InstrumentError(
                "the bench has nothing that turns the knob; add [knob] to bench.toml."
            )
        self._knob.turn(position, after_s)

    def choose(self, engine: str) -> None:
        """See the protocol."""
        if engine not in ENGINES:
            raise BenchError(f"{engine!r} is no engine; choose from {', '.join(ENGINES)}.")
        self._engine = engine
        self._play()

    def configure(self, period_frames: int, periods: int) -> None:
        """See the protocol."""
        self._periods = (period_frames, periods)
        self._play()

    def kill(self, process: str) -> None:
        """See the protocol."""
        if process not in PROCESSES:
            raise BenchError(f"{process!r} is no process; choose from {', '.join(PROCESSES)}.")
        self._do(f"systemctl kill -s SIGKILL purga-{process}.service")

    def unplug(self, seconds: float) -> None:
        """See the protocol. The USB port is told to let go of the device."""
        found, _ = self._shell.run(
            f"d=$(readlink -f /sys/class/sound/$(basename $(readlink -f /proc/asound/"
            f"{self._places.card}))/device/..); test -w $d/authorized && echo $d"
        )
        if not found.startswith("/sys/"):
            raise InstrumentError(
                f"the pedal's interface {self._places.card} is not on USB; unplug it by hand."
            )
        self._do(
            f"(echo 0 > {found}/authorized; sleep {seconds:g}; echo 1 > {found}/authorized) "
            "> /dev/null 2>&1 &"
        )

    def inject(self, what: str, on: bool = True) -> bool:
        """See the protocol."""
        if what not in INJECTIONS:
            raise BenchError(f"{what!r} is no injection; choose from {', '.join(INJECTIONS)}.")
        command = self._injection(what, on)
        return command is not None and self._shell.run(command, 60.0)[1] == 0

    def close(self) -> None:
        """See the protocol. The pedal gets its own pedal.toml back, where it still answers."""
        if self._own is not None:
            with suppress(InstrumentError):
                config = self._places.config
                self._do(f"mv {config}{_BACK} {config} && {self._restart()}", 10.0)
                self._own = None
        if self._knob is not None:
            self._knob.close()

    # -- inside -----------------------------------------------------------------------------------

    def _injection(self, what: str, on: bool) -> str | None:
        """The command; None for what a console cannot do."""
        places = self._places
        pids, fill = f"{places.runtime}/bench-load", f"{places.fill}/bench-fill"
        spi = "/sys/bus/spi/drivers/spidev"
        match what:
            case "load" if on:
                # sh -c, so that they are no jobs of this shell.
                busy = "while :; do :; done"
                return (
                    f"for i in $(seq $(nproc)); do setsid sh -c '{busy}' > /dev/null 2>&1 & "
                    f"echo $!; done > {pids}"
                )
            case "load":
                return f"kill $(cat {pids}) && rm {pids}"
            case "disk full" if on:
                return (
                    f"fallocate -l $(df --output=avail -B1 {places.fill} | tail -1) {fill} || "
                    f"dd if=/dev/zero of={fill} bs=1M 2> /dev/null; test -s {fill}"
                )
            case "disk full":
                return f"rm -f {fill}"
            case "clock jump":
                step = _FAR_S if on else -_FAR_S
                return f"date -s @$(( $(date +%s) + {step} )) > /dev/null"
            case "update" if on:
                unit = "purga-update.service"
                return (
                    f"systemctl start --no-block {unit} && sleep 1 && "
                    f'test "$(systemctl show -P ConditionResult {unit})" = yes'
                )
            case "update":
                return "true"
            case "adc dead":
                name = "unbind" if on else "bind"
                return f"test -w {spi}/{name} && echo {self._spi_device()} > {spi}/{name}"
            case _:
                return None  # a heater that sticks takes a jumper

    def _spi_device(self) -> str:
        table = tomllib.loads(self._own_config())
        adc = table.get("adc", {})
        return f"spi{adc.get('spi_port', 0)}.{adc.get('spi_device', 0)}"

    def _play(self) -> None:
        """Put the bench's presets and pedal.toml there, and start the pedal with them."""
        folder = self._places.config.rpartition("/")[0]
        own = self._own_config()
        try:
            config = bench_config(own, folder, self._engine, self._periods)
        except ValueError as error:
            raise InstrumentError(
                f"the pedal's {self._places.config} is no TOML ({error}); mend it."
            ) from None
        if self._own is None:
            for engine in ENGINES:
                self._put(f"{folder}/bench-{engine}.toml", preset(engine))
            self._do(f"cp -n {self._places.config} {self._places.config}{_BACK}")
            self._own = own
        self._put(self._places.config, config)
        # What was asked for before it ended would be played again.
        self._do(self._restart(), 60.0)

    def _restart(self) -> str:
        return (
            f"systemctl stop purga.target && rm -f {self._places.runtime}/control.json && "
            "systemctl start purga.target"
        )

    def _own_config(self) -> str:
        """Its own pedal.toml, also where an earlier run has left the bench's behind."""
        if self._own is None:
            config = self._places.config
            printed = self._do(f"base64 {config}{_BACK} 2> /dev/null || base64 {config}")
            return base64.b64decode("".join(printed.split())).decode(errors="replace")
        return self._own

    def _put(self, file: str, text: str) -> None:
        """Write a file whole: torn by a power cut, it would be neither."""
        packed = base64.b64encode(text.encode()).decode()
        pieces = [packed[at : at + 1000] for at in range(0, len(packed), 1000)]
        # A terminal takes 4095 characters a line.
        self._do(f": > {file}.new64")
        for piece in pieces:
            self._do(f"echo {piece} >> {file}.new64")
        self._do(
            f"base64 -d {file}.new64 > {file}.new && sync {file}.new && mv {file}.new {file} && "
            f"rm {file}.new64"
        )

    def _do(self, line: str, timeout_s: float = 20.0) -> str:
        printed, code = self._shell.run(line, timeout_s)
        if code != 0:
            raise InstrumentError(
                f"the pedal could not do {line!r:.80} (exit code {code}: {printed[-200:]!r}); see "
                "its journal."
            )
        return printed


def _as_asked(figures: dict[str, Any], restarts: int) -> dict[str, Any]:
    """The real status with the names that the suites ask for."""
    control = dict(figures.get("control") or {})
    bank = (figures.get("bank") or {}).get("presets") or []
    index = figures.get("preset", -1)
    name = ""
    if isinstance(index, int) and 0 <= index < len(bank):
        name = str((bank[index] or {}).get("name") or "")
    knob = control.get("knob")
    control["knob"] = knob.get("condition") if isinstance(knob, Mapping) else knob
    control["restarts"] = restarts
    if not control.get("running", True):
        control["relay"] = control["heater"] = False  # last words of a process that has died
    asked = name.removeprefix(NAME) if name.startswith(NAME) else None
    position = control.get("position", 0.5)
    return {**figures, "engine_asked": asked, "position": position, "control": control}
