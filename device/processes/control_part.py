"""A part of the board that may be missing: opened when it is there, tried again when it is not.

The pedal stays alive without any of them. What is missing or wrong is one sentence that ``status``
shows and the journal tells once; whether the guitar then bypasses the pedal is for the table of
states to say.
"""

import errno
from collections.abc import Callable
from typing import Generic, TypeVar

from device.boards.board import NotYet
from device.errors import ConfigError

FIRST_RETRY_S = 0.5
NOT_YET_S = 0.02
LONGEST_RETRY_S = 10.0
"""Trying again takes milliseconds, in which no edge holds the relay: it becomes rare."""

_MISSING = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO)

PartT = TypeVar("PartT")


class Part(Generic[PartT]):
    """A knob, a switch, a line: None while it is not there."""

    def __init__(
        self, name: str, open_it: Callable[[], PartT], needed: bool = True, pin: bool = False
    ) -> None:
        """Nothing is opened yet. ``needed``: without it the sound, or the relay, is not safe.

        ``pin``: a ``ConfigError`` of ``open_it`` is about a pin.
        """
        self.name = name
        self._open = open_it
        self._needed = needed
        self._pin = pin
        self._it: PartT | None = None
        self._retry_s = float("-inf")
        self._delay_s = FIRST_RETRY_S
        self.problem = ""
        """Why it is not there, in one sentence; empty while it is."""
        self.fault = ""
        """The same as the states take it: ``wrong pin: relay: …``."""
        self.opened = False
        """Whether it was there once."""
        self.failures = 0
        """Times it could not be opened, or was lost."""

    def get(self, now_s: float) -> PartT | None:
        """Return it, opening it where that is due."""
        if self._it is not None or now_s < self._retry_s:
            return self._it
        try:
            self._it = self._open()
        except NotYet:
            self._retry_s = now_s + NOT_YET_S
            return None
        except (OSError, ConfigError, ImportError) as error:
            self.lost(error, now_s)
            return None
        self.problem = self.fault = ""
        self.opened = True
        self._delay_s = FIRST_RETRY_S
        return self._it

    def lost(self, error: BaseException, now_s: float) -> None:
        """Say that it failed: it is given back, and opened again after a while."""
        self.failures += 1
        self.problem = f"{self.name}: {_sentence(error)}"
        kind = self._kind(error)
        self.fault = f"{kind}: {self.problem}" if self._needed else f"{self.name} missing"
        self._retry_s = now_s + self._delay_s
        self._delay_s = min(2.0 * self._delay_s, LONGEST_RETRY_S)
        self.close()

    def close(self) -> None:
        """Give it back, if it is there and can be."""
        it, self._it = self._it, None
        close = getattr(it, "close", None)
        if close is not None:
            try:
                close()
            except OSError:
                self.failures += 1

    def _kind(self, error: BaseException | None) -> str:
        """What kind of fault it is, by what lies under the error."""
        wrong = isinstance(error, ConfigError)
        while error is not None:
            number = getattr(error, "errno", None)
            if number in (errno.EACCES, errno.EPERM):
                return "no permission"
            if number in _MISSING or isinstance(error, ImportError):
                return "missing device"
            error = error.__cause__ or error.__context__
        return "wrong pin" if wrong and self._pin else "missing device"


def _sentence(error: BaseException) -> str:
    """What an error says, without its number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    filename = getattr(error, "filename", None)
    return f"{filename}: {text}" if filename else str(text)
