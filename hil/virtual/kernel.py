"""The kernel of the virtual pedal: Debian's source, real-time, with simulated parts for drivers."""

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hil.virtual.cache import digest, kept, scratch
from hil.virtual.errors import VirtualError
from hil.virtual.steps import run, say

_HERE = Path(__file__).parent
CONFIG = _HERE / "kernel.config"
MODULES = _HERE / "kernel_modules"
_SOURCES = Path("/usr/src")
_OLDEST = (6, 12)
"""The first with real-time preemption without a patch."""


@dataclass(frozen=True)
class Kernel:
    """A built kernel."""

    image: Path
    modules: Path
    """A tree with ``lib/modules/RELEASE``."""


def source_archive(folder: Path = _SOURCES) -> Path:
    """The newest kernel source that a ``linux-source`` package put there.

    Raises ``VirtualError`` where there is none, or none that is new enough.
    """
    found = []
    for path in folder.glob("linux-source-*.tar.xz"):
        match = re.fullmatch(r"linux-source-(\d+)\.(\d+)\.tar\.xz", path.name)
        if match is not None:
            found.append(((int(match[1]), int(match[2])), path))
    usable = [each for each in found if each[0] >= _OLDEST]
    if not usable:
        there = ", ".join(path.name for _, path in found) or "nothing"
        raise VirtualError(
            f"{folder}: the virtual pedal's kernel needs Debian's package linux-source of Linux "
            f"{_OLDEST[0]}.{_OLDEST[1]} or later, and there is {there}; run make hil as root, or "
            "apt-get install linux-source-6.12"
        )
    return max(usable)[1]


def kernel() -> Kernel:
    """Build the kernel, or find the one that was built of the same sources."""
    if platform.machine() != "x86_64":
        raise VirtualError(
            f"the virtual pedal is an x86-64 machine and this is {platform.machine()}; run "
            "make hil on an x86-64 machine"
        )
    archive = source_archive()
    sources = [archive, CONFIG, *sorted(MODULES.iterdir())]
    folder = kept("kernel", digest(sources), lambda target: _build(archive, target))
    return Kernel(folder / "bzImage", folder / "modules")


def _build(archive: Path, target: Path) -> None:
    with scratch("kernel") as name:
        tree = Path(name) / "linux"
        tree.mkdir()
        run(
            f"unpacking {archive.name}",
            ["tar", "-xJf", archive, "-C", tree, "--strip-components=1"],
        )
        make = ["make", "-C", str(tree), f"-j{len(os.sched_getaffinity(0))}"]
        run("configuring the kernel", [*make, "allnoconfig"])
        merge = tree / "scripts" / "kconfig" / "merge_config.sh"
        run("merging its configuration", [merge, "-m", ".config", CONFIG], cwd=tree)
        run("settling its configuration", [*make, "olddefconfig"])
        _check_config(tree / ".config")
        run("compiling the kernel (some seven minutes on two cores)", [*make, "bzImage", "modules"])
        ours = Path(name) / "ours"
        shutil.copytree(MODULES, ours)
        run("compiling the simulated parts", [*make, f"M={ours}", "modules"])
        for extra in ([], [f"M={ours}"]):
            install = [f"INSTALL_MOD_PATH={target / 'modules'}", "INSTALL_MOD_STRIP=1"]
            run("installing modules", [*make, *extra, *install, "modules_install"])
        for link in (target / "modules" / "lib" / "modules").glob("*/build"):
            link.unlink()
        shutil.copy(tree / "arch" / "x86" / "boot" / "bzImage", target / "bzImage")
    say(f"kernel: {(target / 'bzImage').stat().st_size / 2**20:.1f} MiB")


def _check_config(made: Path) -> None:
    """Raises ``VirtualError`` when the source does not know an option that is asked for."""
    have = set(made.read_text().splitlines())
    asked = [line for line in CONFIG.read_text().splitlines() if re.match(r"CONFIG_\w+=", line)]
    missing = [line for line in asked if line not in have and not line.endswith("=n")]
    if missing:
        raise VirtualError(
            f"{CONFIG.name}: this kernel source does not take {', '.join(missing)}; "
            "its options were renamed or lack what they depend on"
        )


def unpack_modules(built: Kernel, root: Path) -> None:
    """Put the modules into a root file system."""
    shutil.copytree(built.modules / "lib", root / "lib", dirs_exist_ok=True, symlinks=True)
    for release in (built.modules / "lib" / "modules").iterdir():
        run("listing modules", ["depmod", "-b", root, release.name])
