"""What a board is made of: the seams between the pedal and hardware, real or simulated."""

from typing import Protocol


class Clock(Protocol):
    """Time as a process of the pedal sees it."""

    def busy_ns(self) -> int:
        """Return a running count of nanoseconds, to time processing with."""

    def wait(self) -> float | None:
        """Wait for the next turn of the control loop; return the time in s, None at the end."""


class Knob(Protocol):
    """A potentiometer."""

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1 as measured. Raises ``OSError`` on a dead bus."""
