"""What a board is made of: the seams between the pedal and hardware, real or simulated."""

from typing import Protocol


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
    """A potentiometer."""

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1 as measured. Raises ``OSError`` on a dead bus."""
