"""Family `drive`: a memoryless nonlinearity between two equalisers, driven −36 … 0 dB."""

from dataclasses import dataclass

import numpy as np

from models.quality import at_level
from models.stage.families.case import Case, Positions, between, drive_span, make_case, span_words
from models.stage.families.filters import (
    Cabinets,
    Sections,
    filtered,
    low_cut,
    random_bands,
    random_low_cut,
    sections,
    through,
)
from models.stage.families.shapes import back, oversampled, shaped
from models.units import Audio, gain_from_db

TOP_DRIVE_DB = (14.0, 44.0)
"""Gain into the nonlinearity at 0 dB of drive, for a guitar at −20 dBFS RMS."""

COUPLING = low_cut(20.0)
"""What takes a stage's DC away, as a coupling capacitor does."""


@dataclass(frozen=True)
class Stage:
    """One drive: equaliser, nonlinearity, coupling capacitor, equaliser."""

    kind: str
    colour: float
    before: Sections
    behind: Sections
    turned: bool
    """Whether the wave's halves change places, so that uneven kinds lean either way."""

    def play(self, equalised: "Oversampled", gain_db: float) -> Audio:
        """What ``equalised`` (``before`` already applied) becomes at a gain."""
        gain = gain_from_db(gain_db) * (-1.0 if self.turned else 1.0)
        wave = shaped(equalised.wave * np.float32(gain), self.kind, self.colour)
        return filtered(back(wave), COUPLING, self.behind)


class Oversampled:
    """A sound behind a stage's first equaliser, at 96 kHz: made once, driven many times."""

    def __init__(self, sound: Audio, stage: Stage, level: bool = True) -> None:
        """Equalise, bring to −20 dBFS RMS (unless ``level`` is off), oversample."""
        equalised = filtered(sound, stage.before)
        self.wave = oversampled(at_level(equalised) if level else equalised)


def draw_stage(kinds: tuple[str, ...], rng: np.random.Generator) -> Stage:
    """A random drive of the given kinds of nonlinearity."""
    return Stage(
        kinds[rng.integers(len(kinds))],
        float(rng.random()),
        np.concatenate([random_low_cut(rng), sections(random_bands(rng, 9.0))]),
        sections(random_bands(rng, 6.0)),
        bool(rng.random() < 0.5),
    )


def draw_tone(
    guitar: Audio, kinds: tuple[str, ...], cabinets: Cabinets, rng: np.random.Generator
) -> tuple[str, Audio]:
    """A tone for an effect to work on: clean to driven, with a cabinet or without."""
    stage = draw_stage(kinds, rng)
    cabinet_name, cabinet = cabinets.draw_or_none(rng)
    gain_db = float(rng.uniform(-12.0, 30.0))
    tone = through(stage.play(Oversampled(guitar, stage), gain_db), cabinet)
    return f"{stage.kind} {gain_db:.0f} dB, {cabinet_name}", at_level(tone)


class DriveFamily:
    """The gain into the nonlinearity is the control."""

    name = "drive"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets, training: bool) -> None:
        self._kinds, self._cabinets, self._training = kinds, cabinets, training

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random nonlinearity, equalisers and cabinet."""
        stage = draw_stage(self._kinds, rng)
        cabinet_name, cabinet = self._cabinets.draw_or_none(rng)
        low_db, high_db = drive_span(rng, self._training)
        top_db = float(rng.uniform(*TOP_DRIVE_DB))
        source = Oversampled(guitar, stage)

        def tone_at(position: float) -> Audio:
            gain_db = top_db + between(low_db, high_db, position)
            return through(stage.play(source, gain_db), cabinet)

        name = f"{stage.kind} {top_db:.0f} dB, {cabinet_name}, {span_words(low_db, high_db)}"
        return make_case(self.name, name, tone_at, positions)
