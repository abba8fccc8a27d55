"""What a board is made of: the seams between the pedal and hardware, real or simulated.

Every part may fail at any reading: a bus that does not answer, a line that another program holds.
That is an ``OSError`` with one sentence, never a value that looks like a good one; control counts
it, says so and tries again. Times are seconds of the clock that paces control, which never jumps.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from device.states import Temperatures


class NotYet(Exception):  # noqa: N818 - it is no error
    """A part whose library is still being loaded: ask again soon."""


class StopWatch(Protocol):
    """What the audio process times its periods with; the interface paces them."""

    def busy_ns(self) -> int:
        """Return a running count of nanoseconds."""


class Follower(Protocol):
    """A process whose work virtual time waits for, between periods."""

    def catch_up(self, patience_s: float) -> bool:
        """Wait until it has done what it was given; False where that took too long."""


class Clock(Protocol):
    """What paces the control process."""

    def wait(self) -> float | None:
        """Wait for the next turn of the control loop; return the time in s, None at the end."""


class Knob(Protocol):
    """A potentiometer or an expression pedal."""

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1 as measured, a fraction of the reference.

        NaN for a reading that no position can give: the wiper is open or shorted. Raises
        ``OSError`` on a dead bus, which would otherwise look like position 0 or 1.
        """


class Switch(Protocol):
    """A footswitch."""

    def pressed(self) -> bool:
        """Whether it is pressed now, whatever level that is. Raises ``OSError``."""


class Output(Protocol):
    """One line that is driven: an LED, or the edges that hold the relay or the heater."""

    def set(self, on: bool) -> None:
        """Drive it. Raises ``OSError``."""


class MidiEvent(NamedTuple):
    """A message of MIDI 1.0 that the pedal understands."""

    kind: Literal["cc", "program"]
    channel: int
    """0…15; a musician counts from 1."""
    number: int
    """0…127: the controller of a ``cc``, the program of a ``program``."""
    value: int
    """0…127: where the controller stands; 0 for a ``program``."""


class Midi(Protocol):
    """A MIDI input, plugged or not."""

    def poll(self) -> Sequence[MidiEvent]:
        """Return what has come since, empty where nothing has or nothing is plugged. Never waits.

        Plugging and unplugging is dealt with inside.
        """


class Sensors(Protocol):
    """The board's thermometers, and a humidity sensor where there is one."""

    def read(self, now_s: float) -> "Temperatures":
        """Return what each gives now; what cannot be read is named in it, never guessed."""
