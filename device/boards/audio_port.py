"""The seam between the audio loop and a sound interface, real or simulated."""

from enum import IntEnum
from typing import Protocol

from models.units import Audio


class PortStatus(IntEnum):
    """How one transfer went. An int, so that the loop can count it without allocating."""

    OK = 0
    XRUN = 1
    """A period was lost; the port has recovered and goes on."""
    ABSENT = 2
    """The interface is not there. The transfer took one period's time and moved no sound."""
    END = 3
    """A simulated input has been played to its end."""


class AudioPort(Protocol):
    """A full-duplex mono port, one period at a time.

    ``open`` never blocks for long and does not need the interface to be there: while it is
    absent, ``read`` returns ``ABSENT`` once per period's time and looks for it with back-off.
    Only a wrong request (a card that refuses the rate, the period or the format) raises.
    """

    rate_hz: int
    period_frames: int
    periods: int

    def open(self) -> None:
        """Open both directions and verify what the driver gave. Raises ``AudioError``."""

    def read(self, target: Audio) -> PortStatus:
        """Wait for one period of the guitar and put it into ``target`` ``(1, period_frames)``.

        Unless the status is ``OK`` the target is silence.
        """

    def write(self, source: Audio) -> PortStatus:
        """Queue one period ``(1, period_frames)``; samples are already within ±1."""

    def close(self) -> None:
        """Stop both directions and release the interface; may be called twice."""
