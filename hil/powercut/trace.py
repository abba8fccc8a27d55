"""Stops a child behind each of its system calls that change the disk: ptrace(2), by its numbers.

PTRACE_GET_SYSCALL_INFO says the same on every processor, so that only the calls' numbers differ.
"""

import ctypes
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.powercut.errors import PowerCutError

_NAMES_X86_64 = {
    1: "write",
    2: "open",
    18: "pwrite64",
    20: "writev",
    26: "msync",
    40: "sendfile",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    85: "creat",
    86: "link",
    87: "unlink",
    88: "symlink",
    90: "chmod",
    91: "fchmod",
    92: "chown",
    93: "fchown",
    94: "lchown",
    132: "utime",
    162: "sync",
    235: "utimes",
    257: "openat",
    258: "mkdirat",
    260: "fchownat",
    261: "futimesat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    266: "symlinkat",
    268: "fchmodat",
    277: "sync_file_range",
    280: "utimensat",
    285: "fallocate",
    296: "pwritev",
    306: "syncfs",
    316: "renameat2",
    326: "copy_file_range",
    328: "pwritev2",
    437: "openat2",
    452: "fchmodat2",
}
_NAMES_AARCH64 = {
    33: "mknodat",
    34: "mkdirat",
    35: "unlinkat",
    36: "symlinkat",
    37: "linkat",
    38: "renameat",
    45: "truncate",
    46: "ftruncate",
    47: "fallocate",
    52: "fchmod",
    53: "fchmodat",
    54: "fchownat",
    55: "fchown",
    56: "openat",
    64: "write",
    66: "writev",
    68: "pwrite64",
    70: "pwritev",
    71: "sendfile",
    81: "sync",
    82: "fsync",
    83: "fdatasync",
    84: "sync_file_range",
    88: "utimensat",
    227: "msync",
    267: "syncfs",
    276: "renameat2",
    285: "copy_file_range",
    287: "pwritev2",
    437: "openat2",
    452: "fchmodat2",
}
NAMES = {"x86_64": _NAMES_X86_64, "aarch64": _NAMES_AARCH64}.get(platform.machine(), {})
"""System calls that change the disk, by number."""

# Whose first argument (for copies: where to) is a file that is open; the others name a path.
_BY_HANDLE = frozenset(
    (
        *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile"),
        *("fsync", "fdatasync", "syncfs", "sync_file_range"),
        *("ftruncate", "fallocate", "fchmod", "fchown"),
    )
)
_OPENS = {"open": 1, "openat": 2}
"""Which argument holds the flags."""
_CHANGES = os.O_CREAT | os.O_TRUNC

_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # sysgood, fork, vfork, clone, exec, exitkill
_ENTRY, _EXIT = 1, 2
_WALL = 0x40000000


class _Entry(ctypes.Structure):
    _fields_ = (("number", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6))


class _Exit(ctypes.Structure):
    _fields_ = (("value", ctypes.c_int64), ("is_error", ctypes.c_uint8))


class _Either(ctypes.Union):
    _fields_ = (("entry", _Entry), ("exit", _Exit), ("room", ctypes.c_uint8 * 64))


class _Info(ctypes.Structure):  # linux/ptrace.h: struct ptrace_syscall_info
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("_pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("of", _Either),
    )


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


@dataclass
class _Thread:
    call: tuple[str, tuple[int, ...]] | None = None


@dataclass
class Tracer:
    """Runs something in a child and calls ``at`` behind each call that changed ``below``.

    The thread that made the call is stopped while ``at`` runs with the call's name; the child's
    own children and threads are followed too.
    """

    below: str
    at: Callable[[str], None]
    _threads: dict[int, _Thread] = field(default_factory=dict)

    def run(self, what: Callable[[], None]) -> int:
        """Run it to its end; returns its exit status. Raises ``PowerCutError``."""
        if not NAMES:
            raise PowerCutError(f"the calls of a {platform.machine()} are not known here")
        pid = forked(what, first=_be_traced)
        _, status = os.waitpid(pid, _WALL)
        if not os.WIFSTOPPED(status):
            raise PowerCutError("ptrace is not allowed here")
        _ptrace(_SETOPTIONS, pid, 0, _OPTIONS)
        self._threads = {pid: _Thread()}
        _ptrace(_SYSCALL, pid, 0, 0)
        try:
            return self._follow(pid)
        finally:
            for left in self._threads:
                _kill(left)

    def _follow(self, pid: int) -> int:
        code = 0
        while self._threads:
            tid, status = os.waitpid(-1, _WALL)
            if not os.WIFSTOPPED(status):
                self._threads.pop(tid, None)
                if tid == pid:
                    code = os.waitstatus_to_exitcode(status)
                continue
            passed = self._stopped(tid, status)
            try:
                _ptrace(_SYSCALL, tid, 0, passed)
            except ProcessLookupError:  # killed meanwhile
                continue
        return code

    def _stopped(self, tid: int, status: int) -> int:
        """One stop; returns the signal to hand on."""
        number = os.WSTOPSIG(status)
        if tid not in self._threads:  # a new thread or child begins with a stop
            self._threads[tid] = _Thread()
            return 0
        if number == signal.SIGTRAP | 0x80:
            self._at_call(tid)
            return 0
        return 0 if status >> 16 or number == signal.SIGTRAP else number

    def _at_call(self, tid: int) -> None:
        info = _Info()
        size = ctypes.sizeof(info)
        _ptrace(_GET_SYSCALL_INFO, tid, size, ctypes.addressof(info))
        thread = self._threads[tid]
        if info.op == _ENTRY:
            name = NAMES.get(info.of.entry.number)
            thread.call = None if name is None else (name, tuple(info.of.entry.arguments))
        elif info.op == _EXIT and thread.call is not None:
            name, arguments = thread.call
            thread.call = None
            if not info.of.exit.is_error and self._changes(tid, name, arguments, info):
                self.at(name)

    def _changes(self, tid: int, name: str, arguments: tuple[int, ...], info: _Info) -> bool:
        if name in _OPENS:
            if not arguments[_OPENS[name]] & _CHANGES:
                return False
            return self._is_below(tid, info.of.exit.value)
        if name in _BY_HANDLE:
            return self._is_below(tid, arguments[0])
        if name == "copy_file_range":
            return self._is_below(tid, arguments[2])
        return True

    def _is_below(self, tid: int, handle: int) -> bool:
        try:
            return os.readlink(f"/proc/{tid}/fd/{handle & 0xFFFFFFFF}").startswith(self.below)
        except OSError:
            return False


def forked(what: Callable[[], None], first: Callable[[], None] | None = None) -> int:
    """A child that runs ``what`` and ends: 0, or 70 and its traceback on stderr."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if first is not None:
            first()
        what()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _be_traced() -> None:
    _ptrace(_TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def _ptrace(request: int, tid: int, address: int, data: int) -> None:
    if _LIBC.ptrace(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "ptrace")


def _kill(tid: int) -> None:
    try:
        os.kill(tid, signal.SIGKILL)
        os.waitpid(tid, _WALL)
    except (ProcessLookupError, ChildProcessError):
        pass
