"""What moves the sound: knob, expression pedal and MIDI, to one position; and learning their ends.

A control that fails holds the position it had; which of them is followed is for ``Sources`` to
say. Reading costs a bus transfer, so the expression pedal and MIDI are asked every second turn.
"""

import threading
from pathlib import Path

from device.boards.board import Knob, Midi, MidiEvent
from device.knob import KnobFilter
from device.knob.learn import Learner, Learnt, LearntError, write_learnt
from device.knob.sources import MidiControl, Sources
from device.processes.control_part import Part

SECOND_EVERY_S = 0.0035
"""How often what comes second is asked: every other turn of 2 ms, rounding included."""
SETTLED_READINGS = 500
"""After so many readings of one code the filter has arrived, whatever it was doing: …"""
FEED_S = 0.03
"""… it need then be told only so often that nothing has changed, as long as nothing has."""
EXPRESSION_CC = 11
"""MIDI's own controller for an expression pedal, until another is learnt."""

_NAN = float("nan")
_ORDER = {"knob": 0, "expression": 1, "midi": 2}
"""Where each source stands among the places that are chosen from."""


class _Wiper:
    """One potentiometer: its part of the board, and the filter behind it."""

    def __init__(self, part: Part[Knob], filter: KnobFilter) -> None:
        self.part = part
        self.filter = filter
        self.raw = _NAN
        self.problem = ""
        """What the bus said when it last failed."""
        self._same = 0
        self._fed_s = 0.0
        self._left_out_s: float | None = None

    def read(self, now_s: float) -> None:
        """Take one reading, or hold; a converter that is lost opens itself again."""
        knob = self.part.get(now_s)
        if knob is None:
            self.forget()
            return
        try:
            raw = knob.read(now_s)
        except OSError as error:
            self._tell_left_out()
            self.forget()
            self.filter.fail(now_s)
            self.problem = f"{self.part.name}: {error}"
            return
        if raw != self.raw:
            self._tell_left_out()
            self._same = 0
        elif self._same < SETTLED_READINGS:
            self._same += 1
        elif now_s - self._fed_s < FEED_S:
            self._left_out_s = now_s
            return
        self.raw = raw
        self._left_out_s = None
        self._fed_s = now_s
        self.filter.update(raw, now_s)

    def _tell_left_out(self) -> None:
        """Tell the filter the last reading that was left out: it goes by the time between them."""
        if self._left_out_s is not None:
            self.filter.update(self.raw, self._left_out_s)
            self._left_out_s = None

    def forget(self) -> None:
        """The next reading is new, whatever it is."""
        self.raw = _NAN
        self._same = 0
        self._left_out_s = None

    def fault(self) -> str:
        """What is wrong with it, in the words of faults; empty while it is good."""
        if not self.part.opened:
            return self.part.fault  # it is not wired as the file says
        condition = self.filter.condition
        return "" if condition == "good" else f"{self.part.name} {condition}"


class Hands:
    """Reads what is moved by hand and foot, and says where the sound shall be."""

    def __init__(
        self,
        knob: Part[Knob],
        expression: Part[Knob] | None = None,
        midi: Part[Midi] | None = None,
        *,
        learnt: Learnt | None = None,
        state_folder: Path | None = None,
        cc: int | None = None,
        channel: int | None = None,
        position: float | None = None,
    ) -> None:
        """Take the parts. ``learnt`` are the ends found before, kept in ``state_folder``.

        ``cc`` and ``channel`` (0…15) are the file's, before what was learnt. ``position`` is
        where the sound stood when the process ended before, None where none did.
        """
        self.learnt = learnt or Learnt()
        self._folder = state_folder
        self._fixed = (cc, channel)
        self._knob = _Wiper(knob, KnobFilter(self.learnt.knob, position=position or 0.0))
        self._expression = None
        if expression is not None:
            self._expression = _Wiper(expression, KnobFilter(self.learnt.expression))
        self._midi = midi
        self._midi_control = self._listen_to()
        self._sources = Sources(position)
        self._places: tuple[float | None, ...] = ()
        self._rested_s: float | None = None
        self._second_s = float("-inf")
        self._learner: Learner | None = None
        self._writer: threading.Thread | None = None
        self.position = position or 0.0
        """Where the sound shall be, 0…1."""
        self.program: int | None = None
        """The MIDI program asked for since the last turn."""
        self.problem = ""
        """Why what was learnt could not be kept."""

    def read(self, now_s: float) -> float:
        """Read what is due and return the position."""
        knob = self._knob
        knob.read(now_s)
        self.program = None
        events: tuple[MidiEvent, ...] = ()
        if now_s - self._second_s >= SECOND_EVERY_S:
            self._second_s = now_s
            if self._expression is not None:
                self._expression.read(now_s)
            if self._midi is not None:
                events = self._poll_midi(now_s)
        if self._learner is not None:
            pedal = _NAN if self._expression is None else self._expression.raw
            self._learner.feed(knob.raw, pedal, events)
        self._choose(now_s, (_place(knob), _place(self._expression), self._midi_control.position))
        return self.position

    def _choose(self, now_s: float, places: tuple[float | None, ...]) -> None:
        """Follow what was moved last; nothing need be chosen while all rest, and none glides."""
        sources = self._sources
        if places == self._places and self.position == places[_ORDER[sources.active]]:
            self._rested_s = now_s
            return
        if self._rested_s is not None:
            # A glide goes by the time between turns: the last one left out is told.
            sources.update(self._rested_s, *self._places)
            self._rested_s = None
        self._places = places
        self.position = sources.update(now_s, *places)

    def _poll_midi(self, now_s: float) -> tuple[MidiEvent, ...]:
        assert self._midi is not None
        midi = self._midi.get(now_s)
        if midi is None:
            return ()
        try:
            events = tuple(midi.poll())
        except OSError as error:
            self._midi.lost(error, now_s)
            return ()
        if events:
            self.program = self._midi_control.feed(events)
        return events

    def _listen_to(self) -> MidiControl:
        """The controller of the file, else the learnt one, else the expression pedal's."""
        cc, channel = self._fixed
        if cc is None and self.learnt.cc is not None:
            cc, channel = self.learnt.cc, self.learnt.channel if channel is None else channel
        return MidiControl(EXPRESSION_CC if cc is None else cc, channel)

    @property
    def learning(self) -> bool:
        """Whether the controls are being learnt."""
        return self._learner is not None

    def learn(self, wanted: bool) -> Learnt | None:
        """Begin learning or end it; at the end return what holds from now on.

        What was learnt is written by a thread: the disk may take longer than the relay holds.
        """
        if wanted and self._learner is None:
            self._learner = Learner(self.learnt)
        if wanted or self._learner is None:
            return None
        self.learnt = self._learner.finish()
        moved = self._learner.moved
        self._learner = None
        if moved:
            for wiper, ends in zip(
                self._wipers(), (self.learnt.knob, self.learnt.expression), strict=False
            ):
                wiper.filter.range = ends
                wiper.forget()
            self._midi_control = self._listen_to()
            self._writer = threading.Thread(target=self._write, args=(self.learnt,), daemon=True)
            self._writer.start()
        return self.learnt

    def moved(self) -> tuple[str, ...]:
        """The controls moved far enough to be learnt, while learning."""
        return () if self._learner is None else self._learner.moved

    def _write(self, learnt: Learnt) -> None:
        try:
            write_learnt(learnt, self._folder)
            self.problem = ""
        except LearntError as error:
            self.problem = str(error)

    def faults(self) -> list[str]:
        """What is wrong, as the states take it."""
        found = [wiper.fault() for wiper in self._wipers()]
        if self._midi is not None:
            found.append(self._midi.fault)
        return [fault for fault in found if fault]

    @property
    def knob_faults(self) -> int:
        """Readings of the knob that were impossible, and errors of its bus."""
        return self._knob.filter.faults

    def report(self) -> dict[str, object]:
        """What ``status`` shows."""
        shown: dict[str, object] = {
            "source": self._sources.active,
            "knob": _wiper_report(self._knob),
            "learnt": self.learnt != Learnt(),
            "learning": self.learning,
            "moved": list(self.moved()),
        }
        if self._expression is not None:
            shown["expression"] = _wiper_report(self._expression)
        if self._midi is not None:
            control = self._midi_control
            shown["midi"] = {"cc": control.cc, "position": control.position}
        return shown

    def problems(self) -> list[str]:
        """Sentences about what is missing or could not be kept."""
        told = [self.problem] if self.problem else []
        for wiper in self._wipers():
            if wiper.part.problem:
                told.append(wiper.part.problem)
            elif wiper.filter.condition == "dead":
                told.append(wiper.problem)
        if self._midi is not None and self._midi.problem:
            told.append(self._midi.problem)
        return told

    def close(self) -> None:
        """Give the parts back, and wait until what was learnt is kept."""
        for wiper in self._wipers():
            wiper.part.close()
        if self._midi is not None:
            self._midi.close()
        if self._writer is not None:
            self._writer.join(timeout=5.0)

    def _wipers(self) -> list[_Wiper]:
        return [self._knob] if self._expression is None else [self._knob, self._expression]


def _place(wiper: _Wiper | None) -> float | None:
    """Where it stands, None where it is not to be trusted."""
    if wiper is None or not wiper.filter.usable:
        return None
    return wiper.filter.position


def _wiper_report(wiper: _Wiper) -> dict[str, object]:
    raw = wiper.raw
    return {
        "condition": wiper.filter.condition,
        "faults": wiper.filter.faults,
        "position": round(wiper.filter.position, 4),
        "raw": round(raw, 4) if raw == raw else None,
    }
