r"""Vötsch chambers with the older ASCII-2 protocol: TCP 2049 through their converter, or serial.

``$01I\r`` → ``0025.0 0025.1 0000.0 0100…``: setpoint, air, another, 32 bits, of which the
second says that it runs. ``$01E -040.0 0000.0 0100000000\r`` sets. What stands where differs from
unit to unit; ``$01?`` tells (``ascii2_layout.py``). Its traps, all met in the field:

- a write is never answered, good or bad;
- a write with too few or too many fields moves the setpoint, and never starts;
- a write is ignored unless the panel stands on *extern*.

So everything is read back, and what did not come says which of these it looks like. Alarms and
the door are not in this protocol: the guard's limits and the logger stand in for them.
"""

import re
from dataclasses import dataclass

from hil.clock import Clock
from hil.errors import InstrumentError
from hil.instruments.ascii2_layout import DEFAULT, Layout, read_layout
from hil.instruments.protocols import ChamberLimits, ChamberReading
from hil.instruments.readback import confirm, confirm_state
from hil.instruments.transport import Link

PORT = 2049
BAUD = 9600
END = b"\r"
RESOLUTION_C = 0.1
RESOLUTION_PERCENT = 0.1
_VALUE = re.compile(r"[+-]?\d+\.\d+")
_EXTERN = "switch its panel to extern, it ignores every write otherwise"
_FRAMING = (
    "it took the setpoint and does not start, as it does when the number of fields is not the one "
    "it wants ($01? tells it), or while it has an alarm: see its panel"
)


@dataclass(frozen=True)
class _State:
    """What ``$01I`` said."""

    values: tuple[float, ...]
    bits: str


class Ascii2:
    """See ``hil.instruments.protocols.Chamber``."""

    def __init__(self, link: Link, limits: ChamberLimits, clock: Clock, *, unit: int = 1) -> None:
        """Ask what stands where. Raises ``InstrumentError``."""
        self._link, self._clock = link, clock
        self._unit = f"{unit:02d}"
        self._who = f"{link.name} at {link.address}"
        self._layout = self._ask_layout()
        self.model = "Vötsch ASCII-2"
        self._who = f"{link.name} ({self.model} at {link.address})"
        low_c, high_c = self._layout.range_c or (limits.lowest_c, limits.highest_c)
        self.limits = ChamberLimits(
            max(limits.lowest_c, low_c),
            min(limits.highest_c, high_c),
            limits.cooling_k_per_min,
            limits.heating_k_per_min,
            limits.humidity and self._layout.humidity is not None,
        )
        self._state()

    def read(self) -> ChamberReading:
        """See the protocol."""
        layout, state = self._layout, self._state()
        humidity = setpoint = None
        if layout.humidity is not None:
            setpoint, humidity = (state.values[at] for at in layout.humidity)
        return ChamberReading(
            air_c=state.values[layout.temperature[1]],
            setpoint_c=state.values[layout.temperature[0]],
            humidity_percent=humidity,
            humidity_setpoint_percent=setpoint if setpoint else None,
            running=self._runs(state),
        )

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol."""
        if humidity_percent is not None and not self.limits.humidity:
            raise InstrumentError(f"{self._who} does not regulate humidity.")
        layout = self._layout
        wanted = {layout.temperature[0]: round(temperature_c, 1)}
        if layout.humidity is not None:
            wanted[layout.humidity[0]] = round(humidity_percent or 0.0, 1)
        before = self._state()
        sent = self._write(before, wanted, self._runs(before))
        for at, value in wanted.items():
            confirm(
                self._clock,
                self._who,
                sent,
                value,
                lambda at=at: self._state().values[at],  # type: ignore[misc]
                RESOLUTION_C,
                _EXTERN,
            )
        if self._runs(self._state()) != self._runs(before):
            raise InstrumentError(f"{self._who}: {sent} was sent, and it {_FRAMING[3:]}.")

    def start(self) -> None:
        """See the protocol."""
        self._switch(True, _FRAMING)

    def stop(self) -> None:
        """See the protocol."""
        self._switch(False, "switch it off at the panel; it ignores writes unless it is on extern")

    def close(self) -> None:
        """See the protocol."""
        self._link.close()

    # -- inside -----------------------------------------------------------------------------------

    def _switch(self, on: bool, why: str) -> None:
        state = self._state()
        if self._runs(state) == on:
            return
        sent = self._write(state, {}, on)
        confirm_state(self._clock, self._who, sent, lambda: self._runs(self._state()) == on, why)

    def _runs(self, state: _State) -> bool:
        return state.bits[self._layout.start_bit] == "1"

    def _write(self, state: _State, wanted: dict[int, float], on: bool) -> str:
        """Send all that it is to be: what nobody asked to change stays as it was read."""
        layout = self._layout
        values = [wanted.get(at, state.values[at]) for at in layout.written]
        bits = list(state.bits[: layout.bits_written].ljust(layout.bits_written, "0"))
        bits[layout.start_bit] = "1" if on else "0"
        fields = [f"{value:06.1f}" for value in values]
        fields.append((" " if layout.bits_apart else "").join(bits))
        command = f"${self._unit}E {' '.join(fields)}"
        self._link.send(command.encode("ascii") + b"\r")
        return command

    def _state(self) -> _State:
        """What it is. A complaint about an earlier write may come first, and is left out."""
        came = ""
        for _ in range(3):
            came = self._link.ask(f"${self._unit}I\r".encode("ascii")).decode("latin-1").strip()
            words = came.split()
            values = [float(word) for word in words if _VALUE.fullmatch(word)]
            bits = "".join(word for word in words if word.strip("01") == "")
            if len(values) >= self._layout.values_read and len(bits) > self._layout.start_bit:
                return _State(tuple(values), bits)
        raise InstrumentError(
            f"{self._who} answers ${self._unit}I with {came!r:.80}, where "
            f"{self._layout.values_read} values and bits were expected; check kind and unit in "
            "bench.toml."
        )

    def _ask_layout(self) -> Layout:
        try:
            text = self._link.gather(f"${self._unit}?\r".encode("ascii"), tries=1)
        except InstrumentError:
            return DEFAULT  # the oldest do not tell; that it is there at all is seen by reading
        return read_layout(text.decode("latin-1"))
