"""Family `sag`: drives whose supply gives way, and compressors: tones that remember loudness."""

from dataclasses import dataclass

import numpy as np

from models.quality import at_level
from models.stage.families.case import (
    Case,
    Positions,
    between,
    drive_span,
    make_case,
    span_words,
)
from models.stage.families.drives import COUPLING, TOP_DRIVE_DB, Oversampled, Stage, draw_stage
from models.stage.families.filters import Cabinets, filtered, through
from models.stage.families.shapes import OVERSAMPLING, Wave, back, shaped
from models.units import RATE_HZ, Audio, gain_from_db

_HOP_FRAMES = 32
"""Frames between two steps of an envelope; it is a line between them."""

_FLOOR_DB = -80.0


@dataclass(frozen=True)
class Follower:
    """An envelope follower: rises within ``attack_ms``, falls within ``release_ms``."""

    attack_ms: float
    release_ms: float

    def envelope(self, wave: Wave, rate_hz: int) -> Wave:
        """Mean magnitude of ``(frames,)``, smoothed, of the same length, never ahead of it."""
        hop = _HOP_FRAMES * rate_hz // RATE_HZ
        count = -(-wave.size // hop)
        padded = np.zeros(count * hop, np.float32)
        padded[: wave.size] = np.abs(wave)
        rise, fall = (
            1.0 - np.exp(-1000.0 * _HOP_FRAMES / RATE_HZ / time_ms)
            for time_ms in (self.attack_ms, self.release_ms)
        )
        levels, level = [], 0.0
        for target in padded.reshape(count, hop).mean(axis=1).tolist():
            level += (rise if target > level else fall) * (target - level)
            levels.append(level)
        # A hop's level is known when the hop is over, and reached one hop later.
        times = (np.arange(count) + 2.0) * hop
        held = np.interp(np.arange(wave.size), times, levels, left=0.0)
        return np.asarray(held, np.float32)


@dataclass(frozen=True)
class Supply:
    """How a drive's supply and bias give way to what it draws."""

    follower: Follower
    drop: float
    """At full drive the supply falls to 1 / (1 + ``drop``)."""
    bias: float
    """At full drive the working point has moved by this much of the supply."""


def sagging(stage: Stage, source: Oversampled, gain_db: float, supply: Supply) -> Audio:
    """A stage as ``Stage.play``, on a supply that gives way."""
    gain = gain_from_db(gain_db) * (-1.0 if stage.turned else 1.0)
    wave = source.wave * np.float32(gain)
    drawn = supply.follower.envelope(shaped(wave, stage.kind, stage.colour), RATE_HZ * OVERSAMPLING)
    rail = 1.0 / (1.0 + np.float32(supply.drop) * drawn)
    moved = wave / rail + np.float32(supply.bias) * drawn
    return filtered(back(rail * shaped(moved, stage.kind, stage.colour)), COUPLING, stage.behind)


class SagFamily:
    """The control is drive under sag, the depth of the sag, or a compressor's threshold in dB."""

    name = "sag"

    def __init__(self, kinds: tuple[str, ...], cabinets: Cabinets, training: bool) -> None:
        self._kinds, self._cabinets, self._training = kinds, cabinets, training

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random one of the three."""
        control = rng.choice(["drive", "depth", "threshold"], p=[0.5, 0.2, 0.3])
        if control == "threshold":
            return self._compressed(guitar, rng, positions)
        stage = draw_stage(self._kinds, rng)
        cabinet_name, cabinet = self._cabinets.draw_or_none(rng)
        follower = Follower(float(rng.uniform(3.0, 30.0)), float(rng.uniform(60.0, 400.0)))
        drop, bias = float(rng.uniform(0.3, 2.5)), float(rng.uniform(-0.6, 0.6))
        low_db, high_db = drive_span(rng, self._training)
        top_db = float(rng.uniform(*TOP_DRIVE_DB))
        source = Oversampled(guitar, stage)

        def driven(position: float) -> Audio:
            gain_db = top_db + between(low_db, high_db, position)
            supply = Supply(follower, drop, bias)
            return through(sagging(stage, source, gain_db, supply), cabinet)

        def deepened(position: float) -> Audio:
            supply = Supply(follower, drop * position, bias * position)
            return through(sagging(stage, source, top_db, supply), cabinet)

        what = f"{stage.kind} {top_db:.0f} dB, sag {drop:.1f}, {cabinet_name}"
        if control == "depth":
            return make_case(self.name, f"depth of {what}", deepened, positions)
        return make_case(self.name, f"{what}, {span_words(low_db, high_db)}", driven, positions)

    def _compressed(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A feed-forward compressor in front of a drive, threshold falling from the loudest."""
        stage = draw_stage(self._kinds, rng)
        cabinet_name, cabinet = self._cabinets.draw_or_none(rng)
        follower = Follower(float(rng.uniform(1.0, 20.0)), float(rng.uniform(40.0, 300.0)))
        slope = 1.0 - 1.0 / float(rng.uniform(2.0, 12.0))
        deepest_db, gain_db = float(rng.uniform(-36.0, -15.0)), float(rng.uniform(-12.0, 24.0))
        loud = at_level(guitar)
        level = np.maximum(follower.envelope(loud[0], RATE_HZ), gain_from_db(_FLOOR_DB))
        level_db = 20.0 * np.log10(level)
        level_db -= level_db.max()

        def tone_at(position: float) -> Audio:
            over_db = np.maximum(level_db - deepest_db * position, 0.0)
            squeezed = loud * np.power(10.0, -slope * over_db / 20.0).astype(np.float32)
            return through(stage.play(Oversampled(squeezed, stage), gain_db), cabinet)

        name = f"threshold to {deepest_db:.0f} dB, {stage.kind} {gain_db:.0f} dB, {cabinet_name}"
        return make_case(self.name, name, tone_at, positions)
