"""A control loop over parts that a test holds in its hands, and an audio process to talk to."""

from collections.abc import Callable, Sequence
from pathlib import Path

from device.boards.board import Clock, MidiEvent, Output
from device.boards.scripted import ScriptedKnob
from device.errors import ConfigError
from device.processes.control import ControlLoop
from device.processes.control_feet import Feet
from device.processes.control_hands import Hands
from device.processes.control_part import Part
from device.processes.control_power import Power
from device.processes.control_watch import Watch
from device.processes.journal import Journal
from device.processes.link import ControlState, Heartbeat, Link, Listener, connect
from device.script import Script
from device.slots import LinkWatch
from device.states import Temperatures
from device.unit_config import FileChange

TURN_S = 0.002


def scripted_control(
    script: Script, clock: Clock, connect: Callable[[], Link | None]
) -> ControlLoop:
    """A control loop that follows a script and has neither pins nor thermometers."""
    knob = ScriptedKnob(script)
    return ControlLoop(
        clock, Hands(Part("knob", lambda: knob)), Feet(script=script), Power(), connect
    )


class Hand:
    """Every part of a board in one: what a test sets is what the loop reads."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.raw = 0.5
        self.down = False
        self.celsius: float | None = 25.0
        self.events: list[MidiEvent] = []
        self.lines: dict[str, Line] = {}
        self.broken: set[str] = set()

    def wait(self) -> float:
        self.now_s += TURN_S
        return self.now_s

    def read(self, now_s: float) -> float:
        self.fail("knob")
        return self.raw

    def pressed(self) -> bool:
        self.fail("footswitch")
        return self.down

    def poll(self) -> Sequence[MidiEvent]:
        self.fail("midi")
        events, self.events = self.events, []
        return events

    def fail(self, name: str) -> None:
        if name in self.broken:
            raise OSError(5, f"{name} does not answer")

    def line(self, name: str) -> Output:
        if f"pin of {name}" in self.broken:
            raise ConfigError(f"header pin 99 cannot be opened: there is no pin 99 for {name}")
        self.lines[name] = Line(self, name)
        return self.lines[name]

    def rising(self, name: str) -> list[float]:
        return [time_s for time_s, on in self.lines[name].levels if on]


class Line:
    """An output that remembers."""

    def __init__(self, hand: Hand, name: str) -> None:
        self._hand = hand
        self._name = name
        self.levels: list[tuple[float, bool]] = []
        self.closed = False

    def set(self, on: bool) -> None:
        self._hand.fail(self._name)
        self.levels.append((self._hand.now_s, on))

    def close(self) -> None:
        self.closed = True


class Thermometer:
    """What the hand says the temperature is."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def read(self, now_s: float) -> Temperatures:
        value_c = self._hand.celsius
        return Temperatures(
            value_c, value_c, value_c, zones={} if value_c is None else {"z": value_c}
        )


class FakeAudio:
    """The other end of the link: it beats, freezes, loads and dies as a test says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audio.sock"
        self.beat = Heartbeat(presets=3)
        self.heard = ControlState()
        self.link: Link | None = None
        self.listener: Listener | None = Listener(self.path)
        self.beats = True

    def turn(self) -> None:
        """What it does in 10 ms."""
        if self.listener is None:
            return
        self.link = self.listener.accept() or self.link
        if self.link is None:
            return
        if self.beats:
            self.beat.periods += 7
            self.link.send(self.beat.pack())
        self.link.receive(self.heard)

    def die(self) -> None:
        if self.link is not None:
            self.link.close()
        if self.listener is not None:
            self.listener.close()
        self.link = self.listener = None

    def live_again(self) -> None:
        self.listener = Listener(self.path)
        self.beat, self.heard = Heartbeat(presets=3), ControlState()


class Rig:
    """The whole control process but for its start, on the parts of ``hand``, beside ``audio``."""

    def __init__(
        self,
        folder: Path,
        *,
        preset: int | None = None,
        bypass: bool = False,
        position: float | None = None,
        problem: str = "",
        file: FileChange | None = None,
        slot: Path | None = None,
    ) -> None:
        self.hand = hand = Hand()
        self.audio = FakeAudio(folder)
        self.report = folder / "control.json"
        self.watch = Watch(self.report, Journal("control"), config_problem=problem, file=file)
        self.loop = ControlLoop(
            hand,
            Hands(
                Part("knob", lambda: hand, needed=False),
                midi=Part("midi", lambda: hand, needed=False),
                state_folder=folder,
                position=position,
            ),
            Feet(
                Part("footswitch", lambda: hand, needed=False, pin=True),
                preset=preset,
                bypass=bypass,
            ),
            Power(
                Thermometer(hand),
                Part("relay", lambda: hand.line("relay"), pin=True),
                Part("heater", lambda: hand.line("heater"), needed=False, pin=True),
                (
                    Part("status LED", lambda: hand.line("status"), needed=False, pin=True),
                    Part("fault LED", lambda: hand.line("fault"), needed=False, pin=True),
                ),
            ),
            lambda: connect(self.audio.path),
            self.watch,
            presets=3,
            faults=(f"wrong config: {problem}",) if problem else (),
            slot=LinkWatch(slot),
        )

    def live(self, seconds: float) -> None:
        """Let that much time pass for both."""
        for turn in range(round(seconds / TURN_S)):
            assert self.loop.turn()
            if turn % 5 == 4:
                self.audio.turn()

    def close(self) -> None:
        """End both."""
        self.loop.close()
        self.audio.die()
