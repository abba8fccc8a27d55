"""Switched supplies that measure their current, over SCPI: Keysight, Rigol, Siglent, TTi and alike.

``VOLT 12.000``, ``CURR 5.000``, ``OUTP ON``; ``MEAS:VOLT?``, ``MEAS:CURR?``. TTi's have names of
their own. What was set is read back; what flows is what the supply measures, at its terminals.
"""

import re
from dataclasses import dataclass
from typing import Literal

from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.protocols import SupplyReading
from hil.instruments.readback import confirm, confirm_state
from hil.instruments.transport import PATIENCE, Patience
from hil.instruments.visa import Visa

PORT = 5025
RESOLUTION_V = 0.02
RESOLUTION_A = 0.02
DialectName = Literal["scpi", "tti"]


@dataclass(frozen=True)
class Dialect:
    """How a family says it; ``{n}`` is the output's number."""

    volts: str
    volts_set: str
    amperes: str
    amperes_set: str
    on: str
    off: str
    is_on: str
    measured_v: str
    measured_a: str
    errors: str
    select: str
    """Sent when the line is opened, where an output is named."""


DIALECTS: dict[DialectName, Dialect] = {
    "scpi": Dialect(
        volts="VOLT {value:.3f}",
        volts_set="VOLT?",
        amperes="CURR {value:.3f}",
        amperes_set="CURR?",
        on="OUTP ON",
        off="OUTP OFF",
        is_on="OUTP?",
        measured_v="MEAS:VOLT?",
        measured_a="MEAS:CURR?",
        errors="SYST:ERR?",
        select="INST:NSEL {n}",
    ),
    # Aim-TTi, PL, CPX and QL series: instrument manuals, remote commands.
    "tti": Dialect(
        volts="V{n} {value:.3f}",
        volts_set="V{n}?",
        amperes="I{n} {value:.3f}",
        amperes_set="I{n}?",
        on="OP{n} 1",
        off="OP{n} 0",
        is_on="OP{n}?",
        measured_v="V{n}O?",
        measured_a="I{n}O?",
        errors="EER?",
        select="",
    ),
}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class ScpiSupply:
    """See ``hil.instruments.protocols.Supply``."""

    def __init__(
        self,
        name: str,
        address: str,
        clock: Clock,
        *,
        output: int | None = None,
        dialect: DialectName = "scpi",
        baud: int = 9600,
        patience: Patience = PATIENCE,
    ) -> None:
        """Ask who it is. Raises ``InstrumentError``."""
        self._says = DIALECTS[dialect]
        self._output = output or 1
        select = self._says.select.format(n=output) if output is not None else ""
        self._visa = Visa(
            name, address, first=(select,) if select else (), baud=baud, patience=patience
        )
        self._clock = clock
        self.model = " ".join(self._visa.ask("*IDN?").split(",")[:2])
        self._who = f"{name} ({self.model} at {address})"
        # A reading now, so that what cannot measure is refused before it is needed.
        self.read()

    def set(self, volts: float, limit_a: float) -> None:
        """See the protocol. The limit goes first: a greater voltage never meets the old one."""
        for command, query, value, resolution in (
            (self._says.amperes, self._says.amperes_set, limit_a, RESOLUTION_A),
            (self._says.volts, self._says.volts_set, volts, RESOLUTION_V),
        ):
            sent = command.format(n=self._output, value=value)
            self._visa.send(sent)
            confirm(
                self._clock,
                self._who,
                sent,
                value,
                lambda query=query: self._number(query),  # type: ignore[misc]
                resolution,
            )
        self._visa.check(self._says.errors)

    def switch(self, on: bool) -> None:
        """See the protocol."""
        sent = (self._says.on if on else self._says.off).format(n=self._output)
        self._visa.send(sent)
        confirm_state(
            self._clock,
            self._who,
            sent,
            lambda: self._on() == on,
            "see its panel: a trip (OVP, OCP) or a lock holds it",
        )

    def read(self) -> SupplyReading:
        """See the protocol."""
        return SupplyReading(
            volts=self._number(self._says.measured_v),
            amperes=self._number(self._says.measured_a),
            on=self._on(),
        )

    def close(self) -> None:
        """See the protocol."""
        self._visa.close()

    # -- inside -----------------------------------------------------------------------------------

    def _on(self) -> bool:
        query = self._says.is_on.format(n=self._output)
        came = self._visa.ask(query).upper()
        if came not in ("0", "1", "ON", "OFF", "+0", "+1"):
            raise InstrumentError(f"{self._who} answers {query} with {came!r:.40}, not 0 or 1.")
        return came in ("1", "ON", "+1")

    def _number(self, query: str) -> float:
        """The last number of an answer: ``12.000``, ``V1 12.000`` and ``12.00V`` are the same."""
        query = query.format(n=self._output)
        came = self._visa.ask(query)
        found = _NUMBER.findall(came)
        if not found:
            raise InstrumentError(
                f"{self._who} answers {query} with {came!r:.40}, where a number was expected; "
                "check dialect in bench.toml."
            )
        return float(found[-1])
