"""The player's files: pedal.toml, presets, and the way of the knob found for each of them."""

import tomllib
from pathlib import Path
from typing import Any

from deploy.provision.errors import ProvisionError, ProvisionInputError
from deploy.provision.machine import CACHE, SETTINGS, USER, Machine
from deploy.provision.whole import files_below, put


def player_settings(machine: Machine) -> dict[str, Any]:
    """The machine's ``pedal.toml``, or the one that it would be given; not checked, only parsed.

    Raises ``ProvisionInputError`` for one that is no TOML.
    """
    file = machine.pedal_toml if machine.pedal_toml.exists() else machine.given_config
    try:
        return tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProvisionInputError(f"{file}: cannot be read as TOML ({error})") from None


def audio_cpus(machine: Machine) -> tuple[int, ...]:
    """Processors that audio has to itself, sorted: ``--cpus``, else ``[audio] cpus``."""
    cpus = machine.cpus
    if cpus is None:
        cpus = tuple(player_settings(machine).get("audio", {}).get("cpus", ()))
    return tuple(sorted(set(cpus)))


def config_missing(machine: Machine) -> str | None:
    """Whether there is a ``pedal.toml``; one that is there is the player's."""
    if machine.pedal_toml.exists():
        return None
    return f"{SETTINGS}/pedal.toml is missing"


def put_config(machine: Machine) -> None:
    """Give the machine a ``pedal.toml``."""
    player_settings(machine)
    put(machine.pedal_toml, machine.given_config.read_bytes())


def _new_presets(machine: Machine) -> list[Path]:
    folder = machine.path(SETTINGS / "presets")
    if not machine.given_presets.is_dir():
        raise ProvisionInputError(f"{machine.given_presets}: is no folder of presets")
    names = (name for name in files_below(machine.given_presets) if name.name != "pedal.toml")
    return [name for name in names if not (folder / name).exists()]


def presets_missing(machine: Machine) -> str | None:
    """Which presets, and files of theirs, the machine lacks; what it has is the player's."""
    names = _new_presets(machine)
    return f"{SETTINGS}/presets lacks {len(names)} files" if names else None


def put_presets(machine: Machine) -> None:
    """Add what is missing, and overwrite nothing."""
    for name in _new_presets(machine):
        content = (machine.given_presets / name).read_bytes()
        put(machine.path(SETTINGS / "presets" / name), content)


# ---- the way of the knob ------------------------------------------------------------------------


def _ways(machine: Machine, *words: str, shown: bool = False) -> str:
    command = [machine.python, "-m", "deploy.provision.ways", *words, machine.pedal_toml]
    # As the services see it: their user, folders and home; and nothing is told to anybody.
    environment = {
        "CACHE_DIRECTORY": str(CACHE),
        "HOME": "/var/lib/purga",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return machine.run(
        command, user=USER, folder=machine.home, environment=environment, shown=shown
    )


def ways_missing(machine: Machine) -> str | None:
    """For which presets of the bank a start would have to find the way: seconds each."""
    if not machine.python.exists():
        return "there is no environment to find it with"
    if not machine.path(CACHE).is_dir():
        return f"{CACHE} is missing"
    try:
        names = _ways(machine, "--check").splitlines()
    except ProvisionError as error:
        return f"the bank cannot be read: {error}"
    return f"not yet found for {', '.join(names)}" if names else None


def find_ways(machine: Machine) -> None:
    """Find them now, as the pedal's user and into the services' cache."""
    _ways(machine, shown=True)
