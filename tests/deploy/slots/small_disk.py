"""A small real disk in a process of its own, and what a test does on it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.powercut.disk import why_not

ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = """
import errno, json, os, subprocess, sys
from pathlib import Path
from hil.powercut.mounts import mount_image, mount_memory, own_mounts, unmount
folder, kind = Path({folder!r}), {kind!r}
own_mounts()
disk = folder / "disk"
disk.mkdir()
if kind == "tmpfs":
    mount_memory(disk, "{size}")
else:
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate({size})
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    mount_image(image, disk, "ext4", "")

def fill(left=0):
    '''Leave no more than so many bytes free.'''
    ballast = os.open(disk / "ballast", os.O_CREAT | os.O_WRONLY, 0o600)
    for piece in (1 << 20, 1 << 16, 4096, 512, 1):
        try:
            while piece > 1 or left == 0:
                os.lseek(ballast, 0, os.SEEK_END)
                os.write(ballast, bytes(piece))
        except OSError as problem:
            assert problem.errno == errno.ENOSPC
    os.ftruncate(ballast, max(0, os.fstat(ballast).st_size - left))
    os.fsync(ballast)
    os.close(ballast)

def free():
    (disk / "ballast").unlink()
    os.sync()

try:
{body}
finally:
    os.chdir("/")
    unmount(disk)
"""


def on_small_disk(folder: Path, kind: str, size: int, body: str) -> Any:
    """What ``body`` prints as JSON; ``disk``, ``fill`` and ``free`` are there for it.

    Skips where no disk can be mounted.
    """
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    program = _PROGRAM.format(folder=str(folder), kind=kind, size=size, body=lines)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    for reason in ("does not mount", "no mounts of its own"):
        if reason in done.stderr:
            pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
