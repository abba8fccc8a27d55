"""Mounting image files: loop(4) and mount(2) themselves, as a campaign does it by the thousand.

A loop device that is set up here goes away with its mount, also if this process is killed.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from hil.powercut.errors import PowerCutError

_CONTROL = Path("/dev/loop-control")
_GET_FREE, _CONFIGURE, _AUTOCLEAR = 0x4C82, 0x4C0A, 4
_TRIES = 50
"""Somebody else may take the same free device, or still look at what was unmounted."""
_NOATIME, _REC, _PRIVATE, _DETACH = 0x400, 0x4000, 1 << 18, 2
_CLONE_NEWNS = 0x20000
_LIBC = ctypes.CDLL(None, use_errno=True)


def own_mounts() -> None:
    """Give this process mounts of its own, which end with it. Raises ``PowerCutError``."""
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        raise PowerCutError("this process may have no mounts of its own here")
    _mount("none", Path("/"), None, _REC | _PRIVATE, "")


def mount_memory(point: Path, size: str) -> None:
    """A file system in memory. Raises ``PowerCutError``."""
    _mount("tmpfs", point, "tmpfs", 0, f"size={size}")


def mount_image(image: Path, point: Path, kind: str, options: str) -> None:
    """An image file of a file system of this kind. Raises ``PowerCutError``."""
    with _looped(image) as device:
        _mount(device, point, kind, _NOATIME, options)


def unmount(point: Path) -> None:
    """Raises ``PowerCutError``; then it is at least out of the way."""
    for _ in range(_TRIES):
        if _LIBC.umount2(os.fsencode(point), 0) == 0:
            return
        if ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.02)
    number = ctypes.get_errno()
    _LIBC.umount2(os.fsencode(point), _DETACH)
    raise PowerCutError(f"{point} does not unmount ({os.strerror(number)})")


@contextlib.contextmanager
def _looped(image: Path) -> Iterator[str]:
    """A loop device's name; the device holds as long as the block, then as long as its mount."""
    with _CONTROL.open("rb") as control, image.open("r+b") as file:
        # struct loop_config: fd, block_size, loop_info64 (flags at 52 of 232 bytes), 8 reserved.
        config = struct.pack("=II52xI176x64x", file.fileno(), 0, _AUTOCLEAR)
        for _ in range(_TRIES):
            name = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            handle = os.open(name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(handle, _CONFIGURE, config)
            except OSError as problem:
                os.close(handle)
                if problem.errno != errno.EBUSY:
                    raise PowerCutError(f"{name}: {problem.strerror}") from None
                time.sleep(0.01)
                continue
            try:
                yield name
            finally:
                os.close(handle)
            return
    raise PowerCutError("there is no free loop device")


def _mount(source: str, point: Path, kind: str | None, flags: int, options: str) -> None:
    done = _LIBC.mount(
        os.fsencode(source),
        os.fsencode(point),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode(),
    )
    if done != 0:
        reason = os.strerror(ctypes.get_errno())
        raise PowerCutError(f"{source} does not mount at {point} ({reason})")
