"""What the stage network learns from: true tones in between, and a split that holds."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.errors import ModelError
from models.stage.families import Case, Family, families
from models.stage.families.captures import CaptureFamily
from models.stage.families.case import between
from models.stage.families.drives import DriveFamily
from models.stage.families.dynamics import Follower, SagFamily
from models.stage.families.filters import Band, Cabinets, filtered, sections
from models.stage.families.modulation import ModulationFamily
from models.stage.families.shapes import SHAPES, back, oversampled, shaped
from models.stage.families.space import SpaceFamily
from models.stage.families.spectra import CabinetFamily, EqFamily, cepstrum, least_delay
from models.stage.material import draw_segment, make_dataset
from models.stage.split import SPLIT_FILE, load, phrases, read_split
from models.units import Audio, gain_from_db, rms_dbfs

POSITIONS = [0.0, 0.25, 0.6, 1.0]
KINDS = tuple(SHAPES)

ONSET_FRAMES = 12_000
EARLIEST_FRAMES, LATEST_FRAMES = -16, 144
"""When a tone may begin: oversampling rings half its filter ahead, real cabinets rise in 3 ms."""


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Cabinets:
    """Two cabinets made on the spot."""
    folder = tmp_path_factory.mktemp("boxes")
    fall = np.exp(-np.arange(2000) / 150.0)
    for seed in (1, 2):
        noise = np.random.default_rng(seed).standard_normal(fall.size) * fall
        noise[0] = 6.0
        soundfile.write(folder / f"box-{seed}.wav", noise / 8.0, 48000, subtype="FLOAT")
    return Cabinets(sorted(folder.iterdir()), resize=False)


@pytest.fixture(scope="module", params=["drive", "sag", "modulation", "eq", "cabinet", "space"])
def made(request: pytest.FixtureRequest, boxes: Cabinets) -> Family:
    """Each family that needs no real audio."""
    of: dict[str, Family] = {
        "drive": DriveFamily(KINDS, boxes, training=True),
        "sag": SagFamily(KINDS, boxes, training=True),
        "modulation": ModulationFamily(KINDS, boxes),
        "eq": EqFamily(KINDS, boxes),
        "cabinet": CabinetFamily(KINDS, boxes, Cabinets([], resize=False)),
        "space": SpaceFamily(KINDS, boxes, [Path("noise"), Path("echo")]),
    }
    return of[request.param]


def burst() -> Audio:
    """Silence, then from ``ONSET_FRAMES`` on noise, ``(1, 24000)``."""
    sound = np.zeros((1, 24_000), np.float32)
    noise = np.random.default_rng(0).standard_normal(sound.shape[1] - ONSET_FRAMES)
    sound[0, ONSET_FRAMES:] = 0.1 * noise
    sound[0, ONSET_FRAMES : ONSET_FRAMES + 8] = 0.2
    return sound


def begins(sound: Audio) -> int:
    """The first frame, counted from the burst's, that reaches a twentieth of the peak."""
    loud = np.abs(sound[0]) > 0.05 * np.abs(sound).max()
    return int(np.argmax(loud)) - ONSET_FRAMES


def check(family: Family, guitar: Audio, seed: int) -> None:
    case = family.case(guitar, np.random.default_rng(seed), POSITIONS)
    assert case.family == family.name
    sounds = (case.a, case.b, *case.truths)
    assert len(case.truths) == len(POSITIONS)
    for sound in sounds:
        assert sound.shape == guitar.shape and sound.dtype == np.float32, case.name
        assert np.isfinite(sound).all(), case.name
        assert rms_dbfs(sound) == pytest.approx(-20.0, abs=0.01), case.name
    np.testing.assert_allclose(case.truths[0], case.a, atol=1e-6, err_msg=case.name)
    np.testing.assert_allclose(case.truths[-1], case.b, atol=1e-6, err_msg=case.name)
    assert np.abs(case.a - case.b).max() > 1e-3, case.name
    case = family.case(burst(), np.random.default_rng(seed), POSITIONS)
    # A wet sound alone is late by its own nature; with any dry sound in it, it is not.
    for sound in (case.a, *case.truths[: -1 if family.name == "space" else None]):
        assert EARLIEST_FRAMES <= begins(sound) <= LATEST_FRAMES, (case.name, begins(sound))


@pytest.mark.parametrize("seed", range(6))
def test_truth_meets_the_ends_level_and_aligned(made: Family, seed: int, guitar: Audio) -> None:
    check(made, guitar[:, :48000], seed)


def same(one: Case, other: Case) -> bool:
    pairs = zip((one.a, one.b, *one.truths), (other.a, other.b, *other.truths), strict=True)
    return one.name == other.name and all(np.array_equal(*pair) for pair in pairs)


def test_a_case_follows_from_its_generator(made: Family, guitar: Audio) -> None:
    guitar = guitar[:, :24000]
    first, again, other = (
        made.case(guitar, np.random.default_rng(seed), POSITIONS) for seed in (7, 7, 8)
    )
    assert same(first, again)
    assert not same(first, other)


def test_a_position_does_not_change_the_others(made: Family, guitar: Audio) -> None:
    guitar = guitar[:, :24000]
    alone = made.case(guitar, np.random.default_rng(3), [0.6])
    among = made.case(guitar, np.random.default_rng(3), POSITIONS)
    np.testing.assert_array_equal(alone.truths[0], among.truths[2])
    np.testing.assert_array_equal(alone.b, among.b)


def test_drive_is_linear_in_db() -> None:
    assert between(-36.0, 0.0, 0.25) == -27.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_a_nonlinearity_is_bounded_and_gentle_at_rest(kind: str, colour: float) -> None:
    wave = np.linspace(-300.0, 300.0, 60001).astype(np.float32)
    loud = shaped(wave, kind, colour)
    assert np.isfinite(loud).all()
    assert np.abs(loud).max() <= 4.0  # a diode pair is never quite flat
    quiet = np.array([-1e-3, 0.0, 1e-3], np.float32)
    low, rest, high = shaped(quiet, kind, colour).astype(np.float64)
    assert rest == pytest.approx(0.0, abs=1e-7)
    assert 0.3 <= (high - low) / 2e-3 <= 1.35


def test_oversampling_keeps_time_and_treble(guitar: Audio) -> None:
    part = guitar[:, :9600]
    assert np.abs(back(oversampled(part)) - part)[:, 100:-100].max() < 2e-3


def test_a_follower_is_never_ahead() -> None:
    burst = np.zeros(9600, np.float32)
    burst[4800:7200] = 1.0
    envelope = Follower(attack_ms=2.0, release_ms=20.0).envelope(burst, 48000)
    assert not envelope[:4800].any()
    assert envelope[7199] == pytest.approx(1.0, abs=1e-3)
    assert envelope[7264 + 960] == pytest.approx(np.exp(-1.0), abs=0.05)  # after a release time


@pytest.mark.parametrize("kind", ["low", "peak", "high"])
def test_a_band_has_its_gain(kind: str) -> None:
    band = Band(kind, 1000.0, 0.7, 9.0)
    impulse = np.zeros((1, 48000), np.float32)
    impulse[0, 0] = 1.0
    levels_db = 20.0 * np.log10(np.abs(np.fft.rfft(filtered(impulse, sections([band]))[0])))
    at = {"low": 10, "peak": 1000, "high": 23000}[kind]
    assert levels_db[at] == pytest.approx(9.0, abs=0.1)
    far = {"low": 23000, "peak": 10, "high": 10}[kind]
    assert levels_db[far] == pytest.approx(0.0, abs=0.1)


def test_a_cabinet_between_is_linear_in_db_and_without_delay(boxes: Cabinets) -> None:
    one, other = (boxes.named(name) for name in boxes.names)
    middle = least_delay(0.25 * cepstrum(one) + 0.75 * cepstrum(other))
    levels = [
        20.0 * np.log10(np.abs(np.fft.rfft(response, 32768)) + 1e-9)
        for response in (one, other, middle)
    ]
    wanted = 0.25 * levels[0] + 0.75 * levels[1]
    apart = np.abs(wanted - levels[2])
    # Noise has a few notches so sharp that they ring longer than a cabinet is let to.
    assert np.quantile(apart, 0.99) < 0.05 and apart.max() < 1.0
    assert np.argmax(np.abs(middle)) == 0


def test_a_space_is_mixed_linearly(boxes: Cabinets, guitar: Audio) -> None:
    family = SpaceFamily(KINDS, boxes, [Path("noise"), Path("echo")])
    for seed in range(4):
        case = family.case(guitar[:, :48000], np.random.default_rng(seed), [0.4])
        ends = np.stack([case.a[0], case.b[0]], axis=1)
        _, residual, _, _ = np.linalg.lstsq(ends, case.truths[0][0], rcond=None)
        assert residual[0] < 1e-6, case.name


def test_a_segment_is_not_silent() -> None:
    phrase = np.zeros((1, 480_000), np.float32)
    phrase[:, 400_000:430_000] = np.random.default_rng(0).standard_normal(30_000) * 0.1
    for seed in range(20):
        segment = draw_segment(phrase, 24_000, np.random.default_rng(seed))
        assert segment.shape == (1, 24_000)
        assert rms_dbfs(segment) > rms_dbfs(phrase) - 12.1
        assert segment[0, 0] == 0.0


# ------------------------------------------------------------------------------------ the split


def empty_audio(folder: Path) -> Path:
    """A folder with an empty file in the place of each that the split names."""
    for line in SPLIT_FILE.read_text(encoding="utf-8").splitlines():
        for word in line.split('"')[1::2]:
            if "/" in word:
                (folder / word).parent.mkdir(parents=True, exist_ok=True)
                (folder / word).touch()
    return folder


def test_nothing_stands_on_both_sides(tmp_path: Path) -> None:
    split = read_split(empty_audio(tmp_path))
    for named in ("captures", "cabinets", "nonlinearities", "spaces"):
        train, test = (set(getattr(half, named)) for half in (split.train, split.test))
        assert train and test and not train & test, named
    players = [{player.name for player in half.players} for half in (split.train, split.test)]
    assert not players[0] & players[1]
    files = [
        [phrase for player in half.players for phrase in player.phrases]
        for half in (split.train, split.test)
    ]
    assert not set(files[0]) & set(files[1])
    assert not any("bass" in phrase for phrase in files[0] + files[1])
    assert len(split.test.captures) >= 2 and len(split.test.cabinets) >= 2
    assert set(split.train.nonlinearities + split.test.nonlinearities) == set(SHAPES)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"nam/jc.nam"', '"nam/ac10.nam"', "nam/ac10.nam in both train and test"),
        ('name = "john"', 'name = "tomb"', "player tomb in both train and test"),
        ('"triode"', '"tanh"', "nonlinearity tanh in both train and test"),
        ("di/john.flac", "di/nobody.flac", "names di/nobody.flac"),
        ("captures", "amplifiers", "is no split"),
        ("[test]", "[test", "is no split"),
    ],
)
def test_a_wrong_split_is_refused(tmp_path: Path, before: str, after: str, says: str) -> None:
    audio = empty_audio(tmp_path / "audio")
    wrong = tmp_path / "wrong.toml"
    text = SPLIT_FILE.read_text(encoding="utf-8")
    assert before in text
    wrong.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ModelError, match=says):
        read_split(audio, wrong)


def test_without_real_audio_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--audio DIR"):
        read_split(tmp_path / "none")


def test_a_broken_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.flac").write_bytes(b"fLaC and no more")
    with pytest.raises(ModelError, match=r"broken\.flac cannot be read"):
        load(tmp_path / "broken.flac")


def test_phrases_are_heard_and_at_one_level(shared_audio: Path) -> None:
    split = read_split(shared_audio)
    names = []
    for use in ("train", "test"):
        for name, phrase in phrases(split, use):
            names.append(name)
            assert phrase.shape[0] == 1 and phrase.shape[1] >= 5 * 48000, name
            assert -32.0 <= rms_dbfs(phrase) <= -22.0, name
    assert len(names) == len(set(names))
    again = dict(phrases(split, "train"))
    for name, phrase in phrases(split, "train"):
        np.testing.assert_array_equal(phrase, again[name])


# ------------------------------------------------------------------- with real amps and cabinets


@pytest.fixture(scope="module", params=["train", "test"])
def real(request: pytest.FixtureRequest, shared_audio: Path) -> list[Family]:
    return families(read_split(shared_audio), request.param)


def test_real_families_meet_the_ends_level_and_aligned(real: list[Family], guitar: Audio) -> None:
    for family in real:
        for seed in range(3):
            check(family, guitar[:, 24000:48000], seed)


def test_a_capture_is_driven_in_db(shared_audio: Path, guitar: Audio) -> None:
    family = families(read_split(shared_audio), "test")[0]
    assert isinstance(family, CaptureFamily) and family.captures == ["jc", "deluxe"]
    part = guitar[:, :24000]
    truth = family.driven(part, "deluxe", None, [0.25], "deluxe").truths[0]
    quieter = part * np.float32(gain_from_db(-27.0))
    there = family.driven(quieter, "deluxe", None, [], "deluxe", (0.0, 0.0)).a
    np.testing.assert_allclose(truth, there, atol=1e-5)


def test_material_is_resumed_in_the_same_numbers(tmp_path: Path, shared_audio: Path) -> None:
    split = read_split(shared_audio)
    whole = make_dataset(tmp_path / "whole", split, 6, 0.25, seed=5, progress=False)
    names = ("a", "b", "truths", "positions", "family", "done")
    first = {name: np.load(whole / f"{name}.npy") for name in names}
    assert first["done"].all()
    assert first["a"].shape == (6, 12000) and first["truths"].shape == (6, 3, 12000)
    assert ((first["positions"] >= 0.1) & (first["positions"] <= 0.9)).all()
    assert len((whole / "cases.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    for name in names:
        array = np.load(whole / f"{name}.npy", mmap_mode="r+")
        array[2:4] = 0
        array.flush()
    make_dataset(whole, split, 6, 0.25, seed=5, progress=False)
    for name in names:
        np.testing.assert_array_equal(np.load(whole / f"{name}.npy"), first[name])
    kinds = json.loads((whole / "index.json").read_text(encoding="utf-8"))["families"]
    assert kinds == [family.name for family in families(split, "train")]
    with pytest.raises(ModelError, match="other settings"):
        make_dataset(whole, split, 6, 0.25, seed=6, progress=False)
