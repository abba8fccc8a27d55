"""What turns the pedal's knob: a voltage in its place, or an expression pedal over MIDI."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hil.errors import InstrumentError
from hil.instruments.protocols import Supply

_CONTROL_CHANGE = 0xB0
MOST = 127


class Knob(Protocol):
    """Moves the position, 0…1."""

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """Now, or ``after_s`` from now, real seconds. Raises ``InstrumentError``."""

    def close(self) -> None:
        """Let go of it."""


class MidiKnob:
    """A controller over MIDI: the bench's interface, its out wired to the pedal's in.

    Three bytes at 31,250 baud take 1 ms. A position is one of 128.
    """

    def __init__(self, device: Path, controller: int = 11, channel: int = 1) -> None:
        """``device`` is a raw MIDI device, ``/dev/snd/midiC2D0``. Raises ``InstrumentError``."""
        self._device = device
        self._head = bytes([_CONTROL_CHANGE | (channel - 1), controller])
        self._late = _Later()
        try:
            self._file = os.open(device, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise InstrumentError(
                f"knob: {device} cannot be opened ({error.strerror}); plug the MIDI interface in "
                "(amidi -l lists them)."
            ) from None

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """See ``Knob``."""
        message = self._head + bytes([round(MOST * min(1.0, max(0.0, position)))])
        self._late.do(lambda: self._write(message), after_s)

    def close(self) -> None:
        """See ``Knob``."""
        self._late.close()
        with suppress(OSError):
            os.close(self._file)

    def _write(self, message: bytes) -> None:
        try:
            os.write(self._file, message)
        except OSError as error:
            raise InstrumentError(
                f"knob: {self._device} does not take MIDI ({error.strerror}); plug it in again."
            ) from None


class VoltageKnob:
    """A supply's second output on the wiper's wire, in the potentiometer's place.

    A supply takes its time, and nobody knows how much: it cannot be thrown at a moment.
    """

    def __init__(self, supply: Supply, full_v: float, limit_a: float = 0.01) -> None:
        """``full_v`` is the converter's reference. Its output goes on with the first turn."""
        self._supply, self._full_v, self._limit_a = supply, full_v, limit_a
        self._on = False

    def turn(self, position: float, after_s: float = 0.0) -> None:
        """See ``Knob``."""
        if after_s > 0.0:
            raise InstrumentError(
                'knob: a supply cannot turn it at a moment; use kind = "midi" to time it.'
            )
        self._supply.set(self._full_v * min(1.0, max(0.0, position)), self._limit_a)
        if not self._on:
            self._supply.switch(True)
            self._on = True

    def close(self) -> None:
        """See ``Knob``."""
        with suppress(InstrumentError):
            self._supply.switch(False)
        self._supply.close()


class _Later:
    """Does things at a moment; what went wrong then is raised by the next call."""

    def __init__(self) -> None:
        self._failed: InstrumentError | None = None
        self._timers: list[threading.Timer] = []

    def do(self, what: Callable[[], None], after_s: float) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        self._timers = [each for each in self._timers if each.is_alive()]
        if after_s <= 0.0:
            what()
            return
        timer = threading.Timer(after_s, self._kept(what))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def close(self) -> None:
        for each in self._timers:
            each.cancel()
            each.join(1.0)

    def _kept(self, what: Callable[[], None]) -> Callable[[], None]:
        def keep() -> None:
            try:
                what()
            except InstrumentError as error:
                self._failed = error

        return keep
