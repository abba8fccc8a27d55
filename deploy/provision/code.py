"""The pedal's code, its environment, its registration there and its bytecode."""

import filecmp
from pathlib import Path

from deploy.firmware.day import DAY_FILE, day_of
from deploy.provision.errors import ProvisionError
from deploy.provision.machine import Machine
from deploy.provision.whole import copy_tree, differs, files_below, put
from models.replace import replaced_folder

FOLDERS = ("models", "device", "build", "deploy", "requirements")
FILES = ("pyproject.toml", "README.md", "LICENSE")


def is_its_own_source(machine: Machine) -> str | None:
    """Why nothing is copied: provisioning runs from where the pedal lives."""
    return "it runs from there" if machine.source == machine.home.resolve() else None


def code_missing(machine: Machine) -> str | None:
    """Which part of the code is not as it is here."""
    changed = [name for name in FOLDERS if not _same(machine.source / name, machine.home / name)]
    changed += [name for name in _files(machine) if _file_differs(machine, name)]
    day = day_of(machine.source)
    if day is not None and differs(machine.home / DAY_FILE, day):
        changed.append(DAY_FILE)
    if changed:
        return f"{machine.target} differs from {machine.source} in {', '.join(changed)}"
    return None


def copy_code(machine: Machine) -> None:
    """Replace what differs, each folder in one step, so that power lost on the way does no harm."""
    machine.home.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        source, target = machine.source / name, machine.home / name
        if not _same(source, target):
            with replaced_folder(target) as partial:
                copy_tree(source, partial)
    for name in _files(machine):
        if _file_differs(machine, name):
            put(machine.home / name, (machine.source / name).read_bytes())
    day = day_of(machine.source)
    if day is not None:
        put(machine.home / DAY_FILE, day)


def _files(machine: Machine) -> list[str]:
    return [name for name in FILES if (machine.source / name).is_file()]


def _file_differs(machine: Machine, name: str) -> bool:
    return differs(machine.home / name, (machine.source / name).read_bytes())


def _same(source: Path, target: Path) -> bool:
    names = list(files_below(source))
    if not target.is_dir() or names != list(files_below(target)):
        return False
    return not any(filecmp.cmpfiles(source, target, [str(name) for name in names], False)[1:])


# ---- the environment ----------------------------------------------------------------------------

# Run by the environment's own interpreter, which has what reads the requirement files.
_UNINSTALLED = """
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from packaging.requirements import Requirement
for name in sys.argv[1:]:
    for line in Path("requirements", f"{name}.txt").read_text().splitlines():
        if "==" not in line or not line[:1].isalnum():
            continue
        wanted = Requirement(line.rstrip("\\\\ "))
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            right = wanted.specifier.contains(version(wanted.name))
        except PackageNotFoundError:
            right = False
        if not right:
            print(wanted.name)
"""
LEVEL = "board"
"""Of ``deploy/host-setup``: run, and what a real board needs."""
_REQUIREMENTS = ("run", "tools", "board", "update")


def environment_missing(machine: Machine) -> str | None:
    """Which locked packages are not installed."""
    if not machine.python.exists():
        return f"{machine.target}/.venv is missing"
    try:
        names = machine.run(
            [machine.python, "-c", _UNINSTALLED, *_REQUIREMENTS], folder=machine.home
        ).split()
    except ProvisionError:
        return f"{machine.target}/.venv does not run"
    if not names:
        return None
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} not installed as locked"


def make_environment(machine: Machine) -> None:
    """Have ``deploy/host-setup`` install what is locked, and what compiling it takes."""
    # It trusts its stamps; the question above has found them wrong.
    for stamp in (machine.home / ".venv" / "stamps").glob("*"):
        stamp.unlink()
    machine.run([machine.home / "deploy" / "host-setup", LEVEL], folder=machine.home, shown=True)


# ---- the registration ---------------------------------------------------------------------------

# Prints which of pyproject.toml's entry points are not registered, in a folder of no project.
_UNREGISTERED = """
import sys, tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
try:
    found = distribution(project["name"])
except PackageNotFoundError:
    print("the project itself")
    sys.exit()
there = {(entry.group, entry.name, entry.value) for entry in found.entry_points}
if found.version != project["version"]:
    print("version", project["version"])
for group, entries in project.get("entry-points", {}).items():
    for name, value in entries.items():
        if (group, name, value) not in there:
            print(group, name)
"""


def registration_missing(machine: Machine) -> str | None:
    """Which entry point, such as gpiozero's pin factory, nobody would find."""
    if not machine.python.exists():
        return "there is no environment to register in"
    command = [machine.python, "-I", "-c", _UNREGISTERED, machine.home / "pyproject.toml"]
    names = machine.run(command, folder=Path("/")).splitlines()
    return f"{names[0]} is not registered" if names else None


def register(machine: Machine) -> None:
    """Install the project's metadata, which brings entry points, not code."""
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    install += ["--root-user-action=ignore", "--no-deps", "--no-index", "--no-build-isolation"]
    machine.run([machine.python, *install, "--force-reinstall", machine.home], folder=Path("/"))


# ---- bytecode -----------------------------------------------------------------------------------

# Prints the first source file whose bytecode is missing or older than it.
_UNCOMPILED = """
import importlib.util, pathlib, struct, sys
for folder in sys.argv[1:]:
    for source in sorted(pathlib.Path(folder).rglob("*.py")):
        compiled = pathlib.Path(importlib.util.cache_from_source(source))
        made = source.stat()
        right = b"\\0" * 4 + struct.pack("<II", int(made.st_mtime) & 0xFFFFFFFF, made.st_size)
        header = importlib.util.MAGIC_NUMBER + right
        if not compiled.exists() or compiled.read_bytes()[:16] != header:
            print(source)
            sys.exit()
"""
COMPILED = ("models", "device", "build", "deploy")


def bytecode_missing(machine: Machine) -> str | None:
    """Whether a start would compile: it takes seconds, and the services may not write there."""
    if not machine.python.exists():
        return "there is no environment to compile with"
    command = [machine.python, "-c", _UNCOMPILED, *COMPILED]
    first = machine.run(command, folder=machine.home).strip()
    return f"{first} is not compiled" if first else None


def compile_code(machine: Machine) -> None:
    """Compile the project; the packages were compiled when they were installed."""
    command = [machine.python, "-m", "compileall", "-q", "-j0", *COMPILED]
    machine.run(command, folder=machine.home)
