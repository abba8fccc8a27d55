"""The riff that ``make run`` plays: a direct-input electric guitar, made from a score.

Four parts, in the order in which a player would try a morphing pedal: a picked arpeggio that
rings, palm-muted power chords, a lead line with bends and vibrato, and a last chord. The sound is
``strings.py``'s waveguide; nothing is recorded.
"""

import math

import numpy as np

from device.tools.strings import STRINGS, Note, Touch, pickup, play_string
from models.units import Audio

PEAK_DBFS = -6.0
"""The loudest sample of the riff."""

_BPM = 104.0
_BEAT_S = 60.0 / _BPM
_LENGTH_S = 22.5
_HISS_DBFS = -86.0  # a quiet interface; digital silence between notes gives a synthesis away

# Fingerings, from the low string to the high one; None is not played.
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "Em(add9)": (0, 2, 4, 0, 0, 0),
    "Cmaj7": (None, 3, 2, 0, 0, 0),
    "G/B": (None, 2, 0, 0, 3, 3),
    "Dsus2": (None, None, 0, 2, 3, 0),
    "Em": (0, 2, 2, 0, 0, 0),
}
# String by string, one eighth each: bass, then up and down through the chord.
_PICKING = ((0, 2, 3, 4, 5, 4, 3, 4), (1, 2, 3, 4, 5, 4, 3, 2))

# Palm-muted figure: sixteenths of one bar, "x" a muted power chord on the low E, a digit an open
# one at that fret, "-" lets it ring on, "." is a rest.
_FIGURES = ("xx-xx-xx3-5---x-", "xx-xx-xx7---5-3-")

# The lead: (beat, string, fret, beats, velocity, what is special)
_LEAD: tuple[tuple[float, int, int, float, float, dict[str, float | bool]], ...] = (
    (0.0, 3, 14, 1.4, 0.85, {"bend_cents": 200.0, "vibrato_cents": 14.0}),
    (1.5, 4, 12, 0.48, 0.75, {}),
    (2.0, 4, 15, 0.23, 0.72, {}),
    (2.25, 4, 12, 0.23, 0.6, {"hammer": True}),
    (2.5, 3, 14, 0.48, 0.7, {}),
    (3.0, 3, 12, 0.23, 0.72, {}),
    (3.25, 3, 14, 0.7, 0.7, {"hammer": True, "vibrato_cents": 16.0}),
    (4.0, 4, 12, 0.48, 0.78, {}),
    (4.5, 4, 15, 0.95, 0.86, {"bend_cents": 200.0, "bend_s": 0.16}),
    (5.5, 5, 12, 0.48, 0.8, {}),
    (6.0, 5, 15, 0.48, 0.84, {}),
    (6.5, 5, 12, 0.23, 0.7, {}),
    (6.75, 4, 15, 0.23, 0.7, {}),
    (7.0, 4, 12, 0.23, 0.74, {}),
    (7.25, 4, 15, 0.23, 0.6, {"hammer": True}),
    (7.5, 4, 12, 0.48, 0.72, {}),
    (8.0, 5, 15, 1.98, 0.95, {"bend_cents": 200.0, "bend_s": 0.2, "vibrato_cents": 20.0}),
    (10.0, 5, 12, 0.48, 0.78, {}),
    (10.5, 4, 15, 0.48, 0.74, {}),
    (11.0, 4, 13, 0.23, 0.7, {}),
    (11.25, 4, 12, 0.6, 0.66, {"hammer": True, "vibrato_cents": 12.0}),
)


class _Score:
    """Notes by string, put down with a player's unevenness."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.strings: list[list[Note]] = [[] for _ in STRINGS]
        self._rng = rng

    def add(self, string: int, note: Note) -> None:
        """Put one note down, a few milliseconds and a little force away from the grid."""
        late_s = 0.0 if note.hammer else 0.0035 * float(self._rng.standard_normal())
        force = float(np.clip(note.velocity + 0.035 * self._rng.standard_normal(), 0.05, 1.0))
        moved = {**note.__dict__, "at_s": max(0.012, note.at_s + late_s), "velocity": force}
        self.strings[string].append(Note(**moved))

    def strum(
        self, at_s: float, shape: str, for_s: float, velocity: float, spread_s: float = 0.014
    ) -> None:
        """All strings of a shape, low to high, one ``spread_s`` after the other."""
        for order, (string, fret) in enumerate(_played(_SHAPES[shape])):
            self.add(string, Note(at_s + order * spread_s, fret, for_s, velocity - 0.015 * order))


def _played(shape: tuple[int | None, ...]) -> list[tuple[int, int]]:
    return [(string, fret) for string, fret in enumerate(shape) if fret is not None]


def _arpeggio(score: _Score, at_s: float) -> float:
    eighth_s = _BEAT_S / 2.0
    for bar, name in enumerate(("Em(add9)", "Cmaj7", "G/B", "Dsus2")):
        shape = dict(_played(_SHAPES[name]))
        length = 8 if bar < 2 else 4
        order = [max(string, min(shape)) for string in _PICKING[0 if 0 in shape else 1]]
        for step in range(length):
            accent = 0.74 if step == 0 else 0.6 + 0.06 * (step % 2)
            ring_s = (length - step) * eighth_s - 0.02
            start_s = at_s + step * eighth_s
            score.add(order[step], Note(start_s, shape[order[step]], ring_s, accent))
        at_s += length * eighth_s
    return at_s


def _chugs(score: _Score, at_s: float) -> float:
    step_s = _BEAT_S / 4.0
    for figure in _FIGURES:
        for step, mark in enumerate(figure):
            if mark in "-.":
                continue
            root = int(mark) if mark.isdigit() else 0
            held = 1 + len(figure[step + 1 :]) - len(figure[step + 1 :].lstrip("-"))
            shape = ((0, root), (1, root + 2)) + (((2, root + 2),) if mark != "x" else ())
            force = 0.88 if mark != "x" else 0.86 if step % 3 == 0 else 0.76
            for string, fret in shape:
                start_s = at_s + step * step_s + 0.004 * string
                ring_s = held * step_s - 0.004 * string
                touch: Touch = "palm" if mark == "x" else "open"
                score.add(string, Note(start_s, fret, ring_s, force - 0.05 * string, touch))
        at_s += len(figure) * step_s
    return at_s


def _lead(score: _Score, at_s: float) -> float:
    for beat, string, fret, beats, velocity, special in _LEAD:
        note = Note(at_s + beat * _BEAT_S, fret, beats * _BEAT_S, velocity)
        score.add(string, Note(**{**note.__dict__, **special}))
    return at_s + 12.0 * _BEAT_S


def riff(rate_hz: int = 48000, seed: int = 1) -> Audio:
    """Play the riff: ``(1, frames)``, 22.5 s, loudest sample at ``PEAK_DBFS``, no 0 Hz.

    ``rate_hz`` from 44100 up; ``seed`` moves the player's unevenness, the pick's noise and the
    hiss, not the notes. The same arguments give the same bits. Raises ``ValueError`` for a rate
    below 44100 Hz.
    """
    if rate_hz < 44100:
        raise ValueError(f"sample rate is {rate_hz} Hz; the riff needs at least 44100 Hz")
    rng = np.random.default_rng(seed)
    score = _Score(rng)
    at_s = _arpeggio(score, 0.15)
    at_s = _chugs(score, at_s)
    at_s = _lead(score, at_s)
    score.strum(at_s, "Em", _LENGTH_S, 0.82)
    frames = math.ceil(_LENGTH_S * rate_hz)
    mixed = np.zeros(frames)
    for string, notes in zip(STRINGS, score.strings, strict=True):
        mixed += play_string(string, notes, frames, rate_hz, rng)
    sound = pickup(mixed, rate_hz)
    fade = min(frames, rate_hz // 2)  # the player turns the volume down over the last half second
    sound[-fade:] *= np.cos(np.linspace(0.0, 0.5 * np.pi, fade)) ** 2
    sound *= 10.0 ** (PEAK_DBFS / 20.0) / np.abs(sound).max()
    hiss = rng.standard_normal(frames) * 10.0 ** (_HISS_DBFS / 20.0)
    sound += hiss - hiss.mean()
    return np.asarray(sound - sound.mean(), dtype=np.float32)[np.newaxis, :]
