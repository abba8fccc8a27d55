"""MIDI from the kernel's raw MIDI devices: USB class compliant controllers, plugged at any time.

``/dev/snd/midiC*D*`` are read without waiting, all of a card's. Which card is told by its id or,
by default, by being on USB. Once a second the devices are looked for, so a controller may come
and go; one that cannot be opened (held by another program) is tried again less and less often.

mido 1.3 knows the messages; but it drops a message that comes without its status byte (running
status) and one that a clock byte interrupts, both of which MIDI 1.0 allows everywhere. So bytes
are made whole messages first, which also keeps out what the pedal does not listen to: notes,
clock and endless system exclusive never reach the library or memory.
"""

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from device.boards.board import MidiEvent

LOOK_S = 1.0
"""How often devices are looked for."""
LONGEST_RETRY_S = 16.0
"""A device that cannot be opened is tried again after 1, 2, 4, … s, at most this."""
READ_BYTES = 96
"""Taken of one device at a time: 32 messages, ten times what a DIN cable carries in 2 ms. A
controller that sends more is read later, never at the cost of the loop."""
_DATA_BYTES = {0xB0: 2, 0xC0: 1}
"""Of the messages that are listened to: controller and program change."""


def open_midi(card: str | None = None) -> "RawMidi":
    """Listen to the card of that id (``/proc/asound/cards`` lists them), by default to any on USB.

    Nothing need be plugged now. Never raises for what is absent.
    """
    return RawMidi(card)


class RawMidi:
    """A ``Midi`` of the board.

    ``classes`` (the kernel's list of sound devices), ``devices`` (their nodes) and ``monotonic``
    stand in for the real ones in tests.
    """

    def __init__(
        self,
        card: str | None = None,
        classes: Path = Path("/sys/class/sound"),
        devices: Path = Path("/dev/snd"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the library now: in the middle of a show it would hold the loop up."""
        from mido.parser import Parser

        self._parser = Parser()
        self._card = card
        self._classes, self._devices = classes, devices
        self._monotonic = monotonic
        self._look_s = float("-inf")
        self._streams: dict[str, _Stream] = {}
        self._retries: dict[str, tuple[float, float]] = {}
        self.last_error: str | None = None
        """Why a device could not be opened or was lost last; kept when it is back."""

    @property
    def plugged(self) -> tuple[str, ...]:
        """The devices that are read now, by name (``midiC1D0``)."""
        return tuple(self._streams)

    def poll(self) -> Sequence[MidiEvent]:
        """Return what has come since the last call. Never waits, never raises."""
        now_s = self._monotonic()
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._look(now_s)
        if not self._streams:
            return ()
        events: list[MidiEvent] = []
        for name, stream in tuple(self._streams.items()):
            try:
                data = os.read(stream.handle, READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                self._lose(name, error.strerror or str(error))
                continue
            if not data:
                self._lose(name, os.strerror(errno.ENODEV))
                continue
            messages = stream.messages(data)
            if messages:
                self._parser.feed(messages)
                events.extend(map(_event, self._parser))
        return events

    def close(self) -> None:
        """Let go of all devices; the next ``poll`` would find them again."""
        for name in tuple(self._streams):
            self._release(name)

    def _look(self, now_s: float) -> None:
        """Open what has been plugged since."""
        present = self._present()
        for name in self._retries.keys() - present:
            del self._retries[name]
        for name in present:
            retry_s, delay_s = self._retries.get(name, (now_s, LOOK_S))
            if name in self._streams or now_s < retry_s:
                continue
            try:
                handle = os.open(self._devices / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self.last_error = f"{self._devices / name}: {error.strerror or error}"
                self._retries[name] = (now_s + delay_s, min(2.0 * delay_s, LONGEST_RETRY_S))
                continue
            self._retries.pop(name, None)
            self._streams[name] = _Stream(handle)

    def _present(self) -> list[str]:
        """Names of the raw MIDI devices that are wanted and there."""
        try:
            entries = sorted(os.listdir(self._classes))
        except OSError:
            return []
        names = []
        for entry in entries:
            match = re.fullmatch(r"midiC(\d+)D\d+", entry)
            if match and self._is_wanted(self._classes / f"card{match[1]}"):
                names.append(entry)
        return names

    def _is_wanted(self, card: Path) -> bool:
        """Whether it is the card of that id; by default, whether it is on USB."""
        if self._card is None:
            return "/usb" in os.path.realpath(card)
        with contextlib.suppress(OSError):
            return (card / "id").read_text().strip() == self._card
        return False

    def _lose(self, name: str, reason: str) -> None:
        """Close a device that was unplugged."""
        self.last_error = f"{self._devices / name}: {reason}"
        self._release(name)

    def _release(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.close(self._streams.pop(name).handle)


class _Stream:
    """One device's bytes, made into whole messages."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._status = 0
        self._data = bytearray()

    def messages(self, data: bytes) -> bytearray:
        """The controller and program changes that ``data`` completes, each with its status."""
        whole = bytearray()
        for byte in data:
            if byte >= 0xF8:
                continue  # Real time: may stand anywhere, also inside another message.
            if byte >= 0x80:
                # A message of the system (0xF0…) ends running status; its data are dropped.
                self._status = byte if byte & 0xF0 in _DATA_BYTES else 0
                self._data.clear()
            elif self._status:
                self._data.append(byte)
                if len(self._data) == _DATA_BYTES[self._status & 0xF0]:
                    whole.append(self._status)
                    whole += self._data
                    self._data.clear()
        return whole


def _event(message: Any) -> MidiEvent:
    """As the board has it."""
    if message.type == "program_change":
        return MidiEvent("program", message.channel, message.program, 0)
    return MidiEvent("cc", message.channel, message.control, message.value)
