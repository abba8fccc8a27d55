"""Delay of a path that does not keep the phase: by the onsets of bursts in the envelope.

A driven amplifier makes another wave of each wave, the studio engine another phase; what both keep
is when it becomes loud. So bursts of tone are played with silence between them, and the envelope
of what comes back is laid over the envelope of what was played: where they match best is the
delay. A compressor makes the rise steeper and a reverb the fall longer, so only rises are matched
(the half-wave rectified change of the level in dB, as onset detectors use it: Bello et al., "A
tutorial on onset detection in music signals", IEEE Trans. Speech Audio Process. 13(5), 2005).
"""

import math
from dataclasses import dataclass

import numpy as np

from hil.errors import BenchError
from hil.suites.delay import Signal

WINDOW_S = 0.004
"""Over which the envelope is taken; rises are found to a part of it."""
STEP_S = 0.00025
_FLOOR_DB = -60.0
"""Below the recording's loudest window nothing counts: hiss has an envelope too."""
_LEAST_MATCH = 0.5
"""Of the normalised correlation: below it, what was recorded has other onsets."""

BURSTS = 6
BURST_S, GAPS_S = 0.12, (0.21, 0.34, 0.27, 0.41, 0.24, 0.37)
"""Unequal gaps, so that a delay by one burst does not look like none."""


@dataclass(frozen=True)
class OnsetDelay:
    """What was found of one recording."""

    frames: float
    tolerance_frames: float
    """How far the onsets, taken one by one, lie apart: half the range of theirs."""
    match: float
    """0…1: how alike the rises are."""


def bursts(rate_hz: int, tone_hz: float = 196.0, peak: float = 0.5) -> Signal:
    """Plucked bursts of a tone with silence between them, ``(frames,)`` float32."""
    parts = []
    for gap_s in GAPS_S:
        time_s = np.arange(round(BURST_S * rate_hz)) / rate_hz
        level = np.minimum(1.0, time_s / 0.001) * np.exp(-time_s / 0.06)
        # A second harmonic, as a string has: a filter that takes one of them leaves the other.
        wave = np.sin(2 * np.pi * tone_hz * time_s) + 0.4 * np.sin(4 * np.pi * tone_hz * time_s)
        parts += [np.zeros(round(gap_s * rate_hz)), peak / 1.4 * level * wave]
    return np.concatenate([*parts, np.zeros(round(0.3 * rate_hz))]).astype(np.float32)


def find_onset_delay(played: Signal, recorded: Signal, rate_hz: int) -> OnsetDelay:
    """How much later the onsets of ``played`` ``(n,)`` come in ``recorded`` ``(m,)``, m ≥ n.

    Both begin at the same moment. Raises ``BenchError`` where the onsets are not there.
    """
    if played.ndim != 1 or recorded.ndim != 1 or len(recorded) < len(played):
        raise ValueError(f"{played.shape} in {recorded.shape}: expected one channel, no shorter")
    if not np.isfinite(recorded).all():
        raise BenchError("the recording holds values that are no numbers; look at the interface.")
    step = max(1, round(STEP_S * rate_hz))
    asked, found = _rises(played, rate_hz, step), _rises(recorded, rate_hz, step)
    size = 1 << (len(asked) + len(found)).bit_length()
    spectrum = np.fft.rfft(found, size) * np.conj(np.fft.rfft(asked, size))
    correlation = np.fft.irfft(spectrum, size)[: len(found)]
    whole = int(np.argmax(correlation))
    power = math.sqrt(float(asked @ asked) * float(found @ found))
    match = float(correlation[whole]) / power if power > 0.0 else 0.0
    if match < _LEAST_MATCH:
        raise BenchError(
            f"the onsets that were played are not in the recording (match {match:.2f}, expected "
            f"{_LEAST_MATCH} at least); check the cable, the levels and the preset."
        )
    lag = whole + _between(correlation, whole)
    each = _one_by_one(asked, found, lag, step, rate_hz)
    return OnsetDelay(lag * step, 0.5 * (max(each) - min(each)) * step, match)


def _rises(sound: Signal, rate_hz: int, step: int) -> Signal:
    """How much louder each step is than the one before, dB, falls left out."""
    window = max(step, round(WINDOW_S * rate_hz))
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    # Each window ends with its step, so that nothing is heard before it has come.
    ends = np.arange(step, len(sound) + 1, step)
    power = (energy[ends] - energy[np.maximum(0, ends - window)]) / window
    loudest = float(power.max(initial=0.0))
    if loudest <= 0.0:
        return np.zeros(len(ends))
    level_db = 10.0 * np.log10(np.maximum(power / loudest, 10.0 ** (_FLOOR_DB / 10.0)))
    return np.maximum(0.0, np.diff(level_db, prepend=level_db[:1]))


def _between(values: Signal, index: int) -> float:
    """Where between the steps the maximum lies, by a parabola."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, at, after = (float(values[index + side]) for side in (-1, 0, 1))
    bend = before - 2.0 * at + after
    return 0.0 if bend >= 0.0 else 0.5 * (before - after) / bend


def _one_by_one(asked: Signal, found: Signal, lag: float, step: int, rate_hz: int) -> list[float]:
    """The delay of each burst alone, in steps: how sure the common one is."""
    reach = round(2 * WINDOW_S * rate_hz / step)
    places, start = [], 0.0
    for gap_s in GAPS_S:
        places.append(round((start + gap_s) * rate_hz / step))
        start += gap_s + BURST_S
    delays = []
    for place in places:
        piece = asked[max(0, place - 2) : place + reach]
        first = place + round(lag) - reach
        around = found[max(0, first) : first + 3 * reach]
        if not len(piece) or len(around) < len(piece):
            continue
        match = np.correlate(around, piece, "valid")
        best = int(np.argmax(match))
        delays.append(max(0, first) + best + _between(match, best) - max(0, place - 2))
    return delays or [lag]
