"""The two listening pages: blind ABX, and category rating for a mean opinion score.

Both are plain HTML with plain JavaScript and need no network. A page opened from a disk may not
read the files beside it, so the sounds go into ``listening.js`` as base64 FLAC, 16 bit.
"""

import base64
import io
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from models.evaluate.result import Evaluation, Sound
from models.evaluate.writing import render, write_text
from models.quality import loudness_lufs
from models.units import Audio, gain_from_db

SCALE = ((5, "Excellent"), (4, "Good"), (3, "Fair"), (2, "Poor"), (1, "Bad"))
"""ITU-T P.800, annex B.4.5: the listening-quality scale."""

TONES, TRUTH, ANCHOR = "tone itself", "truth", "low-pass 3.5 kHz"
EXCERPT_S, FADE_S = 4.0, 0.01
LOUDNESS_LUFS = -20.0
MOST_SOUNDS = 64
"""Some 20 MB of page: beyond, whole cases are left out."""
_MIDDLE = 0.5
_SCRIPTS = ("statistics.js", "player.js", "session.js")
_ANCHOR_HZ = 3500.0  # the low anchor of ITU-R BS.1534


@dataclass(frozen=True)
class Stimulus:
    """What a listener hears: ``(1, frames)``, named by what made it."""

    case: str
    position: float
    method: str
    sound: Audio


def write_listening(evaluation: Evaluation, directory: Path) -> tuple[Path, Path] | None:
    """Write ``abx.html``, ``acr.html`` and ``listening.js`` into ``directory``.

    Takes the ends and the half-way sounds of each case, the loudest 4 s of them, matched in
    loudness; cases with and without a truth by turns, until ``MOST_SOUNDS`` are reached. ``None``
    where no case has two sounds to compare; nothing is written then. Raises ``ValueError`` where
    the sounds of a case do not belong together.
    """
    stimuli, rate_hz = _stimuli(evaluation.sounds, directory)
    names = [f"s{place:02d}" for place in range(len(stimuli))]
    by_name = dict(zip(names, stimuli, strict=True))
    comparisons = _comparisons(by_name)
    if not comparisons:
        return None
    data = {
        "evaluation": {
            "command": evaluation.provenance.command,
            "seed": evaluation.provenance.seed,
            "stage_sha256": evaluation.provenance.stage_sha256,
        },
        "rate_hz": rate_hz,
        "seconds": EXCERPT_S,
        "sounds": {
            name: {
                "case": one.case,
                "position": one.position,
                "method": one.method,
                "flac": _flac(one.sound, rate_hz),
            }
            for name, one in by_name.items()
        },
        "comparisons": comparisons,
        "rating": {
            "scale": {str(value): word for value, word in SCALE},
            "practice": _practice(by_name),
            "items": names,
        },
    }
    write_text(directory / "listening.js", f"const LISTENING = {json.dumps(data)};\n")
    pages = []
    for kind in ("abx", "acr"):
        scripts = (*_SCRIPTS, f"{kind}.js")
        text = render(f"{kind}.html.j2", kind=kind, scripts=scripts, scale=SCALE)
        pages.append(write_text(directory / f"{kind}.html", text))
    return pages[0], pages[1]


def _method(sound: Sound) -> str:
    return {"a": TONES, "b": TONES, "truth": TRUTH}.get(sound.role, sound.method)


def _stimuli(sounds: Iterable[Sound], directory: Path) -> tuple[list[Stimulus], int]:
    """Read, cut and level the ends and middles of as many cases as there is room for."""
    cases: dict[str, list[Sound]] = {}
    for sound in sounds:
        if sound.role in ("a", "b") or sound.position == _MIDDLE:
            cases.setdefault(sound.case, []).append(sound)
    chosen: list[Stimulus] = []
    rate_hz = 0
    known = [case for case, members in cases.items() if any(one.role == "truth" for one in members)]
    others = [case for case in cases if case not in known]
    # By turns, so that what is left out for want of room is not all of one kind.
    turns = itertools.chain(*itertools.zip_longest(known, others))
    for case, members in ((case, cases[case]) for case in turns if case is not None):
        if len(chosen) + len(members) + 1 > MOST_SOUNDS:
            break
        read = [soundfile.read(directory / one.file, dtype="float32") for one in members]
        rates_hz = {rate for _, rate in read} | {rate_hz or read[0][1]}
        lengths = {data.shape for data, _ in read}
        if len(rates_hz) > 1 or len(lengths) > 1:
            raise ValueError(
                f"The sounds of {case!r} have the rates {sorted(rates_hz)} Hz and the shapes "
                f"{sorted(lengths)}; expected one of each, to be heard against each other."
            )
        (rate_hz,) = rates_hz
        cut = excerpt(read[0][0], rate_hz)
        heard = [
            Stimulus(case, one.position, _method(one), faded(data[None, cut], rate_hz))
            for one, (data, _) in zip(members, read, strict=True)
        ]
        chosen += heard
        chosen.append(Stimulus(case, heard[0].position, ANCHOR, dulled(heard[0].sound, rate_hz)))
    return levelled(chosen, rate_hz), rate_hz


def excerpt(samples: Audio, rate_hz: int) -> slice:
    """The part of ``(frames,)`` with the most energy, ``EXCERPT_S`` long or all of it."""
    frames = round(EXCERPT_S * rate_hz)
    if samples.size <= frames:
        return slice(0, samples.size)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int(np.argmax(energy[frames:] - energy[:-frames]))
    return slice(start, start + frames)


def faded(sound: Audio, rate_hz: int) -> Audio:
    """``(1, frames)`` with both ends brought to silence over 10 ms, so that it loops."""
    frames = min(round(FADE_S * rate_hz), sound.shape[1] // 2)
    shape = np.ones(sound.shape[1], np.float32)
    shape[:frames] = np.linspace(0.0, 1.0, frames, endpoint=False)
    shape[sound.shape[1] - frames :] = shape[:frames][::-1]
    return sound * shape


def dulled(sound: Audio, rate_hz: int) -> Audio:
    """The low anchor: ``(1, frames)`` without what lies above 3.5 kHz (zero phase)."""
    spectrum = np.fft.rfft(sound[0])
    at_hz = np.fft.rfftfreq(sound.shape[1], 1.0 / rate_hz)
    # A cosine slope of a quarter octave: a wall would ring.
    part = np.clip(4.0 * np.log2(np.maximum(at_hz, 1.0) / _ANCHOR_HZ), 0.0, 1.0)
    shaped = np.fft.irfft(spectrum * (0.5 + 0.5 * np.cos(np.pi * part)), sound.shape[1])
    return faded(shaped.astype(np.float32)[None], rate_hz)


def levelled(stimuli: Sequence[Stimulus], rate_hz: int) -> list[Stimulus]:
    """All brought to −20 LUFS, or together to less where a peak would clip; silence stays."""
    louder = []
    for one in stimuli:
        loudness = loudness_lufs(one.sound, rate_hz)
        gain = gain_from_db(LOUDNESS_LUFS - loudness) if loudness > -70.0 else 1.0
        louder.append(one.sound * np.float32(gain))
    peak = max((float(np.abs(sound).max()) for sound in louder), default=0.0)
    gain = min(1.0, 0.98 / peak) if peak > 0.0 else 1.0
    return [
        Stimulus(one.case, one.position, one.method, sound * np.float32(gain))
        for one, sound in zip(stimuli, louder, strict=True)
    ]


def _comparisons(stimuli: Mapping[str, Stimulus]) -> list[dict[str, Any]]:
    """Pairs of methods and the cases in which both are heard; at the end an easy pair."""
    groups: dict[tuple[str, float], dict[str, str]] = {}
    ends: dict[str, list[str]] = {}
    for name, one in stimuli.items():
        if one.method == TONES:
            ends.setdefault(one.case, []).append(name)
        elif one.method != ANCHOR:
            groups.setdefault((one.case, one.position), {})[one.method] = name
    methods = list(dict.fromkeys(name for members in groups.values() for name in members))
    morphs = [method for method in methods if method != TRUTH]
    pairs = [(method, TRUTH) for method in morphs] + list(itertools.combinations(morphs, 2))
    found: list[dict[str, Any]] = []
    for first, second in pairs:
        cases = [
            {"case": f"{case} at {at:g}", "first": members[first], "second": members[second]}
            for (case, at), members in groups.items()
            if first in members and second in members
        ]
        if cases:
            found.append({"first": first, "second": second, "note": "", "cases": cases})
    easy = [
        {"case": case, "first": names[0], "second": names[1]}
        for case, names in ends.items()
        if len(names) == 2
    ]
    if easy:
        note = "easy, to learn the page by"
        found.append({"first": "tone A", "second": "tone B", "note": note, "cases": easy})
    return found


def _practice(stimuli: Mapping[str, Stimulus]) -> list[str]:
    """One sound of each kind, of one case, so that the scale's span is known before it counts."""
    first = next(iter(stimuli.values())).case
    kinds: dict[str, str] = {}
    for name, one in stimuli.items():
        if one.case == first:
            kinds.setdefault(one.method, name)
    return list(kinds.values())


def _flac(sound: Audio, rate_hz: int) -> str:
    """16-bit FLAC of ``(1, frames)``, base64."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound[0], -1.0, 1.0), rate_hz, format="FLAC", subtype="PCM_16")
    return base64.b64encode(file.getvalue()).decode("ascii")
