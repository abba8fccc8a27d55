"""What made a result: a hash over the sources that ran, and git's word for them."""

import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("models", "device", "build", "deploy", "hil")
_SUFFIXES = (".py", ".toml", ".j2", ".json", ".onnx", ".service", ".sh")


def software_hash(root: Path = ROOT) -> str:
    """Of the names and bytes of every source below ``root``, 16 hexadecimal digits.

    The same tree has the same hash, committed or not, on every machine.
    """
    total = hashlib.sha256()
    for folder in _FOLDERS:
        files = (root / folder).rglob("*")
        for file in sorted(each for each in files if each.suffix in _SUFFIXES and each.is_file()):
            total.update(file.relative_to(root).as_posix().encode() + b"\0")
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]


@cache
def git_version(root: Path = ROOT) -> str | None:
    """``git describe`` of the sources; None where there is no git or no history."""
    if shutil.which("git") is None:
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--tags"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20.0)
    return done.stdout.strip() or None
