"""Real tones at any drive: captures behind one cabinet, playing one phrase."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from models.evaluate.result import Kind
from models.quality import Decibels, at_level, log_spectrum_db, loudness_lufs, mel_spectrum_db
from models.stage.families.filters import Response, filtered, low_cut, through
from models.units import Audio, gain_from_db, rms_dbfs

DRIVES_DB = tuple(float(level) for level in range(-36, 1, 3))
"""Where real tones are looked for, dB of input relative to the phrase's own level."""

COMPARED_DBFS = -20.0
"""The RMS level at which everything is compared."""

LOUDNESS_LUFS = -20.0
"""Both tones of a pair are brought here before they are morphed: a fair crossfade."""

KEPT_TONES = 160
"""Rendered tones kept at once: about 1 MB each."""

Spectrum = Mapping[Kind, Decibels]
"""Levels of a sound at −20 dBFS RMS, by kind of distance."""


def spectrum(sound: Audio) -> Spectrum:
    """What distances are taken on; the sound is brought to −20 dBFS RMS first."""
    level = at_level(sound, COMPARED_DBFS)
    return {"lsd": log_spectrum_db(level), "mel": mel_spectrum_db(level)}


def loudness_of(sound: Audio) -> float:
    """Loudness in LUFS of a sound that may be far too quiet for the standard's absolute gate."""
    return loudness_lufs(at_level(sound, COMPARED_DBFS)) + rms_dbfs(sound) - COMPARED_DBFS


class Amplifier(Protocol):
    """What plays a whole sound, always from rest: ``models.stage.families.captures.Amplifier``."""

    def play(self, sound: Audio) -> Audio:
        """``(1, frames)`` at 48 kHz, no delay."""


class Tones:
    """Tones by name: ``jc``, or ``jc@-36`` for the capture driven 36 dB less."""

    def __init__(
        self, amplifiers: Mapping[str, Amplifier], cabinet: Response | None, guitar: Audio
    ) -> None:
        """``guitar`` ``(1, frames)`` at 48 kHz plays through all of them."""
        self._amplifiers, self._cabinet, self._guitar = amplifiers, cabinet, guitar
        self._sounds: OrderedDict[tuple[str, float], Audio] = OrderedDict()
        self._levels_db: dict[str, float] = {}
        self._real: dict[tuple[str, float], Spectrum] = {}
        # As between an amplifier and its speaker; the families do the same.
        self._coupling = low_cut(10.0)

    def at(self, name: str, drive_db: float) -> Audio:
        """The tone ``(1, frames)`` with its input raised by ``drive_db``, at its own level."""
        capture, own_db = split_name(name)
        key = capture, round(own_db + drive_db, 3)
        if key not in self._sounds:
            source = self._guitar * np.float32(gain_from_db(key[1]))
            sound = self._amplifiers[capture].play(source)
            self._sounds[key] = through(filtered(sound, self._coupling), self._cabinet)
            if len(self._sounds) > KEPT_TONES:
                self._sounds.popitem(last=False)
        self._sounds.move_to_end(key)
        return self._sounds[key]

    def level_db(self, name: str) -> float:
        """What brings the tone at its own drive to ``LOUDNESS_LUFS``, dB."""
        if name not in self._levels_db:
            self._levels_db[name] = LOUDNESS_LUFS - loudness_of(self.at(name, 0.0))
        return self._levels_db[name]

    def real(self, name: str) -> list[Spectrum]:
        """The capture of a tone at every one of ``DRIVES_DB``: the real tones near it."""
        capture, _ = split_name(name)
        for drive_db in DRIVES_DB:
            key = capture, drive_db
            if key not in self._real:
                self._real[key] = spectrum(self.at(*key))
        return [self._real[capture, drive_db] for drive_db in DRIVES_DB]


def split_name(name: str) -> tuple[str, float]:
    """The capture and its drive in dB of a tone's name: ``jc@-36`` is jc at −36, ``jc`` at 0."""
    capture, _, drive = name.partition("@")
    return capture, float(drive or 0.0)
