"""What updates need: the choice of firmware at boot, kept wheels, settings, a root of trust."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.firmware.units import NOTE, TOOL, units_sha256
from deploy.places import SETTINGS, USER, Places
from deploy.provision.code import FOLDERS
from deploy.provision.errors import ProvisionInputError
from deploy.provision.machine import Machine
from deploy.provision.whole import differs, files_below, put

PYTHON = Path("/usr/bin/python3")
"""The system's own, which no firmware replaces."""
HOLD = Path("/run/purga-provisioning")
"""While it is there no update is begun."""

# ---- what runs at boot --------------------------------------------------------------------------

_TOOL_FILES = (
    *("deploy/__init__.py", "deploy/errors.py", "deploy/places.py"),
    *("deploy/firmware/__init__.py", "deploy/firmware/boot.py", "deploy/slots/*.py"),
    *("models/__init__.py", "models/errors.py"),
)
"""Standard library only. Beside them ``__main__.py``, so that Python runs the folder."""
_MAIN = b'''"""Which firmware plays: see deploy/firmware/boot.py."""

import sys

from deploy.firmware.boot import main

sys.exit(main())
'''


def tool_files(machine: Machine) -> dict[Path, bytes]:
    """The files of what runs at boot, by where they go."""
    found = {
        file.relative_to(machine.source): file.read_bytes()
        for pattern in _TOOL_FILES
        for file in sorted(machine.source.glob(pattern))
    }
    found[Path("__main__.py")] = _MAIN
    found[Path(NOTE)] = f"{units_sha256(machine.source)}\n".encode()
    return {machine.path(TOOL / inside): content for inside, content in found.items()}


def tool_missing(machine: Machine) -> str | None:
    """Whether what chooses the firmware at boot is not as it is here."""
    files = tool_files(machine)
    if any(differs(path, content) for path, content in files.items()):
        return f"{TOOL} is not installed as it is here"
    there = {machine.path(TOOL) / inside for inside in files_below(machine.path(TOOL))}
    surplus = sorted(there - set(files))
    return f"{surplus[0].name} in {TOOL} is of an earlier version" if surplus else None


def put_tool(machine: Machine) -> None:
    """Install it, and compile it: it runs at each boot that has a choice."""
    files = tool_files(machine)
    folder = machine.path(TOOL)
    for inside in list(files_below(folder)):
        if folder / inside not in files:
            (folder / inside).unlink()
    for path, content in files.items():
        if differs(path, content):
            put(path, content)
    machine.run([PYTHON, "-I", "-S", "-m", "compileall", "-q", TOOL])


# ---- wheels of what comes as source only --------------------------------------------------------


def _kept(machine: Machine, *words: str, shown: bool = False) -> str:
    command = [machine.python, "-m", "deploy.firmware.kept", *words, machine.target / "wheels"]
    quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
    return machine.run(command, folder=machine.home, environment=quiet, shown=shown)


def wheels_missing(machine: Machine) -> str | None:
    """Which compiled packages are not kept: firmware that comes by an update installs from them."""
    if not machine.python.exists():
        return "there is no environment to build them with"
    names = _kept(machine, "--check").split()
    return f"{', '.join(names)} not kept as compiled" if names else None


def build_wheels(machine: Machine) -> None:
    """Build and keep them, while there are a compiler and a network."""
    _kept(machine, shown=True)


# ---- settings and trust -------------------------------------------------------------------------


def settings_missing(machine: Machine) -> str | None:
    """Whether there is an ``update.toml``; one that is there is the player's."""
    return None if machine.path(SETTINGS).exists() else f"{SETTINGS} is missing"


def put_settings(machine: Machine) -> None:
    """Give the machine one that names no server."""
    put(machine.path(SETTINGS), (machine.source / "deploy/units/update.toml").read_bytes())


def trust_missing(machine: Machine) -> str | None:
    """Whether the root of trust is missing, or not the one that was given."""
    there = machine.path(Places().trusted_root)
    given = machine.given_root
    if machine.root_json is not None and given is not None:
        if differs(there, given.read_bytes()):
            return f"the root of trust is not {machine.root_json}"
        return None
    if there.exists():
        return None
    if given is None:
        return "updates are off: there is no root of trust; give one by --root FILE"
    return "the root of trust is missing"


def put_trust(machine: Machine) -> None:
    """Have the pedal trust the root that was given, or the one that the project ships.

    Written by updates' own user: root writes nothing where another user could lead it astray.
    """
    given = machine.given_root
    if given is None:
        return
    command = [machine.python, "-m", "deploy", "trust", "--root", "-", "--yes"]
    machine.run(command, user=USER, folder=machine.home, answer=given.read_text())


# ---- which firmware plays -----------------------------------------------------------------------

_PROVISIONED = "provisioned.sha256"


def _code_sha256(machine: Machine) -> str:
    """The hash of the code in the pedal's folder."""
    total = hashlib.sha256()
    for name in FOLDERS:
        for inside in files_below(machine.home / name):
            total.update(f"{name}/{inside}\0".encode())
            total.update(hashlib.sha256((machine.home / name / inside).read_bytes()).digest())
    return total.hexdigest() + "\n"


def firmware_outdated(machine: Machine) -> str | None:
    """Whether the slots hold firmware from before the code that was provisioned."""
    if not differs(machine.home / _PROVISIONED, _code_sha256(machine).encode()):
        return None
    if os.path.lexists(machine.path(Places().slots("firmware") / "active")):
        return "the pedal would play firmware from before what was provisioned"
    return "it is not noted which code was provisioned"


def play_provisioned(machine: Machine) -> None:
    """Empty the slots, so that what was provisioned plays; later updates fill them again."""
    slots = machine.path(Places().slots("firmware"))
    if os.path.lexists(slots / "active") or (slots / "slots.json").exists():
        machine.run([PYTHON, "-I", "-S", TOOL, "forget", "--factory", machine.target], user=USER)
    put(machine.home / _PROVISIONED, _code_sha256(machine).encode())


@contextmanager
def updates_held(machine: Machine) -> Iterator[None]:
    """No update runs while provisioning does; one that runs is ended, and goes on later."""
    hold = machine.path(HOLD)
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    try:
        if machine.booted:
            for name in ("purga-update.service", "purga-import.service"):
                if machine.path(f"/etc/systemd/system/{name}").exists():
                    machine.run(["systemctl", "stop", name])
        yield
    finally:
        hold.unlink(missing_ok=True)


def checked_root(path: Path) -> Path:
    """A file that may be a root of trust. Raises ``ProvisionInputError``."""
    try:
        if '"root"' not in path.read_text():
            raise ProvisionInputError(f"{path}: is no root.json of python -m deploy keys")
    except (OSError, UnicodeDecodeError) as problem:
        raise ProvisionInputError(f"{path}: cannot be read ({problem})") from None
    return path.absolute()
