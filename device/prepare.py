"""From a preset to a path that can be played: the way of the knob is found here, once.

Both tones are tried on a short phrase at several drives, and ``models.path`` finds the way. It
is kept under a hash of all it depends on, so the next time takes a moment.
"""

import functools
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from device.errors import AudioFileError
from device.files import resampled, whole_file
from device.preset import Preset, Side
from device.sound.player import Playable, Player
from device.sound.ramp import Curve
from device.sound.trajectory import Trajectory
from device.tools.riff import riff
from models.path import DRIVES_DB, DrivePath, Figures, Tone, even_positions, find_path, way_along
from models.quality import spectra
from models.units import Audio, gain_from_db

_VERSION = 2
"""Of how ways are found: a change of the method makes every kept one a stranger."""

_PERIOD_FRAMES = 1024
_LAW_POSITIONS = np.linspace(0.0, 1.0, 11)
_RIFF_HZ = 48000
_FADE_S = 0.010

Found = TypeVar("Found")

PROBE_S = ((0.2, 1.2), (2.0, 2.7), (9.0, 10.0), (14.5, 15.5))
"""Pieces of the riff that are tried: picked strings, a chord that rings, palm mutes, a lead."""


def default_cache() -> Path:
    """Folder of what has been found: systemd's, the user's, or below the home folder."""
    if "CACHE_DIRECTORY" in os.environ:
        return Path(os.environ["CACHE_DIRECTORY"].split(":")[0]) / "paths"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "purga" / "paths"


def playable(
    preset: Preset,
    rate_hz: int,
    interface_dbu: float | None = None,
    scenes: bool = True,
    cache: Path | None = None,
) -> Playable:
    """Make a preset's path, unprepared, with the way its knob takes. Raises ``PresetError``.

    ``cache`` is a folder; by default ``default_cache()``.
    """
    if not preset.needs_way:
        return preset.path(interface_dbu, scenes)
    if preset.one_shape:
        law = found_law(preset, rate_hz, interface_dbu, cache)
        return preset.path(interface_dbu, scenes, law=law)
    found = found_path(preset, rate_hz, interface_dbu, cache)
    return preset.path(interface_dbu, scenes, Trajectory(way_along(found, preset.table.morph.law)))


def found_path(
    preset: Preset, rate_hz: int, interface_dbu: float | None = None, cache: Path | None = None
) -> DrivePath:
    """The preset's way, from the cache where it has been found before. Raises ``PresetError``."""
    kept = _Kept("way", preset, rate_hz, interface_dbu, cache)
    path = kept.read(_from_arrays)
    if path is None:
        a, b = (tried(preset, side, rate_hz, interface_dbu) for side in ("a", "b"))
        path = find_path(a, b, rate_hz, drives=preset.table.morph.path == "drive")
        kept.write(_to_arrays(path))
    return path


def found_law(
    preset: Preset, rate_hz: int, interface_dbu: float | None = None, cache: Path | None = None
) -> Curve:
    """For tones of one shape: positions by even places of the knob that sound evenly spaced."""
    kept = _Kept("law", preset, rate_hz, interface_dbu, cache)
    law = kept.read(_law)
    if law is None:
        phrase = probe(rate_hz)
        sounds = []
        for position in _LAW_POSITIONS.tolist():
            path = preset.path(interface_dbu, scenes=False)
            path.steering = None
            player = Player([path])
            player.prepare(rate_hz, _PERIOD_FRAMES, position)

            def play(source: Audio, target: Audio, player: Player = player) -> None:
                player.process(source, player.glide.position, target)

            sounds.append(spectra(_played(play, phrase, player.latency_frames)))
        law = even_positions(np.array(sounds))
        kept.write({"law": law})
    return law


def _law(kept: Mapping[str, Any]) -> Curve:
    law = np.asarray(kept["law"], np.float32)
    rising = law.ndim == 1 and law.size > 1 and bool((np.diff(law) >= 0.0).all())
    if not rising or law[0] != 0.0 or law[-1] != 1.0:
        raise ValueError("it does not lead from tone A to tone B")
    return law


def _played(play: Callable[[Audio, Audio], None], phrase: Audio, late: int) -> Audio:
    """All of ``phrase`` ``(1, frames)`` played by periods, ``late`` frames taken out."""
    frames = phrase.shape[1]
    periods = -(-(frames + late) // _PERIOD_FRAMES)
    guitar = np.zeros((1, periods * _PERIOD_FRAMES), np.float32)
    guitar[:, :frames] = phrase
    heard = np.zeros_like(guitar)
    with np.errstate(all="ignore"):
        for start in range(0, guitar.shape[1], _PERIOD_FRAMES):
            piece = slice(start, start + _PERIOD_FRAMES)
            play(guitar[:, piece], heard[:, piece])
    return heard[:, late : late + frames]


def tried(preset: Preset, side: Side, rate_hz: int, interface_dbu: float | None = None) -> Tone:
    """One tone at every drive, latency taken out, on the probe. Raises ``PresetError``."""
    chain = preset.chain(side, interface_dbu)
    chain.prepare(rate_hz, _PERIOD_FRAMES)
    phrase = probe(rate_hz) * np.float32(gain_from_db(preset.table.input.gain_db))
    rows = []
    for drive_db in DRIVES_DB.tolist():
        chain.reset()
        driven = phrase * np.float32(gain_from_db(drive_db))
        rows.append(spectra(_played(chain.process, driven, chain.latency_frames)))
    return Tone(np.array(rows))


@functools.lru_cache(maxsize=2)
def probe(rate_hz: int) -> Audio:
    """The phrase on which tones are tried, ``(1, frames)``: pieces of the riff, read-only."""
    phrase = resampled(_pieces(), _RIFF_HZ, rate_hz)
    phrase.setflags(write=False)
    return phrase


@functools.cache
def _pieces() -> Audio:
    whole = riff(_RIFF_HZ)
    ramp = np.linspace(0.0, 1.0, round(_FADE_S * _RIFF_HZ), dtype=np.float32)
    pieces = []
    for start_s, stop_s in PROBE_S:
        piece = whole[0, round(start_s * _RIFF_HZ) : round(stop_s * _RIFF_HZ)].copy()
        piece[: ramp.size] *= ramp
        piece[-ramp.size :] *= ramp[::-1]
        pieces.append(piece)
    return np.concatenate(pieces)[None, :]


class _Kept:
    """One file of the cache: what was found for a preset, by the hash of all it depends on."""

    def __init__(
        self,
        what: str,
        preset: Preset,
        rate_hz: int,
        interface_dbu: float | None,
        folder: Path | None,
    ) -> None:
        self._fingerprint = _fingerprint(what, preset, rate_hz, interface_dbu)
        self._file = (folder or default_cache()) / f"{self._fingerprint[:32]}.npz"

    def read(self, build: Callable[[Mapping[str, Any]], Found]) -> Found | None:
        """What is kept; None where nothing is, or what is damaged or foreign: told on stderr."""
        if not self._file.exists():
            return None
        try:
            with self._file.open("rb") as source, np.load(source, allow_pickle=False) as kept:
                if str(kept["fingerprint"]) != self._fingerprint:
                    raise ValueError("it belongs to another preset")
                return build(kept)
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            print(
                f"{self._file}: cannot be used ({error}); the way of this preset is found anew",
                file=sys.stderr,
            )
            return None

    def write(self, arrays: Mapping[str, Any]) -> None:
        """Keep it, whole or not at all; a disk that does not take it costs time only."""
        try:
            with whole_file(self._file) as temporary, temporary.open("wb") as target:
                np.savez(target, fingerprint=np.array(self._fingerprint), **arrays)
        except AudioFileError as error:
            print(f"{error}; the way is found anew next time", file=sys.stderr)


def _fingerprint(what: str, preset: Preset, rate_hz: int, interface_dbu: float | None) -> str:
    """A hash of all that a way depends on: settings, files, rate, method."""
    table = preset.table
    settings = table.model_dump(mode="json", include={"input", "tone"})
    about = [what, _VERSION, rate_hz, interface_dbu, table.morph.path, settings]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for tone in (table.tone.a, table.tone.b):
        for block in tone.chain:
            name = getattr(block, "file", None)
            if name is not None:
                file = preset.file.parent / name
                digest.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return digest.hexdigest()


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
