"""Wheels of the packages that come as source only: built once on a machine, kept by source's hash.

``python -m deploy.firmware.kept [--check] FOLDER`` builds those that the folder lacks for this
Python; ``--check`` only names them. Provisioning keeps them on the pedal, so that firmware that
needs the same sources finds them there, where there need be no compiler and no network.
"""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from deploy.errors import UpdateError
from deploy.firmware.pip import pip, requirement
from deploy.lock import ROOT
from deploy.provision.whole import put
from deploy.resolve import SOURCE_ONLY, Pin, Target, read_pins

GROUPS = ("run", "board", "update")
"""The requirement files that firmware is installed from. ``tools`` is not among them: what it
compiles comes compiled."""
NOTE = "built.json"
_EPOCH = "946684800"
"""The time in every built wheel: the same source gives the same file."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file and its hash."""

    file: Path
    sha256: str


def this_machine() -> Target:
    """This interpreter on this machine."""
    return Target(sys.version_info[:2], platform.machine())


def wanted(requirements: Path, target: Target) -> list[Pin]:
    """What firmware is installed from on the target, sorted by name, each once.

    Raises ``UpdateError`` where a requirement file is missing or cannot be read.
    """
    found: dict[str, Pin] = {}
    for group in GROUPS:
        file = requirements / f"{group}.txt"
        try:
            pins = list(read_pins(file.read_text(), target))
        except (OSError, ValueError) as problem:
            raise UpdateError(
                f"{file}: cannot be read ({problem}); give a whole checkout."
            ) from None
        found |= {str(canonicalize_name(pin.name)): pin for pin in pins}
    return [found[name] for name in sorted(found)]


def is_for(file: Path, pin: Pin, target: Target) -> bool:
    """Whether a wheel file is of this package and version and fits the target, by its name."""
    try:
        name, version, _, _ = parse_wheel_filename(file.name)
    except InvalidWheelFilename:
        return False
    same = name == canonicalize_name(pin.name) and version == Version(pin.version)
    return same and fits(file, target)


def fits(file: Path, target: Target) -> bool:
    """Whether a wheel file can be installed on the target, by its name."""
    try:
        return not parse_wheel_filename(file.name)[3].isdisjoint(target.tags())
    except InvalidWheelFilename:
        return False


def find(folder: Path, pin: Pin, target: Target) -> Wheel | None:
    """The kept wheel of a pin: built from a source that the lock names, and as it was built."""
    for name, hashes in _note(folder).items():
        file = folder / name
        if hashes["source_sha256"] not in pin.hashes or not is_for(file, pin, target):
            continue
        if file.is_file() and sha256_of(file) == hashes["sha256"]:
            return Wheel(file, hashes["sha256"])
    return None


def missing(folder: Path, requirements: Path, target: Target) -> list[Pin]:
    """The source-only packages of which the folder keeps no wheel for the target."""
    pins = [pin for pin in wanted(requirements, target) if pin.name in SOURCE_ONLY]
    return [pin for pin in pins if find(folder, pin, target) is None]


def build(folder: Path, pins: Iterable[Pin], requirements: Path) -> None:
    """Fetch the locked sources, build them with the locked setuptools, and keep the wheels.

    Raises ``UpdateError`` without these tools, ``UpdateFailedError`` where it does not work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_setuptools(requirements)
    for pin in pins:
        with tempfile.TemporaryDirectory(prefix="purga-") as scratch:
            source = _fetch(pin, Path(scratch))
            wheel = _wheel_of(source, Path(scratch))
            content = wheel.read_bytes()
            put(folder / wheel.name, content)
            note = _note(folder)
            note[wheel.name] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "source_sha256": sha256_of(source),
            }
            put(folder / NOTE, json.dumps(note, indent=1, sort_keys=True).encode() + b"\n")


def sha256_of(file: Path) -> str:
    """Of a file's bytes, without holding them."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _note(folder: Path) -> dict[str, dict[str, str]]:
    """What the folder says of its wheels; nothing where that cannot be read: they are rebuilt."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        return {
            str(name): {key: str(hashes[key]) for key in ("sha256", "source_sha256")}
            for name, hashes in note.items()
            if Path(name).name == name
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _check_setuptools(requirements: Path) -> None:
    pins = read_pins((requirements / "tools.txt").read_text(), this_machine())
    locked = next((pin.version for pin in pins if pin.name == "setuptools"), "")
    try:
        there = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        there = "none"
    if there != locked:
        raise UpdateError(
            f"setuptools {locked} compiles the source-only packages, and here is {there}; "
            "run deploy/host-setup board first."
        )


def _fetch(pin: Pin, scratch: Path) -> Path:
    """The package's source, one of those that the lock names."""
    lines = scratch / "source.txt"
    lines.write_text(requirement(pin))
    pip(
        [
            *("download", "--no-deps", "--require-hashes", "--no-binary", ":all:"),
            *("--no-build-isolation", "--dest", scratch / "source", "--requirement", lines),
        ],
        f"Fetching the source of {pin.name} {pin.version}",
    )
    return next((scratch / "source").iterdir())


def _wheel_of(source: Path, scratch: Path) -> Path:
    pip(
        [
            *("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir"),
            *("--wheel-dir", scratch / "wheel", source),
        ],
        f"Compiling {source.name}",
        {"SOURCE_DATE_EPOCH": _EPOCH, "CFLAGS": "-g0"},
    )
    return next((scratch / "wheel").glob("*.whl"))


def main(argv: Sequence[str] | None = None) -> int:
    """Build or check; returns 0, 2 for wrong input, 1 where it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.firmware.kept")
    parser.add_argument("--check", action="store_true", help="only name what is not kept")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    requirements = ROOT / "requirements"
    try:
        pins = missing(options.folder, requirements, this_machine())
        if options.check:
            print("\n".join(pin.name for pin in pins), end="")
        elif pins:
            build(options.folder, pins, requirements)
    except UpdateError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
