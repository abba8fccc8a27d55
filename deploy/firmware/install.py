"""Firmware in a slot made ready to run: its environment, offline, from the release's own wheels.

Every wheel is named to pip with the hash that the signed release has of it, and pip is told of no
other source. Packages that come as source only are taken, where the release has no wheel of them,
from those that provisioning built on this pedal and kept by the hash of their source.
"""

import hashlib
import os
import shutil
import sys
import time
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware import kept
from deploy.firmware.boot import FACTORY
from deploy.firmware.folder import SOURCE, WHEELS
from deploy.firmware.idle import clean_environment, run_idle
from deploy.provision.code import COMPILED
from deploy.release import Release
from deploy.resolve import Pin, Target
from deploy.slots.disk import sync_below

SCRATCH = ".scratch"
"""In a slot, while something is built or tried there."""
_BYTECODE = 1.3
"""What is installed takes so many times the files in the wheels, compiled beside them."""
_PIP_BYTES = 25_000_000
_RESERVE_BYTES = 64_000_000
"""Stays free: what plays has to be able to note things."""
_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Installed:
    """What was installed, and how it went."""

    environment_sha256: str
    """Of the interpreter's version and every wheel's hash: what was built, for the record."""
    packages: int
    bytes: int
    """On the disk, code, wheels and environment together."""
    seconds: float


def install(folder: Path, release: Release, wheels: Path | None = None) -> Installed:
    """Build the environment of the firmware in ``folder`` and compile it, durably.

    ``folder`` holds the release's files, checked by whoever wrote them. ``wheels`` keeps what
    provisioning built; by default ``wheels`` below ``$PURGA_FACTORY`` or the factory's folder.
    Runs at idle priority and without a network. Raises ``UpdateError`` where this release cannot
    run here, ``UpdateFailedError`` where the machine is at fault, such as for want of room; what
    was begun is removed then.
    """
    if wheels is None:
        wheels = Path(os.environ.get("PURGA_FACTORY") or FACTORY) / "wheels"
    return build(folder, {file.path: file.sha256 for file in release.files}, wheels)


def build(folder: Path, hashes: Mapping[str, str], kept_wheels: Path) -> Installed:
    """``install`` of files whose hashes are given by their paths below ``folder``."""
    started_s = time.monotonic()
    home = folder / SOURCE
    target = kept.this_machine()
    chosen = _choose(
        folder, kept.wanted(home / "requirements", target), hashes, kept_wheels, target
    )
    _check_room(folder, chosen)
    scratch = folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _make_environment(home, scratch)
        _install_wheels(home, chosen, scratch)
        _register(home)
        _compile(home)
        sync_below(folder)
    except (UpdateError, OSError) as problem:
        shutil.rmtree(home / ".venv", ignore_errors=True)
        if isinstance(problem, UpdateError):
            raise
        raise UpdateFailedError(
            f"{folder}: the firmware could not be installed ({problem.strerror}); "
            "check the disk and try again."
        ) from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Installed(
        environment_sha256=_environment_sha256(chosen),
        packages=len(chosen),
        bytes=_size_of(folder),
        seconds=round(time.monotonic() - started_s, 1),
    )


# ---- which wheels -------------------------------------------------------------------------------


def _choose(
    folder: Path, pins: Sequence[Pin], hashes: Mapping[str, str], kept_wheels: Path, target: Target
) -> dict[str, kept.Wheel]:
    """A wheel for each pin: the release's, or the one kept here."""
    theirs = {Path(path).name: sha256 for path, sha256 in hashes.items() if path.startswith(WHEELS)}
    chosen: dict[str, kept.Wheel] = {}
    for pin in pins:
        names = [name for name in theirs if kept.is_for(Path(name), pin, target)]
        here = kept.find(kept_wheels, pin, target)
        if names:
            chosen[pin.name] = kept.Wheel(folder / WHEELS / names[0], theirs[names[0]])
        elif here is not None:
            chosen[pin.name] = here
        else:
            raise UpdateError(
                f"The firmware needs {pin.name} {pin.version} for Python {target}, and neither the "
                f"release nor {kept_wheels} has a wheel of it; provision this pedal from the "
                "firmware's source, or publish a release for such pedals."
            )
    return chosen


def remove_built(folder: Path) -> None:
    """Leave nothing but the release's files in a slot. Raises ``OSError``."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    shutil.rmtree(folder / SOURCE / ".venv", ignore_errors=True)
    for compiled in list((folder / SOURCE).rglob("__pycache__")):
        shutil.rmtree(compiled)


def _environment_sha256(chosen: Mapping[str, kept.Wheel]) -> str:
    lines = [sys.version, *(f"{name} {chosen[name].sha256}" for name in sorted(chosen))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# ---- room ---------------------------------------------------------------------------------------


def _check_room(folder: Path, chosen: Mapping[str, kept.Wheel]) -> None:
    needed = _PIP_BYTES + _RESERVE_BYTES
    for wheel in chosen.values():
        try:
            with zipfile.ZipFile(wheel.file) as archive:
                needed += int(_BYTECODE * sum(entry.file_size for entry in archive.infolist()))
        except (OSError, zipfile.BadZipFile) as problem:
            raise UpdateError(f"{wheel.file}: is no wheel ({problem}); publish it again.") from None
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UpdateFailedError(
            f"{folder}: installing the firmware takes {needed / 1e6:.0f} MB, and "
            f"{free / 1e6:.0f} MB are free; free some space and try again."
        )


def _size_of(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(above, name)).st_size
        for above, _, names in os.walk(folder)
        for name in names
    )


# ---- the environment ----------------------------------------------------------------------------


def _make_environment(home: Path, scratch: Path) -> None:
    """An empty one, with the pip that the system brings: the next firmware is installed by it."""
    shutil.rmtree(home / ".venv", ignore_errors=True)
    inherit = ["--system-site-packages"] if _sees_system_packages() else []
    run_idle(
        [sys.executable, "-m", "venv", *inherit, home / ".venv"],
        folder=home,
        environment=clean_environment() | {"TMPDIR": str(scratch)},
        timeout_s=_TIMEOUT_S,
        what="Making the firmware's environment",
    )


def _install_wheels(home: Path, chosen: Mapping[str, kept.Wheel], scratch: Path) -> None:
    """Install just these files, each with its hash."""
    lines = scratch / "requirements.txt"
    lines.write_text(
        "".join(
            f"{name} @ {wheel.file.absolute().as_uri()} --hash=sha256:{wheel.sha256}\n"
            for name, wheel in sorted(chosen.items())
        )
    )
    pip = [home / ".venv" / "bin" / "python", "-m", "pip", "install", "--isolated", "--quiet"]
    pip += ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-index"]
    pip += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--ignore-installed"]
    run_idle(
        [*pip, "--requirement", lines],
        folder=home,
        environment=clean_environment() | {"TMPDIR": str(scratch)},
        timeout_s=_TIMEOUT_S,
        what="Installing the firmware's packages",
    )


def _sees_system_packages() -> bool:
    """Whether the environment that runs now sees the system's: on a Jetson TensorRT is there."""
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "") == "include-system-site-packages=true" for line in lines)


def _register(home: Path) -> None:
    """Write the project's metadata, and with them its entry points: there is no code to install."""
    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    packages = next((home / ".venv" / "lib").glob("python3*")) / "site-packages"
    folder = packages / f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    groups = project.get("entry-points", {}).items()
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "INSTALLER": "purga\n",
        "entry_points.txt": "\n".join(
            f"[{group}]\n" + "".join(f"{entry} = {value}\n" for entry, value in entries.items())
            for group, entries in groups
        ),
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    (folder / "RECORD").write_text("".join(f"{folder.name}/{file},,\n" for file in files))


def _compile(home: Path) -> None:
    """Compile the project; pip has compiled the packages. Services may not write there."""
    run_idle(
        [home / ".venv" / "bin" / "python", "-m", "compileall", "-q", "-j1", *COMPILED],
        folder=home,
        environment=clean_environment(),
        timeout_s=_TIMEOUT_S,
        what="Compiling the firmware",
        fault=UpdateError,
    )
