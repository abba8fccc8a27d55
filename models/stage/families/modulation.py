"""Family `modulation`: depth or mix of chorus, flanger, phaser and tremolo."""

from dataclasses import dataclass

import numpy as np
from pedalboard import Chorus, Phaser, Plugin

from models.stage.families.case import Case, Positions, make_case
from models.stage.families.drives import draw_tone
from models.stage.families.filters import Cabinets
from models.units import RATE_HZ, Audio


@dataclass(frozen=True)
class Modulator:
    """One effect; its low-frequency oscillator starts at the same phase at every position."""

    kind: str
    rate_hz: float
    delay_ms: float
    centre_hz: float
    feedback: float

    def play(self, sound: Audio, depth: float, mix: float) -> Audio:
        """``(1, frames)`` through a fresh effect, ``depth`` and ``mix`` in 0…1."""
        if self.kind == "tremolo":
            times_s = np.arange(sound.shape[1]) / RATE_HZ
            swing = 0.5 + 0.5 * np.cos(2.0 * np.pi * self.rate_hz * times_s)
            return np.asarray(sound * (1.0 - depth * mix * swing), np.float32)
        effect: Plugin
        if self.kind == "phaser":
            effect = Phaser(self.rate_hz, depth, self.centre_hz, self.feedback, mix)
        else:
            effect = Chorus(self.rate_hz, depth, self.delay_ms, self.feedback, mix)
        # A block's length only sets how often the effect's oscillator is looked at.
        return np.asarray(effect.process(sound, RATE_HZ, buffer_size=512), np.float32)


def draw_modulator(rng: np.random.Generator) -> Modulator:
    """A random effect within the range of what pedals do."""
    kind = str(rng.choice(["chorus", "flanger", "phaser", "tremolo"]))
    rate_hz = float(np.exp(rng.uniform(np.log(0.15), np.log(6.0))))
    delay_ms = float(rng.uniform(1.0, 4.0) if kind == "flanger" else rng.uniform(6.0, 20.0))
    most = {"chorus": 0.15, "flanger": 0.7, "phaser": 0.6, "tremolo": 0.0}[kind]
    feedback = float(rng.uniform(-most, most))
    return Modulator(kind, rate_hz, delay_ms, float(rng.uniform(400.0, 2000.0)), feedback)


class ModulationFamily:
    """The control is depth at a fixed mix, or mix at a fixed depth, linear from 0."""

    name = "modulation"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets) -> None:
        self._kinds, self._cabinets = kinds, cabinets

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random effect on a random tone."""
        tone_name, tone = draw_tone(guitar, self._kinds, self._cabinets, rng)
        modulator = draw_modulator(rng)
        depth, mix = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.3, 0.7))
        control = str(rng.choice(["depth", "mix"]))

        def tone_at(position: float) -> Audio:
            if control == "depth":
                return modulator.play(tone, depth * position, mix)
            return modulator.play(tone, depth, mix * position)

        top = depth if control == "depth" else mix
        name = f"{modulator.kind} {modulator.rate_hz:.1f} Hz, {control} to {top:.2f}, {tone_name}"
        return make_case(self.name, name, tone_at, positions)
