"""Playing: a bank of prepared presets, the change between them and to another bank, and bypass."""

from collections.abc import Sequence

import numpy as np

from device.engine_kinds import Ceiling
from device.sound.dry import DryPath
from device.sound.guard import all_finite
from device.sound.playable import Instead, Playable, prepared_bank
from device.sound.ramp import Curve, Fade, Glide, SmoothValue
from device.sound.trial import Trial, Why
from models.units import Audio


class Player:
    """What the audio loop and the offline commands both drive, one period at a time.

    Every preset of the bank is prepared before the first period. A preset change swaps
    references and fades from the old sound to the new while both run; one whose sound arrives
    late is played unheard until it does. Bypass fades between the tone and the dry sound, which
    each preset has delayed to match. Another bank comes by the same fade, after it was listened to
    unheard, and goes by it, should it fail (``trial``).
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
        self.trial: Trial | None = None
        """The bank that is being tried; who drives the player takes it away once it is over."""
        self._nan_before = 0

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
        self.bank = prepared_bank(self.bank, rate_hz, period_frames, instead)
        self._path = self.bank[self.active]
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
        return self._path.latency_frames

    @property
    def nan_periods(self) -> int:
        """Periods in which a tone of any preset, of any bank so far, gave a NaN and was reset."""
        return self._nan_before + sum(path.nan_periods for path in self.bank)

    @property
    def scenes_play(self) -> bool:
        """Whether scenes move the position of the preset that plays."""
        steering = self._path.steering
        return steering is not None and steering.scenes_play

    def forget_knob(self) -> None:
        """Take the knob's next position for where it rests, not for a turn that ends scenes."""
        _forget_knob(self.bank)

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
        self._path = self.bank[index]
        self.position = position
        self.glide.jump(position)

    def limit(self, ceiling: Ceiling) -> None:
        """Play no costlier engine than ``ceiling``, whichever preset plays, of whichever bank."""
        for path in self.bank:
            path.limit(ceiling)
        if self.trial is not None:
            for path in self.trial.other:
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
                self.active = self._wanted
                self._change_to(self.bank[self.active])
        moving = self._dryness.moving()
        dryness = self._dryness.advance() if moving else self._dryness.value
        self._run = path = self._path
        steered = self._steered(path, source, position, positions)
        self.position = float(steered[-1])
        if self.trial is None:
            self._play(path, source, steered, dryness, target)
        else:
            self.trial.begin()
            self._play(path, source, steered, dryness, target)
            self.trial.end()
        if self._leaving is not None:
            self._run = self._leaving
            steered = self._steered(self._leaving, source, position, positions)
            self._play(self._leaving, source, steered, dryness, self._new)
            self._lead_over(target)
        elif self._untidy is not None:
            self._tidy(parts=1)
        if self.trial is not None:
            self._try(self.trial, source, position, positions)

    def _lead_over(self, target: Audio) -> None:
        """From what is left, in ``_new``, to what has come, in ``target``."""
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

    def _change_to(self, path: Playable, heard: bool = False) -> None:
        """Swap references; the preset left behind goes on sounding until the fade ends.

        ``heard``: what comes has been played for long enough to have a sound.
        """
        if self._untidy is not None:
            self._tidy(parts=len(self._untidy.parts))
        self._leaving, self._path = self._path, path
        if path.steering is not None:
            path.steering.start()
        self.preset_changes += 1
        self._unheard = 0 if heard else -(-path.latency_frames // self._period_frames)
        self._change.start()

    def _turn_back(self) -> None:
        """Leave a preset that was not heard yet for the one that still sounds."""
        if self._leaving not in self.bank:
            return  # it belongs to a bank that is being left: what comes has to come first
        if self._untidy is not None:
            self._tidy(parts=len(self._untidy.parts))
        self._untidy, self._tidied = self._path, 0
        self._path = self._leaving
        self.active = self.bank.index(self._leaving)
        self._leaving = None
        self._unheard = 0
        self._change.stop()

    def audition(self, trial: Trial) -> None:
        """Try another bank, whose presets are prepared: it is listened to, then fades in.

        The preset of the same index plays where there is one, else the first. Only while no
        other is being tried.
        """
        trial.index = self._wanted if self._wanted < len(trial.other) else 0
        _forget_knob(trial.other)
        self.trial = trial

    def hurry(self) -> None:
        """End a trial as soon as that can be: a newer bank waits."""
        trial = self.trial
        if trial is not None and trial.why == Why.NONE and (not trial.on_air or self._settled):
            self._end(trial)

    def late(self) -> None:
        """A period took longer than it lasts: a bank that is being tried may be to blame."""
        if self.trial is not None:
            self.trial.miss()

    def failed(self, error: Exception) -> None:
        """``process`` raised this: what did so is not played again.

        A bank that is being tried is left for the one before. In the place of any other preset the
        dry guitar plays until another is chosen.
        """
        trial = self.trial
        if self._run is self._leaving:
            self._leaving = DryPath("broken")
        elif trial is None or not trial.on_air or trial.returned:
            self._path, self._leaving, self._unheard = DryPath("broken"), None, 0
            self._change.stop()
        elif self._leaving is not None and self._leaving in trial.other:
            # It was being faded in: the one before still plays.
            trial.reject(Why.ERROR, error)
            self._path, self._leaving, self._unheard = self._leaving, None, 0
            self._change.stop()
            self._exchange(trial)
            self.active = self._wanted = self.bank.index(self._path)
            trial.returned = True
            self._end(trial)
        else:
            trial.reject(Why.ERROR, error)
            self._path, self._leaving = DryPath("broken"), None
            self._return(trial)

    @property
    def _settled(self) -> bool:
        return self._leaving is None and self._wanted == self.active

    def _try(self, trial: Trial, source: Audio, knob: float, positions: Curve) -> None:
        """One more period of a bank that is being tried."""
        if not trial.on_air:
            if self._settled and not trial.over:
                self._listen(trial, source, knob, positions)
            return
        trial.watch(self._path.nan_periods)
        if not self._settled or trial.over:
            return
        if trial.returned or (trial.why == Why.NONE and trial.passed):
            self._end(trial)
        elif trial.why != Why.NONE:
            self._return(trial)

    def _listen(self, trial: Trial, source: Audio, knob: float, positions: Curve) -> None:
        """Play the new bank unheard; on air with it once it has been good for long enough."""
        path = trial.path
        try:
            trial.begin()
            steered = self._steered(path, source, knob, positions)
            path.process(source, steered, self._new, self._dry)
            trial.listened(all_finite(self._new), path.nan_periods, path.latency_frames)
        except Exception as error:  # it is not heard, so nothing else has to know
            trial.reject(Why.ERROR, error)
        if trial.why != Why.NONE:
            self._end(trial)
        elif trial.heard_enough:
            index = self._wanted if self._wanted < len(trial.other) else 0
            chosen = trial.other[index]
            self._exchange(trial)
            self.active = self._wanted = index
            self._change_to(chosen, heard=chosen is path and trial.covers(path.latency_frames))
            if chosen is not path:
                self._untidy, self._tidied = path, 0
            trial.go_on_air()

    def _return(self, trial: Trial) -> None:
        """Back to the bank before, which is played unheard until it has a sound."""
        self._exchange(trial)
        if self._untidy not in self.bank:
            self._untidy = None  # it goes with its bank
        index = self._wanted if self._wanted < len(self.bank) else 0
        self.active = self._wanted = index
        self._change_to(self.bank[index])
        trial.returned = True

    def _end(self, trial: Trial) -> None:
        """Nothing of the trial's other bank is touched any more."""
        if self._untidy not in self.bank:
            self._untidy = None
        trial.over = True

    def _exchange(self, trial: Trial) -> None:
        """The other bank is this player's, and this one the trial's."""
        before = self.nan_periods
        self.bank, trial.other = trial.other, self.bank
        self._nan_before = before - sum(path.nan_periods for path in self.bank)

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


def _forget_knob(bank: Sequence[Playable]) -> None:
    for path in bank:
        if path.steering is not None:
            path.steering.forget_knob()
