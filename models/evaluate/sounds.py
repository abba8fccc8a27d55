"""The sounds of a few cases, written for ears and for the page's pictures."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from models.evaluate.result import Sound
from models.quality import at_level
from models.units import RATE_HZ, Audio

PEAK = 0.999

Role = Literal["a", "b", "truth", "morph"]


class SoundFolder:
    """Collects what is to be written, so that nothing half-done is left behind."""

    def __init__(self) -> None:
        self._kept: dict[str, Audio] = {}
        self._sounds: list[Sound] = []

    def add(self, case: str, role: Role, method: str, position: float, sound: Audio) -> None:
        """Keep a sound ``(1, frames)``; it is brought to −20 dBFS RMS, less if that would clip."""
        words = f"{case} {method or role} {position:.2f}" if role in ("morph", "truth") else case
        name = f"{words} {role}" if role in ("a", "b") else words
        file = f"sounds/{re.sub('[^a-z0-9.]+', '-', name.lower())}.flac"
        if file in self._kept:
            return
        self._kept[file] = _unclipped(at_level(sound))
        self._sounds.append(Sound(case, role, method, position, file))

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """What there is, in the order it came."""
        return tuple(self._sounds)

    def write(self, folder: Path) -> None:
        """Write every sound as FLAC, 24 bit, under ``folder``. Raises ``OSError``."""
        (folder / "sounds").mkdir(parents=True, exist_ok=True)
        for file, sound in self._kept.items():
            soundfile.write(folder / file, sound[0], RATE_HZ, subtype="PCM_24")


def _unclipped(sound: Audio) -> Audio:
    peak = float(np.abs(sound).max())
    return sound if peak <= PEAK else np.asarray(sound * np.float32(PEAK / peak), np.float32)
