"""A switched supply that measures its current, over SCPI: 30 V, 10 A; it is the pedal's key."""

from hil.plant.plant import Plant
from hil.servers.faults import SupplyFaults
from hil.servers.scpi import CONFLICT, Complaint, Scpi, number, switch

MOST_V, MOST_A = 30.0, 10.0
IDENTITY = "Simulated,supply 30 V 10 A,0,1.0"


class Supply(Scpi):
    """In front of the plant's source. See ``hil.servers.line.Dialect``."""

    def __init__(self, plant: Plant, faults: SupplyFaults) -> None:
        """As the plant's source is set."""
        self._plant, self._faults = plant, faults
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        super().__init__(
            IDENTITY,
            {
                "*RST": self._reset,
                f"[SOURce:]VOLTage{level}": self._set_volts,
                f"[SOURce:]VOLTage{level}?": lambda _: _shown(plant.source.volts),
                f"[SOURce:]CURRent{level}": self._set_limit,
                f"[SOURce:]CURRent{level}?": lambda _: _shown(plant.source.limit_a),
                "OUTPut[:STATe]": self._switch,
                "OUTPut[:STATe]?": lambda _: str(int(self._on)),
                "MEASure[:SCALar][:VOLTage][:DC]?": lambda _: _shown(self._measured_v()),
                "MEASure[:SCALar]:CURRent[:DC]?": lambda _: _shown(self._measured_a()),
                "INSTrument[:SELect]:NSELect": self._select,
                "INSTrument:NSELect": self._select,
                "INSTrument:NSELect?": lambda _: "1",
            },
        )

    @property
    def _on(self) -> bool:
        if self._faults.tripped:
            self._plant.source.on = False
        return self._plant.source.on

    def _measured_v(self) -> float:
        """At its terminals: what the cable takes is not lost yet."""
        if not self._on:
            return 0.0
        load = self._plant.load
        if not load.amperes:
            return self._plant.source.volts
        return load.volts + load.amperes * self._plant.parameters.cable_ohm

    def _measured_a(self) -> float:
        return self._plant.load.amperes if self._on else 0.0

    def _set_volts(self, given: list[str]) -> None:
        volts = number(given, 0.0, MOST_V, "V")
        if not self._faults.ignores_writes:
            self._plant.source.volts = volts

    def _set_limit(self, given: list[str]) -> None:
        limit_a = number(given, 0.0, MOST_A, "A")
        if not self._faults.ignores_writes:
            self._plant.source.limit_a = limit_a

    def _switch(self, given: list[str]) -> None:
        on = switch(given)
        if on and self._faults.tripped:
            raise Complaint(CONFLICT)
        if not self._faults.ignores_writes:
            self._plant.source.on = on

    def _select(self, given: list[str]) -> None:
        number(given, 1.0, 1.0)

    def _reset(self, _: list[str]) -> None:
        if not self._faults.ignores_writes:
            self._plant.source.volts, self._plant.source.on = 0.0, False


def _shown(value: float) -> str:
    return f"{value:+.8E}"
