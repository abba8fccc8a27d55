r"""The pedal's serial console: log in, run a command, get what it printed, see what else is said.

A command is sent between two marks that its own echo cannot hold, since the shell puts them
together: ``printf 'purga-%s-%s\n' begin 17``. So prompts, echoes and the kernel's own lines do not
matter. A pedal that was switched off boots and asks for a login again; that is done when its
prompt is seen. Meanwhile nothing is typed into a boot loader but a bare Enter, and that only where
the line has been quiet: characters would stop it.
"""

import re
import time
from collections import deque
from collections.abc import Callable

from hil.errors import InstrumentError
from hil.instruments.transport import PATIENCE, Patience, Port, open_port

BAUD = 115_200
_LOGIN = re.compile(rb"login: ?$")
_PASSWORD = re.compile(rb"[Pp]assword: ?$")
_QUIET_S = 3.0
_KNOCK_S = 10.0
_LOGIN_S = 20.0
_MOST_LINES = 10_000
_MOST_BYTES = 1 << 20
_READY = "stty -echo; dmesg -n 1; PS1=; PS2=; bind 'set enable-bracketed-paste off' 2>/dev/null"
"""No echo, no kernel lines, no prompts; bash may not colour what it prints."""


class SerialConsole:
    """See ``hil.instruments.protocols.Console``."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        user: str = "root",
        password: str = "",
        baud: int = BAUD,
        patience: Patience = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the line; raises ``InstrumentError``. The pedal need not be on."""
        self._who = f"{name} at {address}"
        self._address, self._baud, self._patience = address, baud, patience
        self._user, self._password = user, password
        self._monotonic = monotonic
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._tail = b""
        self._number = 0
        self._in = False
        """Whether a shell is known to be there."""
        self._heard_s = self._knocked_s = float("-inf")
        self._port: Port | None = None
        self._open()

    def send(self, line: str) -> None:
        """See the protocol. Raises ``InstrumentError``."""
        self._write(line.encode() + b"\n")

    def lines(self) -> list[str]:
        """See the protocol. Raises ``InstrumentError``."""
        self._listen(0.0)
        found = list(self._lines)
        self._lines.clear()
        return found

    def ask(self, line: str, timeout_s: float = 10.0) -> str:
        """See the protocol. Raises ``InstrumentError`` where nobody answers, or not in time.

        A command that fails is no error here: what it printed is given, on either stream.
        """
        return self.run(line, timeout_s)[0]

    def run(self, line: str, timeout_s: float = 10.0) -> tuple[str, int]:
        """What a command printed, and its exit code. Raises ``InstrumentError``."""
        deadline_s = self._monotonic() + timeout_s
        if not self._in:
            self._enter(deadline_s)
        self._number += 1
        mark = f"{self._number:06d}"
        self.send(
            f"printf 'purga-%s-%s\\n' begin {mark}; {{ {line}\n}} 2>&1; "
            f"printf '\\npurga-%s-%s-%d\\n' end {mark} $?"
        )
        begin, end = f"purga-begin-{mark}", re.compile(rf"purga-end-{mark}-(\d+)")
        printed: list[str] | None = None
        size = 0
        while True:
            for text in self._take(deadline_s):
                if found := end.search(text):
                    return "\n".join(printed or []).strip("\n"), int(found[1])
                if begin in text:
                    printed = []
                elif printed is not None:
                    size += len(text)
                    printed.append(text)
                else:
                    self._lines.append(text)
            if size > _MOST_BYTES:
                self._in = False
                raise InstrumentError(f"{self._who}: {line!r:.60} printed more than {size} bytes.")
            if _LOGIN.search(self._tail) or self._monotonic() >= deadline_s:
                # It has been switched off meanwhile, or it hangs: whoever asks next knocks first.
                self._in = False
                raise InstrumentError(
                    f"{self._who} does not answer {line!r:.60} within {timeout_s:g} s; the pedal "
                    "is off or boots, or the line is not its console."
                )

    def close(self) -> None:
        """See the protocol."""
        if self._port is not None:
            self._port.close()
            self._port = None

    # -- logging in -------------------------------------------------------------------------------

    def _enter(self, deadline_s: float) -> None:
        """See to it that a shell is there. Raises ``InstrumentError``."""
        while True:
            self._listen(0.05)
            if _LOGIN.search(self._tail):
                return self._log_in()
            if self._answers(deadline_s):
                return None
            if self._monotonic() >= deadline_s:
                raise InstrumentError(
                    f"{self._who}: nobody is logged in and none is asked for; the pedal is off or "
                    "boots, or the line is not its console."
                )

    def _answers(self, deadline_s: float) -> bool:
        """Knock, where the line is quiet, and see whether a shell is there already."""
        now_s = self._monotonic()
        if now_s - self._heard_s < _QUIET_S or now_s - self._knocked_s < _KNOCK_S:
            return False
        self._knocked_s = now_s
        self._tail = b""
        self._write(b"\n")
        wait_s = min(deadline_s, now_s + 1.0)
        while self._monotonic() < wait_s and not self._tail.strip():
            self._listen(0.05)
        prompt = self._tail.rstrip()
        if not prompt.endswith((b"#", b"$", b">")):
            return False
        self._shell()
        return True

    def _log_in(self) -> None:
        self._tail = b""
        self._write(self._user.encode() + b"\n")
        deadline_s = self._monotonic() + _LOGIN_S
        while self._monotonic() < deadline_s:
            self._listen(0.05)
            if _PASSWORD.search(self._tail):
                self._tail = b""
                self._write(self._password.encode() + b"\n")
            elif b"incorrect" in self._tail or any("incorrect" in each for each in self._lines):
                break
            elif self._tail.rstrip().endswith((b"#", b"$")):
                return self._shell()
        self._tail = b""
        raise InstrumentError(
            f"{self._who} does not let {self._user} in; check user and password in bench.toml."
        )

    def _shell(self) -> None:
        self._write(_READY.encode() + b"\n")
        self._in = True

    # -- the line ---------------------------------------------------------------------------------

    def _take(self, deadline_s: float) -> list[str]:
        """The lines that are there, after waiting a moment for some."""
        kept = list(self._lines)
        self._lines.clear()
        self._listen(min(0.1, max(0.0, deadline_s - self._monotonic())))
        new = list(self._lines)
        self._lines.clear()
        self._lines.extend(kept)
        return new

    def _listen(self, wait_s: float) -> None:
        """Take in what came."""
        try:
            port = self._port or self._open()
            data = port.read(wait_s)
            while data:
                self._heard_s = self._monotonic()
                *whole, self._tail = (self._tail + data).split(b"\n")
                self._lines.extend(each.decode(errors="replace").strip("\r") for each in whole)
                self._tail = self._tail[-_MOST_BYTES:]
                data = port.read(0.0)
        except OSError as error:
            self._lost(error)

    def _write(self, data: bytes) -> None:
        try:
            (self._port or self._open()).write(data)
        except OSError as error:
            self._lost(error)

    def _open(self) -> Port:
        reason = OSError("nothing")
        for _ in range(self._patience.tries):
            try:
                self._port = open_port(self._address, self._patience, self._baud)
                return self._port
            except OSError as error:
                reason = error
        return self._lost(reason)

    def _lost(self, error: OSError) -> Port:
        self.close()
        self._in = False
        raise InstrumentError(
            f"{self._who}: the line is gone ({error.strerror or error}); check the adapter."
        ) from None
