"""The plant, led by the guest: it goes on only as far as the guest's clock says.

Heat, cold and the box are the plant's (``hil.plant``); what the pedal does is the guest's, whose
real control process decides on heater, relay and state from the temperatures that the plant
answers. So the loop is closed through the firmware as it ships.

A warm-up takes many minutes and a second of the guest some seconds of the host, so one factor
stands between the clocks: so many of the plant's seconds pass in each of the guest's. The pedal's
own times (what must be confirmed, how long the heater pauses) are the guest's and are thus longer
to the plant by that factor; the checks ask for them in the guest's seconds.
"""

import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.plant.boot import BootChain
from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters
from hil.plant.pedal import FastPedal
from hil.plant.plant import STEP_S, Plant
from hil.virtual.errors import VirtualError
from hil.virtual.exchange import LONGEST_LINE, Answer, Question, from_line, to_line

LONGEST_STEP_S = 30.0
"""Guest seconds from one question to the next; beyond, it is no exchange any more."""
_LONGEST_START_S = 3600.0
_STARTED_S = 15.0
"""The guest asks first when it plays: its units have run for about so long, too. By then the plant
no longer goes in the small steps of a start, which the guest would have to wait for."""
RELEASE_C = -27.0
"""The hold-off's thermostat at the coldest that the boot chain (−28 °C) bears, not at its nominal
−20 °C: so the firmware's own ``hold`` is part of the way. Assumption."""


@dataclass(frozen=True)
class Leg:
    """One part of a programme: air, and what the pedal must come to in it."""

    air_c: float
    state: str
    """The pedal's state that ends the leg, once it has been there for ``for_s``."""
    heater: bool | None = None
    """What the heater must be then; None: no matter."""
    for_s: float = 2.0
    """Guest seconds."""
    limit_s: float = 90.0
    """Guest seconds after which the leg is given up, and with it the programme."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.air_c:g} °C until {self.state}"


COLD_HALF: tuple[Leg, ...] = (
    # Colder than the heater can bear for long, so that what holds the pedal back is seen.
    Leg(-55.0, "hold", heater=True, for_s=1.0),
    Leg(-40.0, "warm-up", heater=True, for_s=1.0),
    # Its heater goes off on the way.
    Leg(45.0, "play", heater=False, for_s=4.0),
)
WHOLE: tuple[Leg, ...] = (
    *COLD_HALF[:2],
    Leg(90.0, "hot", for_s=1.0),
    Leg(25.0, "play", for_s=1.0),
)


@dataclass(frozen=True)
class Programme:
    """What the chamber does to the guest."""

    factor: float = 60.0
    """Plant seconds in a guest second."""
    start_c: float = -55.0
    """Of everything, before the key is turned."""
    legs: tuple[Leg, ...] = WHOLE
    release_c: float = RELEASE_C
    faults: PlantFaults = field(default_factory=PlantFaults)


class GuestPedal(FastPedal):
    """The pedal's place in the plant, filled by what the guest says of itself."""

    load = 0.0

    def follow(self, question: Question) -> None:
        """Do from now on what the guest does."""
        self.heater, self.relay, self.load = question.heater, question.relay, question.load
        self.xruns = question.xruns

    def advance(
        self,
        seconds: float,
        now_s: float,
        boot: BootChain,
        readings: Mapping[str, float],
        air_c: float,
        humidity_percent: float,
        interface_ppm: float,
    ) -> None:
        """Nothing: the guest has its own time."""

    @property
    def watts(self) -> float:
        """What computing takes beyond an idle module.

        Assumption: proportional to the load of a period, the studio engine's power at 100 %. The
        guest's speed is not a Jetson's, so this is a load that varies, not one that is known.
        """
        return self.load * self._parameters.studio_w


@dataclass(frozen=True)
class Row:
    """One exchange: the question, and the plant when it was answered."""

    asked: Question
    plant_s: float
    """Since the guest took the lead."""
    air_c: float
    enclosure_c: float
    given_c: float
    """The die, as it was answered."""
    leg: str


@dataclass
class Record:
    """All that was exchanged."""

    programme: Programme
    rows: list[Row] = field(default_factory=list)
    legs: list[tuple[float, str]] = field(default_factory=list)
    """(guest s, name) of each leg that was begun."""
    missed: str = ""
    """The leg that was given up."""
    failed: str = ""
    """Why the exchange broke off."""


class LedPlant:
    """Answers questions, and remembers them."""

    def __init__(self, programme: Programme) -> None:
        """Turn the key in the cold and wait until the pedal's units run.

        Raises ``VirtualError`` where they never do.
        """
        self.record = Record(programme)
        parameters = Parameters(release_c=programme.release_c)
        self.plant = plant = Plant(parameters, programme.faults)
        self._pedal = GuestPedal(parameters, programme.faults, plant.random)
        plant.pedal = self._pedal
        plant.network.settle(programme.start_c)
        chamber = plant.chamber
        chamber.air_c = chamber.setpoint_c = programme.start_c
        chamber.running = plant.source.on = True
        while plant.boot.running_s < _STARTED_S:
            if plant.boot.phase == "refused" or plant.now_s() > _LONGEST_START_S:
                raise VirtualError(
                    f"the plant's module does not start at {programme.start_c:g} °C "
                    f"({plant.boot.phase}, die {plant.network['die']:.1f} °C)"
                )
            plant.sleep(STEP_S)
        self._start_s = plant.now_s()
        self._first_s = self._last_s = 0.0
        self._leg = 0
        self._since_s: float | None = None
        self._begun_s = 0.0
        self.over = False
        """Whether the guest has said goodbye."""

    def answer(self, question: Question) -> Answer:
        """Go on to the guest's time. Raises ``VirtualError`` for a guest that cannot be led by."""
        self._check(question)
        plant, rows = self.plant, self.record.rows
        if not rows:
            self._first_s = self._last_s = self._begun_s = question.time_s
            self.record.legs.append((question.time_s, self._now.name))
        self._last_s = question.time_s
        # What the guest did until now is what it said last.
        self._go_to((question.time_s - self._first_s) * self.record.programme.factor)
        self._pedal.follow(question)
        plant.source.on = question.key
        if question.key and plant.boot.phase != "running":
            raise VirtualError(
                f"the plant's module is off ({plant.boot.phase}) at "
                f"{plant.network['die']:.1f} °C, and the guest plays on"
            )
        done = self._go_on(question)
        given_c = round(plant.network["die"], 3)
        rows.append(
            Row(
                asked=question,
                plant_s=plant.now_s() - self._start_s,
                air_c=plant.chamber.air_c,
                enclosure_c=plant.network["enclosure"],
                given_c=given_c,
                leg=self._now.name,
            )
        )
        self.over = not question.key
        return Answer(question.number, given_c, done, self._now.name)

    def _go_to(self, plant_s: float) -> None:
        """Go on to a time since the lead was taken, in whole steps: what is left waits.

        A step of another length costs the plant an exponential of its network.
        """
        due_s = plant_s - (self.plant.now_s() - self._start_s)
        self.plant.sleep(STEP_S * math.floor(due_s / STEP_S + 1e-6))

    @property
    def _now(self) -> Leg:
        legs = self.record.programme.legs
        return legs[min(self._leg, len(legs) - 1)]

    def _check(self, question: Question) -> None:
        rows = self.record.rows
        if question.number != len(rows):
            raise VirtualError(
                f"question {question.number} came where {len(rows)} was due: the guest's agent "
                "was started again, or lines were lost"
            )
        if not rows:
            return
        passed_s = question.time_s - self._last_s
        if passed_s <= 0.0:
            raise VirtualError(
                f"the guest's clock went from {self._last_s:.3f} s to {question.time_s:.3f} s; "
                "a plant cannot go back"
            )
        if passed_s > LONGEST_STEP_S:
            raise VirtualError(
                f"the guest said nothing from {self._last_s:.1f} s to {question.time_s:.1f} s of "
                f"its time; at most {LONGEST_STEP_S:g} s may pass"
            )
        if not question.key and not self._leg >= len(self.record.programme.legs):
            raise VirtualError(f"the pedal went off in the leg {self._now.name}")

    def _go_on(self, question: Question) -> bool:
        """Whether the programme is over; begins the next leg where one has come to its end."""
        legs, now_s = self.record.programme.legs, question.time_s
        if self._leg >= len(legs):
            return True
        leg = legs[self._leg]
        self.plant.chamber.setpoint_c = leg.air_c
        there = question.state == leg.state and leg.heater in (None, question.heater)
        if not there:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        if self._since_s is not None and now_s - self._since_s >= leg.for_s:
            self._leg += 1
            self._since_s, self._begun_s = None, now_s
            if self._leg < len(legs):
                self.record.legs.append((now_s, legs[self._leg].name))
                self.plant.chamber.setpoint_c = legs[self._leg].air_c
        elif now_s - self._begun_s > leg.limit_s:
            self.record.missed = (
                f"{leg.name} did not come in {leg.limit_s:g} s of the guest "
                f"(state {question.state}, module {self.plant.network['die']:.1f} °C)"
            )
            self._leg = len(legs)
        return self._leg >= len(legs)


def serve(line: socket.socket, programme: Programme, silence_s: float) -> Record:
    """Answer until the guest says goodbye, ends or talks nonsense; then close the line.

    ``silence_s`` is how long the host waits for a word, seconds of its own.

    Never raises: why it broke off stands in the record, with all that was exchanged until then.
    """
    record = Record(programme)
    with line:
        line.settimeout(silence_s)
        try:
            led = LedPlant(programme)
            record = led.record
            rest = b""
            while not led.over:
                asked, rest = _next_line(line, rest)
                line.sendall(to_line(led.answer(from_line(Question, asked))))
        except TimeoutError:
            record.failed = f"the guest said nothing for {silence_s:g} s of the host"
        except VirtualError as error:
            record.failed = str(error)
        except OSError as error:
            record.failed = f"the guest's serial port failed ({error.strerror or error})"
    return record


def _next_line(line: socket.socket, rest: bytes) -> tuple[bytes, bytes]:
    """The next line without its end, and what came behind it. Raises ``VirtualError``."""
    while b"\n" not in rest:
        if len(rest) > LONGEST_LINE:
            raise VirtualError(
                f"the guest sent {len(rest)} bytes without the end of a line: {rest[:40]!r}"
            )
        part = line.recv(LONGEST_LINE)
        if not part:
            raise VirtualError("the guest ended before the programme did; see its console.log")
        rest += part
    asked, _, rest = rest.partition(b"\n")
    return asked, rest
