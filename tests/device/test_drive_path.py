"""The way through drive as it is played: from the preset, through the cache, into the sound."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

import device.cache as cache_module
import device.ways as ways_module
from device.cache import default_cache
from device.prepare import playable
from device.preset import Preset, read_preset
from device.probe import probe
from device.sound.block import Block
from device.sound.chain import ToneChain
from device.sound.morph import Crossfade
from device.sound.parameter_path import ParameterPath
from device.sound.path import SoundPath
from device.sound.playable import Playable
from device.sound.player import Player
from device.sound.trajectory import Trajectory
from device.tools.material import probe_phrase
from device.tools.riff import riff
from device.ways import found_law, found_path
from models.path import DRIVES_DB, DrivePath, Figures, way_along
from models.quality import at_level, distance_db, mel_spectrum_db
from models.units import Audio
from tests.device.parts import Scale
from tests.device.signal import click_dbfs, play, sine
from tests.device.test_twin import blocks, joined

CLEAN = '{ block = "gain", gain_db = -6.0 }'
LEAD = '{ block = "distortion", drive_db = 34.0 }, { block = "gain", gain_db = -12.0 }'


def preset(folder: Path, morph: str = "", a: str = CLEAN, b: str = LEAD) -> Preset:
    file = folder / "p.toml"
    file.write_text(
        f'format = 1\nname = "x"\n[tone.a]\nchain = [{a}]\n[tone.b]\nchain = [{b}]\n'
        f"[morph]\n{morph}\n"
    )
    return read_preset(file)


def prepared(path: Playable, position: float, period: int = 64) -> Player:
    player = Player([path])
    player.prepare(48000, period, position)
    return player


def wandering(lowest_db: float = -36.0) -> DrivePath:
    """Both drives and levels far from 1 on the way, the tones met half way."""
    knob = np.linspace(0.0, 1.0, 61)
    figures = Figures(1.0, 10.0, 1.0)
    return DrivePath(
        drive_a_db=lowest_db * np.minimum(1.0, 2.0 * knob),
        drive_b_db=lowest_db * np.minimum(1.0, 2.0 - 2.0 * knob),
        blend=np.clip(3.0 * knob - 1.0, 0.0, 1.0),
        level_a_db=20.0 * knob,
        level_b_db=20.0 - 10.0 * knob,
        makeup_db=4.0 * knob * (1.0 - knob),
        saturation=knob,
        loud_a=0.0,
        loud_b=-10.0,
        mel=figures,
        bins=figures,
        direct_mel=figures,
        direct_bins=figures,
    )


WAY = way_along(wandering(), "perceptual")


def along(a: list[Block], b: list[Block]) -> SoundPath:
    return SoundPath("x", ToneChain(a), ToneChain(b), Crossfade(), trajectory=Trajectory(WAY))


def turned(player: Player, sound: Audio, knob: np.ndarray, period: int = 64) -> Audio:
    out = np.zeros_like(sound)
    for index in range(sound.shape[1] // period):
        piece = slice(index * period, (index + 1) * period)
        player.process(sound[:, piece], float(knob[index]), out[:, piece])
    return out


def test_both_ends_are_the_tones_bit_for_bit(tmp_path: Path, guitar: Audio) -> None:
    tones = preset(tmp_path)
    for position, side in ((0.0, "a"), (1.0, "b")):
        path = playable(tones, 48000)
        assert isinstance(path, SoundPath) and path.way is not None
        alone = play(prepared(tones.single(side), 0.0), guitar, 64, 0.0)  # type: ignore[arg-type]
        assert np.array_equal(play(prepared(path, position), guitar, 64, position), alone)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_an_end_is_exact_though_the_other_tone_is_no_number(end: float, guitar: Audio) -> None:
    sides: list[list[Block]] = [[Scale(0.5)], [Scale(0.7)]]
    other = 0 if end else 1
    sides[other] = [Scale(nan_at=5)]
    player = prepared(along(*sides), end)
    # The chain's own guard stands before the way; this is what it lets through at worst.
    path = player.bank[0]
    assert isinstance(path, SoundPath)
    broken = path.tone_b if other else path.tone_a
    broken.finish = lambda target: target.fill(np.nan)  # type: ignore[method-assign]
    with np.errstate(invalid="ignore"):
        heard = play(player, guitar, 64, end)
    assert np.array_equal(heard, np.float32(0.7 if end else 0.5) * guitar[:, : heard.shape[1]])


def test_between_the_ends_it_plays_what_the_way_says(guitar: Audio) -> None:
    way = WAY
    for position in (0.2, 0.5, 0.9):
        drive_a, drive_b, level_a, level_b, blend = way.at(position)
        a = np.tanh(8.0 * drive_a * guitar) * level_a
        b = 0.3 * drive_b * guitar * level_b
        path = along([_Tanh()], [Scale(0.3)])
        heard = play(prepared(path, position), guitar, 64, position)
        expected = (1.0 - blend) * a + blend * b
        np.testing.assert_allclose(heard, expected[:, : heard.shape[1]], atol=2e-6)


class _Tanh(Scale):
    """An amp in one line."""

    def process(self, source: Audio, target: Audio) -> None:
        np.tanh(np.float32(8.0) * source, out=target)


@pytest.mark.parametrize("period", [16, 48, 1024])
def test_the_sound_does_not_depend_on_the_period(period: int, guitar: Audio) -> None:
    sound = guitar[:, : 48 * 1024]
    one, other = (
        play(prepared(along([_Tanh()], [Scale(0.3)]), 0.4, frames), sound, frames, 0.4)
        for frames in (64, period)
    )
    np.testing.assert_array_equal(one, other)


def test_a_hand_s_turns_leave_no_click_and_no_zipper() -> None:
    """Against the same sine at rest: above 6 kHz nothing comes up, as fast as a hand can turn."""
    sound = sine(220.0, 48000, 0.5)
    quiet: list[Block] = [Scale(0.5)]
    periods = np.arange(750)
    slow = 0.5 - 0.5 * np.cos(2.0 * np.pi * periods / 375.0)
    fast = 0.5 - 0.5 * np.cos(2.0 * np.pi * periods / 47.0)  # 0 → 1 in 30 ms
    thrown = (periods // 60 % 2).astype(float)
    for knob in (slow, fast):
        heard = turned(prepared(along(quiet, [Scale(-0.4)]), 0.0), sound, knob)
        assert click_dbfs(heard) < -60.0
    # No hand is as fast as that: from end to end in 5 ms, both drives by 36 dB and back.
    assert click_dbfs(turned(prepared(along(quiet, [Scale(0.4)]), 0.0), sound, thrown)) < -50.0


def test_a_turning_knob_adds_no_spectral_flux() -> None:
    sound = sine(220.0, 96000, 0.5)
    knob = np.linspace(0.0, 1.0, 1500)
    heard = turned(prepared(along([_Tanh()], [_Tanh()]), 0.0), sound, knob)
    still = play(prepared(along([_Tanh()], [_Tanh()]), 0.5), sound, 64, 0.5)

    def flux_db(signal: Audio) -> float:
        _, _, spectrum = scipy.signal.stft(signal[0], 48000, "hann", 1024, 768)
        steps = np.diff(np.abs(spectrum[64:]), axis=1)  # above 3 kHz: where a zipper is heard
        return float(20.0 * np.log10(np.abs(steps[:, 8:-8]).max() + 1e-9))

    assert flux_db(heard) < max(-60.0, flux_db(still) + 6.0)


def test_two_captures_stay_one_network(tmp_path: Path, guitar: Audio) -> None:
    player = prepared(along(blocks(tmp_path, 1), blocks(tmp_path, 2)), 0.4)
    assert joined(player)
    heard = play(player, guitar, 64, 0.4)
    assert np.isfinite(heard).all() and np.abs(heard).max() > 1e-3


def test_nothing_is_allocated_per_period(guitar: Audio) -> None:
    import tracemalloc

    from numpy.lib import tracemalloc_domain

    player = prepared(along([_Tanh()], [Scale(0.3)]), 0.0)
    path = player.bank[0]
    assert isinstance(path, SoundPath) and path._trajectory is not None
    trajectory = path._trajectory
    positions = np.linspace(0.1, 0.2, 64, dtype=np.float32)
    trajectory.follow(positions)
    tracemalloc.start()
    try:
        for shift in range(50):
            positions += np.float32(0.001 * (shift + 1) / 50)
            trajectory.follow(positions)
            taken = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.DomainFilter(True, tracemalloc_domain)]
            )
            assert sum(trace.size for trace in taken.traces) <= 4 * 64
    finally:
        tracemalloc.stop()


def test_what_asks_for_a_way_gets_one(tmp_path: Path) -> None:
    assert preset(tmp_path).needs_way
    assert preset(tmp_path, 'path = "direct"\nlaw = "perceptual"').needs_way
    assert preset(tmp_path, 'path = "direct"').needs_way  # the stage engine has to know the tones
    plain = preset(tmp_path, 'path = "direct"\nengine = "crossfade"')
    assert not plain.needs_way
    path = playable(plain, 48000)
    assert isinstance(path, SoundPath) and path.way is None
    same = preset(tmp_path, a=CLEAN, b='{ block = "gain", gain_db = 3.0 }')
    assert isinstance(playable(same, 48000), ParameterPath)


def test_the_direct_way_keeps_both_drives_and_takes_the_law(tmp_path: Path) -> None:
    found = found_path(preset(tmp_path, 'path = "direct"\nlaw = "perceptual"'), 48000)
    assert found.direct
    even, linear = (way_along(found, law).blend for law in ("perceptual", "linear"))
    np.testing.assert_allclose(linear, np.linspace(0.0, 1.0, 257), atol=1e-3)
    assert np.abs(even - linear).max() > 0.05


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put a quick answer in place of the search, and count how often it is asked."""
    searches: list[int] = []

    def search(*_tones: object, drives: bool) -> DrivePath:
        searches.append(1)
        return wandering(-30.0 if drives else 0.0)

    def no_tone(*_about: object) -> None:
        return None

    monkeypatch.setattr(ways_module, "find_path", search)
    monkeypatch.setattr(ways_module, "tried", no_tone)
    return searches


def test_a_way_is_found_once_and_then_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = counted(monkeypatch)
    cache = tmp_path / "cache"
    first = found_path(preset(tmp_path), 48000, cache=cache)
    again = found_path(preset(tmp_path), 48000, cache=cache)
    assert len(searches) == 1
    np.testing.assert_array_equal(first.drive_b_db, again.drive_b_db)
    assert first.mel == again.mel and first.loud_a == again.loud_a
    # The law, the name and the output are read from the way, not found with it.
    found_path(preset(tmp_path, 'law = "perceptual"'), 48000, cache=cache)
    assert len(searches) == 1


def test_whatever_changes_the_tones_changes_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = counted(monkeypatch)
    cache = tmp_path / "cache"
    found_path(preset(tmp_path), 48000, cache=cache)
    found_path(preset(tmp_path, b=LEAD.replace("34.0", "33.0")), 48000, cache=cache)
    found_path(preset(tmp_path, 'path = "direct"'), 48000, cache=cache)
    found_path(preset(tmp_path), 44100, cache=cache)
    monkeypatch.setattr(cache_module, "VERSION", -1)
    found_path(preset(tmp_path), 48000, cache=cache)
    assert len(searches) == 5 and len(list(cache.iterdir())) == 5


@pytest.mark.parametrize("harm", ["cut", "noise", "foreign", "empty", "one bit", "other arrays"])
def test_a_damaged_or_foreign_file_is_named_and_found_anew(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    searches = counted(monkeypatch)
    cache = tmp_path / "cache"
    good = found_path(preset(tmp_path), 48000, cache=cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    if harm == "foreign":
        found_path(preset(tmp_path, 'path = "direct"'), 48000, cache=cache)
        (other,) = (each for each in cache.iterdir() if each != file)
        other.replace(file)
    elif harm == "other arrays":
        np.savez(file, blend=np.zeros(3))
    else:
        middle = len(whole) // 2
        file.write_bytes(
            {
                "cut": whole[:middle],
                "noise": bytes(range(256)) * 20,
                "empty": b"",
                "one bit": whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :],
            }[harm]
        )
    searches.clear()
    found = found_path(preset(tmp_path), 48000, cache=cache)
    error = capsys.readouterr().err
    assert len(searches) == 1 and str(file) in error and error.count("\n") == 1
    np.testing.assert_array_equal(found.drive_b_db, good.drive_b_db)
    found_path(preset(tmp_path), 48000, cache=cache)
    assert len(searches) == 1


def test_a_disk_that_takes_nothing_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted(monkeypatch)
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert found_path(preset(tmp_path), 48000, cache=blocked).blend[-1] == 1.0
    assert str(blocked) in capsys.readouterr().err


def test_the_cache_lies_where_the_system_or_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/one")
    assert default_cache() == Path("/one/purga/paths")
    monkeypatch.setenv("CACHE_DIRECTORY", f"/two{os.pathsep}/three")
    assert default_cache() == Path("/two/paths")


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000, 96000])
def test_the_probe_is_the_same_phrase_at_every_rate(rate_hz: int) -> None:
    phrase = probe(rate_hz)
    assert phrase.shape == (1, pytest.approx(3.7 * rate_hz, abs=3)) and phrase.dtype == np.float32
    assert 0.05 < np.abs(phrase).max() < 1.0


def test_the_probe_s_file_is_what_the_riff_gives() -> None:
    phrase = probe_phrase()
    np.testing.assert_allclose(probe(48000), phrase, atol=2e-7)  # 24 bit


@pytest.mark.parametrize("kind", ["square", "silence", "dc", "denormal"])
def test_bad_input_stays_finite_and_bounded(kind: str) -> None:
    """What is driven less is lifted by what the probe lost, and by no more whatever comes in."""
    square = np.sign(sine(110.0, 24000, 1.0)).astype(np.float32)
    sound = {
        "square": square,
        "silence": np.zeros_like(square),
        "dc": np.ones_like(square),
        "denormal": square * np.float32(1e-40),
    }[kind]
    levels = []
    for position in (0.0, 0.25, 0.5, 0.75, 1.0):
        heard = play(prepared(along([_Tanh()], [Scale(0.3)]), position), sound, 64, position)
        assert np.isfinite(heard).all()
        levels.append(float(np.abs(heard).max()))
    lift = max(WAY.level_a.max(), WAY.level_b.max())
    assert max(levels) <= lift * max(levels[0], levels[-1])


def test_every_drive_is_tried(tmp_path: Path) -> None:
    tone = ways_module.tried(preset(tmp_path), "a", 48000)
    assert len(tone.spectra) == len(DRIVES_DB)
    level_db = 10.0 * np.log10(np.mean(np.abs(tone.spectra) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(np.diff(level_db), 3.0, atol=0.01)


SHAPES = (
    '{ block = "distortion", drive_db = 1.0 }',
    '{ block = "distortion", drive_db = 40.0 }',
)


def test_the_law_of_one_chain_s_controls_makes_even_steps(tmp_path: Path) -> None:
    guitar = riff(48000)[:, 4 * 48000 : 6 * 48000]
    tones = preset(tmp_path, 'law = "perceptual"', *SHAPES)
    linear = preset(tmp_path, "", *SHAPES)
    evenness = []
    for each in (linear, tones):
        path = playable(each, 48000)
        assert isinstance(path, ParameterPath)
        heard = [
            mel_spectrum_db(at_level(play(prepared(path, position), guitar, 64, position)))
            for position in np.linspace(0.0, 1.0, 11).tolist()
        ]
        steps = [distance_db(*two) for two in zip(heard[1:], heard[:-1], strict=True)]
        evenness.append(max(steps) / float(np.mean(steps)))
    assert evenness[1] <= 1.5 < evenness[0], evenness


def test_a_law_keeps_the_ends_and_is_kept_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tones = preset(tmp_path, 'law = "perceptual"', *SHAPES)
    cache = tmp_path / "cache"
    law = found_law(tones, 48000, cache=cache)
    assert law[0] == 0.0 and law[-1] == 1.0 and (np.diff(law) > 0.0).all()
    (file,) = cache.iterdir()
    np.testing.assert_array_equal(found_law(tones, 48000, cache=cache), law)
    assert not capsys.readouterr().err
    np.savez(file, law=law[::-1])
    np.testing.assert_array_equal(found_law(tones, 48000, cache=cache), law)
    assert str(file) in capsys.readouterr().err
