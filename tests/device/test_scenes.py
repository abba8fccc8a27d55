"""Scenes: on time to the frame, the same bits at any period, no click, and the knob wins."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.__main__ import main
from device.boards.simulated import SimulatedAudio
from device.config import bundled_presets
from device.errors import PresetError
from device.preset import read_preset
from device.processes.audio import AudioLoop
from device.processes.link import Listener, connect
from device.processes.meters import Meters, read_meters
from device.script import Script
from device.sound.follow import Follow, FollowSettings
from device.sound.path import SoundPath
from device.sound.player import Player
from device.sound.ramp import SLEW_S
from device.sound.scenes import Scenes, SceneSettings
from device.sound.steering import TAKEOVER, TAKEOVER_S, Steering
from models.units import Audio
from tests.device.control_support import scripted_control
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, sine
from tests.device.test_processes import StoppedClock

RATE_HZ = 48000
LEAST = round(SLEW_S * RATE_HZ)
ARTICLE = ((0.0, 0.0, 2.0), (1.0, 5.0, 0.0))
"""(position, over s, for s): two seconds on tone A, five seconds to tone B."""


def scenes(rows: Sequence[tuple[float, float, float]], loop: bool = False) -> Scenes:
    return Scenes(
        [SceneSettings(position=at, over_s=over_s, for_s=for_s) for at, over_s, for_s in rows],
        loop,
    )


def timeline(
    rows: Sequence[tuple[float, float, float]],
    seconds: float,
    period: int = 64,
    loop: bool = False,
    knob: float = 0.0,
) -> np.ndarray:
    played = scenes(rows, loop)
    played.prepare(RATE_HZ, period)
    played.start(knob)
    out = np.zeros(round(seconds * RATE_HZ) // period * period, np.float32)
    for start in range(0, len(out), period):
        played.fill(out[start : start + period])
    return out


def steered(way: SoundPath, steering: Steering, position: float = 0.0) -> Player:
    way.steering = steering
    player = Player([way])
    player.prepare(RATE_HZ, 64, position)
    return player


def positions(player: Player, knob: Sequence[float], sound: Audio | None = None) -> np.ndarray:
    """The position of each period's last frame, with the knob at each of ``knob``."""
    out = np.zeros((1, 64), np.float32)
    quiet = np.zeros((1, 64), np.float32)
    heard = []
    for index, at in enumerate(knob):
        piece = quiet if sound is None else sound[:, index * 64 : index * 64 + 64]
        player.process(piece, at, out)
        heard.append(player.position)
    return np.array(heard)


def test_the_article_s_five_second_transition_is_on_time_to_the_frame() -> None:
    curve = timeline(ARTICLE, 8.0)
    assert (curve[: 2 * RATE_HZ] == 0.0).all()
    assert curve[2 * RATE_HZ] > 0.0 and curve[7 * RATE_HZ - 2] < 1.0
    assert (curve[7 * RATE_HZ - 1 :] == 1.0).all()
    way = np.arange(1, 5 * RATE_HZ + 1) / (5 * RATE_HZ)
    np.testing.assert_allclose(curve[2 * RATE_HZ : 7 * RATE_HZ], way, atol=1e-6)


@pytest.mark.parametrize("period", [16, 17, 128, 441, 1000, 4096])
def test_the_bits_are_the_same_whatever_the_period(period: int) -> None:
    rows = ((0.3, 0.0, 0.1), (1.0, 0.0, 0.05), (0.2, 0.333, 0.0), (0.0, 0.01, 0.02))
    reference = timeline(rows, 3.0, 64, loop=True)
    other = timeline(rows, 3.0, period, loop=True)
    shared = min(len(reference), len(other))
    assert np.array_equal(reference[:shared], other[:shared])


def test_a_jump_takes_five_ms_out_of_its_own_scene() -> None:
    curve = timeline(((0.0, 0.0, 0.5), (1.0, 0.0, 0.5), (0.0, 0.0, 0.0)), 1.5)
    half = RATE_HZ // 2
    assert (curve[:half] == 0.0).all()
    assert np.abs(np.diff(curve)).max() <= 1.0 / LEAST + 1e-6
    assert (curve[half + LEAST - 1 : 2 * half] == 1.0).all()
    assert (curve[2 * half + LEAST - 1 :] == 0.0).all()


def test_a_loop_comes_round_without_drift_and_without_a_jump() -> None:
    rows = ((0.0, 0.0, 0.1), (1.0, 0.15, 0.1))
    curve = timeline(rows, 3.5 * 10, loop=True)
    lap = round(0.35 * RATE_HZ)
    for number in (1, 50, 99):
        again = curve[number * lap : (number + 1) * lap]
        assert np.array_equal(again, curve[lap : 2 * lap])
    assert np.abs(np.diff(curve)).max() <= 1.0 / LEAST + 1e-6
    once = timeline(rows, 1.0)
    assert (once[lap:] == 1.0).all()


def test_many_short_scenes_do_not_drift() -> None:
    """A third of 100 ms is no whole number of frames."""
    rows = [(float(index % 2), 0.0, 0.1 / 3.0) for index in range(64)]
    curve = timeline(rows, 2.5)
    turns = np.flatnonzero((curve[1:] != curve[:-1]) & np.isin(curve[:-1], (0.0, 1.0)))
    expected = np.arange(1, 64) * RATE_HZ * 0.1 / 3.0
    np.testing.assert_allclose(turns + 1, expected, atol=1.0)


def test_a_first_scene_that_takes_time_moves_from_where_the_knob_stands() -> None:
    curve = timeline(((1.0, 1.0, 0.0),), 1.5, knob=0.5)
    assert curve[0] == pytest.approx(0.5, abs=1e-4)
    assert curve[RATE_HZ // 2 - 1] == pytest.approx(0.75)
    assert (curve[RATE_HZ - 1 :] == 1.0).all()


def test_scenes_move_the_tone_and_a_small_tremble_of_the_knob_does_not_end_them() -> None:
    player = steered(path([Scale(1.0)], [Scale(0.5)]), Steering(None, scenes(ARTICLE)), 0.4)
    tremble = 0.4 + 0.9 * TAKEOVER * np.sin(np.arange(6000))
    heard = positions(player, tremble.tolist())
    assert player.scenes_play
    assert heard[1000] == 0.0 and heard[-1] == 1.0
    np.testing.assert_allclose(heard[:5000], timeline(ARTICLE, 7.0)[63::64][:5000], atol=1e-6)


def test_the_knob_takes_over_for_good_without_a_jump() -> None:
    knob = [0.2] * 1500 + [0.3] * 2500 + [0.2] * 2000
    player = steered(path([Scale(1.0)], [Scale(0.5)]), Steering(None, scenes(((1.0, 0.0, 9.0),))))
    player.glide.jump(0.2)
    heard = positions(player, knob)
    assert (heard[:1500] == 1.0).all() and not player.scenes_play
    arrived = 1500 + round(TAKEOVER_S * RATE_HZ / 64) + 2
    np.testing.assert_allclose(heard[arrived:4000], 0.3, atol=1e-6)
    np.testing.assert_allclose(heard[4010:], 0.2, atol=1e-6)
    assert np.abs(np.diff(heard)).max() < 0.3  # a period at most, of 0.7
    assert np.abs(np.diff(heard[1500:arrived])).max() < 0.05


def test_scenes_and_takeover_leave_no_click() -> None:
    rows = ((0.0, 0.0, 0.3), (1.0, 0.0, 0.3), (0.0, 0.2, 0.2), (1.0, 0.0, 5.0))
    sound = sine(110.0, 2 * RATE_HZ)
    player = steered(path([Scale(1.0)], [Scale(-0.5)]), Steering(None, scenes(rows)))
    out = np.zeros_like(sound)
    for start in range(0, sound.shape[1], 64):
        piece = slice(start, start + 64)
        player.process(sound[:, piece], 0.1 if start > 1.5 * RATE_HZ else 0.0, out[:, piece])
    assert not player.scenes_play
    assert click_dbfs(out) < -55.0  # the bound of a knob turned in 5 ms


def test_scenes_begin_again_when_the_preset_is_chosen_again() -> None:
    first = path([Scale(1.0)], [Scale(0.5)])
    first.steering = Steering(None, scenes(((0.0, 0.0, 0.5), (1.0, 0.5, 0.0))))
    player = Player([first, path([Scale(1.0)], [])])
    player.prepare(RATE_HZ, 64)
    assert positions(player, [0.0] * 1000)[-1] == 1.0
    player.select(1)
    assert positions(player, [0.0] * 100)[-1] == 0.0
    player.select(0)
    heard = positions(player, [0.0] * 1000)
    assert heard[300] == 0.0 and 0.0 < heard[500] < 1.0 and heard[-1] == 1.0
    # A knob that was turned meanwhile rests where it is: only a turn from there takes over.
    player.select(1)
    positions(player, [0.7] * 100)
    player.select(0)
    assert positions(player, [0.7] * 1000)[-1] == 1.0 and player.scenes_play


def test_the_playing_adds_to_scenes() -> None:
    follow = Follow(FollowSettings(depth=0.5))
    player = steered(
        path([Scale(1.0)], [Scale(0.5)]), Steering(follow, scenes(((0.25, 0.0, 9.0),)))
    )
    loud = sine(110.0, 64 * 1500)
    loud[:, : 64 * 700] = 0.0
    heard = positions(player, [0.0] * 1500, loud)
    assert heard[600] == 0.25 and heard[-1] == 0.75


def test_nothing_of_ours_is_allocated_per_period() -> None:
    frames = 4096
    steering = Steering(None, scenes(((0.0, 0.1, 0.1), (1.0, 0.1, 0.0)), loop=True))
    steering.prepare(RATE_HZ, frames)
    sound = np.zeros((1, frames), np.float32)
    knob = np.zeros(frames, np.float32)
    tracemalloc.start()
    try:
        worst = 0
        for index in range(60):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            steering.process(sound, 0.0 if index < 50 else 0.5, knob)
            if index:
                worst = max(worst, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert not steering.scenes_play
    assert worst < frames * 4 // 2


@pytest.mark.parametrize("later", [False, True])
def test_in_a_run_the_knob_s_first_reading_is_no_turn(tmp_path: Path, later: bool) -> None:
    """Control may be there before the first period or after it; the knob stands on 0.8."""
    player = steered(path([Scale(1.0)], [Scale(0.5)]), Steering(None, scenes(((0.0, 0.0, 9.0),))))
    socket, meters = tmp_path / "a.sock", tmp_path / "meters"
    port = SimulatedAudio(np.full((1, 64 * 600), 0.5, np.float32), RATE_HZ, 64, None)
    loop = AudioLoop(port, player, Meters(meters), StoppedClock(), Listener(socket))
    script = Script(points=((0.0, 0.8), (0.4, 0.8), (0.5, 0.6)))
    control = scripted_control(script, StoppedClock(), lambda: connect(socket))
    port.open()
    for index in range(600):
        if index >= 20 or not later:
            control.turn()
        if index == 280:
            loop.finish()
            values = read_meters(meters).values
            assert values["scenes"] == 1 and values["position_ppm"] == 0
            assert values["knob_ppm"] == pytest.approx(800_000, abs=10)
        loop.step()
    loop.finish()
    values = read_meters(meters).values
    assert values["scenes"] == 0 and values["position_ppm"] == values["knob_ppm"]


HEAD = 'format = 1\nname = "x"\n[tone.a]\nchain = []\n[tone.b]\nchain = [{ block = "drive" }]\n'


@pytest.mark.parametrize(
    ("morph", "words"),
    [
        ("scenes = [{ position = 1.5 }]", ["morph.scenes[0].position", "1.5"]),
        ("scenes = [{ over_s = 1.0 }]", ["morph.scenes[0].position", "missing"]),
        (
            "scenes = [{ position = 0 }, { position = 1, for_s = -1.0 }]",
            ["morph.scenes[1].for_s", "-1"],
        ),
        ("scenes = [{ position = 0, over_s = inf }]", ["morph.scenes[0].over_s", "inf"]),
        ("scenes = [{ position = 0, fro_s = 1 }]", ["morph.scenes[0].fro_s", "not a key"]),
        ("scenes = 3", ["morph.scenes", "3"]),
        ("scenes_loop = true", ["morph", "scenes_loop", "0.1 s"]),
        ("scenes = [{ position = 0, for_s = 0.05 }]\nscenes_loop = true", ["0.1 s", "0.05 s"]),
        (f"scenes = [{'{ position = 0 },' * 65}]", ["morph.scenes", "64"]),
    ],
)
def test_bad_scenes_are_named_in_one_sentence(tmp_path: Path, morph: str, words: list[str]) -> None:
    file = tmp_path / "p.toml"
    file.write_text(f"{HEAD}[morph]\n{morph}\n")
    with pytest.raises(PresetError) as caught:
        read_preset(file)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith(str(file)) and len(sentence) < 500
    for word in words:
        assert word in sentence


def test_render_plays_the_scenes_and_the_knob_s_options_do_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], guitar: Audio
) -> None:
    preset, phrase = tmp_path / "p.toml", tmp_path / "in.wav"
    rows = "{ position = 0.0, for_s = 0.5 }, { position = 1.0, over_s = 1.0 }"
    preset.write_text(f"{HEAD}[morph]\nscenes = [{rows}]\n")
    soundfile.write(phrase, guitar[0], RATE_HZ, subtype="FLOAT")
    sounds, figures = {}, {}
    for name, options in (
        ("scenes", ["--scenes"]),
        ("a", ["--position", "0"]),
        ("b", ["--position", "1"]),
    ):
        out = tmp_path / f"{name}.wav"
        arguments = ["render", str(phrase), str(out), "--preset", str(preset), "--json", *options]
        assert main(arguments) == 0
        figures[name] = json.loads(capsys.readouterr().out.splitlines()[-1])["position"]
        sounds[name] = soundfile.read(out, dtype="float32")[0]
    assert np.array_equal(sounds["scenes"][:24000], sounds["a"][:24000])
    assert np.array_equal(sounds["scenes"][72000:], sounds["b"][72000:])
    assert not np.array_equal(sounds["scenes"][48000:60000], sounds["b"][48000:60000])
    assert figures["scenes"] == {"lowest": 0.0, "mean": pytest.approx(0.5, abs=0.01), "highest": 1}
    assert figures["a"] == {"lowest": 0.0, "mean": 0.0, "highest": 0.0}


def test_render_with_scenes_asks_for_a_preset_that_has_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], guitar: Audio
) -> None:
    phrase, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(phrase, guitar[0], RATE_HZ, subtype="FLOAT")
    preset = str(bundled_presets()[0])
    assert main(["render", str(phrase), str(out), "--preset", preset, "--scenes"]) == 2
    error = capsys.readouterr().err
    assert "no scenes" in error and error.count("\n") == 1 and not out.exists()


def test_a_run_plays_scenes_undisturbed_and_reports_what_was_played(
    tmp_path: Path, guitar: Audio, capsys: pytest.CaptureFixture[str]
) -> None:
    """No knob is scripted: it rests, so that the scenes are heard."""
    preset, phrase = tmp_path / "p.toml", tmp_path / "in.wav"
    rows = "{ position = 0.0, for_s = 0.5 }, { position = 0.75, over_s = 1.0 }"
    preset.write_text(f"{HEAD}[morph]\nscenes = [{rows}]\n")
    soundfile.write(phrase, guitar[0], RATE_HZ, subtype="FLOAT")
    out = tmp_path / "out"
    command = ["run", "--input", str(phrase), "--preset", str(preset), "--out", str(out), "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["knob"] == {"lowest": 0.0, "highest": 0.0} and figures["steered"] is True
    assert figures["position"] == {"lowest": 0.0, "highest": 0.75}
    assert "moved by scenes" in (out / "report.html").read_text()
