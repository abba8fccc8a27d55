"""One run of the virtual pedal: an emulated machine in virtual time, a job in, artefacts out.

The guest's clock counts instructions (``-icount``): 2 ns each at ``shift=1``. It misses no
deadline because the host is busy, and idle time costs nothing. So times are the guest's own,
and say nothing of a Jetson's speed.
"""

import json
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.processes.realtime import die_with_parent
from hil.virtual.climate import RAW, judge, write_raw
from hil.virtual.errors import VirtualError
from hil.virtual.exchange import PORT
from hil.virtual.kernel import Kernel
from hil.virtual.led import Programme, Record, serve

_PACKAGE = Path(__file__).resolve().parents[1]
_CPU = "max,-erms"
"""Without the quick string moves: here each of their bytes counts as an instruction, so that
clearing an echo's two megabytes would take 4 ms, where a loop of vectors takes a thirtieth."""
_TAIL_LINES = 25


@dataclass(frozen=True)
class Job:
    """What one run of the machine does."""

    name: str
    """A module of ``hil.virtual.scenarios``."""
    options: dict[str, Any] = field(default_factory=dict)
    etc: dict[str, str] = field(default_factory=dict)
    """Files below ``/etc`` that are put there before the pedal starts."""
    leave_out: tuple[str, ...] = ()
    """Hardware that is missing at boot: ``card``, ``spi``."""
    files: dict[str, Path] = field(default_factory=dict)
    """Files or folders that lie in ``/job/files`` by these names."""
    limit_s: float = 600.0
    """Wall time after which the run is given up."""
    shift: int = 1
    """The guest's speed: 2 to this power ns an instruction."""
    plant: Programme | None = None
    """What a plant does to the guest that leads it; None: the job has no plant."""


@dataclass(frozen=True)
class Run:
    """What one run left."""

    folder: Path
    """The job's folder: ``out/`` with artefacts, ``console.log``, ``agent.log``."""
    result: dict[str, Any]
    """What the scenario returned."""
    wall_s: float


def run(image: Path, kernel: Kernel, job: Job, folder: Path) -> Run:
    """Boot, do the job, power off. Raises ``VirtualError`` when it does not get to its end."""
    _lay_out(job, folder)
    start_s = time.monotonic()
    plant = None if job.plant is None else _Plant(job.plant, job.limit_s)
    ends = [] if plant is None else [plant.guests_end.fileno()]
    with (folder / "qemu.log").open("w") as log:
        machine = subprocess.Popen(
            [*_command(image, kernel, job, folder), *_port(ends)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=ends,
            # Who stops a run, however, stops its machines.
            preexec_fn=die_with_parent,
        )
    if plant is not None:
        plant.begin()
    try:
        _wait(machine, job, folder)
    finally:
        if machine.poll() is None:
            machine.kill()
            machine.wait()
        record = None if plant is None else plant.end()
    if record is not None:
        write_raw(record, folder / RAW)
    result = folder / "out" / "result.json"
    if not result.exists():
        raise VirtualError(
            f"scenario {job.name}: the machine ended without a result (exit code "
            f"{machine.returncode}); its last lines:\n{tail(folder)}"
        )
    found = json.loads(result.read_text())
    if record is not None:
        judged = judge(record)
        # What the guest says broke off is what the plant saw, or follows from it.
        judged["failed_because"] = judged["failed_because"] or found["failed_because"]
        found |= judged
    return Run(folder, found, time.monotonic() - start_s)


class _Plant:
    """A plant at the host's end of a line, in a thread of its own."""

    def __init__(self, programme: Programme, silence_s: float) -> None:
        self._line, self.guests_end = socket.socketpair()
        self._programme, self._silence_s = programme, silence_s
        self._record: Record | None = None
        self._thread = threading.Thread(target=self._serve, name="plant", daemon=True)

    def begin(self) -> None:
        """Answer from now on. The machine has its end by now: when it dies, the line ends."""
        self.guests_end.close()
        self._thread.start()

    def end(self) -> Record:
        """What was exchanged; the machine has ended."""
        self._thread.join()
        assert self._record is not None
        return self._record

    def _serve(self) -> None:
        self._record = serve(self._line, self._programme, self._silence_s)


def tail(folder: Path) -> str:
    """The last lines of a run's logs."""
    lines = []
    for name in ("qemu.log", "console.log", "agent.log"):
        path = folder / name
        text = path.read_text(errors="replace") if path.exists() else ""
        lines += [f"  {name}: {line}" for line in text.splitlines()[-_TAIL_LINES:]]
    return "\n".join(lines)


def _lay_out(job: Job, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    shutil.copytree(_PACKAGE, folder / "hil", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "job.json").write_text(json.dumps({"name": job.name, "options": job.options}))
    (folder / "hardware").write_text(" ".join(job.leave_out) + "\n")
    for name, text in job.etc.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, source in job.files.items():
        target = folder / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)


def _command(image: Path, kernel: Kernel, job: Job, folder: Path) -> list[str]:
    if shutil.which("qemu-system-x86_64") is None:
        raise VirtualError("qemu-system-x86_64 is missing; run make hil as root, which installs it")
    append = "console=ttyS0 root=/dev/vda rw loglevel=4 panic=-1 systemd.show_status=0"
    parts = ["qemu-system-x86_64", "-accel", "tcg,thread=single,tb-size=512", "-smp", "1"]
    parts += ["-icount", f"shift={job.shift},sleep=off", "-cpu", _CPU, "-m", "2048"]
    parts += ["-display", "none"]
    parts += ["-nodefaults", "-no-user-config", "-monitor", "none"]
    parts += ["-kernel", str(kernel.image), "-append", append]
    parts += ["-drive", f"file={image},if=virtio,format=raw,snapshot=on,cache=unsafe"]
    parts += [
        "-serial",
        f"file:{folder / 'console.log'}",
        "-serial",
        f"file:{folder / 'agent.log'}",
    ]
    parts += ["-fsdev", f"local,id=job,path={folder},security_model=none"]
    parts += ["-device", "virtio-9p-pci,fsdev=job,mount_tag=job"]
    parts += ["-device", "i6300esb", "-action", "watchdog=reset"]
    return parts


def _port(ends: list[int]) -> list[str]:
    """The serial port at which the guest finds the plant, where there is one."""
    parts: list[str] = []
    for end in ends:
        parts += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=plant,fd={end}"]
        parts += ["-device", f"virtserialport,chardev=plant,name={PORT}"]
    return parts


def _wait(machine: "subprocess.Popen[bytes]", job: Job, folder: Path) -> None:
    """Wait for the machine's end. Raises ``VirtualError`` where it does not come in time."""
    try:
        machine.wait(job.limit_s)
    except subprocess.TimeoutExpired:
        raise VirtualError(
            f"scenario {job.name}: not done after {job.limit_s:.0f} s; its last lines:\n"
            f"{tail(folder)}"
        ) from None
