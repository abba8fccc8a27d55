"""Starting a process from a process that plays, without Python's lock.

``subprocess`` and ``os.posix_spawn`` keep the lock until the new program has been put in place,
which takes the kernel a millisecond or more; the C function by itself does not. Nothing of a locked
memory is copied: the child shares it until then.
"""

import ctypes
import os
import signal
import time

from device.errors import LinkError

_LOOK_S = 0.05
_PATIENCE_S = 5.0


class Child:
    """A program that was started; ends it if it must."""

    def __init__(self, arguments: list[str]) -> None:
        """Start it with this process's environment and folder. Raises ``LinkError``."""
        libc = ctypes.CDLL(None, use_errno=True)
        words = [os.fsencode(each) for each in arguments]
        argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
        pairs = [os.fsencode(f"{name}={value}") for name, value in os.environ.items()]
        environment = (ctypes.c_char_p * (len(pairs) + 1))(*pairs, None)
        pid = ctypes.c_int()
        error = libc.posix_spawn(ctypes.byref(pid), words[0], None, None, argv, environment)
        if error:
            raise LinkError(f"{arguments[0]}: cannot be started ({os.strerror(error)})")
        self.pid = pid.value

    def wait(self, patience_s: float) -> int:
        """Wait for its end and return its exit code, −N for signal N.

        Raises ``TimeoutError``, and ends it, where it takes longer than that.
        """
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(_LOOK_S)
        self.end()
        raise TimeoutError(f"process {self.pid} has not ended after {patience_s:g} s")

    def end(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
