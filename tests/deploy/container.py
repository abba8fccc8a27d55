"""A real service manager with the pedal's own units, on a throw-away copy of this machine's root.

systemd-nspawn on an overlay: nothing that happens in it reaches this machine's files. Its clock
is this machine's, so what is measured in it holds for a machine as busy as this one.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deploy.provision.host import host_files
from deploy.provision.machine import Machine
from deploy.provision.whole import put

BOOT_TIMEOUT_S = 30.0
_STAND_IN = Path(__file__).with_name("stand_in.py")
_MASKED = (
    *("systemd-udevd", "systemd-networkd", "systemd-timesyncd", "systemd-resolved"),
    *("console-getty", "getty@tty1", "serial-getty@ttyS0", "systemd-logind"),
)
_TEST_TARGET = """[Unit]
Requires=systemd-journald.service dbus.service
Wants=purga.target
After=basic.target
AllowIsolate=yes
"""


class NoContainerError(Exception):
    """This machine cannot run one."""


def why_not() -> str | None:
    """Why no container can run here, None where one can."""
    if os.geteuid() != 0:
        return "only root can run a container"
    for tool in ("systemd-nspawn", "nsenter", "setpriv", "systemd-sysusers"):
        if shutil.which(tool) is None:
            return f"no {tool} here"
    return None


class Container:
    """The units under a service manager of their own; ``close`` it in any case."""

    def __init__(self, folder: Path, drop_ins: dict[str, str] | None = None) -> None:
        """In an empty ``folder``; ``drop_ins`` by unit shorten what would take minutes.

        Raises ``NoContainerError``.
        """
        self._folder = folder
        self.root = folder / "root"
        self._leader = 0
        self._nspawn: subprocess.Popen[bytes] | None = None
        _call("mount", "-t", "tmpfs", "tmpfs", folder)
        try:
            self._make_root()
            self._install(drop_ins or {})
            self._boot()
        except BaseException:
            self.close()
            raise

    # ---- from the outside -----------------------------------------------------------------------

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Ask the container's service manager."""
        return self.inside("systemctl", *words, check=check)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def pid(self, unit: str) -> int:
        """The unit's main process in the container's own numbers, 0 without one."""
        return int(self.show(unit, "MainPID") or 0)

    def is_running(self, unit: str) -> bool:
        """Whether it is up, as it says itself (READY=1)."""
        return self.show(unit, "ActiveState") == "active"

    def send(self, unit: str, number: signal.Signals) -> int:
        """Send a signal to the unit's main process; returns the process it was."""
        pid = self.pid(unit)
        self.inside("kill", f"-{number.value}", str(pid))
        return pid

    def restarted(self, unit: str, number: signal.Signals, timeout_s: float = 20.0) -> float:
        """Send a signal to the unit and wait until it is up as another process; the seconds."""
        before = self.send(unit, number)
        return self.wait(
            lambda: self.pid(unit) not in (0, before) and self.is_running(unit), timeout_s
        )

    def wait(self, what: Callable[[], bool], timeout_s: float) -> float:
        """Wait until something holds; returns the seconds it took. Raises ``TimeoutError``."""
        started_s = time.monotonic()
        while not what():
            if time.monotonic() - started_s > timeout_s:
                raise TimeoutError(f"not within {timeout_s:g} s\n{self.journal()}")
            time.sleep(0.01)
        return time.monotonic() - started_s

    def about(self, role: str) -> dict[str, Any]:
        """What the stand-in of that role said of itself when it was last started."""
        return dict(json.loads(self._state(f"{role}.json")))

    def _state(self, name: str) -> str:
        file = self.root / "var/lib/purga" / name
        self.wait(file.exists, 20.0)
        return file.read_text()

    def journal(self) -> str:
        """The last lines of the container's journal."""
        return self.inside("journalctl", "--no-pager", "--lines=40", check=False)

    def reset(self) -> None:
        """Have all of the pedal run again as after a start of the machine."""
        for file in (self.root / "etc/purga").glob("*.exit"):
            file.unlink()
        self.systemctl("stop", "purga-retry@*.timer", "purga-degraded.service", check=False)
        self.systemctl("reset-failed", check=False)
        self.systemctl("start", "purga.target", "purga-audio.service", "purga-control.service")

    def close(self) -> None:
        """End the container and take its root away."""
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        if self._nspawn is not None:
            try:
                self._nspawn.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        for place in (self.root, self._folder):
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)

    # ---- how it is made -------------------------------------------------------------------------

    def _make_root(self) -> None:
        upper, work = self._folder / "upper", self._folder / "work"
        for folder in (upper, work, self.root):
            folder.mkdir()
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        _call("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def _install(self, drop_ins: dict[str, str]) -> None:
        for path, text in host_files(Machine(root=self.root)).items():
            put(path, text)
        home = self.root / "opt/purga"
        (home / "device").mkdir(parents=True)
        shutil.copy(_STAND_IN, home / "device/__main__.py")
        (home / ".venv/bin").mkdir(parents=True)
        (home / ".venv/bin/python").symlink_to(_plain_python())
        (self.root / "etc/purga").mkdir()
        units = self.root / "etc/systemd/system"
        for unit, lines in drop_ins.items():
            put(units / f"{unit}.d" / "test.conf", lines.encode())
        for name in _MASKED:
            mask = units / f"{name}.service"
            mask.unlink(missing_ok=True)
            mask.symlink_to("/dev/null")
        put(self.root / "etc/machine-id", f"{uuid.uuid4().hex}\n".encode())
        put(units / "test.target", _TEST_TARGET.encode())
        _call("systemd-sysusers", f"--root={self.root}", "purga.conf")
        names = ("purga-audio.socket", "purga-audio.service", "purga-control.service")
        _call("systemctl", f"--root={self.root}", "enable", "purga.target", *names)

    def _boot(self) -> None:
        # In processes' numbers of its own, so that it ends with the tests, however they end.
        command = ["setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child"]
        command += ["--mount-proc", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]
        command += ["--private-network", "--capability=CAP_IPC_LOCK", "--machine=pedal"]
        command += ["--console=pipe", "-D", str(self.root), "--boot"]
        command += ["--", "systemd.unit=test.target"]
        with (self._folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        deadline_s = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline_s and self._nspawn.poll() is None:
            # Its first child makes way for another, so it is looked up until it answers.
            self._leader = _child_of(_child_of(self._nspawn.pid))
            if self._leader and self._answers():
                return
            time.sleep(0.05)
        said = (self._folder / "console").read_text(errors="replace")
        raise NoContainerError(f"the container did not start: {said[-2000:]}")

    def _answers(self) -> bool:
        try:
            return self.is_running("test.target")
        except subprocess.CalledProcessError:
            return False

    def inside(self, *words: str, check: bool = True) -> str:
        """Run a command in the container and give what it printed."""
        command = ["nsenter", f"--target={self._leader}", "--all", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=check)
        return done.stdout


def _child_of(pid: int) -> int:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def _plain_python() -> Path:
    """An interpreter outside of home folders, which the units may not see."""
    for path in (Path("/usr/bin/python3"), Path(sys.executable).resolve()):
        if path.exists() and not path.is_relative_to("/root"):
            return path
    raise NoContainerError("no interpreter outside of a home folder")


def _call(*words: object) -> None:
    command: Sequence[str] = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoContainerError(f"{' '.join(command)}: {done.stderr.strip()}")
