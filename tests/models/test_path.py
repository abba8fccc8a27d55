"""The way through drive: what is promised of it, on amps made of a few lines."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.path import DRIVES_DB, DrivePath, Tone, find_path, way_along
from models.path.tone import loudness_lufs
from models.quality import loudness_lufs as meter_lufs
from models.quality import spectra
from models.units import Audio
from tests.conftest import plucked

RATE_HZ = 48000
Amp = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def driven(amount: float, dull: float = 0.0) -> Amp:
    """Clips by a hyperbolic tangent; ``dull`` 0…1 smooths what comes out."""

    def play(guitar: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        clipped = np.tanh(amount * guitar)
        return clipped - dull * 0.5 * (clipped - np.roll(clipped, 3, axis=-1))

    return play


def tone(amp: Amp, level: float = 0.3, phrase: Audio | None = None) -> Tone:
    guitar = plucked(72000) if phrase is None else phrase
    rows = [
        spectra((level * amp(guitar.astype(np.float64) * 10 ** (d / 20))).astype(np.float32))
        for d in DRIVES_DB
    ]
    return Tone(np.array(rows))


@pytest.fixture(scope="module")
def clean_to_lead() -> DrivePath:
    return find_path(tone(driven(2.0)), tone(driven(80.0, 0.6), 0.1), RATE_HZ)


def test_nearer_to_real_tones_than_the_blend_and_not_much_longer(
    clean_to_lead: DrivePath,
) -> None:
    found = clean_to_lead
    assert not found.direct
    assert found.mel.nearest_db <= 0.6 * found.direct_mel.nearest_db
    assert found.bins.nearest_db <= found.direct_bins.nearest_db
    assert found.mel.length_db <= 1.5 * found.direct_mel.length_db
    assert found.mel.evenness <= 1.5


def test_saturation_goes_one_way(clean_to_lead: DrivePath) -> None:
    falls = np.maximum.accumulate(clean_to_lead.saturation) - clean_to_lead.saturation
    assert clean_to_lead.saturation[-1] > clean_to_lead.saturation[0] + 0.3
    assert falls.max() <= 0.02


def test_the_way_back_is_as_good() -> None:
    a, b = tone(driven(3.0)), tone(driven(60.0, 0.5))
    there, back = find_path(a, b, RATE_HZ), find_path(b, a, RATE_HZ)
    assert back.mel.nearest_db == pytest.approx(there.mel.nearest_db, rel=0.15)
    assert back.mel.length_db == pytest.approx(there.mel.length_db, rel=0.15)


def test_without_drives_the_tones_keep_their_level() -> None:
    a, b = tone(driven(2.0)), tone(driven(80.0))
    found = find_path(a, b, RATE_HZ, drives=False)
    assert found.direct and found.mel == found.direct_mel
    assert np.all(np.diff(found.blend) > 0.0)


def test_direct_where_nothing_is_gained() -> None:
    """Both are linear: less drive makes neither more like the other."""
    a = tone(lambda guitar: guitar)
    b = tone(lambda guitar: guitar - np.roll(guitar, 5, axis=-1))
    assert find_path(a, b, RATE_HZ).direct


def test_a_tone_that_a_gate_swallows_is_not_lifted_out_of_silence() -> None:
    def gated(guitar: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.tanh(40.0 * guitar) * (np.abs(guitar).max() > 0.1)

    found = find_path(tone(driven(2.0)), tone(gated), RATE_HZ)
    swallowed = DRIVES_DB[10.0 ** (DRIVES_DB / 20.0) * 0.3 <= 0.1].max()
    assert found.drive_b_db.min() > swallowed
    assert max(table.max() for table in way_along(found, "perceptual").tables()) < 100.0


@pytest.mark.parametrize("kind", ["silent", "both silent", "same", "nan", "very loud"])
@pytest.mark.parametrize("law", ["linear", "perceptual"])
def test_strange_tones_give_a_way_all_the_same(kind: str, law: str) -> None:
    a, b = tone(driven(2.0)), tone(driven(80.0))
    if "silent" in kind:
        b = Tone(np.zeros_like(a.spectra))
        a = b if kind == "both silent" else a
    elif kind == "same":
        b = a
    elif kind == "nan":
        b.spectra[3, 2, 1] = np.nan
    else:
        b = tone(driven(80.0), 1e6)
    way = way_along(find_path(a, b, RATE_HZ), law)  # type: ignore[arg-type]
    assert all(np.isfinite(table).all() for table in way.tables())
    assert way.at(0.0)[0] == way.at(0.0)[2] == 1.0 and way.at(0.0)[4] == 0.0
    assert way.at(1.0)[1] == way.at(1.0)[3] == 1.0 and way.at(1.0)[4] == 1.0
    assert (np.diff(way.blend) >= 0.0).all()


@pytest.mark.parametrize("drives", [True, False])
@pytest.mark.parametrize("law", ["linear", "perceptual"])
def test_loudness_runs_straight_between_the_ends(law: str, drives: bool) -> None:
    """On the probe, whatever the tones do on the way: by the meter, within 0.5 LU."""
    guitar = plucked(96000, seed=4)
    amps, levels = (driven(2.0), driven(80.0, 0.6)), (0.5, 0.05)
    a, b = (tone(amp, level, guitar) for amp, level in zip(amps, levels, strict=True))
    way = way_along(find_path(a, b, RATE_HZ, drives), law)  # type: ignore[arg-type]
    heard = []
    for position in np.linspace(0.0, 1.0, 11):
        drive_a, drive_b, level_a, level_b, blend = way.at(float(position))
        one, other = (
            gain * level * amp(drive * guitar.astype(np.float64))
            for gain, level, amp, drive in zip(
                (level_a, level_b), levels, amps, (drive_a, drive_b), strict=True
            )
        )
        mixed = ((1.0 - blend) * one + blend * other).astype(np.float32)
        heard.append(meter_lufs(mixed, RATE_HZ))
    assert abs(heard[-1] - heard[0]) > 3.0
    assert np.abs(np.array(heard) - np.linspace(heard[0], heard[-1], 11)).max() <= 0.5


def test_the_linear_law_moves_the_controls_evenly(clean_to_lead: DrivePath) -> None:
    way = way_along(clean_to_lead, "linear")
    moved = np.abs(np.diff(way.blend)).astype(np.float64)
    for gain in (way.drive_a, way.drive_b):
        moved += np.abs(np.diff(20.0 * np.log10(gain))) / 36.0
    assert moved.max() <= 1.1 * moved.mean()


@pytest.mark.parametrize("rate_hz", [44100, 48000, 96000])
def test_loudness_of_spectra_is_the_meter_s(rate_hz: int) -> None:
    guitar = plucked(3 * rate_hz, rate_hz, seed=2)
    for sound in (guitar, np.tanh(30.0 * guitar), guitar * np.linspace(0.01, 1.0, guitar.size)):
        sound = sound.astype(np.float32)
        assert loudness_lufs(spectra(sound), rate_hz) == pytest.approx(
            meter_lufs(sound, rate_hz), abs=0.3
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blend", np.linspace(1.0, 0.0, 61)),
        ("drive_a_db", np.full(61, -80.0)),
        ("drive_b_db", np.full(61, -3.0)),
        ("makeup_db", np.full(61, np.nan)),
        ("level_a_db", np.zeros(60)),
        ("loud_a", float("inf")),
    ],
)
def test_what_no_search_can_have_found_is_refused(
    clean_to_lead: DrivePath, name: str, value: object
) -> None:
    with pytest.raises(ValueError):
        replace(clean_to_lead, **{name: value})  # type: ignore[arg-type]


def test_tones_of_different_phrases_are_refused() -> None:
    with pytest.raises(ValueError, match="same phrase"):
        find_path(tone(driven(2.0)), tone(driven(2.0), phrase=plucked(48000)), RATE_HZ)
    with pytest.raises(ValueError, match="drives"):
        Tone(np.zeros((3, 10, 1025), np.complex64))
