"""A logger of thermocouples, over SCPI: as Keysight's 34970A with a multiplexer in its first slot.

``CONF:TEMP TC,T,(@101,102)`` chooses, ``READ?`` scans and answers ``+2.31000000E+01,…``; an open
couple reads +9.90000000E+37 (34970A user's guide). Channels are scanned in the order of numbers.
"""

from collections.abc import Mapping

from hil.plant.plant import Plant
from hil.plant.thermal import NODES
from hil.servers.faults import LoggerFaults
from hil.servers.scpi import CONFLICT, ILLEGAL, MISSING, Complaint, Scpi, channels

OPEN = 9.9e37
IDENTITY = "Simulated,34970A,0,1.0"
POSITIONS: Mapping[int, str] = {101 + at: name for at, name in enumerate(("air", *NODES))}
"""Channel to position: the air's couple first, then one on every lump of the plant."""
_COUPLES = ("DEF", "B", "E", "J", "K", "N", "R", "S", "T")
_UNITS = ("C", "F", "K")


class Logger(Scpi):
    """On the plant's thermocouples. See ``hil.servers.line.Dialect``."""

    def __init__(
        self, plant: Plant, faults: LoggerFaults, positions: Mapping[int, str] = POSITIONS
    ) -> None:
        """``positions`` by channel, of ``Plant.thermocouples_c``."""
        self._plant, self._faults, self._positions = plant, faults, positions
        self._listed: list[int] = []
        self._units: dict[int, str] = {}
        self._scanned = ""
        self._stuck: dict[str, float] = {}
        super().__init__(
            IDENTITY,
            {
                "*RST": self._reset,
                "CONFigure:TEMPerature": self._configure,
                "MEASure:TEMPerature?": self._measure,
                "UNIT:TEMPerature": self._unit,
                "UNIT:TEMPerature?": self._unit_of,
                "ROUTe:SCAN": self._route,
                "ROUTe:SCAN?": lambda _: "(@" + ",".join(map(str, self._listed)) + ")",
                "ROUTe:SCAN:SIZE?": lambda _: str(len(self._listed)),
                "READ?": lambda _: self._scan(),
                "INITiate": self._initiate,
                "FETCh?": self._fetch,
            },
        )

    def _configure(self, given: list[str]) -> None:
        """``TC,T,(@…)``; a range and a resolution may stand between."""
        if len(given) < 3:
            raise Complaint(MISSING)
        if given[0].upper() not in ("TC", "TCOUPLE", "TCOUP") or given[1].upper() not in _COUPLES:
            raise Complaint(ILLEGAL)
        self._listed = sorted(set(channels(given[-1], self._positions)))

    def _measure(self, given: list[str]) -> str:
        self._configure(given)
        return self._scan()

    def _unit(self, given: list[str]) -> None:
        if not given:
            raise Complaint(MISSING)
        unit = given[0].upper()
        if unit not in _UNITS:
            raise Complaint(ILLEGAL)
        which = channels(given[1], self._positions) if len(given) > 1 else list(self._positions)
        if not self._faults.fahrenheit:
            self._units.update(dict.fromkeys(which, unit))

    def _unit_of(self, given: list[str]) -> str:
        which = channels(given[0], self._positions) if given else self._listed
        return ",".join(self._units.get(channel, "C") for channel in which)

    def _route(self, given: list[str]) -> None:
        if not given:
            raise Complaint(MISSING)
        self._listed = sorted(set(channels(given[0], self._positions)))

    def _initiate(self, _: list[str]) -> None:
        self._scanned = self._scan()

    def _fetch(self, _: list[str]) -> str:
        if not self._scanned:
            raise Complaint(CONFLICT)
        return self._scanned

    def _reset(self, _: list[str]) -> None:
        self._listed, self._scanned = [], ""
        self._units.clear()

    def _scan(self) -> str:
        if not self._listed:
            raise Complaint(CONFLICT)
        read = self._plant.thermocouples_c()
        if self._faults.stuck:
            self._stuck = self._stuck or read
            read = self._stuck
        else:
            self._stuck = {}
        return ",".join(self._shown(channel, read) for channel in self._listed)

    def _shown(self, channel: int, read: Mapping[str, float]) -> str:
        position = self._positions[channel]
        celsius = read.get(position, OPEN)
        if position in self._faults.open or celsius == OPEN:
            return f"{OPEN:+.8E}"
        celsius += self._faults.offset_k
        unit = "F" if self._faults.fahrenheit else self._units.get(channel, "C")
        value = {"C": celsius, "F": celsius * 1.8 + 32.0, "K": celsius + 273.15}[unit]
        return f"{value:+.8E}"
