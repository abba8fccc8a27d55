"""The riff: in tune, alive like a string, within the range of real direct-input guitars."""

import functools
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from device.tools.riff import PEAK_DBFS, riff
from device.tools.strings import (
    STRINGS,
    GuitarString,
    Note,
    Touch,
    design_loop,
    fretted_hz,
    pickup,
    play_string,
)
from models.units import Audio, db_from_gain

RATES_HZ = (44100, 48000, 96000)
Samples = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def played() -> Audio:
    return whole_riff(48000)


@functools.cache
def whole_riff(rate_hz: int) -> Audio:
    return riff(rate_hz)


def one_note(
    string: GuitarString,
    fret: int = 0,
    velocity: float = 0.7,
    touch: Touch = "open",
    rate_hz: int = 48000,
    seconds: float = 2.6,
) -> Samples:
    """One note after 50 ms, as the pickup gives it."""
    note = Note(0.05, fret, 30.0, velocity, touch)
    rng = np.random.default_rng(3)
    return pickup(play_string(string, [note], round(seconds * rate_hz), rate_hz, rng), rate_hz)


def measured_hz(sound: Samples, near_hz: float, rate_hz: int) -> float:
    """Frequency of the partial near ``near_hz``: its phase advance between two windows."""
    part = sound[round(0.4 * rate_hz) : round(2.4 * rate_hz)]
    turned = part * np.exp(-2j * np.pi * near_hz * np.arange(len(part)) / rate_hz)
    half = len(part) // 2
    window = np.hanning(half)
    first, second = (turned[:half] * window).sum(), (turned[half : 2 * half] * window).sum()
    return near_hz + float(np.angle(second / first)) / (2.0 * math.pi * half / rate_hz)


def band_db(sound: Samples, low_hz: float, high_hz: float, rate_hz: int) -> float:
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hz = np.fft.rfftfreq(len(sound), 1.0 / rate_hz)
    return 10.0 * math.log10(float(power[(hz >= low_hz) & (hz < high_hz)].sum()) + 1e-30)


def fall_db(sound: Samples, low_hz: float, high_hz: float, rate_hz: int = 48000) -> float:
    """How much a band falls between 0.1 s and 1.1 s after the pick."""
    early, late = (
        sound[round(start * rate_hz) : round((start + 0.2) * rate_hz)] for start in (0.15, 1.15)
    )
    return band_db(early, low_hz, high_hz, rate_hz) - band_db(late, low_hz, high_hz, rate_hz)


def centroid_hz(sound: Samples, rate_hz: int) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1.0 / rate_hz)
    return float((hz * power).sum() / power.sum())


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("string", STRINGS, ids=lambda string: string.name)
def test_open_and_fretted_notes_are_in_tune_within_one_cent(
    string: GuitarString, rate_hz: int
) -> None:
    for fret in (0, 7, 15):
        wanted = fretted_hz(string, fret)
        heard = measured_hz(one_note(string, fret, rate_hz=rate_hz), wanted, rate_hz)
        assert abs(1200.0 * math.log2(heard / wanted)) < 1.0, (fret, heard, wanted)


def test_upper_partials_are_stretched_as_of_a_stiff_string() -> None:
    string = STRINGS[0]
    sound = one_note(string)
    for order in (8, 16):
        stretch = math.sqrt((1 + string.stiffness * order**2) / (1 + string.stiffness))
        wanted = order * string.open_hz * stretch
        heard = measured_hz(sound, wanted, 48000)
        assert abs(1200.0 * math.log2(heard / wanted)) < 2.0
        assert heard > order * string.open_hz * 1.002


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_no_loop_can_grow(rate_hz: int) -> None:
    touches: tuple[Touch, ...] = ("open", "palm", "stopped")
    for string in STRINGS:
        for fret in range(0, 23, 2):
            for touch in touches:
                loop = design_loop(string, fret, touch, rate_hz, 1.9)
                assert np.abs(np.fft.rfft(loop.taps, 1 << 16)).max() < 1.0
                assert loop.lag >= 8


@pytest.mark.parametrize("string", STRINGS, ids=lambda string: string.name)
def test_high_partials_decay_faster(string: GuitarString) -> None:
    sound = one_note(string)
    low = fall_db(sound, 0.7 * string.open_hz, 2.5 * string.open_hz)
    high = fall_db(sound, 2000.0, 4000.0)
    assert 3.0 < low < 20.0
    assert high > low + 10.0


def test_palm_mute_decays_faster_and_is_darker() -> None:
    for string in STRINGS[:3]:
        open_note, muted = one_note(string), one_note(string, touch="palm")
        assert fall_db(muted, 60.0, 600.0) > fall_db(open_note, 60.0, 600.0) + 20.0
        span = slice(2400, 2400 + 9600)
        assert centroid_hz(muted[span], 48000) < centroid_hz(open_note[span], 48000)


@pytest.mark.parametrize("string", STRINGS, ids=lambda string: string.name)
def test_a_harder_pick_is_louder_and_brighter(string: GuitarString) -> None:
    sounds = [one_note(string, velocity=velocity)[:14400] for velocity in (0.2, 0.5, 0.9)]
    levels = [float(np.sqrt(np.mean(sound**2))) for sound in sounds]
    bright = [
        band_db(sound, 1500.0, 4000.0, 48000) - band_db(sound, 60.0, 600.0, 48000)
        for sound in sounds
    ]
    assert levels == sorted(levels)
    assert bright[2] > bright[1] + 2.0 > bright[0] + 4.0


def test_hammer_on_moves_the_pitch_without_a_pick() -> None:
    notes = [Note(0.05, 5, 30.0), Note(0.35, 7, 30.0, 0.6, hammer=True)]
    sound = pickup(play_string(STRINGS[3], notes, 125000, 48000, np.random.default_rng(0)), 48000)
    wanted = fretted_hz(STRINGS[3], 7)
    heard = measured_hz(sound, wanted, 48000)
    assert abs(1200.0 * math.log2(heard / wanted)) < 1.5


def test_bend_arrives_a_whole_tone_higher() -> None:
    note = Note(0.05, 14, 30.0, bend_cents=200.0)
    sound = pickup(play_string(STRINGS[3], [note], 125000, 48000, np.random.default_rng(0)), 48000)
    wanted = fretted_hz(STRINGS[3], 16)
    heard = measured_hz(sound, wanted, 48000)
    assert abs(1200.0 * math.log2(heard / wanted)) < 1.5


def test_notes_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="follow each other"):
        play_string(
            STRINGS[0], [Note(1.0, 0, 1.0), Note(0.5, 0, 1.0)], 4800, 48000,
            np.random.default_rng(0),
        )  # fmt: skip


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_shape_peak_and_no_dc(rate_hz: int) -> None:
    sound = whole_riff(rate_hz)
    assert sound.shape[0] == 1 and 20.0 <= sound.shape[1] / rate_hz <= 25.0
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert db_from_gain(float(np.abs(sound).max())) == pytest.approx(PEAK_DBFS, abs=0.1)
    assert abs(float(sound.mean(dtype=np.float64))) < 1e-6
    assert abs(float(sound[0, -1])) < 1e-3


def test_rates_give_the_same_music(played: Audio) -> None:
    other = whole_riff(96000)[0, ::2].astype(np.float64)
    mine = played[0].astype(np.float64)
    for low, high in ((60.0, 300.0), (300.0, 1200.0), (1200.0, 4000.0)):
        assert band_db(mine, low, high, 48000) == pytest.approx(
            band_db(other, low, high, 48000), abs=1.0
        )


def test_same_seed_same_bits_other_seed_another_take(played: Audio) -> None:
    assert np.array_equal(played, riff(48000, 1))
    assert not np.array_equal(played, riff(48000, 2))


def test_rate_too_low_is_refused() -> None:
    with pytest.raises(ValueError, match="22000 Hz"):
        riff(22000)


def character(sound: Samples, rate_hz: int) -> dict[str, float]:
    """Numbers by which a direct-input guitar is known, over windows within 40 dB of the loudest."""
    size = 2048 * rate_hz // 48000
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[:: size // 2]
    level = 10.0 * np.log10((frames**2).mean(axis=1) + 1e-18)
    active = frames[level > level.max() - 40.0]
    spectra = np.abs(np.fft.rfft(active * np.hanning(size), axis=1))
    hz = np.fft.rfftfreq(size, 1.0 / rate_hz)
    power = (spectra**2).mean(axis=0)
    centroids = (spectra * hz).sum(axis=1) / spectra.sum(axis=1)
    found = {
        "crest_db": 20.0 * math.log10(np.abs(sound).max() / np.sqrt(np.mean(sound**2))),
        "power_centroid_hz": float((power * hz).sum() / power.sum()),
        "median_centroid_hz": float(np.median(centroids)),
        "bright_centroid_hz": float(np.percentile(centroids, 90)),
        "quiet_db": float(np.percentile(level, 10) - level.max()),
        "usual_db": float(np.percentile(level, 50) - level.max()),
        "loud_db": float(np.percentile(level, 90) - level.max()),
    }
    edges = (60, 160, 320, 640, 1280, 2560, 5120, 10000)
    for low, high in pairwise(edges):
        part = power[(hz >= low) & (hz < high)].sum() / power.sum()
        found[f"band_{low}_hz_db"] = 10.0 * math.log10(float(part))
    return found


def assert_within(ours: Mapping[str, float], real: Sequence[Mapping[str, float]]) -> None:
    """Every number between the least and the most of the real ones; ``-s`` prints the table."""
    outside = []
    for name, value in ours.items():
        values = [row[name] for row in real]
        print(f"{name:20s} riff {value:8.1f}   real {min(values):8.1f} ... {max(values):8.1f}")
        if not min(values) <= value <= max(values):
            outside.append(name)
    assert not outside


def test_riff_lies_within_the_range_of_real_phrases(played: Audio, shared_audio: Path) -> None:
    real = []
    for phrase in sorted((shared_audio / "di").glob("*.flac")):
        if "bass" not in phrase.name:
            sound, rate_hz = soundfile.read(phrase, always_2d=True)
            real.append(character(sound.mean(axis=1), rate_hz))
    assert_within(character(played[0].astype(np.float64), 48000), real)


def one_notes_character(sound: Samples, rate_hz: int) -> dict[str, float]:
    """Attack from 10 to 90 % of the peak in ms, and the fall within a second by band in dB."""
    onset = int(np.argmax(np.abs(sound) > 0.05 * np.abs(sound).max()))
    near = sound[max(0, onset - rate_hz // 200) : onset + rate_hz * 3 // 100]
    grown = np.maximum.accumulate(np.abs(near))
    rise = np.argmax(grown >= 0.9 * grown[-1]) - np.argmax(grown >= 0.1 * grown[-1])
    found = {"attack_ms": 1000.0 * float(rise) / rate_hz}
    aligned = sound[max(0, onset - rate_hz // 20) :]
    for low, high in ((60, 320), (320, 1280), (1280, 2560)):  # above, recordings end in noise
        found[f"fall_{low}_hz_db"] = fall_db(aligned, low, high, rate_hz)
    return found


@pytest.mark.parametrize(
    ("pitch", "string", "fret"), [("e2", 0, 0), ("eb3", 2, 1), ("a3", 3, 2), ("c4", 4, 1)]
)
def test_notes_rise_and_fall_like_real_notes(
    pitch: str, string: int, fret: int, shared_audio: Path
) -> None:
    """Against every real note, and its lowest partials against those of the same pitch."""
    real, same_pitch = [], []
    for file in sorted((shared_audio / "notes" / "emilyguitar").glob("*.flac")):
        sound, rate_hz = soundfile.read(file, always_2d=True)
        real.append(one_notes_character(sound.mean(axis=1), rate_hz))
        if file.name.startswith(f"{pitch}_"):
            same_pitch.append(real[-1]["fall_60_hz_db"])
    ours = one_notes_character(one_note(STRINGS[string], fret), 48000)
    assert_within(ours, real)
    assert min(same_pitch) - 3.0 <= ours["fall_60_hz_db"] <= max(same_pitch) + 3.0
