"""An electric guitar's strings: a digital waveguide from pick to pickup.

One string is a loop of delay. What one round trip does to a wave - delay to a fraction of a
frame, loss that grows with frequency, the dispersion of a stiff string - is *one* FIR filter,
designed by frequency sampling for each fret. A loop whose only filter is an FIR with a lag of
many frames can be computed in blocks of that lag, and so NumPy alone is fast enough.

Sources: Jaffe and Smith, "Extensions of the Karplus-Strong Plucked-String Algorithm", Computer
Music Journal 7(2), 1983 (pick position comb, brightness by level, tuning, stiffness); Välimäki,
Huopaniemi, Karjalainen and Jánosy, "Physical Modeling of Plucked String Instruments with
Application to Real-Time Sound Synthesis", J. Audio Eng. Soc. 44(5), 1996, and Karjalainen,
Välimäki and Tolonen, "Plucked-String Models: From the Karplus-Strong Algorithm to Digital
Waveguides and Beyond", Computer Music Journal 22(3), 1998 (loop filter from measured decay, two
polarisations); Laakso et al., "Splitting the Unit Delay", IEEE Signal Processing Magazine 13(1),
1996 (fractional delay); Fletcher, "Normal vibration frequencies of a stiff piano string",
J. Acoust. Soc. Am. 36, 1964 (partials at ``k f0 sqrt(1 + B k²)``); Paiva, Pakarinen and
Välimäki, "Acoustics and modeling of pickups", J. Audio Eng. Soc. 60(10), 2012 (pickup position
comb and resonance).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
"""One string's movement, shape ``(frames,)``, arbitrary scale; float64 because it recirculates."""

Touch = Literal["open", "palm", "stopped"]
"""What lies on the string: nothing, the palm near the bridge, or a hand that ends the note."""


@dataclass(frozen=True)
class GuitarString:
    """One string. ``stiffness`` is Fletcher's B of the open string, without unit.

    ``decay_s`` is the time a low partial takes to fall by 60 dB, ``loss_per_khz`` how much the
    decay *rate* (in units of 60 dB per second) grows with each kilohertz.
    """

    name: str
    open_hz: float
    stiffness: float
    decay_s: float
    loss_per_khz: float


# Standard tuning, A4 = 440 Hz. The decay follows notes of a real guitar recorded direct: low
# partials ring 5 to 15 s, 1 kHz about 2 s, 2 kHz about 1 s. B is of a light set of steel strings.
STRINGS = (
    GuitarString("E2", 82.4069, 1.1e-4, 14.0, 0.52),
    GuitarString("A2", 110.0000, 8.0e-5, 14.0, 0.50),
    GuitarString("D3", 146.8324, 6.0e-5, 13.0, 0.48),
    GuitarString("G3", 195.9977, 9.0e-5, 12.0, 0.36),
    GuitarString("B3", 246.9417, 5.0e-5, 12.0, 0.32),
    GuitarString("E4", 329.6276, 2.8e-5, 10.0, 0.30),
)


@dataclass(frozen=True)
class Note:
    """One note on one string.

    ``velocity`` runs 0 … 1 (24 dB of level, and brightness with it). ``for_s`` is the time until
    a hand stops it. A ``hammer`` note moves the fret of the sounding string and is not picked.
    The pitch starts ``scoop_cents`` away from the fret and reaches ``bend_cents`` after
    ``bend_s``; vibrato sets in afterwards.
    """

    at_s: float
    fret: int
    for_s: float
    velocity: float = 0.7
    touch: Touch = "open"
    hammer: bool = False
    scoop_cents: float = 0.0
    bend_cents: float = 0.0
    bend_s: float = 0.12
    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.4


@dataclass(frozen=True)
class Loop:
    """One round trip along the string: ``taps`` (float64, ``(n,)``) after ``lag`` frames."""

    lag: int
    taps: Signal


# Two polarisations of one string: the bridge takes more energy from the one than from the other,
# so a note decays in two stages and breathes. (share of the pick, decay factor, detuning)
_POLARISATIONS = ((0.74, 0.75, -0.2), (0.26, 1.9, +0.15))
_STIFF_TO_HZ = 5000.0  # above, dispersion is inaudible behind the pickup and only costs taps
_MARGIN_S = 20 / 48000
_STABLE = 0.99995  # the largest gain of a round trip; a loop at 1 would never end
_FADE_HZ = (6500.0, 14000.0)  # the loop's own end of band, the same at every sample rate
_PICK_FROM_BRIDGE = 0.13  # of the open string's length
_COILS_FROM_BRIDGE = (0.105, 0.135)  # a humbucker: two coils
_CONTACT_S = 0.011  # a pick rests on a sounding string before it lets go
_FIRM_S = 0.004  # how fast a hand or a fret changes the string
_SILENT = 1e-9


def fretted_hz(string: GuitarString, fret: int) -> float:
    """Frequency of the first partial at a fret, Hz, equal temperament."""
    return float(string.open_hz * 2.0 ** (fret / 12.0))


def decay_s(string: GuitarString, touch: Touch, frequency_hz: Signal) -> Signal:
    """Time to fall by 60 dB, s, for each frequency in Hz; shape as given."""
    # Linear in frequency, rounded at 0 Hz: a cusp there would want an endless filter.
    khz = np.sqrt((frequency_hz / 1000.0) ** 2 + 0.25**2) - 0.25
    if touch == "palm":
        return np.asarray(1.0 / (1.6 + 6.5 * khz))
    if touch == "stopped":
        return np.asarray(1.0 / (11.0 + 16.0 * khz))
    return np.asarray(1.0 / (1.0 / string.decay_s + string.loss_per_khz * khz))


def design_loop(
    string: GuitarString,
    fret: int,
    touch: Touch,
    rate_hz: int,
    decay_factor: float = 1.0,
    cents: float = 0.0,
) -> Loop:
    """Design the FIR of one round trip, so that the first partial lies on the note.

    Frequency sampling: at each frequency the wanted gain of a round trip, and ``k(f)`` turns of
    phase so that the k-th partial closes; then a window.
    Raises ``ValueError`` where the note is too high for the rate (fewer than 16 frames a period).
    """
    note_hz = fretted_hz(string, fret) * 2.0 ** (cents / 1200.0)
    if rate_hz / note_hz < 16.0:
        raise ValueError(f"{note_hz:.0f} Hz is too high for {rate_hz} Hz: 16 frames a period")
    stiffness = string.stiffness * 4.0 ** (fret / 12.0)  # B goes with 1 / length²
    size = 8192 if rate_hz <= 50000 else 16384
    hz = np.asarray(np.fft.rfftfreq(size, 1.0 / rate_hz), dtype=np.float64)
    order, per_hz = _partial_order(hz, note_hz, stiffness)
    wanted_gain = 10.0 ** (-3.0 / (note_hz * decay_s(string, touch, hz) * decay_factor))
    fade = (hz - _FADE_HZ[0]) / (min(_FADE_HZ[1], 0.47 * rate_hz) - _FADE_HZ[0])
    wanted_gain *= np.cos(0.5 * np.pi * np.clip(fade, 0.0, 1.0)) ** 2
    # Where the taps lie: from the smallest group delay to the largest, and room for the window.
    # Late taps cost little, early ones shorten the block; low partials of a stiff string need
    # the late ones.
    delays = rate_hz * per_hz[hz < _FADE_HZ[1]]
    margin = math.ceil(_MARGIN_S * rate_hz)
    late = margin + math.ceil(float(delays.max() - delays.min()))
    first = max(math.floor(float(delays.min())) - margin, math.ceil(rate_hz / note_hz / 4.0))
    count = math.ceil(float(delays.max())) + late - first + 1
    rise, fall = np.kaiser(2 * margin + 1, 4.0), np.kaiser(2 * late + 1, 4.0)
    flat = np.ones(count - margin - late)
    window = np.concatenate((rise[:margin], flat, fall[late + 1 :]))
    at_note = np.exp(-2j * np.pi * note_hz / rate_hz * np.arange(count))
    wanted_turn = np.exp(-2j * np.pi * (1.0 - note_hz * first / rate_hz))
    gain, shift, taps = wanted_gain, 0.0, np.zeros(count)
    for _ in range(4):
        turns = order - hz * (first - shift) / rate_hz
        taps = np.fft.irfft(gain * np.exp(-2j * np.pi * turns), size)[:count] * window
        # What the window did to gain and pitch is measured and taken out.
        made = np.abs(np.fft.rfft(taps, size))
        gain = gain * np.clip(wanted_gain / np.maximum(made, 1e-6), 0.9, 1.0 / 0.9)
        error = np.angle(np.sum(taps * at_note) / wanted_turn)
        shift += float(error) / (2.0 * np.pi * note_hz) * rate_hz
    peak = float(np.abs(np.fft.rfft(taps, 4 * size)).max())
    return Loop(lag=first, taps=taps * min(1.0, _STABLE / peak))


def _partial_order(hz: Signal, note_hz: float, stiffness: float) -> tuple[Signal, Signal]:
    """Which partial a frequency would be (a real number, ``k(f)``), and its slope per Hz.

    Fletcher's ``f = k f0 sqrt(1 + B k²)`` solved for k; a straight line above ``_STIFF_TO_HZ``.
    """
    base_hz = note_hz / math.sqrt(1.0 + stiffness)
    square = (
        np.sqrt(1.0 + 4.0 * stiffness * (np.minimum(hz, _STIFF_TO_HZ) / base_hz) ** 2) - 1
    ) / (2.0 * stiffness)
    order = np.sqrt(square)
    per_hz = np.sqrt(1.0 + stiffness * square) / (base_hz * (1.0 + 2.0 * stiffness * square))
    return order + np.maximum(hz - _STIFF_TO_HZ, 0.0) * per_hz[-1], per_hz


def pitch_warp(notes: Sequence[Note], frames: int, rate_hz: int) -> Signal:
    """Where in the unbent string each output frame lies, in frames, shape ``(frames,)``.

    A bend raises the tension, and with it every wave on the string travels faster: time on the
    string runs faster by that ratio. So a bend is a warp of the string's own time.
    """
    cents = np.zeros(frames)
    for index, note in enumerate(notes):
        start = round(note.at_s * rate_hz)
        end = round(notes[index + 1].at_s * rate_hz) if index + 1 < len(notes) else frames
        seconds = np.arange(max(0, end - start)) / rate_hz
        way = np.clip(seconds / note.bend_s, 0.0, 1.0)
        way = way * way * (3.0 - 2.0 * way)
        line = note.scoop_cents + (note.bend_cents - note.scoop_cents) * way
        if note.vibrato_cents:
            grown = np.clip((seconds - note.bend_s - 0.12) / 0.35, 0.0, 1.0)
            line += note.vibrato_cents * grown * np.sin(2.0 * np.pi * note.vibrato_hz * seconds)
        if not note.hammer:  # a hard pick stretches the string: it starts a few cents sharp
            line += 5.0 * note.velocity**2 * np.exp(-seconds / 0.09)
        cents[start:end] = line[: max(0, frames - start)]
    speed = 2.0 ** (cents / 1200.0)
    warped: Signal = np.concatenate(([0.0], np.cumsum(speed[:-1])))
    return warped


def interpolate(signal: Signal, at: Signal) -> Signal:
    """``signal`` at fractional frames ``at``, four-point Lagrange; zero outside.

    Both shapes ``(frames,)``; the string holds nothing above 14 kHz, where this would err.
    """
    padded = np.concatenate((np.zeros(2), signal, np.zeros(3)))
    whole = np.clip(np.floor(at), -1, len(signal)).astype(np.intp)
    part = at - whole
    low, middle, high, top = (padded[whole + offset] for offset in (1, 2, 3, 4))
    cubic = (top - low) / 6.0 + (middle - high) / 2.0
    square = (low + high) / 2.0 - middle
    slope = high - low / 3.0 - middle / 2.0 - top / 6.0
    value: Signal = ((cubic * part + square) * part + slope) * part + middle
    return value


def delayed(signal: Signal, frames: float) -> Signal:
    """``signal`` later by a fractional number of frames, same shape, four-point Lagrange."""
    whole = math.floor(frames) - 1
    part = frames - whole
    taps = np.array(
        [
            math.prod((part - other) / (tap - other) for other in range(4) if other != tap)
            for tap in range(4)
        ]
    )
    late = np.convolve(signal, taps)
    return np.concatenate((np.zeros(whole), late))[: len(signal)]


def _smooth_step(seconds: Signal, width_s: float) -> Signal:
    """0 → 1 within ``width_s``, the integral of a Hann window."""
    way = np.clip(seconds / width_s, 0.0, 1.0)
    return np.asarray(way - np.sin(2.0 * np.pi * way) / (2.0 * np.pi))


def excitation(
    string: GuitarString, note: Note, phase: float, rate_hz: int, rng: np.random.Generator
) -> Signal:
    """Pulse that a pick puts into the loop, ``(frames,)``, from the moment of contact.

    An ideal pluck is a triangle; its velocity waves are rectangles as long as the way from the
    pick to the bridge and back (the pick position comb), rounded by the width of pick and flesh:
    1.1 ms at the softest, 0.16 ms at the hardest. ``phase`` is the fraction of a frame at which
    the string is let go.
    """
    frames = math.ceil((_CONTACT_S + 1.0 / string.open_hz + 0.004) * rate_hz)
    seconds = (np.arange(frames) - phase) / rate_hz - _CONTACT_S
    level = 10.0 ** (1.2 * (note.velocity - 1.0))
    way_s = (_PICK_FROM_BRIDGE + 0.012 * rng.standard_normal()) / string.open_hz
    noise = rng.standard_normal(frames)
    if note.hammer:
        width_s, level = 1.4e-3, 0.4 * level
    else:
        width_s = 1.1e-3 * (0.16 / 1.1) ** note.velocity
    if note.touch == "palm":
        width_s = max(width_s, 0.45e-3)
    pulse = _smooth_step(seconds, width_s) - _smooth_step(seconds - way_s, width_s)
    period_s = 1.0 / fretted_hz(string, note.fret)
    held = _smooth_step(seconds, width_s) - _smooth_step(seconds - period_s, width_s)
    pulse -= held * way_s / period_s  # a string has no partial at 0 Hz
    if not note.hammer:
        # The pick's edge scrapes along the winding before it lets go.
        scrape = np.exp(-np.abs(seconds + 0.0015) / 0.0016)
        rough = 0.10 if string.open_hz < 180.0 else 0.06
        pulse += rough * scrape * np.diff(noise, prepend=0.0) * 48000.0 / rate_hz
    return np.asarray(level * pulse)


def _changes(
    notes: Sequence[Note], warp: Signal, rate_hz: int
) -> tuple[list[tuple[int, int, Touch]], list[tuple[int, float, Note]]]:
    """When the loop changes (frame, fret, touch), and when it is picked (frame, phase, note)."""
    changes: list[tuple[int, int, Touch]] = []
    picks: list[tuple[int, float, Note]] = []
    for index, note in enumerate(notes):
        frame = min(note.at_s * rate_hz, len(warp) - 1.0)
        onset = float(np.interp(frame, np.arange(len(warp)), warp))
        contact = max(0.0, onset - _CONTACT_S * rate_hz)
        if not note.hammer and index:
            before = notes[index - 1]
            changes.append((math.floor(contact), before.fret, "stopped"))
        changes.append((math.floor(onset), note.fret, note.touch))
        picks.append((math.floor(contact), contact % 1.0, note))
        end = (note.at_s + note.for_s) * rate_hz
        following = notes[index + 1].at_s * rate_hz if index + 1 < len(notes) else math.inf
        if end < min(following - (_CONTACT_S + _FIRM_S) * rate_hz, len(warp) - 1.0):
            stop = float(np.interp(end, np.arange(len(warp)), warp))
            changes.append((math.floor(stop), note.fret, "stopped"))
    return sorted(changes, key=lambda change: change[0]), picks


def _circulate(
    signal: Signal, changes: Sequence[tuple[int, Loop]], start: int, fade_frames: int
) -> None:
    """Run the loop over ``signal`` in place; it holds the excitation and becomes the string."""
    previous = current = changes[0][1]
    changed, pending = start - fade_frames, 1
    at, frames = start, len(signal)
    while at < frames:
        upcoming = changes[pending][0] if pending < len(changes) else frames
        if at >= upcoming:
            previous, current, changed = current, changes[pending][1], at
            pending += 1
            continue
        fading = at < changed + fade_frames
        stop = min(at + current.lag, upcoming, frames)
        if fading:
            stop = min(stop, at + previous.lag, changed + fade_frames)
        returned = _returned(signal, at, stop, current)
        if fading:
            weight = (np.arange(at, stop) - changed) / fade_frames
            returned = weight * returned + (1.0 - weight) * _returned(signal, at, stop, previous)
        signal[at:stop] += returned
        at = stop


def _returned(signal: Signal, at: int, stop: int, loop: Loop) -> Signal:
    """Wave that comes back along the string during ``at … stop``; at most ``lag`` frames."""
    first = at - loop.lag - len(loop.taps) + 1
    history = signal[max(0, first) : stop - loop.lag]
    if first < 0:
        history = np.concatenate((np.zeros(min(-first, stop - loop.lag - first)), history))
    if len(history) == 0 or max(abs(history.max()), abs(history.min())) < _SILENT:
        return np.zeros(stop - at)
    return np.convolve(history, loop.taps, "valid")


def play_string(
    string: GuitarString,
    notes: Sequence[Note],
    frames: int,
    rate_hz: int,
    rng: np.random.Generator,
) -> Signal:
    """One string's voltage before the pickup's resonance, shape ``(frames,)``, arbitrary scale.

    ``notes`` in order of time, one at a time; what lies beyond ``frames`` is cut. Raises
    ``ValueError`` where notes are out of order or too high for the rate.
    """
    if any(later.at_s <= earlier.at_s for earlier, later in pairwise(notes)):
        raise ValueError(f"notes of string {string.name} must follow each other in time")
    voltage = np.zeros(frames)
    if not notes:
        return voltage
    warp = pitch_warp(notes, frames, rate_hz)
    changes, picks = _changes(notes, warp, rate_hz)
    length = math.ceil(float(warp[-1])) + 2
    picked = np.zeros(length)
    for frame, phase, note in picks:
        pulse = excitation(string, note, phase, rate_hz, rng)[: max(0, length - frame)]
        picked[frame : frame + len(pulse)] += pulse
    for share, factor, cents in _POLARISATIONS:
        loops = {
            key: design_loop(string, *key, rate_hz, factor, cents)
            for key in {(fret, touch) for _, fret, touch in changes}
        }
        moving = share * picked
        timeline = [(frame, loops[fret, touch]) for frame, fret, touch in changes]
        _circulate(moving, timeline, picks[0][0], math.ceil(_FIRM_S * rate_hz))
        voltage += interpolate(moving, warp)
    # A coil sees the wave on its way to the bridge and, inverted, on its way back.
    back = sum(delayed(voltage, place / string.open_hz * rate_hz) for place in _COILS_FROM_BRIDGE)
    return np.asarray(voltage - back / len(_COILS_FROM_BRIDGE))


def pickup(voltage: Signal, rate_hz: int, resonance_hz: float = 3000.0, q: float = 1.4) -> Signal:
    """Pass through a magnetic pickup and a cable: a resonant low-pass of second order, and no 0 Hz.

    Shape ``(frames,)`` in and out. The high-pass at 25 Hz stands for the input's capacitor.
    """
    frames = len(voltage)
    size = 1 << (frames + rate_hz // 4 - 1).bit_length()
    s = 1j * np.fft.rfftfreq(size, 1.0 / rate_hz) / resonance_hz
    low_pass = 1.0 / (1.0 + s / q + s * s)
    corner = 25.0 / resonance_hz
    high_pass = s / (s + corner)
    return np.asarray(
        np.fft.irfft(np.fft.rfft(voltage, size) * low_pass * high_pass, size)[:frames]
    )
