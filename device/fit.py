"""What the stage engine has to know about a preset's two tones, found on the probe phrase.

The network knows tones at one level and without their common colour, and what it makes of them
has a loudness of its own. So both tones are played along the knob's way once, and the loudness
of what comes out is put on the straight line in dB between the ends.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from device.cache import Kept
from device.preset import Preset, Side
from device.probe import PROBE_PERIOD_FRAMES, played, probe
from device.sound.morph import StageFit
from device.sound.networks import stage_network
from models.path import DrivePath, Way, way_along
from models.path.tone import SILENT_LUFS, Floats, loudness_lufs
from models.quality import spectra
from models.stage.colour import SHAPE_TAPS, TRAIT_BANDS, TRAIT_ROWS, WHITEN_TAPS, Colour, colour_of
from models.stage.model import LEVEL_DBFS, StageModel
from models.units import Audio, gain_from_db

POSITIONS = np.linspace(0.0, 1.0, 9)
"""Where on the knob's travel the tones are tried."""

_TABLE_POINTS = 257
_MOST_DB = 60.0


def found_fit(
    preset: Preset,
    path: DrivePath,
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
) -> StageFit:
    """The preset's fit, from the cache where it has been found before.

    Raises ``PresetError``, and ``ModelError`` for a stage network that cannot be played.
    """
    kept = kept_fit(preset, rate_hz, interface_dbu, cache)
    fit = kept.read(_from_arrays)
    if fit is None:
        fit = _Trial(preset, path, rate_hz, interface_dbu).fit()
        kept.write(
            {
                "whiten": fit.colour.whiten,
                "shape": fit.colour.shape,
                "traits": fit.colour.traits,
                "into": fit.into,
                "out_of": fit.out_of,
            }
        )
    return fit


def kept_fit(
    preset: Preset, rate_hz: int, interface_dbu: float | None = None, cache: Path | None = None
) -> Kept:
    """Where the preset's fit is kept. Raises ``ModelError`` for a network that cannot be read."""
    network = hashlib.sha256(stage_network(preset.stage)).hexdigest()
    what = f"stage {network} {preset.table.morph.law}"
    return Kept(what, preset, rate_hz, interface_dbu, cache)


class _Trial:
    """Both tones of a preset, played on the probe along the knob's way."""

    def __init__(
        self, preset: Preset, path: DrivePath, rate_hz: int, interface_dbu: float | None
    ) -> None:
        self._rate_hz = rate_hz
        self._stage = preset.stage
        self._way: Way = way_along(path, preset.table.morph.law)
        self._guitar = probe(rate_hz) * np.float32(gain_from_db(preset.table.input.gain_db))
        sides: tuple[Side, Side] = ("a", "b")
        self._chains = [preset.chain(side, interface_dbu) for side in sides]
        for chain in self._chains:
            chain.prepare(rate_hz, PROBE_PERIOD_FRAMES)
        # Along a direct way the drive stays where it is: once is enough.
        self._tone = cache(self._play)

    def fit(self) -> StageFit:
        ways = [self._way.at(position) for position in POSITIONS.tolist()]
        with ThreadPoolExecutor(2) as threads:
            of_a, of_b = threads.map(
                lambda which: [
                    self._tone(which, way[which]) * np.float32(way[2 + which]) for way in ways
                ],
                (0, 1),
            )
        pairs = list(zip(of_a, of_b, strict=True))
        blends = np.array([each[-1] for each in ways])
        loud = np.array([[self._loudness(tone) for tone in pair] for pair in pairs])
        if loud.min() < SILENT_LUFS:
            return StageFit.plain()
        both = (1.0 - blends) * loud[:, 0] + blends * loud[:, 1]
        into_db = np.clip(LEVEL_DBFS - both, -_MOST_DB, _MOST_DB)
        brought = [
            tuple(np.asarray(tone * gain_from_db(level_db), np.float32) for tone in pair)
            for pair, level_db in zip(pairs, into_db.tolist(), strict=True)
        ]
        colour = colour_of(*brought[int(np.argmin(np.abs(blends - 0.5)))])
        line = np.interp(POSITIONS, [0.0, 1.0], [loud[0, 0], loud[-1, 1]])
        out_of_db = -into_db
        # At the ends the network is not heard.
        inner = slice(1, -1)
        made = self._made(colour, brought[inner], blends[inner])
        out_of_db[inner] = np.clip(line[inner] - made, -_MOST_DB, _MOST_DB)
        return StageFit(colour, _table(into_db), _table(out_of_db))

    def _play(self, which: int, drive: float) -> Audio:
        chain = self._chains[which]
        chain.reset()
        driven = self._guitar * np.float32(drive)
        return np.nan_to_num(
            played(chain.process, driven, chain.latency_frames), posinf=0.0, neginf=0.0
        )

    def _made(self, colour: Colour, pairs: list[tuple[Audio, ...]], blends: Floats) -> Floats:
        """Loudness of what the network makes of each pair, LUFS."""
        model = StageModel(stage_network(self._stage), colour, PROBE_PERIOD_FRAMES)
        loudness = []
        for (a, b), blend in zip(pairs, blends.tolist(), strict=True):
            model.reset()
            positions = np.full(PROBE_PERIOD_FRAMES, blend, np.float32)

            def play(both: Audio, target: Audio, positions: Audio = positions) -> None:
                model.process(both[:1], both[1:], positions, target)

            loudness.append(self._loudness(played(play, np.concatenate([a, b]), 0)))
        return np.array(loudness)

    def _loudness(self, sound: Audio) -> float:
        return float(loudness_lufs(spectra(sound), self._rate_hz))


def _table(values_db: Floats) -> Audio:
    knob = np.linspace(0.0, 1.0, _TABLE_POINTS)
    values = 10.0 ** (np.interp(knob, POSITIONS, values_db) / 20.0)
    return np.asarray(values, np.float32)


def _from_arrays(kept: Mapping[str, Any]) -> StageFit:
    shapes = {
        "whiten": (WHITEN_TAPS,),
        "shape": (SHAPE_TAPS,),
        "traits": (TRAIT_ROWS, 2 * TRAIT_BANDS),
        "into": (None,),
        "out_of": (None,),
    }
    values = {name: np.asarray(kept[name], np.float32) for name in shapes}
    for name, shape in shapes.items():
        value = values[name]
        fits = len(shape) == value.ndim and all(
            expected in (None, extent) for expected, extent in zip(shape, value.shape, strict=True)
        )
        if not fits or not np.isfinite(value).all():
            raise ValueError(f"{name} has the shape {value.shape} or holds what is no number")
    into, out_of = values["into"], values["out_of"]
    ends = (into * out_of)[[0, -1]] if into.shape == out_of.shape and into.size > 1 else np.zeros(2)
    if np.abs(ends - 1.0).max() > 1e-3 or min(into.min(), out_of.min()) <= 0.0:
        raise ValueError("its levels do not lead from tone A to tone B")
    return StageFit(Colour(values["whiten"], values["shape"], values["traits"]), into, out_of)
