"""Which of knob, expression pedal and MIDI controller moves the sound: the one moved last.

A control that rests does not take part, however far it stands from where the sound is. When
one is moved, the position glides to it instead of jumping (soft takeover), then follows it.
"""

from collections.abc import Iterable
from typing import Literal

from device.boards.board import MidiEvent

Source = Literal["knob", "expression", "midi"]

MOVED = 0.02
"""Travel by which a resting control must be moved to take over: more than noise, drift and the
shake of a stage, less than any movement that is meant."""
TAKEOVER_PER_S = 4.0
"""Travel per second while the position glides to the control that took over."""
_LONGEST_S = 0.05


class Sources:
    """The position 0…1 of the control that was moved last."""

    def __init__(self, position: float | None = None, active: Source = "knob") -> None:
        """Begin at ``position`` with ``active`` followed; None: where that one stands at first."""
        self.active: Source = active
        """The control that is followed."""
        self.position = 0.0 if position is None else position
        self._first = position is None
        self._gliding = position is not None
        self._rests_at: dict[Source, float] = {}
        self._now_s: float | None = None

    def update(
        self,
        now_s: float,
        knob: float | None,
        expression: float | None = None,
        midi: float | None = None,
    ) -> float:
        """Take where each control stands, None for one that is absent or not to be trusted.

        The active one's position is held while it is None.
        """
        elapsed_s = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), _LONGEST_S)
        self._now_s = now_s
        places: dict[Source, float | None] = {
            "knob": knob,
            "expression": expression,
            "midi": midi,
        }
        self._choose(places)
        place = places[self.active]
        if place is None:
            # It may have been moved meanwhile: when it is back, it is glided to.
            self._gliding = self._gliding or not self._first
            return self.position
        away = place - self.position
        most = TAKEOVER_PER_S * elapsed_s
        if self._gliding and abs(away) > most:
            self.position += most if away > 0.0 else -most
        else:
            self.position, self._gliding, self._first = place, False, False
        return self.position

    def _choose(self, places: dict[Source, float | None]) -> None:
        """Make the one that was moved furthest from where it rested the active one."""
        furthest = MOVED
        chosen = self.active
        for source, place in places.items():
            if place is None:
                # Plugged, repaired or first heard of later: that alone is not a movement.
                self._rests_at.pop(source, None)
                continue
            if source == self.active:
                self._rests_at[source] = place
                continue
            moved = abs(place - self._rests_at.setdefault(source, place))
            if moved > furthest:
                furthest, chosen = moved, source
        if chosen != self.active:
            self.active, self._gliding = chosen, True
            # What the others did before does not count against it.
            self._rests_at = {name: place for name, place in places.items() if place is not None}


class MidiControl:
    """What MIDI asks for: a position by one controller, a preset by program change."""

    def __init__(self, cc: int | None = None, channel: int | None = None) -> None:
        """Listen to controller ``cc`` (0…127; None: to none) on ``channel`` (0…15; None: on all).

        The channel holds for program changes as well.
        """
        self.cc = cc
        self.channel = channel
        self.position: float | None = None
        """Where the controller stands, 0…1; None until it was moved."""

    def feed(self, events: Iterable[MidiEvent]) -> int | None:
        """Take what came; return the program that was asked for last, if any."""
        program = None
        for event in events:
            if self.channel is not None and event.channel != self.channel:
                continue
            if event.kind == "program":
                program = event.number
            elif event.number == self.cc:
                self.position = event.value / 127.0
        return program
