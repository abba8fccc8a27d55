"""Playing: a bank of prepared presets, the change between them, and bypass."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from device.engine_kinds import Ceiling
from device.sound.block import Resettable
from device.sound.ramp import Curve, Fade, Glide, SmoothValue
from device.sound.steering import Steering
from models.units import Audio

if TYPE_CHECKING:
    from models.path import Way


class Playable(Protocol):
    """The whole way of the sound through one preset: ``SoundPath`` or ``ParameterPath``."""

    name: str
    parts: tuple[Resettable, ...]
    steering: Steering | None
    """What moves the position besides the knob; the player runs it."""

    @property
    def way(self) -> "Way | None":
        """What the knob does to both tones' drive, where it does."""

    @property
    def latency_frames(self) -> int:
        """Frames from the guitar to the sound."""

    @property
    def nan_periods(self) -> int:
        """Periods in which a tone gave a NaN and was reset."""

    @property
    def tones(self) -> dict[str, list[str]]:
        """The labels of each tone's blocks."""

    def latency_table(self) -> list[tuple[str, str, int]]:
        """Rows of (where, what, frames)."""

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Prepare all parts and allocate."""

    def limit(self, ceiling: Ceiling) -> None:
        """Play no costlier engine than ``ceiling``, at the same latency and without a click."""

    def process(self, source: Audio, positions: Curve, wet: Audio, dry: Audio) -> None:
        """Play one period."""


Instead = Callable[[int, Exception], Playable]
"""Gives what plays in the place of a preset, by its index and why it cannot be prepared."""


class Player:
    """What the audio loop and the offline commands both drive, one period at a time.

    Every preset of the bank is prepared before the first period. A preset change swaps
    references and fades from the old sound to the new while both run; one whose sound arrives
    late is played unheard until it does. Bypass fades between the tone and the dry sound, which
    each preset has delayed to match.
    """

    glide: Glide
    """The knob's own way; exists after ``prepare``."""

    position: float
    """The position that was played last: the knob's, or what scenes and follow make of it."""

    def __init__(self, bank: Sequence[Playable], active: int = 0) -> None:
        """Take at least one unprepared path; ``active`` is the one that plays first."""
        self.bank = tuple(bank)
        self.active = active
        self._wanted = active
        self.preset_changes = 0
        """Preset changes begun so far."""

    def prepare(
        self,
        rate_hz: int,
        period_frames: int,
        position: float = 0.0,
        instead: Instead | None = None,
    ) -> None:
        """Prepare every preset and allocate; the knob rests at ``position``.

        Raises what a preset raises that cannot be prepared; ``instead`` gives one that plays in
        its place, which needs no preparing.
        """
        bank = list(self.bank)
        for index, path in enumerate(bank):
            try:
                path.prepare(rate_hz, period_frames)
                if path.steering is not None:
                    path.steering.prepare(rate_hz, period_frames)
            except Exception as problem:
                if instead is None:
                    raise
                bank[index] = instead(index, problem)
        self.bank = tuple(bank)
        self.position = position
        self.glide = Glide(position, rate_hz, period_frames)
        self._change = Fade(rate_hz, period_frames)
        self._leaving: Playable | None = None
        # Periods until the preset that was chosen has a sound to fade to.
        self._unheard = 0
        self._period_frames = period_frames
        # What is left to reset of the preset that was left last, one part a period.
        self._untidy: Playable | None = None
        self._tidied = 0
        self._dryness = SmoothValue(0.0, rate_hz, period_frames)
        shape = (1, period_frames)
        self._new = np.zeros(shape, np.float32)
        self._dry = np.zeros(shape, np.float32)

    @property
    def latency_frames(self) -> int:
        """Latency of the preset that plays."""
        return self.bank[self.active].latency_frames

    @property
    def nan_periods(self) -> int:
        """Periods in which a tone of any preset gave a NaN and was reset."""
        return sum(path.nan_periods for path in self.bank)

    @property
    def scenes_play(self) -> bool:
        """Whether scenes move the position of the preset that plays."""
        steering = self.bank[self.active].steering
        return steering is not None and steering.scenes_play

    def forget_knob(self) -> None:
        """Take the knob's next position for where it rests, not for a turn that ends scenes."""
        for path in self.bank:
            if path.steering is not None:
                path.steering.forget_knob()

    def select(self, index: int) -> None:
        """Change to a preset of the bank; while two are being faded, once that has ended.

        Raises ``IndexError`` for a preset that is not there.
        """
        if not 0 <= index < len(self.bank):
            raise IndexError(f"preset {index} of a bank of {len(self.bank)}")
        self._wanted = index

    def begin(self, index: int, position: float) -> None:
        """Start with this preset, the knob at ``position``; only for before the first period.

        Raises ``IndexError`` for a preset that is not there.
        """
        self.select(index)
        self.active = index
        self.position = position
        self.glide.jump(position)

    def limit(self, ceiling: Ceiling) -> None:
        """Play no costlier engine than ``ceiling``, whichever preset plays."""
        for path in self.bank:
            path.limit(ceiling)

    def bypass(self, on: bool) -> None:
        """Fade to the dry sound, or back."""
        self._dryness.move(1.0 if on else 0.0)

    def process(self, source: Audio, position: float, target: Audio) -> None:
        """Play one period ``(1, period_frames)`` with the knob heading for ``position`` 0…1.

        ``source`` and ``target`` are different arrays.
        """
        positions = self.glide.advance(position)
        if self._wanted != self.active:
            if self._unheard:
                self._turn_back()
            if self._leaving is None and self._wanted != self.active:
                self._begin_change()
        moving = self._dryness.moving()
        dryness = self._dryness.advance() if moving else self._dryness.value
        path = self.bank[self.active]
        steered = self._steered(path, source, position, positions)
        self.position = float(steered[-1])
        self._play(path, source, steered, dryness, target)
        if self._leaving is not None:
            steered = self._steered(self._leaving, source, position, positions)
            self._play(self._leaving, source, steered, dryness, self._new)
            if self._unheard:
                self._unheard -= 1
                np.copyto(target, self._new)
                return
            fade = self._change.advance()
            np.subtract(target, self._new, out=target)
            np.multiply(target, fade, out=target)
            np.add(target, self._new, out=target)
            if not self._change.running:
                self._untidy, self._leaving = self._leaving, None
                self._tidied = 0
        elif self._untidy is not None:
            self._tidy(parts=1)

    def _begin_change(self) -> None:
        """Swap references; the preset left behind goes on sounding until the fade ends."""
        if self._untidy is not None:
            self._tidy(parts=len(self._untidy.parts))
        self._leaving = self.bank[self.active]
        self.active = self._wanted
        steering = self.bank[self.active].steering
        if steering is not None:
            steering.start()
        self.preset_changes += 1
        self._unheard = -(-self.latency_frames // self._period_frames)
        self._change.start()

    def _turn_back(self) -> None:
        """Leave a preset that was not heard yet for the one that still sounds."""
        assert self._leaving is not None
        if self._untidy is not None:
            self._tidy(parts=len(self._untidy.parts))
        self._untidy, self._tidied = self.bank[self.active], 0
        self.active = self.bank.index(self._leaving)
        self._leaving = None
        self._unheard = 0
        self._change.stop()

    def _tidy(self, parts: int) -> None:
        """Let a preset that no longer sounds forget its past, so that no old echo returns.

        Spread over periods: resetting a long delay line takes as long as processing a block.
        """
        path = self._untidy
        assert path is not None
        for part in path.parts[self._tidied : self._tidied + parts]:
            part.reset()
        self._tidied += parts
        if self._tidied >= len(path.parts):
            self._untidy = None

    def _steered(self, path: Playable, source: Audio, knob: float, positions: Curve) -> Curve:
        """The positions that one preset makes of the knob's."""
        if path.steering is None:
            return positions
        return path.steering.process(source, knob, positions)

    def _play(
        self,
        path: Playable,
        source: Audio,
        positions: Curve,
        dryness: Curve | float,
        target: Audio,
    ) -> None:
        """One preset's period, wet and dry mixed as bypass asks."""
        path.process(source, positions, target, self._dry)
        if isinstance(dryness, float):
            if dryness:
                np.copyto(target, self._dry)
            return
        np.subtract(self._dry, target, out=self._dry)
        np.multiply(self._dry, dryness, out=self._dry)
        np.add(target, self._dry, out=target)
