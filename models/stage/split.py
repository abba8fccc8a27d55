"""Who trains and who judges: ``split.toml`` read, checked, and its guitar loaded."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr

from models.errors import ModelError
from models.units import RATE_HZ, Audio, gain_from_db

SPLIT_FILE = Path(__file__).with_name("split.toml")
REAL_AUDIO = Path("../shared/audio")
"""Where real audio lies unless told otherwise, as seen from the project's root."""

Use = Literal["train", "test"]

_NOTE_PHRASE_S, _NOTE_PHRASES = 20.0, 4
_FADE_FRAMES = 240


@dataclass(frozen=True)
class Player:
    """One guitarist and guitar; ``kind`` is "phrases" or "notes" (folders of single notes)."""

    name: str
    phrases: tuple[str, ...]
    kind: str
    gain_db: float


@dataclass(frozen=True)
class Half:
    """One side of the split; files are relative to the folder of real audio."""

    players: tuple[Player, ...]
    captures: tuple[str, ...]
    cabinets: tuple[str, ...]
    nonlinearities: tuple[str, ...]
    spaces: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Both sides, and the folder that their files lie in."""

    audio: Path
    train: Half
    test: Half
    digest: str
    """SHA-256 of the split's file: what was drawn under another split is other material."""

    def half(self, use: Use) -> Half:
        """The side for one use."""
        return self.train if use == "train" else self.test


def read_split(audio: Path = REAL_AUDIO, file: Path = SPLIT_FILE) -> Split:
    """The split over a folder of real audio.

    Raises ``ModelError`` when the folder or one of its files is missing, when the split does not
    parse, or when anything stands on both sides.
    """
    if not audio.is_dir():
        raise ModelError(
            f"There is no folder of real audio at {audio}, which training and evaluation need; "
            "give its place with --audio DIR."
        )
    try:
        content = file.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
        digest = hashlib.sha256(content).hexdigest()
        split = Split(audio, _half(table["train"]), _half(table["test"]), digest)
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{file} is no split ({type(error).__name__}: {error}); expected [train] and [test] "
            "with players, captures, cabinets, nonlinearities and spaces; see models/stage."
        ) from error
    _check_disjoint(split, file)
    for path in _files(split.train) + _files(split.test):
        if not (audio / path).exists():
            raise ModelError(f"{file} names {path}, which is not in {audio}; correct the split.")
    return split


def phrases(split: Split, use: Use) -> list[tuple[str, Audio]]:
    """Every phrase of one side, ``(name, (1, frames))``, 48 kHz, at the player's level.

    A player's single notes come as phrases of 20 s, strung together the same way every time.
    Raises ``ModelError`` for a file that cannot be read.
    """
    found = []
    for player in split.half(use).players:
        gain = np.float32(gain_from_db(player.gain_db))
        for path in player.phrases:
            where = split.audio / path
            if player.kind == "notes":
                notes = [load(file) for file in sorted(where.glob("*.flac"))]
                if not notes:
                    raise ModelError(f"There are no notes (*.flac) in {where}; correct the split.")
                for count in range(_NOTE_PHRASES):
                    strung = _string_together(notes, np.random.default_rng(count))
                    found.append((f"{player.name}-{count:02d}", strung * gain))
            else:
                stem = Path(path).stem
                name = stem if stem == player.name else f"{player.name}-{stem}"
                found.append((name, load(where) * gain))
    return found


def load(file: Path) -> Audio:
    """A sound file as mono at 48 kHz, ``(1, frames)``. Raises ``ModelError`` if it cannot."""
    try:
        sound, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ModelError(f"{file} cannot be read as sound ({error}); replace it.") from error
    mono = sound.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    return np.asarray(mono[None, :], np.float32)


def _string_together(notes: list[Audio], rng: np.random.Generator) -> Audio:
    """Single notes as playing: lines, double stops and three-note chords, some left to ring."""
    frames = int(_NOTE_PHRASE_S * RATE_HZ)
    phrase = np.zeros((1, frames), np.float32)
    at = 0
    while at < frames:
        length = int(RATE_HZ * rng.choice([0.15, 0.25, 0.35, 0.5, 0.75, 1.5]))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            note = notes[rng.integers(len(notes))][:, : min(length, frames - at)].copy()
            fade = min(_FADE_FRAMES, note.shape[1])
            note[:, note.shape[1] - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
            phrase[:, at : at + note.shape[1]] += note
        at += length
    return phrase


def _half(table: Mapping[str, Any]) -> Half:
    players = tuple(
        Player(
            player["name"],
            tuple(player["phrases"]),
            player.get("kind", "phrases"),
            float(player.get("gain_db", 0.0)),
        )
        for player in table["players"]
    )
    lists = ("captures", "cabinets", "nonlinearities", "spaces")
    return Half(players, *(tuple(table[name]) for name in lists))


def _files(half: Half) -> list[str]:
    spaces = [space for space in half.spaces if "/" in space]
    phrases = [phrase for player in half.players for phrase in player.phrases]
    return [*phrases, *half.captures, *half.cabinets, *spaces]


def _named(half: Half) -> set[str]:
    players = {f"player {player.name}" for player in half.players}
    shapes = {f"nonlinearity {name}" for name in half.nonlinearities}
    return players | shapes | set(_files(half)) | {f"space {name}" for name in half.spaces}


def _check_disjoint(split: Split, file: Path) -> None:
    both = sorted(_named(split.train) & _named(split.test))
    if both:
        raise ModelError(
            f"{file} has {both[0]} in both train and test; leave it in one, or the figures would "
            "be those of what training has seen."
        )
