"""A pedal's serial console on a socket: boots, asks for a login, echoes, and runs a real shell."""

import contextlib
import os
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Terminal:
    """Getty and bash. ``tools`` is a folder of programs that stand in for the pedal's."""

    tools: Path
    user: str = "root"
    password: str = "pedal"
    typed: list[str] = field(default_factory=list)
    state: str = "login"

    def __enter__(self) -> "Terminal":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connection: socket.socket | None = None
        self._bash: subprocess.Popen[bytes] | None = None
        self._master = -1
        self._known = False
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_shell()
        for each in (self._connection, self._listener):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def say(self, text: str) -> None:
        """Bytes to the line, as they are."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.sendall(text.replace("\n", "\r\n").encode())

    def switch_off(self) -> None:
        """No more answers, and no more shell."""
        self.state = "off"
        self._end_shell()

    def boot(self) -> None:
        """What a boot prints, and a login prompt at its end."""
        self.say("[0000.123] I> MB1 (version: 0.40)\n[    0.000000] Booting Linux\n")
        self.state = "login"
        self.say("\nDebian GNU/Linux 12 pedal ttyTCU0\n\npedal login: ")

    def log_in(self) -> None:
        """A shell on a terminal of its own, as somebody left it behind."""
        self.state = "shell"
        self._master, slave = os.openpty()
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={"PATH": f"{self.tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "PS1": "# "},
        )
        os.close(slave)
        threading.Thread(target=self._show, args=(self._master,), daemon=True).start()

    def _show(self, master: int) -> None:
        """What the shell's terminal shows."""
        with contextlib.suppress(OSError):
            while data := os.read(master, 4096):
                if self._connection is not None:
                    self._connection.sendall(data)

    def _end_shell(self) -> None:
        if self._bash is not None:
            self._bash.kill()
            self._bash.wait()
            os.close(self._master)
            self._bash = None

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connection, _ = self._listener.accept()
                data = b""
                while more := self._connection.recv(4096):
                    data += more
                    while b"\n" in data:
                        line, _, data = data.partition(b"\n")
                        self._line(line.decode())

    def _line(self, line: str) -> None:
        self.typed.append(line)
        match self.state:
            case "shell":
                os.write(self._master, line.encode() + b"\n")
            case "login" if not line:
                self.say("\n\npedal login: ")
            case "login":
                self.state = "password"
                self._known = line == self.user
                self.say(f"{line}\nPassword: ")
            case "password" if self._known and line == self.password:
                self.say("\nLinux pedal 6.12\n")
                self.log_in()
            case "password":
                self.state = "login"
                self.say("\nLogin incorrect\npedal login: ")
