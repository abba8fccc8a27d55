"""The release folder of the firmware: ``source/`` from a checkout, ``wheels/`` for one machine."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import UpdateError
from deploy.firmware import kept
from deploy.firmware.day import DAY_FILE, day_of
from deploy.firmware.pip import pip, requirement
from deploy.firmware.units import units_sha256
from deploy.provision.code import FILES, FOLDERS
from deploy.provision.whole import files_below
from deploy.resolve import SOURCE_ONLY, Pin, Target
from models.replace import replaced_folder

SOURCE, WHEELS = "source", "wheels"


@dataclass(frozen=True)
class Made:
    """What a release folder holds."""

    target: Target
    files: int
    wheels: int
    bytes: int
    left_to_the_pedal: tuple[str, ...]
    """Source-only packages of which it holds no wheel: the pedal takes its own, built there."""
    units_sha256: str
    """Of the units and settings that it was made for."""
    commit: str | None
    """Of the checkout; None where it is none. ``changed`` says whether files differ from it."""
    changed: bool


def make(
    checkout: Path,
    folder: Path,
    target: Target,
    built: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Made:
    """Fill ``folder``, in one step, with what firmware for ``target`` is installed from.

    ``built`` keeps wheels of source-only packages (``kept``); for this machine's own Python what it
    lacks is built, for another it is left to the pedal. Raises ``UpdateError`` for a folder that
    holds something else or a checkout that is not whole, ``UpdateFailedError`` where packages
    cannot be fetched or built.
    """
    _check_place(folder)
    files = product_files(checkout)
    pins = kept.wanted(checkout / "requirements", target)
    if target == kept.this_machine():
        absent = kept.missing(built, checkout / "requirements", target)
        if absent:
            say(f"building {', '.join(pin.name for pin in absent)}")
            kept.build(built, absent, checkout / "requirements")
    with replaced_folder(folder) as partial:
        for file in files:
            there = partial / SOURCE / file
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / file, there)
            there.chmod(0o755 if os.access(checkout / file, os.X_OK) else 0o644)
        day = day_of(checkout)
        if day is not None:
            (partial / SOURCE / DAY_FILE).write_bytes(day)
        wheels = partial / WHEELS
        wheels.mkdir()
        left = _add_built(wheels, pins, target, built)
        published = [pin for pin in pins if pin.name not in SOURCE_ONLY]
        say(f"fetching {len(published)} wheels for Python {target}")
        fetch(published, target, wheels)
        _check_wheels(wheels, published, target)
        everything = [path for path in partial.rglob("*") if path.is_file()]
        commit, changed = _commit(checkout, files)
        return Made(
            target=target,
            files=len(files) + (day is not None),
            wheels=sum(1 for _ in wheels.iterdir()),
            bytes=sum(path.stat().st_size for path in everything),
            left_to_the_pedal=tuple(left),
            units_sha256=units_sha256(partial / SOURCE),
            commit=commit,
            changed=changed,
        )


def fetch(pins: list[Pin], target: Target, folder: Path) -> None:
    """Fetch the wheels of ``pins`` for another machine, each with one of its locked hashes.

    pip reads environment markers as this machine's, so it is given the pins without any.
    """
    lines = folder / ".requirements"
    lines.write_text("".join(requirement(pin) for pin in pins))
    platforms = sorted({tag.platform for tag in target.tags()} - {"any"})
    abi = f"cp{target.python[0]}{target.python[1]}"
    words: list[object] = ["download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += ["--python-version", target.version, "--implementation", "cp", "--abi", abi]
    words += [f"--platform={platform}" for platform in platforms]
    try:
        pip([*words, "--dest", folder, "--requirement", lines], "Fetching the wheels")
    finally:
        lines.unlink()


def product_files(checkout: Path) -> list[Path]:
    """The code that ships, relative to the checkout: what git tracks, or all that is not hidden."""
    listed = [name for name in FILES if (checkout / name).is_file()]
    lacking = sorted({*FOLDERS, "pyproject.toml"} - {path.name for path in checkout.iterdir()})
    if lacking:
        raise UpdateError(f"{checkout}: is no checkout of the project, {lacking[0]} is missing.")
    tracked = _git(checkout, "ls-files", "-z", "--", *FOLDERS, *FILES)
    if tracked is not None:
        names = [Path(name) for name in tracked.split("\0") if name]
        return sorted(name for name in names if (checkout / name).is_file())
    below = [Path(name) / file for name in FOLDERS for file in files_below(checkout / name)]
    return sorted([*below, *map(Path, listed)])


def _git(checkout: Path, *words: str) -> str | None:
    """What git says; None where the folder is not a checkout of its own, or there is no git."""
    if not (checkout / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", checkout, *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _commit(checkout: Path, files: list[Path]) -> tuple[str | None, bool]:
    commit = _git(checkout, "rev-parse", "HEAD")
    if commit is None:
        return None, False
    differing = _git(checkout, "status", "--porcelain", "--", *FOLDERS, *FILES) or ""
    return commit.strip(), bool(differing.strip())


def _check_place(folder: Path) -> None:
    """Raises ``UpdateError`` where replacing ``folder`` would take something else away."""
    if not folder.exists():
        return
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else {"a file"}
    if there - {SOURCE, WHEELS}:
        raise UpdateError(f"{folder}: holds something else; name an empty or a new folder.")


def _add_built(wheels: Path, pins: list[Pin], target: Target, built: Path) -> list[str]:
    """Copy kept wheels of source-only packages; returns the names of those that there are none."""
    left = []
    for pin in (pin for pin in pins if pin.name in SOURCE_ONLY):
        wheel = kept.find(built, pin, target)
        if wheel is None:
            left.append(f"{pin.name} {pin.version}")
        else:
            shutil.copyfile(wheel.file, wheels / wheel.file.name)
    return left


def _check_wheels(wheels: Path, pins: list[Pin], target: Target) -> None:
    files = list(wheels.iterdir())
    for pin in pins:
        if not any(kept.is_for(file, pin, target) for file in files):
            raise UpdateError(f"{pin.name} {pin.version}: no wheel of it was fetched for {target}.")
