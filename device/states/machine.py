"""The state machine."""

from collections import deque

from device.states.limits import Limits
from device.states.values import Decision, Inputs, Transition


class States:
    """Decides what the pedal does; pure logic, no clock and no hardware of its own."""

    def __init__(self, limits: Limits) -> None:
        """Begin in ``hold``."""
        self.transitions: deque[Transition] = deque(maxlen=256)
        """The latest changes, oldest first."""

    def step(self, inputs: Inputs) -> Decision:
        """Return what to do now; cheap enough for every turn of the control loop."""
        raise NotImplementedError

    def drain(self) -> list[Transition]:
        """Return the transitions since the last call: what is still to be logged."""
        raise NotImplementedError
