"""Processors that audio has to itself: in the service manager, and on the kernel's command line.

The service manager keeps its services off them (``CPUAffinity=``); the kernel keeps its own work
off them too (``isolcpus``, ``nohz_full``, ``rcu_nocbs``, ``irqaffinity``: kernel-parameters.txt),
from the next start of the machine on.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from deploy.provision.errors import ProvisionInputError
from deploy.provision.machine import Machine
from deploy.provision.settings import audio_cpus
from deploy.provision.whole import differs, put

_MANAGER = Path("/etc/systemd/system.conf.d/purga-cpus.conf")
_AUDIO = ("purga-audio", "purga-degraded")
EXTLINUX = Path("/boot/extlinux/extlinux.conf")
"""Where a Jetson's boot loader reads the kernel's command line."""
BACKUP_SUFFIX = ".before-purga"
_OURS = re.compile(r"(?:isolcpus|nohz_full|rcu_nocbs|irqaffinity)=")


def cpu_list(cpus: Iterable[int]) -> str:
    """Such as ``0-3,5``, as the kernel and the service manager take it."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _others(machine: Machine) -> list[int]:
    """The processors that are left. Raises ``ProvisionInputError`` where none would be."""
    cpus, count = audio_cpus(machine), os.cpu_count() or 1
    others = sorted(set(range(count)) - set(cpus))
    if cpus and cpus[-1] >= count:
        raise ProvisionInputError(
            f"audio is given processor {cpus[-1]}, but the machine has 0…{count - 1}; "
            "change [audio] cpus in pedal.toml"
        )
    if cpus and not others:
        raise ProvisionInputError(f"audio is given all {count} processors; leave it fewer")
    return others


def needs_no_cpus(machine: Machine) -> str | None:
    """Why nothing is isolated."""
    # How many processors it has, and so which are left for the rest, only the machine itself knows.
    if not machine.booted:
        return "the machine does not run; this is its image"
    return None if audio_cpus(machine) else "[audio] cpus of pedal.toml names none"


def _drop_ins(machine: Machine) -> dict[Path, bytes]:
    audio = f"[Service]\nCPUAffinity={cpu_list(audio_cpus(machine))}\n"
    manager = f"# All but audio.\n[Manager]\nCPUAffinity={cpu_list(_others(machine))}\n"
    files = {machine.path(_MANAGER): manager.encode()}
    for name in _AUDIO:
        files[machine.path(f"/etc/systemd/system/{name}.service.d/cpus.conf")] = audio.encode()
    return files


def affinity_missing(machine: Machine) -> str | None:
    """Whether the service manager does not yet keep everything else off audio's processors."""
    try:
        files = _drop_ins(machine)
    except ProvisionInputError as error:
        return str(error)
    if any(differs(path, text) for path, text in files.items()):
        return f"processors {cpu_list(audio_cpus(machine))} are not audio's alone"
    return None


def set_affinity(machine: Machine) -> None:
    """Write the drop-ins; services take them over when they are next started."""
    for path, text in _drop_ins(machine).items():
        put(path, text)
    if machine.booted:
        machine.run(["systemctl", "daemon-reexec"])


# ---- the kernel's command line ------------------------------------------------------------------


def has_no_extlinux(machine: Machine) -> str | None:
    """Why the kernel's command line is left alone."""
    if not machine.path(EXTLINUX).exists():
        return f"no {EXTLINUX} here; give isolcpus= to this machine's boot loader yourself"
    return needs_no_cpus(machine)


def isolated(text: str, cpus: Iterable[int], others: Iterable[int]) -> str:
    """An extlinux.conf whose every ``APPEND`` isolates ``cpus``, whatever it isolated before."""
    mine, theirs = cpu_list(cpus), cpu_list(others)
    ours = f"isolcpus=managed_irq,domain,{mine} nohz_full={mine} rcu_nocbs={mine}"
    lines = []
    for line in text.splitlines():
        match = re.match(r"(\s*APPEND\s+)(.*)", line, re.IGNORECASE)
        if match:
            kept = [word for word in match[2].split() if not _OURS.match(word)]
            line = match[1] + " ".join([*kept, ours, f"irqaffinity={theirs}"])
        lines.append(line)
    return "\n".join(lines) + "\n"


def _wanted_extlinux(machine: Machine) -> tuple[str, str]:
    text = machine.path(EXTLINUX).read_text()
    return text, isolated(text, audio_cpus(machine), _others(machine))


def command_line_missing(machine: Machine) -> str | None:
    """Whether the boot loader's file does not isolate audio's processors."""
    text, wanted = _wanted_extlinux(machine)
    return None if text == wanted else f"{EXTLINUX} does not isolate them"


def set_command_line(machine: Machine) -> None:
    """Rewrite it, once the machine's own has been kept beside it."""
    path = machine.path(EXTLINUX)
    text, wanted = _wanted_extlinux(machine)
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    if not backup.exists():
        put(backup, text.encode())
    put(path, wanted.encode())
