"""The control process: what the player's hands and feet do, told to ``audio``; relay, heater, LEDs.

One loop, 500 turns a second, each well below 0.2 ms on a slow module: what need not be done at
every turn is done when it is due. Nothing in it waits: not for ``audio``, not for the journal, not
for a disk. While it turns, edges hold the relay; when it stops, for whatever reason, they stop.
"""

import os
from typing import Protocol

from device.boards.board import Clock
from device.engine_kinds import Ceiling
from device.leds import Shown
from device.processes.control_feet import Feet
from device.processes.control_hands import Hands
from device.processes.control_power import Power
from device.processes.link import ControlState, Heartbeat, Link
from device.slots import LinkWatch
from device.states.values import Audio

AUDIO_STOPPED_S = 0.040
"""Periods that have not advanced for so long have stopped: with the time that the relay's circuit
holds (100 ms at most) that is within 150 ms."""
LOADING_STOPPED_S = 1.0
"""The same while presets are being loaded, which may hold periods up. The relay is down then: the
guitar it lets through has no gaps."""
PUBLISH_S = 0.010
"""An unchanged state is told so often: ``audio`` then knows that control lives."""
SLOT_S = 0.5
"""How often the link to the models slot is looked at."""
LISTEN_S = 0.0035
"""Heartbeats come every 10 ms; every other turn is soon enough."""

CEILINGS = {"crossfade": Ceiling.CROSSFADE, "stage": Ceiling.STAGE, "studio": Ceiling.STUDIO}


class Connect(Protocol):
    """Tries to reach ``audio``; None at once where it is not there."""

    def __call__(self) -> Link | None:
        """Return a link or None."""


class Watcher(Protocol):
    """Whom the loop tells how it is, now and then."""

    def turn(self, loop: "ControlLoop", now_s: float, changed: bool) -> None:
        """Look, where that is due; ``changed``: the states decided something new."""


class ControlLoop:
    """Reads, decides, publishes the whole state, and holds the relay; finds ``audio`` again."""

    def __init__(
        self,
        clock: Clock,
        hands: Hands,
        feet: Feet,
        power: Power,
        connect: Connect,
        watcher: Watcher | None = None,
        *,
        presets: int = 0,
        faults: tuple[str, ...] = (),
        stopped_s: float = AUDIO_STOPPED_S,
        slot: LinkWatch | None = None,
    ) -> None:
        """``presets`` are in the bank as far as known without ``audio``.

        ``slot`` is the link to the models slot: ``audio`` is told when it is another.

        ``faults`` are there from the start, such as a ``pedal.toml`` that cannot be used;
        ``stopped_s`` is after how long without a period ``audio`` counts as stopped.
        """
        self._clock = clock
        self.hands = hands
        self.feet = feet
        self.power = power
        self._connect = connect
        self._watcher = watcher
        self._presets = presets
        self._faults = faults
        self._stopped_s = stopped_s
        self._slot = slot
        self._slot_s = float("-inf")
        self._link: Link | None = None
        self._published_s = self._listened_s = float("-inf")
        self._advanced_s = float("-inf")
        self._advanced = False
        self.heartbeat = Heartbeat()
        """What audio said last."""
        self.audio: Audio = "dead"
        """What that means."""
        # The bank's number differs from that of a control process that was here before: what it
        # has not seen of the slot, audio then looks for itself.
        self.state = ControlState(
            preset=feet.preset, position=hands.position, bank=1 + os.getpid() % 0x7FFF
        )
        """What was published last."""
        self.learn_asked = False
        """Whether a command asks for learning, beside the footswitch."""
        self.disk_full = False
        """Whether the report could not be written."""
        self.turns = 0
        """Turns so far."""

    @property
    def late_turns(self) -> int:
        """Turns that did not take place because one took too long, as far as the clock tells."""
        return getattr(self._clock, "missed", 0)

    @property
    def presets(self) -> int:
        """Presets of the bank, 0 while not known."""
        return self.heartbeat.presets or self._presets

    def run(self) -> None:
        """Go on until time ends (simulated) or for ever."""
        try:
            while self.turn():
                pass
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything."""
        self.power.close()
        self.hands.close()
        self.feet.close()
        if self._link is not None:
            self._link.close()
            self._link = None

    def turn(self) -> bool:
        """One turn; False when time has ended."""
        now_s = self._clock.wait()
        if now_s is None:
            return False
        self.turns += 1
        state, hands, feet, power = self.state, self.hands, self.feet, self.power
        before = _wishes(state)
        state.position = hands.read(now_s)
        feet.read(now_s, self.presets, hands.program)
        state.preset, state.bypass, state.mute = feet.preset, feet.bypass, feet.mute
        state.knob_faults = hands.knob_faults
        self._listen(now_s)
        self.audio = audio = self._audio_is(now_s)
        changed = False
        if power.due(now_s, audio):
            self._learn()
            changed = power.step(now_s, audio, self.faults())
            state.ceiling = CEILINGS[power.decision.ceiling]
        power.hold(now_s, audio == "playing")
        if power.show_due(now_s):
            power.show(now_s, self._shown())
        self._look_at_slot(now_s)
        self._publish(now_s, _wishes(state) != before)
        if self._watcher is not None:
            self._watcher.turn(self, now_s, changed)
        return True

    def _listen(self, now_s: float) -> None:
        """Take audio's heartbeats; without a link, look for it."""
        link, periods = self._link, self.heartbeat.periods
        if link is not None and now_s - self._listened_s >= LISTEN_S:
            self._listened_s = now_s
            if link.receive(self.heartbeat) and self.heartbeat.periods != periods:
                self._advanced_s = now_s
                self._advanced = True
        if link is not None and not link.alive:
            link.close()
            self._link = link = None
        if link is None:
            self._link = self._connect()
            self._advanced = False
            self._published_s = float("-inf")

    def _audio_is(self, now_s: float) -> Audio:
        limit_s = self._stopped_s
        if self.heartbeat.loading:
            limit_s = max(limit_s, LOADING_STOPPED_S)
        if now_s - self._advanced_s > limit_s:
            return "dead"
        if self.heartbeat.absent:
            return "absent"
        return "loading" if self.heartbeat.loading else "playing"

    def _look_at_slot(self, now_s: float) -> None:
        """Count the changes of the link to the models slot."""
        if self._slot is None or now_s - self._slot_s < SLOT_S:
            return
        self._slot_s = now_s
        if self._slot.changed():
            self.state.bank = (self.state.bank + 1) & 0xFFFF

    def _publish(self, now_s: float, changed: bool) -> None:
        if self._link is not None and (changed or now_s - self._published_s >= PUBLISH_S):
            self._published_s = now_s
            self._link.send(self.state.pack())

    def _learn(self) -> None:
        """Begin or end learning, as foot or command ask."""
        self.hands.learn(self.feet.learn or self.learn_asked)

    def faults(self) -> list[str]:
        """What is wrong, as the states take it; what the lines of ``power`` lack not included."""
        faults = [*self._faults, *self.hands.faults(), *self.feet.faults()]
        if self.disk_full:
            faults.append("disk full")
        heartbeat = self.heartbeat
        if self.audio == "dead" and self._link is not None and self._advanced:
            faults.append("audio frozen")
        if heartbeat.broken:
            faults.append(f"preset broken: {heartbeat.broken} of {heartbeat.presets}")
        if heartbeat.studio and not heartbeat.studio_alive:
            faults.append("studio engine absent")
        return faults

    def problems(self) -> list[str]:
        """Sentences about what is missing or wrong, for ``status``."""
        return [*self.hands.problems(), *self.feet.problems(), *self.power.problems()]

    def _shown(self) -> Shown:
        decision = self.power.decision
        return Shown(
            state=decision.state,
            bypass=self.state.bypass,
            mute=self.state.mute,
            learn=self.hands.learning,
            loading=self.audio == "loading",
            faults=decision.warnings,
        )


def _wishes(state: ControlState) -> tuple[object, ...]:
    """What audio is told at once when it changes."""
    return (state.position, state.preset, state.bypass, state.mute, state.ceiling, state.bank)
