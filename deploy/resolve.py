"""Prove that the locked requirements install everywhere: `python -m deploy.resolve`.

Each requirement file is resolved anew for each of our Pythons and both machines, without
installing anything. The proof holds where the resolver needs exactly the packages that the file
pins, and each has a wheel for that machine whose hash is in the file. Packages that publish no
wheel are listed with the reason why that is accepted.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.lock import FILES, ROOT, compile_requirements

PYTHONS = ((3, 11), (3, 12), (3, 13))
MACHINES = ("x86_64", "aarch64")

# The oldest C library among our systems, Debian 12's: glibc 2.36.
GLIBC = (2, 36)

SOURCE_ONLY = {
    "pyalsaaudio": "publishes no wheels; a small C extension, built with libasound2-dev",
    "spidev": "publishes no wheels; a small C extension, built with the kernel's own headers",
    "systemd-python": "publishes no wheels, as it binds the system's own libsystemd; built with "
    "libsystemd-dev and pkg-config",
}

# What uv says when no answer came, as against an answer that something is missing.
UNREACHABLE = re.compile(r"error sending request|failed to connect|dns error|timed out", re.I)


class ResolveError(Exception):
    """A requirement file does not hold for a machine."""


class RegistryUnreachableError(Exception):
    """No package registry answered, so nothing can be proved."""


@dataclass(frozen=True)
class Target:
    """One Python on one machine."""

    python: tuple[int, int]
    machine: str

    def __str__(self) -> str:
        """Such as `3.12 aarch64`."""
        return f"{self.version} {self.machine}"

    @property
    def version(self) -> str:
        """Python's version as the resolver takes it."""
        return f"{self.python[0]}.{self.python[1]}"

    @property
    def platform(self) -> str:
        """The machine as the resolver takes it."""
        return f"{self.machine}-manylinux_{GLIBC[0]}_{GLIBC[1]}"

    @property
    def markers(self) -> dict[str, str]:
        """What environment markers are evaluated against."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.version}.0",
            "python_version": self.version,
            "sys_platform": "linux",
        }

    def tags(self) -> frozenset[Tag]:
        """The wheel tags that an installer accepts there."""
        interpreter = f"cp{self.python[0]}{self.python[1]}"
        glibcs = [f"manylinux_{GLIBC[0]}_{minor}" for minor in range(GLIBC[1], 4, -1)]
        names = [*glibcs, "manylinux2014", "manylinux2010", "manylinux1", "linux"]
        platforms = [f"{name}_{self.machine}" for name in names]
        return frozenset(
            [
                *cpython_tags(self.python, abis=[interpreter], platforms=platforms),
                *compatible_tags(self.python, interpreter=interpreter, platforms=platforms),
            ]
        )


@dataclass(frozen=True)
class Pin:
    """One package of a requirement file: its exact version and the hashes it may have."""

    name: str
    version: str
    hashes: frozenset[str]


def read_pins(text: str, target: Target) -> Iterator[Pin]:
    """The pins of a locked requirement file that apply on the target."""
    for entry in re.sub(r"\\\n", " ", text).splitlines():
        line = entry.split("#")[0].strip()
        if not line:
            continue
        requirement = Requirement(line.split("--hash")[0])
        if requirement.marker and not requirement.marker.evaluate(dict(target.markers)):
            continue
        hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
        version = str(requirement.specifier).removeprefix("==")
        yield Pin(canonicalize_name(requirement.name), version, hashes)


def check(file: Path, target: Target) -> tuple[int, set[str]]:
    """Resolve one file on one target: how many packages it takes, and which are source only."""
    pins = {pin.name: pin for pin in read_pins(file.read_text(), target)}
    resolved = _resolve(file, target)
    for name in sorted(pins.keys() ^ resolved.keys()):
        raise ResolveError(
            f"{name} is needed but not locked" if name in resolved else f"{name} is locked in vain"
        )
    tags = target.tags()
    source_only = set()
    for name, pin in sorted(pins.items()):
        package = resolved[name]
        if package["version"] != pin.version:
            raise ResolveError(f"{name} {package['version']} resolved, {pin.version} is locked")
        wheels = [wheel for wheel in package.get("wheels", []) if tags & _tags_of(wheel)]
        if not wheels and name not in SOURCE_ONLY:
            raise ResolveError(
                f"{name} {pin.version} has no wheel, and is not listed as source only"
            )
        files = wheels or [package["sdist"]]
        missing = [file for file in files if file["hashes"]["sha256"] not in pin.hashes]
        if missing:
            raise ResolveError(f"{name} {pin.version} has a file whose hash is not locked")
        if not wheels:
            source_only.add(name)
    return len(pins), source_only


def _resolve(file: Path, target: Target) -> dict[str, dict[str, Any]]:
    done = compile_requirements(
        str(file),
        "--format=pylock.toml",
        "--no-header",
        f"--python-version={target.version}",
        f"--python-platform={target.platform}",
        "--only-binary=:all:",
        *(f"--no-binary={name}" for name in SOURCE_ONLY),
    )
    if done.returncode:
        if UNREACHABLE.search(done.stderr):
            raise RegistryUnreachableError(done.stderr.strip())
        raise ResolveError(done.stderr.strip())
    packages = tomllib.loads(done.stdout).get("packages", [])
    return {canonicalize_name(package["name"]): package for package in packages}


def _tags_of(wheel: dict[str, Any]) -> frozenset[Tag]:
    name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
    return parse_wheel_filename(name)[3]


def main() -> int:
    """Check every file on every target and print the table; returns the exit status."""
    targets = [Target(python, machine) for python, machine in product(PYTHONS, MACHINES)]
    files = [ROOT / "requirements" / f"{name}.txt" for name in FILES]
    cells: dict[tuple[Path, Target], str] = {}
    source_only: dict[str, list[str]] = {}
    failures = []
    with ThreadPoolExecutor(4) as pool:
        pending = {key: pool.submit(check, *key) for key in product(files, targets)}
        for (file, target), answer in pending.items():
            try:
                count, sources = answer.result()
            except RegistryUnreachableError as error:
                pool.shutdown(cancel_futures=True)
                print(error, file=sys.stderr)
                print("No package registry answered: nothing was proved.", file=sys.stderr)
                return 1
            except ResolveError as error:
                cells[file, target] = "FAILS"
                failures.append(f"{file.name} on {target}: {error}")
            else:
                cells[file, target] = str(count)
                for name in sources:
                    source_only.setdefault(name, []).append(f"{file.stem} on {target}")

    print("Locked packages that resolve with a wheel and its hash:")
    print("".join(["  " + " " * 12, *(f"{target!s:>14}" for target in targets)]))
    for file in files:
        print("".join([f"  {file.stem:12}", *(f"{cells[file, target]:>14}" for target in targets)]))
    for name, places in sorted(source_only.items()):
        print(f"  source only: {name} ({len(places)} of {len(cells)}): {SOURCE_ONLY[name]}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
