"""The way of a preset's knob, found on a short phrase where it is not in the cache.

Both tones are tried at several drives, and ``models.path`` finds the way. It is kept under a hash
of all it depends on, so the next time takes a moment.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.cache import Kept
from device.preset import Preset, Side
from device.probe import PROBE_PERIOD_FRAMES, played, probe
from device.sound.player import Player
from device.sound.ramp import Curve
from models.path import DRIVES_DB, DrivePath, Figures, Tone, even_positions, find_path
from models.quality import spectra
from models.units import Audio, gain_from_db

_LAW_POSITIONS = np.linspace(0.0, 1.0, 11)


def found_path(
    preset: Preset, rate_hz: int, interface_dbu: float | None = None, cache: Path | None = None
) -> DrivePath:
    """The preset's way, from the cache where it has been found before. Raises ``PresetError``."""
    kept = Kept("way", preset, rate_hz, interface_dbu, cache)
    path = kept.read(_from_arrays)
    if path is None:
        sides: tuple[Side, Side] = ("a", "b")
        # Almost all of it is networks and convolutions, which run side by side.
        with ThreadPoolExecutor(2) as threads:
            a, b = threads.map(lambda side: tried(preset, side, rate_hz, interface_dbu), sides)
        path = find_path(a, b, rate_hz, drives=preset.table.morph.path == "drive")
        kept.write(_to_arrays(path))
    return path


def found_law(
    preset: Preset, rate_hz: int, interface_dbu: float | None = None, cache: Path | None = None
) -> Curve:
    """For tones of one shape: positions by even places of the knob that sound evenly spaced."""
    kept = Kept("law", preset, rate_hz, interface_dbu, cache)
    law = kept.read(_law)
    if law is None:
        phrase = probe(rate_hz)
        sounds = []
        for position in _LAW_POSITIONS.tolist():
            path = preset.path(interface_dbu, scenes=False)
            path.steering = None
            player = Player([path])
            player.prepare(rate_hz, PROBE_PERIOD_FRAMES, position)

            def play(source: Audio, target: Audio, player: Player = player) -> None:
                player.process(source, player.glide.position, target)

            sounds.append(spectra(played(play, phrase, player.latency_frames)))
        law = even_positions(np.array(sounds))
        kept.write({"law": law})
    return law


def _law(kept: Mapping[str, Any]) -> Curve:
    law = np.asarray(kept["law"], np.float32)
    rising = law.ndim == 1 and law.size > 1 and bool((np.diff(law) >= 0.0).all())
    if not rising or law[0] != 0.0 or law[-1] != 1.0:
        raise ValueError("it does not lead from tone A to tone B")
    return law


def tried(preset: Preset, side: Side, rate_hz: int, interface_dbu: float | None = None) -> Tone:
    """One tone at every drive, latency taken out, on the probe. Raises ``PresetError``."""
    chain = preset.chain(side, interface_dbu)
    chain.prepare(rate_hz, PROBE_PERIOD_FRAMES)
    phrase = probe(rate_hz) * np.float32(gain_from_db(preset.table.input.gain_db))
    rows = []
    for drive_db in DRIVES_DB.tolist():
        chain.reset()
        driven = phrase * np.float32(gain_from_db(drive_db))
        rows.append(spectra(played(chain.process, driven, chain.latency_frames)))
    return Tone(np.array(rows))


def _from_arrays(kept: Mapping[str, Any]) -> DrivePath:
    values: dict[str, Any] = {}
    for field in fields(DrivePath):
        value = np.asarray(kept[field.name], np.float64)
        if field.type is Figures:
            values[field.name] = Figures(*value.reshape(3).tolist())
        else:
            values[field.name] = value if value.ndim else float(value)
    return DrivePath(**values)


def _to_arrays(path: DrivePath) -> dict[str, npt.NDArray[Any]]:
    values = {field.name: getattr(path, field.name) for field in fields(DrivePath)}
    return {
        name: value.as_array() if isinstance(value, Figures) else np.asarray(value)
        for name, value in values.items()
    }
