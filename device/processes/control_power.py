"""What holds relay and heater, and what the LEDs show: the table of states, carried out.

The states decide a few times a second; whether ``audio`` lives is asked before every edge, so
that the relay drops when its periods stop and not when somebody has looked.
"""

from collections.abc import Collection

from device.boards.board import Output, Sensors
from device.leds import Shown, leds
from device.processes.control_part import Part
from device.pump import Pump
from device.states import Decision, Inputs, Limits, States, Temperatures
from device.states.values import Audio

STEP_S = 0.05
SENSE_S = 0.5
"""Thermometers are slow, and reading them takes a bus or a coprocessor."""
LED_S = 0.03
"""Half of the shortest flash."""


class _Pumped:
    """A line with edges on it, as far as it is there."""

    def __init__(self, part: Part[Output]) -> None:
        self.part = part
        self._line: Output | None = None
        self._pump: Pump | None = None

    def turn(self, now_s: float, wanted: bool) -> None:
        """Send the edge that is due; a line that fails lets go by itself."""
        line = self.part.get(now_s)
        if line is None:
            return
        if line is not self._line or self._pump is None:
            self._line, self._pump = line, Pump(line)
        try:
            self._pump.turn(now_s, wanted)
        except OSError as error:
            self.part.lost(error, now_s)

    @property
    def edges(self) -> int:
        """Edges sent on the line as it is open now."""
        return 0 if self._pump is None else self._pump.edges


class _Lamp:
    """One LED, set only when it changes."""

    def __init__(self, part: Part[Output]) -> None:
        self.part = part
        self._line: Output | None = None
        self._lit: bool | None = None

    def show(self, now_s: float, lit: bool) -> None:
        line = self.part.get(now_s)
        if line is None or (line is self._line and lit == self._lit):
            return
        try:
            line.set(lit)
            self._line, self._lit = line, lit
        except OSError as error:
            self.part.lost(error, now_s)


class Power:
    """Steps the states and does what they decide."""

    def __init__(
        self,
        sensors: Sensors | None = None,
        relay: Part[Output] | None = None,
        heater: Part[Output] | None = None,
        lamps: tuple[Part[Output], Part[Output]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take what the board has; ``lamps`` are the status and the fault LED."""
        self._sensors = sensors
        self._relay = None if relay is None else _Pumped(relay)
        self._heater = None if heater is None else _Pumped(heater)
        self._lamps = None if lamps is None else (_Lamp(lamps[0]), _Lamp(lamps[1]))
        self.states = States(limits)
        self.decision: Decision = self.states.decision
        """What was decided last."""
        self.held = False
        """Whether edges hold the relay."""
        self.temperatures = Temperatures()
        self._stepped_s = self._sensed_s = self._lit_s = float("-inf")
        self._audio: Audio = "dead"

    def hold(self, now_s: float, plays: bool) -> None:
        """Send the edges that are due now: the relay's only while ``audio`` plays."""
        self.held = plays and self.decision.relay
        if self._relay is not None:
            self._relay.turn(now_s, self.held)
        if self._heater is not None:
            self._heater.turn(now_s, self.decision.heater)

    def step(self, now_s: float, audio: Audio, faults: Collection[str]) -> bool:
        """Decide anew; True where something changed."""
        self._stepped_s, self._audio = now_s, audio
        if self._sensors is not None and now_s - self._sensed_s >= SENSE_S:
            self._sensed_s = now_s
            self.temperatures = self._sensors.read(now_s)
        before = self.decision
        self.decision = self.states.step(
            Inputs(now_s, self.temperatures, audio, frozenset([*faults, *self.faults()]))
        )
        return self.decision is not before

    def due(self, now_s: float, audio: Audio) -> bool:
        """Whether it is time for ``step``: at once where ``audio`` changed."""
        return now_s - self._stepped_s >= STEP_S or audio != self._audio

    def show(self, now_s: float, shown: Shown) -> None:
        """Light the LEDs."""
        if self._lamps is None:
            return
        self._lit_s = now_s
        for lamp, lit in zip(self._lamps, leds(shown, now_s), strict=True):
            lamp.show(now_s, lit)

    def show_due(self, now_s: float) -> bool:
        """Whether the LEDs may have to change."""
        return self._lamps is not None and now_s - self._lit_s >= LED_S

    def faults(self) -> list[str]:
        """What is wrong with the lines, as the states take it."""
        return [part.fault for part in self._parts() if part.fault]

    def problems(self) -> list[str]:
        """A sentence for each line that is missing."""
        return [part.problem for part in self._parts() if part.problem]

    def edges(self) -> int:
        """Edges sent to the relay."""
        return 0 if self._relay is None else self._relay.edges

    def close(self) -> None:
        """Give the lines back; what is held by edges lets go."""
        for part in self._parts():
            part.close()

    def _parts(self) -> list[Part[Output]]:
        users = [self._relay, self._heater, *(self._lamps or ())]
        return [user.part for user in users if user is not None]
