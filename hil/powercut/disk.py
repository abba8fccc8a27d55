"""The disk whose power is cut: an ext4 image in a btrfs, cloned by reflink while it is written to.

Everything lies in memory, in mounts of this process's own: a killed run leaves nothing mounted.
A clone holds what had reached the image's block device; what ext4's page cache had not written
back is not in it. A drive's own volatile cache is not modelled.
"""

import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from hil.powercut.errors import PowerCutError
from hil.powercut.mounts import mount_image, mount_memory, own_mounts, unmount

TOOLS = {"mkfs.btrfs": "btrfs-progs", "mkfs.ext4": "e2fsprogs"}
"""What is run, and the Debian package that it is in."""
_FICLONE = 0x40049409
_ROOM, _ROOM_BYTES = "6g", 5 << 30
"""At the most; a campaign takes some hundred megabytes."""
_RANGE_NOW = 7  # sync_file_range(2): wait, write, wait
_PAGE = 4096
_LIBC = ctypes.CDLL(None, use_errno=True)


def why_not() -> str | None:
    """Why no power can be cut here, None where it can."""
    if os.geteuid() != 0:
        return "only root can mount disks"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]
    if missing:
        packages = " and ".join(TOOLS[tool] for tool in missing)
        return f"no {' and no '.join(missing)} here; install {packages}"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices here"
    known = Path("/proc/filesystems").read_text().split()
    lacking = [name for name in ("btrfs", "ext4") if name not in known and not _loads_module(name)]
    return f"the kernel has no {' and no '.join(lacking)}" if lacking else None


class Rig:
    """Disks of one size, each cloned from a first one; a context that leaves nothing behind.

    ``options`` are ext4's mount options, such as ``noauto_da_alloc``. Moves this process into a
    mount namespace of its own. Raises ``PowerCutError`` where this machine does not allow that.
    """

    def __init__(self, options: Sequence[str] = (), size_mb: int = 96) -> None:
        self._options = tuple(options)
        self._size_mb = size_mb
        self._folder = Path(tempfile.mkdtemp(prefix="powercut-"))
        self._mounted: list[Path] = []

    def __enter__(self) -> "Rig":
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmount everything that is left, innermost first."""
        for point in reversed(self._mounted):
            with contextlib.suppress(PowerCutError):
                unmount(point)
        self._mounted.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _room(self) -> Path:
        return self._folder / "btrfs"

    @property
    def clean(self) -> Path:
        """The image of the disk as it is before what is cut."""
        return self._room / "clean.img"

    def _set_up(self) -> None:
        own_mounts()
        memory = self._folder / "memory"
        for folder in (memory, self._room, self._folder / "disk", self._folder / "cut"):
            folder.mkdir()
        mount_memory(memory, _ROOM)
        self._mounted.append(memory)
        below = memory / "btrfs.img"
        _make(below, _ROOM_BYTES)
        _run("mkfs.btrfs", "-q", "-m", "single", below)
        mount_image(below, self._room, "btrfs", "discard,nobarrier")
        self._mounted.append(self._room)
        _make(self.clean, self._size_mb << 20)
        # The inode tables are written now, and not by the kernel while somebody counts writes.
        extended = "lazy_itable_init=0,lazy_journal_init=0"
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", extended, self.clean)

    @contextmanager
    def mounted(self, image: Path, found: bool = False) -> Iterator[Path]:
        """An image, mounted; ``found`` after a power cut, its journal is replayed.

        Raises ``PowerCutError`` where it does not mount.
        """
        folder = self._folder / ("cut" if found else "disk")
        # Nobody cuts a found one again, so its writes need not be pressed through every layer.
        quicker = ("barrier=0",) if found else ()
        mount_image(image, folder, "ext4", ",".join((*self._options, *quicker)))
        self._mounted.append(folder)
        try:
            yield folder
        finally:
            self._mounted.remove(folder)
            unmount(folder)

    def copy_of(self, image: Path, name: str) -> Path:
        """A clone of an image: what is in it at this moment."""
        clone = self._room / name
        with image.open("rb") as source, clone.open("wb") as target:
            fcntl.ioctl(target, _FICLONE, source.fileno())
        return clone


class LiveDisk:
    """A mounted image that somebody writes to, and what the kernel may do with it meanwhile."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self._rng = rng
        self._bystander = folder / "bystander"
        device = folder.stat().st_dev
        self._stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")

    def written(self) -> tuple[int, int] | None:
        """Grows with every change of the image; None while one is under way."""
        fields = self._stat.read_text().split()
        return (int(fields[4]), int(fields[11])) if fields[8] == "0" else None

    def commit(self) -> None:
        """Let the journal commit, as it does every five seconds: names, not the data behind."""
        handle = os.open(self._bystander, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(handle, self._rng.randbytes(8), 0)
            os.fsync(handle)
        finally:
            os.close(handle)

    def write_back_some(self) -> None:
        """Let some pages of some file reach the disk, as they do when memory gets short."""
        files = [
            path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()
        ]
        sized = [(path, path.stat().st_size) for path in files]
        candidates = [(path, size) for path, size in sized if size]
        if not candidates:
            return
        path, size = self._rng.choice(candidates)
        at = self._rng.randrange(0, size, _PAGE)
        length = self._rng.randrange(1, 9) * _PAGE
        handle = os.open(path, os.O_RDWR)
        try:
            offset, count = ctypes.c_int64(at), ctypes.c_int64(length)
            _LIBC.sync_file_range(handle, offset, count, _RANGE_NOW)
        finally:
            os.close(handle)


def _make(file: Path, size: int) -> None:
    with file.open("wb") as made:
        made.truncate(size)


def _files_below(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        paths = (Path(above) / name for name in names)
        yield from (path for path in paths if stat.S_ISREG(path.lstat().st_mode))


def _loads_module(name: str) -> bool:
    done = subprocess.run(["modprobe", name], capture_output=True, check=False, env=_env())
    return done.returncode == 0


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"


def _env() -> dict[str, str]:
    return {**os.environ, "PATH": _path(), "LC_ALL": "C"}


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=_env()
    )
    if done.returncode != 0:
        line = (done.stderr or done.stdout).strip().splitlines()
        raise PowerCutError(f"{command[0]} failed: {line[-1] if line else done.returncode}")
