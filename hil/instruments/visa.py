"""SCPI instruments through PyVISA: raw sockets and serial lines, without a vendor's library.

An address is what ``Link`` takes (``192.168.0.21:5025``, ``/dev/ttyUSB1``) or a VISA resource
(``TCPIP::192.168.0.21::5025::SOCKET``, ``ASRL/dev/ttyUSB1::INSTR``, ``USB0::…::INSTR``).
"""

import time
from typing import Any

import pyvisa

from hil.errors import InstrumentError
from hil.instruments.transport import PATIENCE, Patience, is_serial, parse_tcp

BACKEND = "@py"
_PAUSE_S = 0.05


def resource_of(address: str) -> str:
    """The VISA resource of an address. Raises ``BenchError`` for what is none."""
    if "::" in address and not address.startswith("["):
        return address
    if is_serial(address):
        return f"ASRL{address}::INSTR"
    host, port = parse_tcp(address)
    return f"TCPIP::{host}::{port}::SOCKET"


class Visa:
    """Requests and answers, lines of text; opened anew where the line breaks."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        first: tuple[str, ...] = (),
        patience: Patience = PATIENCE,
        baud: int = 9600,
        end: str = "\n",
    ) -> None:
        """``first`` is sent whenever the line is opened. Nothing is opened before a request."""
        self.name, self.address = name, address
        self._resource_name = resource_of(address)
        self._first, self._end, self._baud = first, end, baud
        self._patience = patience
        self._resource: Any = None

    def ask(self, query: str) -> str:
        """Send a query and give its answer. Raises ``InstrumentError``."""
        return str(self._repeated(query, "query")).strip()

    def send(self, command: str) -> None:
        """Send a command. Raises ``InstrumentError``."""
        self._repeated(command, "write")

    def check(self, query: str = "SYST:ERR?") -> None:
        """Raise ``InstrumentError`` where the instrument complains of what it was sent."""
        complaint = self.ask(query)
        if complaint.split(",")[0].strip().lstrip("+") not in ("0", "00"):
            # What else stands in the queue is about what was sent before.
            raise InstrumentError(
                f"{self.name} at {self.address} complains: {complaint:.80}; check what bench.toml "
                "asks of it."
            )

    def close(self) -> None:
        """Let go of the line; the next request opens it again."""
        resource, self._resource = self._resource, None
        if resource is not None:
            try:
                resource.close()
            except Exception:
                # pyvisa-py gives whatever a dead line gave it; there is nothing left to close.
                return

    # -- inside -----------------------------------------------------------------------------------

    def _repeated(self, text: str, how: str) -> Any:
        reason = ""
        for attempt in range(self._patience.tries):
            if attempt:
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
            try:
                return getattr(self._opened(), how)(text)
            except Exception as error:
                # Its own errors, the system's, and plain Exceptions, by where it noticed.
                reason = str(error) or type(error).__name__
                self.close()
        raise InstrumentError(
            f"{self.name} at {self.address} does not answer {text!r:.60} ({reason:.120}, "
            f"{self._patience.tries} tries); check its line, its address and that it is in remote."
        )

    def _opened(self) -> Any:
        if self._resource is None:
            manager = pyvisa.ResourceManager(BACKEND)
            resource: Any = manager.open_resource(
                self._resource_name, open_timeout=round(1000 * self._patience.connect_s)
            )
            resource.timeout = round(1000 * self._patience.answer_s)
            resource.read_termination = resource.write_termination = self._end
            if self._resource_name.startswith("ASRL"):
                resource.baud_rate = self._baud
            self._resource = resource
            for command in self._first:
                resource.write(command)
        return self._resource
