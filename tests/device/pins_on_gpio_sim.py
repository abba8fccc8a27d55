"""The checks of ``pins_checks`` on the kernel's simulated GPIO chips (gpio-sim), without pytest.

``python -m tests.device.pins_on_gpio_sim`` as root prints a line per check and exits with 1 where
one fails, with 2 where the kernel has no gpio-sim. It makes chips of its own and takes them away
again: others of the same label, such as a running pedal's, are not touched.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import gpiod

from device.boards.pin_chip import Chips
from device.boards.pin_tables import AON, MAIN, find_module
from device.boards.pins import JetsonFactory
from tests.device.pins_checks import AGX, COMMON, JETSON, Skip

CONFIGFS = Path("/sys/kernel/config")
GPIO_SIM = CONFIGFS / "gpio-sim"
BANKS = {MAIN: 164, AON: 32}
"""Labels and lines of the two chips, as on a T234."""


class Absent(Exception):  # noqa: N818 - a state of the machine
    """Raised where the kernel has no gpio-sim for us; the text says why."""


class SimulatedChips:
    """A T234's two chips in configfs; ``folder`` links to them alone."""

    def __init__(self, folder: Path) -> None:
        """Make them. Raises ``Absent``."""
        if not GPIO_SIM.exists():
            if not CONFIGFS.exists() or os.geteuid() != 0:
                raise Absent("the kernel has no configfs, or this is not root")
            if not os.path.ismount(CONFIGFS):
                _try("mount", "-t", "configfs", "none", str(CONFIGFS))
            _try("modprobe", "gpio-sim")
        if not GPIO_SIM.exists():
            raise Absent("the kernel has no gpio-sim (CONFIG_GPIO_SIM)")
        self.folder = folder
        self._config = GPIO_SIM / f"pins-{os.getpid()}"
        self._sysfs: dict[str, Path] = {}
        self._config.mkdir()
        for number, (label, lines) in enumerate(BANKS.items()):
            bank = self._config / f"bank{number}"
            bank.mkdir()
            (bank / "num_lines").write_text(str(lines))
            (bank / "label").write_text(label)
        self.plug()

    def plug(self) -> None:
        (self._config / "live").write_text("1")
        device = (self._config / "dev_name").read_text().strip()
        for number, label in enumerate(BANKS):
            chip = (self._config / f"bank{number}" / "chip_name").read_text().strip()
            self._sysfs[label] = Path("/sys/devices/platform") / device / chip
            node = Path("/dev") / chip
            deadline_s = time.monotonic() + 5.0
            while not node.exists() and time.monotonic() < deadline_s:
                time.sleep(0.01)
            (self.folder / chip).symlink_to(node)

    def unplug(self) -> None:
        (self._config / "live").write_text("0")
        for link in self.folder.iterdir():
            link.unlink()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.unplug()
        for number in range(len(BANKS)):
            (self._config / f"bank{number}").rmdir()
        self._config.rmdir()

    def line(self, label: str, offset: int) -> Path:
        return self._sysfs[label] / f"sim_gpio{offset}"


class SimWires:
    """``Wires`` whose other end is gpio-sim's sysfs."""

    def __init__(self, chips: SimulatedChips, module: str) -> None:
        self._sim = chips
        self._lines = find_module(module).lines
        self.factory = JetsonFactory(module, chips=Chips(chips.folder))

    def drive(self, name: str, level: bool) -> None:
        self._path(name).joinpath("pull").write_text("pull-up" if level else "pull-down")

    def level(self, name: str) -> bool:
        return self._path(name).joinpath("value").read_text().strip() == "1"

    def settle(self, bounce_s: float) -> None:
        time.sleep(2 * bounce_s)

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        with self._chip(name) as chip:
            request = chip.request_lines({self._line(name).offset: None}, consumer="somebody")
        with request:
            yield

    def consumer(self, name: str) -> str | None:
        with self._chip(name) as chip:
            info = chip.get_line_info(self._line(name).offset)
            return info.consumer if info.used else None

    def unplug(self) -> None:
        self._sim.unplug()

    def plug(self) -> None:
        self._sim.plug()

    def _line(self, name: str):
        (number,) = {info.number for _, info in self.factory.board_info.find_pin(name)}
        return self._lines[number]

    def _path(self, name: str) -> Path:
        return self._sim.line(*self._line(name))

    def _chip(self, name: str) -> gpiod.Chip:
        return gpiod.Chip(f"/dev/{self._path(name).parent.name}")


def _try(*command: str) -> None:
    with contextlib.suppress(OSError):
        subprocess.run(command, check=False, capture_output=True)


def run() -> int:
    """Run all checks; return the command's exit code."""
    failed = 0
    checks = [("orin-nano", check) for check in COMMON + JETSON] + [("agx", c) for c in AGX]
    with tempfile.TemporaryDirectory() as folder:
        try:
            chips = SimulatedChips(Path(folder))
        except Absent as error:
            print(f"no pins to test: {error}", file=sys.stderr)
            return 2
        try:
            for module, check in checks:
                name = check.__name__.replace("_", " ")
                wires = SimWires(chips, module)
                start_s = time.monotonic()
                try:
                    check(wires)
                except Skip as reason:
                    print(f"skip  {name}: {reason}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
                else:
                    print(f"ok    {name} ({time.monotonic() - start_s:.3f} s)", flush=True)
                finally:
                    wires.factory.close()
        finally:
            chips.close()
    print(f"{len(checks)} checks, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    argparse.ArgumentParser(prog="pins_on_gpio_sim", description=__doc__).parse_args()
    sys.exit(run())
