"""The position follows the playing: levels, times, any period, no click, no bad number."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.config import bundled_presets
from device.errors import PresetError
from device.files import read_sound_at
from device.preset import read_preset
from device.script import Script
from device.sound.follow import BLOCK_S, HOLD_S, Follow, FollowSettings
from device.sound.morph import ENGINES
from device.sound.player import Player
from device.sound.ramp import SLEW_S
from device.sound.steering import Steering
from device.tools.render import render
from models.morph import selected_end
from models.units import Audio, gain_from_db, rms_dbfs
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, play, sine

RATE_HZ = 48000


def followed(
    sound: Audio, period: int = 64, knob: float = 0.0, input_db: float = 0.0, **settings: float
) -> np.ndarray:
    """The positions of every whole period of ``sound``, with the knob at rest."""
    chosen = FollowSettings(**{"depth": 1.0, **settings})  # type: ignore[arg-type]
    steering = Steering(Follow(chosen, input_db))
    steering.prepare(RATE_HZ, period)
    at = np.full(period, knob, np.float32)
    pieces = [
        steering.process(sound[:, start : start + period], knob, at).copy()
        for start in range(0, sound.shape[1] - period + 1, period)
    ]
    return np.concatenate(pieces)


def tone(level_dbfs: float, frames: int = RATE_HZ) -> Audio:
    return sine(110.0, frames, gain_from_db(level_dbfs))


@pytest.mark.parametrize(
    ("level_dbfs", "position"), [(-60.0, 0.0), (-30.5, 0.0), (-21.0, 0.5), (-11.0, 1.0), (0.0, 1.0)]
)
def test_level_decides_linearly_in_db_between_the_thresholds(
    level_dbfs: float, position: float
) -> None:
    settled = followed(tone(level_dbfs))[RATE_HZ // 2 :]
    np.testing.assert_allclose(settled, position, atol=0.02)
    if position in (0.0, 1.0):
        assert (settled == position).all()  # the ends exactly: there the tone is selected


def test_the_input_gain_counts() -> None:
    np.testing.assert_allclose(
        followed(tone(-33.0), input_db=12.0), followed(tone(-21.0)), atol=1e-4
    )


@pytest.mark.parametrize("knob", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("depth", [-1.0, -0.5, 0.5, 1.0])
def test_depth_adds_to_the_knob_and_both_stay_within_0_and_1(knob: float, depth: float) -> None:
    quiet = followed(tone(-70.0), knob=knob, depth=depth)
    loud = followed(tone(-3.0), knob=knob, depth=depth)
    assert (quiet == np.float32(knob)).all()
    assert (loud[RATE_HZ // 2 :] == np.float32(min(max(knob + depth, 0.0), 1.0))).all()
    assert loud.min() >= 0.0 and loud.max() <= 1.0


@pytest.mark.parametrize("attack_ms", [20.0, 100.0])
@pytest.mark.parametrize("release_ms", [50.0, 400.0])
def test_attack_and_release_take_their_time_constants(attack_ms: float, release_ms: float) -> None:
    """A square wave is as loud in every frame, so that only the smoothing is seen."""
    square = 0.5 * np.sign(sine(1000.0, 3 * RATE_HZ) + 1e-6)
    square[:, :RATE_HZ] = 0.0
    square[:, 2 * RATE_HZ :] = 0.0
    curve = followed(square.astype(np.float32), attack_ms=attack_ms, release_ms=release_ms)
    # The smoothed share runs from −0.1 to 1.1: after one time constant it has gone 63 % of 1.2.
    up, down = -0.1 + 1.2 * (1 - np.exp(-1)), 1.1 - 1.2 * (1 - np.exp(-1))
    rose_s = int(np.argmax(curve >= up)) / RATE_HZ - 1.0
    fell_s = int(np.argmax(curve[2 * RATE_HZ :] <= down)) / RATE_HZ - HOLD_S
    assert rose_s == pytest.approx(attack_ms / 1000.0, rel=0.03, abs=2.5 * BLOCK_S)
    assert fell_s == pytest.approx(release_ms / 1000.0, rel=0.03, abs=2.5 * BLOCK_S)


@pytest.mark.parametrize("period", [16, 17, 128, 441, 1000, 4096])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_the_bits_are_the_same_whatever_the_period(
    period: int, rate_hz: int, guitar: Audio
) -> None:
    def curve(frames: int) -> np.ndarray:
        follow = Follow(FollowSettings(depth=0.8))
        follow.prepare(rate_hz, frames)
        out = np.zeros(guitar.shape[1] // frames * frames, np.float32)
        for start in range(0, len(out), frames):
            piece = slice(start, start + frames)
            follow.add(guitar[:, piece], out[piece])
        return out

    reference, other = curve(64), curve(period)
    shared = min(len(reference), len(other))
    assert np.array_equal(reference[:shared], other[:shared])
    assert np.ptp(reference) > 0.3


def test_a_steady_low_note_gives_a_steady_position() -> None:
    settled = followed(sine(82.4, RATE_HZ, gain_from_db(-21.0)))[RATE_HZ // 2 :]
    assert np.ptp(settled) < 0.005


def test_it_never_moves_faster_than_a_knob() -> None:
    """From silence to full scale and back, with the shortest times."""
    sound = np.zeros((1, RATE_HZ), np.float32)
    sound[:, 16000:32000] = 1.0
    curve = followed(sound, attack_ms=1.0, release_ms=5.0)
    assert curve.max() == 1.0 and curve[-1] == 0.0
    assert np.abs(np.diff(curve)).max() <= 1.0 / (SLEW_S * RATE_HZ) + 1e-6


def test_a_swelling_note_leaves_no_click() -> None:
    """Between two tones of opposite polarity, from one end to the other and back."""
    sound = sine(110.0, 2 * RATE_HZ)
    time_s = np.arange(sound.shape[1]) / RATE_HZ
    sound *= (10.0 ** (-2.0 * np.sin(np.pi * time_s) ** 2)).astype(np.float32)
    way = path([Scale(1.0)], [Scale(-0.5)])
    way.steering = Steering(Follow(FollowSettings(depth=1.0)))
    player = Player([way])
    player.prepare(RATE_HZ, 64)
    out = play(player, sound, 64, 0.0)
    assert out.shape == sound.shape
    assert click_dbfs(out) < -60.0
    # The measure can fail: a switch at the same places is a click.
    switched = np.where(np.sin(2.0 * np.pi * time_s) > 0.0, sound, -0.5 * sound)
    assert click_dbfs(switched.astype(np.float32)) > -60.0


def test_controls_of_one_chain_follow_without_a_click(tmp_path: Path) -> None:
    """Where both tones have one shape the knob moves blocks' controls, and so does the playing."""
    rows = "{{ block = 'low_shelf', gain_db = {0} }}, {{ block = 'gain', gain_db = {0} }}"
    file = tmp_path / "p.toml"
    file.write_text(
        f'format = 1\nname = "x"\n[tone.a]\nchain = [{rows.format(0.0)}]\n'
        f"[tone.b]\nchain = [{rows.format(-12.0)}]\n[morph]\nfollow = {{ depth = 1.0 }}\n"
    )
    player = Player([read_preset(file).path()])
    player.prepare(RATE_HZ, 64)
    sound = sine(110.0, 2 * RATE_HZ)
    time_s = np.arange(sound.shape[1]) / RATE_HZ
    sound *= (10.0 ** (-2.0 * np.sin(np.pi * time_s) ** 2)).astype(np.float32)
    out = play(player, sound, 64, 0.0)
    assert click_dbfs(out) < -60.0
    ends = [
        rms_dbfs(out[:, at : at + 4800]) - rms_dbfs(sound[:, at : at + 4800])
        for at in (26000, 46000)
    ]
    assert ends[0] == pytest.approx(0.0, abs=0.1) and ends[1] < -18.0


def test_offline_is_what_the_pedal_plays(tmp_path: Path, guitar: Audio) -> None:
    """Controls move once a period, so a preset that follows is rendered at the pedal's."""
    preset = read_preset(next(file for file in bundled_presets() if "touch" in file.stem))
    phrase, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(phrase, guitar[0], RATE_HZ, subtype="FLOAT")
    rendered = render(preset, phrase, out, lambda _: Script(points=((0.0, 0.0),)))
    player = Player([preset.path()])
    player.prepare(RATE_HZ, 64)
    assert np.array_equal(rendered.sound, play(player, guitar, 64, 0.0))
    figures = rendered.summary()
    assert figures["position"]["highest"] > 0.9  # type: ignore[index]
    assert -20.0 < figures["playing_dbfs"]["p100"] < -10.0  # type: ignore[index]


@pytest.mark.parametrize("depth", [1.0, -1.0])
def test_silence_dc_nan_and_what_is_beyond_full_scale_stay_finite(depth: float) -> None:
    generator = np.random.default_rng(0)
    frames = 6400
    sounds = {
        "silence": np.zeros(frames),
        "denormal": np.full(frames, 1e-42),
        "dc": np.full(frames, 0.5),
        "nan": np.full(frames, np.nan),
        "some nan": np.where(generator.random(frames) < 0.5, np.nan, 0.5),
        "infinite": np.full(frames, np.inf),
        "huge": np.full(frames, -3e38),
        "square": np.sign(np.sin(np.arange(frames))),
    }
    ends = {}
    with np.errstate(all="ignore"):
        for name, sound in sounds.items():
            curve = followed(sound.astype(np.float32)[None, :], knob=0.5, depth=depth)
            assert np.isfinite(curve).all() and curve.min() >= 0.0 and curve.max() <= 1.0
            ends[name] = float(curve[-1])
    loud = 0.5 + 0.5 * depth
    quiet_ones = {name for name, end in ends.items() if end == 0.5}
    assert quiet_ones == {"silence", "denormal", "nan"}
    assert all(end == loud for name, end in ends.items() if name not in quiet_ones)


def test_a_position_that_leaves_an_end_within_a_period_is_no_rest() -> None:
    """The position may rise and fall again: first and last frame do not decide."""
    for end in (0, 1):
        rest = np.full(64, end, np.float32)
        assert selected_end(rest) == end
        bump = rest.copy()
        bump[20:40] = 0.5
        assert selected_end(bump) is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", [0, 1])
def test_engines_play_a_bump_within_one_period(engine: str, end: int) -> None:
    machine = ENGINES[engine]()
    machine.prepare(RATE_HZ, 64)
    a, b = np.full((1, 64), 0.25, np.float32), np.full((1, 64), 0.75, np.float32)
    position = np.full(64, end, np.float32)
    position[20:40] = 0.5
    out = np.empty_like(a)
    machine.process(a, b, position, out)
    tone = (a, b)[end]
    assert np.array_equal(out[:, :20], tone[:, :20]) and np.array_equal(out[:, 40:], tone[:, 40:])
    assert (out[:, 20:40] != tone[:, 20:40]).all()


def test_the_tones_are_exact_where_the_playing_reaches_them() -> None:
    """Soft playing is tone A bit for bit although B is broken, loud playing B although A is."""
    for level_dbfs, a, b, gain in ((-40.0, 0.5, np.nan, 0.5), (-3.0, np.nan, 0.25, 0.25)):
        way = path([Scale(a)], [Scale(b)])
        way.steering = Steering(Follow(FollowSettings(depth=1.0)))
        player = Player([way])
        player.prepare(RATE_HZ, 64)
        sound = tone(level_dbfs)
        out = play(player, sound, 64, 0.0)
        late = slice(RATE_HZ // 2, None)
        assert np.array_equal(out[:, late], np.float32(gain) * sound[:, late])
        assert player.position == float(level_dbfs > -20.0)


def test_nothing_of_ours_is_allocated_per_period() -> None:
    frames = 8192
    steering = Steering(Follow(FollowSettings(depth=1.0)))
    steering.prepare(RATE_HZ, frames)
    sound = sine(110.0, frames)
    knob = np.zeros(frames, np.float32)

    def most_allocated(extra: bool) -> int:
        tracemalloc.start()
        try:
            worst = 0
            for _ in range(10):
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                steering.process(sound, 0.0, knob)
                if extra:
                    np.copyto(knob, knob + 0.0)
                worst = max(worst, tracemalloc.get_traced_memory()[1] - before)
            return worst
        finally:
            tracemalloc.stop()

    # The levels of 512 blocks are Python objects; one array of a period would be larger.
    assert most_allocated(extra=False) < frames * 3
    assert most_allocated(extra=True) >= frames * 4


def test_a_preset_begins_anew_when_it_is_chosen_again() -> None:
    """What was loud before does not bring tone B into the first soft note."""
    way = path([Scale(1.0)], [Scale(0.5)])
    way.steering = Steering(Follow(FollowSettings(depth=1.0, release_ms=5000.0)))
    player = Player([way, path([Scale(1.0)], [])])
    player.prepare(RATE_HZ, 64)
    play(player, tone(0.0, 9600), 64, 0.0)
    assert player.position == 1.0
    player.select(1)
    play(player, tone(-60.0, 9600), 64, 0.0)
    assert player.position == 0.0
    player.select(0)
    play(player, tone(-60.0, 640), 64, 0.0)
    assert player.position == 0.0


HEAD = 'format = 1\nname = "x"\n[tone.a]\nchain = []\n[tone.b]\nchain = [{ block = "drive" }]\n'


@pytest.mark.parametrize(
    ("follow", "words"),
    [
        ("{ depth = 2.0 }", ["morph.follow.depth", "2.0", "1"]),
        ("{ depth = nan }", ["morph.follow.depth", "nan"]),
        ("{ attack_ms = 0.0 }", ["morph.follow.attack_ms", "0.0", "1"]),
        ("{ release_ms = -5.0 }", ["morph.follow.release_ms", "-5.0"]),
        ('{ source = "moon" }', ["morph.follow.source", "moon", "dynamics"]),
        ("{ from_db = -10.0, to_db = -20.0 }", ["morph.follow", "3 dB above from_db"]),
        ("{ dept = 1.0 }", ["morph.follow.dept", "not a key"]),
        ("3", ["morph.follow", "3"]),
    ],
)
def test_a_bad_follow_is_named_in_one_sentence(
    tmp_path: Path, follow: str, words: list[str]
) -> None:
    file = tmp_path / "p.toml"
    file.write_text(f"{HEAD}[morph]\nfollow = {follow}\n")
    with pytest.raises(PresetError) as caught:
        read_preset(file)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith(str(file)) and len(sentence) < 400
    for word in words:
        assert word in sentence


def test_depth_0_is_off(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(f'{HEAD}[morph]\nfollow = {{ source = "dynamics", depth = 0.0 }}\n')
    assert read_preset(file).path().steering is None
    file.write_text(f"{HEAD}[morph]\nfollow = {{ depth = 0.1 }}\n")
    assert read_preset(file).path().steering is not None


def test_a_real_guitar_played_harder_is_nearer_to_tone_b(shared_audio: Path) -> None:
    """Single notes at four velocities: the softest stays below all louder ones."""
    reached: dict[str, list[float]] = {}
    for file in sorted((shared_audio / "notes" / "emilyguitar").glob("a*_rr1.flac")):
        sound = read_sound_at(file, RATE_HZ, [])[:, :RATE_HZ]
        reached.setdefault(file.stem.split("_")[1], []).append(float(followed(sound).max()))
    means = [float(np.mean(reached[velocity])) for velocity in ("p", "mp", "mf", "f")]
    assert means == sorted(means) and means[0] < 0.7 and means[-1] > 0.99
