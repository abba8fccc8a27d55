"""A logger of thermocouples over SCPI: Keysight 34970A, 34972A, DAQ970A, and what is like them.

``CONF:TEMP TC,T,(@101,102)``, then ``READ?`` → ``+2.310E+01,+2.290E+01``: a scan in the channels'
order. An open couple reads +9.9E+37 (34970A user's guide).
"""

import math
from collections.abc import Mapping
from typing import Literal

from hil.errors import InstrumentError
from hil.instruments.transport import PATIENCE, Patience
from hil.instruments.visa import Visa

PORT = 5025
OPEN = 9.9e37
LOWEST_C, HIGHEST_C = -200.0, 400.0
"""Of a type T couple (IEC 60584-1: −200 to 350 °C); beyond is another unit or a broken wire."""
Couple = Literal["B", "E", "J", "K", "N", "R", "S", "T"]


class ScpiThermocouples:
    """See ``hil.instruments.protocols.Thermocouples``."""

    def __init__(
        self,
        name: str,
        address: str,
        channels: Mapping[str, int],
        *,
        couple: Couple = "T",
        baud: int = 9600,
        patience: Patience = PATIENCE,
    ) -> None:
        """``channels`` by position: slot and channel as the logger counts, 101. Configures it.

        Raises ``InstrumentError``.
        """
        # Scanned in the order of their numbers, whatever was asked.
        self._positions = sorted(channels, key=lambda position: channels[position])
        numbers = ",".join(str(channels[position]) for position in self._positions)
        self._visa = Visa(
            name,
            address,
            first=(f"CONF:TEMP TC,{couple},(@{numbers})", f"UNIT:TEMP C,(@{numbers})"),
            baud=baud,
            patience=patience,
        )
        self.model = " ".join(self._visa.ask("*IDN?").split(",")[:2])
        self._who = f"{name} ({self.model} at {address})"
        self._visa.check()
        self.read()

    def read(self) -> dict[str, float]:
        """See the protocol. Waits for one scan."""
        came = self._visa.ask("READ?")
        try:
            values = [float(each) for each in came.split(",")]
        except ValueError:
            values = []
        if len(values) != len(self._positions):
            raise InstrumentError(
                f"{self._who} answers READ? with {came!r:.80}, where {len(self._positions)} "
                "temperatures were expected; check the channels in bench.toml."
            )
        read = dict(zip(self._positions, map(_closed, values), strict=True))
        for position, celsius in read.items():
            if not math.isnan(celsius) and not LOWEST_C <= celsius <= HIGHEST_C:
                raise InstrumentError(
                    f"{self._who}: {position} reads {celsius:g} °C, which no such couple does; "
                    "check its unit, its type and its wires."
                )
        return read

    def close(self) -> None:
        """See the protocol."""
        self._visa.close()


def _closed(celsius: float) -> float:
    """A temperature, NaN for an open couple."""
    return math.nan if not abs(celsius) < OPEN / 2 else celsius
