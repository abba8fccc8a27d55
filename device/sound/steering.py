"""What moves the position besides the knob: scenes in its place, the playing on top of both."""

import numpy as np

from device.sound.follow import Follow
from device.sound.ramp import Curve, Fade
from device.sound.scenes import Scenes
from models.units import SILENCE_DB, Audio

TAKEOVER = 0.03
"""How far the knob must be turned, of its travel, to take over from scenes: more than a worn
potentiometer wanders, less than anyone turns without meaning it."""

TAKEOVER_S = 0.1
"""In what time the position goes from the scene's to the knob's: soon, and not a switch."""


class Steering:
    """One preset's scenes and follow, between the player's knob and its path.

    The guitarist always wins: a knob that is turned ends the scenes until the preset is chosen
    again.
    """

    def __init__(self, follow: Follow | None = None, scenes: Scenes | None = None) -> None:
        """Take unprepared parts."""
        self.follow = follow
        self.scenes = scenes

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate for one rate and period."""
        for part in (self.follow, self.scenes):
            if part is not None:
                part.prepare(rate_hz, period_frames)
        self._positions = np.zeros(period_frames, np.float32)
        self._offsets = np.zeros(period_frames, np.float32)
        self._fade = Fade(rate_hz, period_frames, TAKEOVER_S)
        self._base = 0.0
        self.start()

    def start(self) -> None:
        """Begin anew: the preset becomes the one that plays."""
        if self.follow is not None:
            self.follow.start()
        self._scenes = self.scenes
        self._offset = 0.0
        self._fade.stop()
        self._fresh = True
        self._rest: float | None = None

    def forget_knob(self) -> None:
        """Take the knob's next position for where it rests: it was not known until now."""
        self._rest = None

    @property
    def scenes_play(self) -> bool:
        """Whether the timeline moves the position, not the knob."""
        return self._scenes is not None

    @property
    def level_dbfs(self) -> float:
        """The guitar's level as the follow heard it last."""
        return SILENCE_DB if self.follow is None else self.follow.level_dbfs

    def process(self, source: Audio, knob: float, positions: Curve) -> Curve:
        """Return the positions of one period, a view ``(period_frames,)`` within 0…1.

        ``source`` is the guitar before the input gain, ``knob`` where the knob stands 0…1,
        ``positions`` its way there in this period.
        """
        target = self._positions
        if self._rest is None:
            self._rest = knob
        if self._scenes is not None and abs(knob - self._rest) > TAKEOVER:
            self._scenes = None
            self._offset = self._base - float(positions[0])
            self._fade.start()
        if self._scenes is not None:
            if self._fresh:
                self._scenes.start(knob)
            self._scenes.fill(target)
            self._base = float(target[-1])
        else:
            np.copyto(target, positions)
            if self._fade.running:
                np.subtract(1.0, self._fade.advance(), out=self._offsets)
                np.multiply(self._offsets, self._offset, out=self._offsets)
                np.add(target, self._offsets, out=target)
        self._fresh = False
        if self.follow is not None:
            self.follow.add(source, target)
        np.clip(target, 0.0, 1.0, out=target)
        return target
