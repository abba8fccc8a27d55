"""What is asked for by foot, by MIDI and by a script: preset, bypass, mute, learning.

The last wish holds, whoever had it.
"""

from typing import Protocol

from device.boards.board import Switch
from device.feet import Gestures
from device.processes.control_part import Part

POLL_S = 0.0035
"""How often the footswitch is read: every other turn of 2 ms, rounding included."""


class ScriptedFeet(Protocol):
    """What a script asks for; ``Script`` does."""

    def preset(self, now_s: float, first: int) -> int:
        """Index of the preset asked for; ``first`` until there is one."""

    def bypassed(self, now_s: float) -> bool:
        """Whether the dry sound is asked for."""


class Feet:
    """The player's wishes, besides the position."""

    def __init__(
        self,
        switch: Part[Switch] | None = None,
        script: ScriptedFeet | None = None,
        first_preset: int = 0,
        *,
        preset: int | None = None,
        bypass: bool = False,
    ) -> None:
        """``preset`` and ``bypass`` are what the process was asked for before it ended."""
        self._switch = switch
        self._script = script
        self._first = first_preset
        self._scripted = (first_preset, False)
        self._gestures = Gestures(bypass)
        self._polled_s = float("-inf")
        self.preset = first_preset if preset is None else preset
        """Index of the preset asked for; a script may ask for one that the bank does not hold."""

    @property
    def bypass(self) -> bool:
        """Whether the dry sound is asked for."""
        return self._gestures.bypass

    @property
    def mute(self) -> bool:
        """Whether silence is asked for."""
        return self._gestures.mute

    @property
    def learn(self) -> bool:
        """Whether the controls' ends shall be learnt."""
        return self._gestures.learn

    def end_learning(self) -> None:
        """Learning was ended elsewhere."""
        self._gestures.end_learning()

    def read(self, now_s: float, presets: int, program: int | None = None) -> None:
        """Take what was done since; ``presets`` are in the bank (0: not known yet)."""
        if self._script is not None:
            self._follow(self._script, now_s)
        if program is not None and program < presets:
            self.preset = program
        if self._switch is None or now_s - self._polled_s < POLL_S:
            return
        self._polled_s = now_s
        steps = self._gestures.update(self._pressed(now_s), now_s)
        if steps and presets:
            self.preset = (self.preset + steps) % presets

    def _follow(self, script: ScriptedFeet, now_s: float) -> None:
        """Take what a script asks for anew."""
        preset, bypass = script.preset(now_s, self._first), script.bypassed(now_s)
        if preset != self._scripted[0]:
            self.preset = preset
        if bypass != self._scripted[1]:
            self._gestures.bypass = bypass
        self._scripted = (preset, bypass)

    def _pressed(self, now_s: float) -> bool | None:
        assert self._switch is not None
        switch = self._switch.get(now_s)
        if switch is None:
            return None
        try:
            return switch.pressed()
        except OSError as error:
            self._switch.lost(error, now_s)
            return None

    def faults(self) -> list[str]:
        """What is wrong, as the states take it."""
        if self._switch is None:
            return []
        if self._switch.fault and not self._switch.opened:
            return [self._switch.fault]
        return [self._gestures.fault] if self._gestures.fault else []

    def problems(self) -> list[str]:
        """A sentence where the switch is missing."""
        return [self._switch.problem] if self._switch and self._switch.problem else []

    def close(self) -> None:
        """Give the switch back."""
        if self._switch is not None:
            self._switch.close()
