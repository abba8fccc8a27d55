"""The studio engine as a player meets it: presets, bundles, offline commands, a repeatable run."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.__main__ import main
from device.config import load_config
from device.direction import found_direction
from device.errors import PresetError
from device.plain import replace
from device.prepare import is_found
from device.preset import read_preset
from device.processes.engine_state import EngineState, read_state, write_state
from device.processes.meters import Meters, read_meters
from device.processes.supervisor import PROCESSES
from device.sound.morph.studio_feed import StudioFeed, timing_of
from device.sound.player import Player
from device.status import status_lines
from device.studio import USUAL, read_studio
from models.errors import ModelError
from models.manifest import Bundle
from models.music2latent.stream import StreamSettings
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, play, sine
from tests.device.studio_parts import tiny_bundle
from tests.models.studio_support import PassCodec

PRESET = """
format = 1
name = "Studio"
[tone.a]
chain = [{ block = "gain", gain_db = -3.0 }]
[tone.b]
chain = [{ block = "drive", drive_db = 12.0 }]
[morph]
engine = "studio"
path = "direct"
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    file = tmp_path / "studio.toml"
    file.write_text(PRESET)
    return file


@pytest.fixture
def recordings(tmp_path: Path, guitar: Audio) -> tuple[Path, Path]:
    """A second of one performance, clean and driven."""
    files = tmp_path / "a.wav", tmp_path / "b.wav"
    clean = guitar[0, :48000]
    for file, sound in zip(files, (0.5 * clean, 0.6 * np.tanh(20.0 * clean)), strict=True):
        soundfile.write(file, sound.astype(np.float32), 48000, subtype="FLOAT")
    return files


def read(file: Path) -> Audio:
    return np.asarray(soundfile.read(file, dtype="float32")[0])


def test_morph_of_two_recordings_has_their_length_and_exact_ends(
    bundle: Bundle, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    made = {}
    for name, options in (
        ("a", ["--position", "0"]),
        ("b", ["--position", "1"]),
        ("middle", []),
        ("overlapped", ["--hop-frames", "8"]),
        ("sweep", ["--sweep"]),
    ):
        target = tmp_path / f"at {name}.wav"
        files = [str(file) for file in (*recordings, target)]
        studio = ["--engine", "studio", "--bundle", str(bundle.folder)]
        assert main(["morph", *files, *studio, *options]) == 0
        made[name] = read(target)
    a, b = (read(file) for file in recordings)
    assert np.array_equal(made["a"], a) and np.array_equal(made["b"], b)
    assert np.array_equal(made["sweep"][:4800], a[:4800])
    assert np.array_equal(made["sweep"][-4800:], b[-4800:])
    for name in ("middle", "overlapped", "sweep"):
        assert made[name].shape == a.shape and np.isfinite(made[name]).all()
    assert not np.array_equal(made["middle"], made["overlapped"]), "a window is another context"
    assert np.abs(made["middle"] - 0.5 * (a + b)).max() > 0.01, "it is no crossfade"


def test_morph_is_aligned_to_the_frame_whatever_the_hop(
    recordings: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    """With a network that hands tone A through, the output is tone A at its own place."""
    monkeypatch.setattr("models.plan.open_codec", lambda *_, **__: PassCodec(16))
    a = read(recordings[0])
    for hop in ("16", "3"):
        target = tmp_path / "out.wav"
        files = [str(file) for file in (*recordings, target)]
        options = ["--engine", "studio", "--bundle", str(bundle.folder), "--hop-frames", hop]
        assert main(["morph", *files, *options]) == 0
        # The converter to 44.1 kHz and back passes what lies below its edge.
        error = read(target)[1000:-1000] - a[1000:-1000]
        assert 20 * np.log10(np.std(error) / np.std(a)) < -50.0


def test_render_and_tone_agree_byte_for_byte_at_the_ends(
    bundle: Bundle, preset: Path, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    source = str(recordings[0])
    studio = ["--preset", str(preset), "--bundle", str(bundle.folder)]
    for position, side in (("0", "a"), ("1", "b")):
        whole, alone = tmp_path / f"{side}1.wav", tmp_path / f"{side}2.wav"
        assert main(["render", source, str(whole), *studio, "--position", position]) == 0
        assert main(["tone", source, str(alone), *studio, "--side", side]) == 0
        assert whole.read_bytes() == alone.read_bytes()


@pytest.mark.whole
def test_a_run_is_repeatable_and_is_what_render_makes(
    bundle: Bundle,
    preset: Path,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pedal.toml").write_text(
        f'[studio]\nbundle = "{bundle.folder}"\n[knob]\npoints = [[0.0, 0.5]]\n'
    )
    for run in ("one", "two"):
        command = ["run", "--config", str(tmp_path / "pedal.toml"), "--preset", str(preset)]
        command += ["--input", str(recordings[0]), "--out", str(tmp_path / run), "--json"]
        assert main(command) == 0
    counters = json.loads(capsys.readouterr().out.splitlines()[-1])["counters"]
    counted = {name for name, count in counters.items() if count} - {"deadline_misses"}
    assert counted == {"periods"}
    one, two = ((tmp_path / run / "run.wav").read_bytes() for run in ("one", "two"))
    assert one == two
    rendered = tmp_path / "rendered.wav"
    arguments = ["render", str(recordings[0]), str(rendered), "--preset", str(preset)]
    assert main([*arguments, "--config", str(tmp_path / "pedal.toml"), "--position", "0.5"]) == 0
    live, offline = read(tmp_path / "one" / "run.wav"), read(rendered)
    assert np.array_equal(live, offline)


def test_a_run_without_a_bundle_plays_the_stage_engine_and_counts_it(
    preset: Path,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = ["run", "--preset", str(preset), "--input", str(recordings[0]), "--json"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    output, error = capfd.readouterr()
    result = json.loads(output.splitlines()[-1])
    assert result["counters"]["studio_absent_periods"] == result["counters"]["periods"]
    assert "the stage engine plays in the studio engine's place" in error
    timing = timing_of(USUAL, 48000)
    assert result["latency_frames"] == timing.latency_frames(48000, 64)
    assert np.abs(read(tmp_path / "out" / "run.wav")).max() > 0.05


@pytest.mark.parametrize(
    ("command", "damage"),
    [
        *itertools.product(["render", "morph", "run"], ["gone", "foreign", "hash"]),
        *itertools.product(["render", "run"], ["precision"]),
    ],
)
def test_a_bundle_that_cannot_be_played_is_one_sentence(
    command: str,
    damage: str,
    bundle: Bundle,
    preset: Path,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "damaged"
    if damage != "gone":
        shutil.copytree(bundle.folder, folder)
    if damage == "foreign":
        (folder / "manifest.json").write_text('{"format": 2}')
    elif damage == "hash":
        graph = folder / "decoder.fp32.onnx"
        content = bytearray(graph.read_bytes())
        content[1000] ^= 1
        graph.write_bytes(content)
    config = tmp_path / "pedal.toml"
    precision = "int8" if damage == "precision" else "fp32"
    config.write_text(f'[studio]\nprecision = "{precision}"\nbundle = "damaged"\n')
    a, b = (str(file) for file in recordings)
    target = str(tmp_path / "out.wav")
    arguments = {
        "render": ["render", a, target, "--preset", str(preset), "--position", "0.5"],
        "morph": ["morph", a, b, target, "--engine", "studio", "--bundle", str(folder)],
        "run": ["run", "--preset", str(preset), "--input", a],
    }[command]
    if command != "morph":
        arguments += ["--config", str(config)]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"python -m device {command}: ")
    assert not Path(target).exists()


def test_offline_commands_ask_for_a_bundle(
    preset: Path,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a, b = (str(file) for file in recordings)
    target = str(tmp_path / "out.wav")
    assert main(["morph", a, b, target, "--engine", "studio"]) == 2
    assert "--bundle" in capsys.readouterr().err
    assert main(["render", a, target, "--preset", str(preset), "--sweep"]) == 2
    assert "--bundle" in capsys.readouterr().err
    with pytest.raises(PresetError, match="--bundle"):
        read_preset(preset).path()


@pytest.mark.parametrize("hop", ["0", "-1", "17", "10000"])
def test_a_hop_that_does_not_fit_is_one_sentence(
    hop: str,
    bundle: Bundle,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [str(file) for file in (*recordings, tmp_path / "out.wav")]
    options = ["--engine", "studio", "--bundle", str(bundle.folder), f"--hop-frames={hop}"]
    assert main(["morph", *files, *options]) == 2
    error = capsys.readouterr().err
    assert "expected 1 to the window's 16" in error and error.count("\n") == 1


def test_pedal_toml_names_the_bundle_relative_to_itself_and_its_hop(
    bundle: Bundle, tmp_path: Path
) -> None:
    file = tmp_path / "pedal.toml"
    shutil.copytree(bundle.folder, tmp_path / "net")
    file.write_text('[studio]\nbundle = "net"\nhop_frames = 3\ncpus = [0]\n')
    config = load_config(file, runtime=tmp_path)
    assert config.bundle == tmp_path / "net"
    studio = read_studio(tmp_path / "net", config.table.studio)
    assert studio.settings == StreamSettings(hop_frames=3) and studio.precision == "fp32"
    other = load_config(file, runtime=tmp_path, bundle=bundle.folder)
    assert other.bundle == bundle.folder
    with pytest.raises(ModelError, match="int8"):
        read_studio(tmp_path / "net", replace(config.table.studio, precision="int8"))


def test_a_shorter_hop_answers_sooner(bundle: Bundle) -> None:
    studio = read_studio(bundle.folder)
    latencies = [
        timing_of(studio.with_hop(hop).settings, 48000).latency_frames(48000, 64)
        for hop in (1, 2, 4, 8, 16)
    ]
    assert latencies == sorted(latencies) and latencies[0] < 0.1 * 48000 < latencies[-1]


def test_tones_of_one_shape_need_no_network(preset: Path) -> None:
    same = PRESET.replace("drive_db = 12.0", "gain_db = 3.0").replace('"drive"', '"gain"')
    preset.write_text(same.replace('path = "direct"', ""))
    read_preset(preset).path()
    assert not read_preset(preset).plays_studio


def test_status_tells_what_computes(tmp_path: Path) -> None:
    meters = Meters(tmp_path / "meters")
    for name, value in (("studio", 1), ("studio_heard", 1), ("rate_hz", 48000)):
        meters.store(name, value)
    state = EngineState(
        pid=1,
        provider="TensorRT 10.3",
        precision="int8",
        bundle="guitars",
        window_frames=16,
        hop_frames=8,
        hop_ms=92.88,
    )
    write_state(tmp_path / "engine.json", state)
    assert read_state(tmp_path / "engine.json") == state
    text = "\n".join(status_lines(read_meters(tmp_path / "meters"), state))
    assert "the studio sound is heard; engine process absent" in text
    assert "TensorRT 10.3, int8, guitars" in text
    for content in (b"", b"{", b"[]", b'{"pid": 1}', b"\xff" * 9000):
        (tmp_path / "engine.json").write_bytes(content)
        assert read_state(tmp_path / "engine.json") is None


def test_the_engine_is_a_process_the_pedal_plays_without() -> None:
    assert [each.name for each in PROCESSES if not each.needed] == ["engine"]


def test_a_preset_with_latency_is_changed_to_without_a_hole() -> None:
    """It is played unheard until it has a sound; then it fades in as ever."""
    player = Player([path([Scale(1.0)], []), path([Scale(0.5, 4000)], [])])
    player.prepare(48000, 64)
    sound = sine(110.0, 64 * 750)
    out = np.zeros_like(sound)
    for start in range(0, out.shape[1], 64):
        player.select(int(start >= 9600))
        piece = slice(start, start + 64)
        player.process(sound[:, piece], 0.0, out[:, piece])
    assert np.array_equal(out[:, : 9600 + 4000], sound[:, : 9600 + 4000])
    assert np.array_equal(out[:, -9600:], 0.5 * sound[:, -9600 - 4000 : -4000])
    assert click_dbfs(out) < -60.0


def test_a_preset_that_is_not_heard_yet_is_left_at_once() -> None:
    paths = [path([Scale(1.0)], []), path([Scale(0.5, 4000)], []), path([Scale(0.25)], [])]
    player = Player(paths)
    player.prepare(48000, 64)
    sound = sine(110.0, 64 * 300)
    assert np.array_equal(play(player, sound[:, :640], 64, 0.0), sound[:, :640])
    player.select(1)
    play(player, sound[:, :640], 64, 0.0)
    player.select(0)
    assert np.array_equal(play(player, sound, 64, 0.0), sound)
    player.select(1)
    play(player, sound[:, :640], 64, 0.0)
    player.select(2)
    assert np.array_equal(play(player, sound, 64, 0.0)[:, 640:], 0.25 * sound[:, 640:])
    assert player.preset_changes == 3 and player.active == 2


def test_what_a_gap_has_spoiled_is_not_given() -> None:
    """Behind a gap the first frame given is that of a stream which was never interrupted."""
    sound = np.random.default_rng(0).normal(size=(1, 64_000)).astype(np.float32) * 0.1
    half = np.full(64, 0.5, np.float32)

    def given(missing: range) -> dict[int, float]:
        feed = StudioFeed(PassCodec(16), StreamSettings(), 48000, 64)
        got: dict[int, float] = {}
        target = np.zeros((1, 1024), np.float32)
        for start in range(0, sound.shape[1], 64):
            if start in missing:
                continue
            piece = sound[:, start : start + 64]
            feed.push(1, start, piece, piece, half)
            while count := feed.pull(target):
                got.update(enumerate(target[0, :count].tolist(), feed.frame))
        return got

    whole, broken = given(range(0)), given(range(12_800, 12_800 + 640))
    behind = [frame for frame in broken if frame >= 12_800]
    assert behind and min(behind) > 12_800 + 640
    assert all(broken[frame] == whole[frame] for frame in broken if frame < 12_800)
    errors = [abs(broken[frame] - whole[frame]) for frame in behind]
    assert max(errors) < 1e-6 and len(behind) > 20_000


DIRECTION = """
format = 1
name = "More drive"
[tone.a]
chain = [{ block = "gain", gain_db = -3.0 }]
[tone.b]
chain = []
[morph]
engine = "studio"
direction = { from = "a.wav", to = "b.wav", amount = 1.0 }
"""


def test_a_direction_makes_tone_b_of_tone_a(
    bundle: Bundle, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    """Tone A is itself; what is added to its latents is heard at the other end, by its amount."""
    source = str(recordings[0])
    file = tmp_path / "direction.toml"
    made = {}
    for amount in ("1.0", "0.0", "2.0"):
        file.write_text(DIRECTION.replace("amount = 1.0", f"amount = {amount}"))
        for position in ("0", "1"):
            target = tmp_path / "out.wav"
            options = ["--preset", str(file), "--bundle", str(bundle.folder)]
            assert main(["render", source, str(target), *options, "--position", position]) == 0
            made[amount, position] = read(target)
    clean = read(recordings[0]) * np.float32(10 ** (-3 / 20))
    for amount in ("1.0", "0.0", "2.0"):
        np.testing.assert_allclose(made[amount, "0"], clean, atol=1e-6)
    none, once, twice = (made[amount, "1"] for amount in ("0.0", "1.0", "2.0"))
    assert np.abs(none - once).max() > 1e-4 and np.abs(once - twice).max() > 1e-4
    assert all(np.isfinite(each).all() and np.abs(each).max() > 0 for each in (none, once, twice))


def test_a_direction_is_found_once_and_turns_with_its_recordings(
    bundle: Bundle, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "direction.toml"
    file.write_text(DIRECTION)
    network, cache = read_studio(bundle.folder), tmp_path / "cache"
    preset = read_preset(file)
    assert not is_found(preset, 48000, None, cache, network)
    there = found_direction(preset, network, cache)
    assert is_found(preset, 48000, None, cache, network)
    assert there.shape == (64, 1) and np.abs(there).max() > 1e-3
    kept = {each.name: each.stat().st_mtime_ns for each in cache.iterdir()}
    file.write_text(DIRECTION.replace("amount = 1.0", "amount = -0.5"))
    assert np.array_equal(found_direction(read_preset(file), network, cache), -0.5 * there)
    assert {each.name: each.stat().st_mtime_ns for each in cache.iterdir()} == kept
    file.write_text(
        DIRECTION.replace('from = "a.wav", to = "b.wav"', 'from = "b.wav", to = "a.wav"')
    )
    back = found_direction(read_preset(file), network, cache)
    np.testing.assert_allclose(back, -there, atol=1e-6)
    file.write_text(DIRECTION.replace('"b.wav"', '"a.wav"'))
    assert not found_direction(read_preset(file), network, cache).any()


def test_a_run_with_a_direction_is_what_render_makes(
    bundle: Bundle, recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    """The change reaches the engine process over its link."""
    file = tmp_path / "direction.toml"
    file.write_text(DIRECTION)
    (tmp_path / "pedal.toml").write_text(
        f'[studio]\nbundle = "{bundle.folder}"\n[knob]\npoints = [[0.0, 1.0]]\n'
    )
    studio = ["--config", str(tmp_path / "pedal.toml"), "--preset", str(file)]
    source, out = str(recordings[0]), tmp_path / "out"
    assert main(["run", *studio, "--input", source, "--out", str(out)]) == 0
    rendered = tmp_path / "rendered.wav"
    assert main(["render", source, str(rendered), *studio, "--position", "1"]) == 0
    assert np.array_equal(read(out / "run.wav"), read(rendered))


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ('engine = "studio"', 'engine = "stage"', "direction needs engine"),
        ("chain = []", 'chain = [{ block = "gain", gain_db = 0.0 }]', "tone.b.chain = []"),
        ("amount = 1.0", "amount = 5.0", "amount"),
        ("amount = 1.0", "more = 1.0", "more"),
        ('from = "a.wav", ', "", "from"),
        ('from = "a.wav"', 'from = "gone.wav"', "gone.wav"),
        ('from = "a.wav"', 'from = "short.wav"', "longer phrase"),
    ],
)
def test_a_direction_that_cannot_be_is_one_sentence(
    was: str,
    now: str,
    says: str,
    bundle: Bundle,
    recordings: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(4800, np.float32), 48000)
    file = tmp_path / "direction.toml"
    file.write_text(DIRECTION.replace(was, now))
    target = str(tmp_path / "out.wav")
    options = ["--preset", str(file), "--bundle", str(bundle.folder), "--position", "1"]
    assert main(["render", str(recordings[0]), target, *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_tone_b_of_a_direction_is_rendered_with_its_engine(
    recordings: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "direction.toml"
    file.write_text(DIRECTION)
    target = str(tmp_path / "out.wav")
    options = ["--preset", str(file), "--side"]
    assert main(["tone", str(recordings[0]), target, *options, "b"]) == 2
    assert "--position 1" in capsys.readouterr().err
    assert main(["tone", str(recordings[0]), target, *options, "a"]) == 0
