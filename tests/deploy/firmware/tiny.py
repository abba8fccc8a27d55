"""A little firmware: two packages, a program that plays, and the release that names it all."""

import base64
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from deploy.firmware import kept
from deploy.firmware.folder import SOURCE, WHEELS
from deploy.release import BLOB_BYTES, Blob, Release, ReleaseFile

PACKAGE, COMPILED = "purga-tiny", "spidev"
"""One with a wheel for every machine, and one of the names that come as source only."""
VERSION = "1.0"

_PROJECT = """[project]
name = "purga"
version = "9.9"
[project.entry-points.gpiozero_pin_factories]
jetson = "device:Factory"
"""
_DEVICE = """
import json, sys, wave
if "--help" in sys.argv:
    print("help")
elif sys.argv[1] == "render":
    import purga_tiny
    sound = purga_tiny.loud(open(sys.argv[2], "rb").read())
    open(sys.argv[3], "wb").write(sound * 2)
    print(json.dumps({"gain": 1}))
"""
CODE = {
    "device/__init__.py": "class Factory: ...\n",
    "device/__main__.py": _DEVICE,
    "device/presets/6-dry-to-ambient.toml": "",
    "models/__init__.py": "",
    "build/__init__.py": "",
    "deploy/__init__.py": "",
    "deploy/__main__.py": "print('help')\n",
    "deploy/units/purga.target": "[Unit]\nDescription=Purga\n",
    "requirements/board.txt": f"{COMPILED}=={VERSION} --hash=sha256:{'a' * 64}\n",
    "requirements/update.txt": "",
    "pyproject.toml": _PROJECT,
}


def write_wheel(folder: Path, package: str, tags: str = "py3-none-any", code: str = "") -> Path:
    """A wheel of one module."""
    name = package.replace("-", "_")
    about = f"{name}-{VERSION}.dist-info"
    files = {
        f"{name}.py": code or "def loud(sound):\n    return sound\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text)}\n")
    files[f"{about}/RECORD"] = "".join(lines)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{VERSION}-{tags}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file


def keep(folder: Path, package: str = COMPILED) -> Path:
    """A wheel as provisioning keeps it: built for this machine, of the source that is locked."""
    target = kept.this_machine()
    interpreter = f"cp{target.python[0]}{target.python[1]}"
    wheel = write_wheel(folder, package, f"{interpreter}-{interpreter}-linux_{target.machine}")
    note = f'{{"{wheel.name}": {{"sha256": "{kept.sha256_of(wheel)}", '
    (folder / kept.NOTE).write_text(f'{note}"source_sha256": "{"a" * 64}"}}}}')
    return wheel


def write_firmware(folder: Path, changed: Mapping[str, str] = MappingProxyType({})) -> Release:
    """A slot's content; ``changed`` has other texts for some of the files."""
    code = {**CODE, **changed}
    for path, text in code.items():
        file = folder / SOURCE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    wheel = write_wheel(folder / WHEELS, PACKAGE)
    run = f"{PACKAGE}=={VERSION} --hash=sha256:{kept.sha256_of(wheel)}\n"
    (folder / SOURCE / "requirements/run.txt").write_text(run)
    return release_of(folder)


def release_of(folder: Path, units_sha256: str | None = None) -> Release:
    """The release that names each file below a folder."""
    files = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        # Nobody fetches anything here: their sizes are all that has to be right.
        blobs = tuple(
            Blob(
                sha256=sha256,
                bytes=min(BLOB_BYTES, len(content) - first),
                stored_sha256=sha256,
                stored_bytes=9,
            )
            for first in range(0, len(content), BLOB_BYTES)
        )
        path = str(file.relative_to(folder))
        files.append(ReleaseFile(path=path, bytes=len(content), sha256=sha256, blobs=blobs))
    return Release(
        component="firmware",
        version=3,
        name="Tiny",
        files=tuple(files),
        units_sha256=units_sha256,
    )


def lend_environment(home: Path) -> None:
    """An environment that costs nothing: this one, with what an installation would have added.

    pip reads what it is to install there, checks it, and installs nothing.
    """
    python = home / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    dry = 'case "$*" in "-m pip install "*) set -- "$@" --dry-run ;; esac\n'
    python.write_text(f'#!/bin/sh\n{dry}exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    write_wheel(home / "wheels", PACKAGE)
    with zipfile.ZipFile(next((home / "wheels").iterdir())) as archive:
        archive.extractall(home)
    (home / "purga-9.9.dist-info").mkdir()
    (home / "purga-9.9.dist-info/METADATA").write_text("Name: purga\nVersion: 9.9\n")
