"""What a bank that is loaded beside another is made of: kept parts, pauses, pieces."""

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.ahead import TRIED_S, tried
from device.config import bundled_presets
from device.errors import LinkError, PresetError
from device.kept import KeptNetworks, Store, for_period
from device.plain import dataclass
from device.preset import read_preset
from device.processes.dismantle import dismantle
from device.processes.pace import Pace
from device.processes.spawn import Child
from device.sound.networks import MadeNetworks, stage_network
from device.sound.player import Player
from hil.virtual.captures import write_capture
from models.nam.capture import read_capture
from models.nam.graph import streaming_onnx
from models.runtime import StreamingModel
from models.stage.colour import Colour
from models.stage.model import StageModel
from models.units import Audio
from tests.conftest import ROOT, plucked
from tests.device.parts import Scale, path
from tests.device.signal import play

PERIOD, RATE_HZ = 64, 48000
CAPTURES = """
format = 1
name = "Two captures"
[tone.a]
chain = [{{ block = "nam", file = "a.nam" }}, {{ block = "cab", file = "{cab}" }}]
[tone.b]
chain = [{{ block = "nam", file = "{b}.nam" }}, {{ block = "cab", file = "{cab}" }}]
[morph]
engine = "crossfade"
path = "direct"
"""


# Kept parts.


@pytest.mark.parametrize("other", ["b", "slow"])
def test_a_preset_of_kept_parts_sounds_the_same_to_the_last_bit(tmp_path: Path, other: str) -> None:
    """As one network or, at another rate, as two."""
    for seed, name in enumerate(("a", "b")):
        (tmp_path / f"{name}.nam").write_text(write_capture(seed))
    slow = (tmp_path / "b.nam").read_text().replace('"sample_rate": 48000', '"sample_rate": 44100')
    (tmp_path / "slow.nam").write_text(slow)
    cab = ROOT / "device" / "presets" / "open-1x12.flac"
    file = tmp_path / "preset.toml"
    file.write_text(CAPTURES.format(cab=cab, b=other))
    store = Store(tmp_path / "kept")
    sounds = []
    for networks in (None, KeptNetworks(store, make=True), KeptNetworks(store, make=False)):
        player = Player([read_preset(file, networks=networks).path()])
        player.prepare(RATE_HZ, PERIOD, 0.5)
        sounds.append(play(player, plucked(9600), PERIOD, 0.5))
    assert np.abs(sounds[0]).max() > 1e-4
    assert np.array_equal(sounds[0], sounds[1]) and np.array_equal(sounds[0], sounds[2])


@pytest.mark.parametrize("period", [32, 64, 100, 1024])
def test_the_stage_network_is_kept_for_every_period(tmp_path: Path, period: int) -> None:
    store = Store(tmp_path)
    KeptNetworks(store, make=True).stage(None, period)
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 1, 40 * period)).astype(np.float32) * 0.1
    sounds = []
    for network in (stage_network(), KeptNetworks(store, make=False).stage(None, period)):
        model = StageModel(network, Colour.plain(), period)
        out = np.zeros_like(a)
        for start in range(0, a.shape[1], period):
            piece = slice(start, start + period)
            at = np.full(period, 0.5, np.float32)
            model.process(a[:, piece], b[:, piece], at, out[:, piece])
        sounds.append(out)
    assert np.array_equal(sounds[0], sounds[1])


def test_a_network_fixed_to_a_period_is_fixed_once(tmp_path: Path) -> None:
    (tmp_path / "a.nam").write_text(write_capture())
    graph = streaming_onnx(read_capture(tmp_path / "a.nam"))
    once = for_period(graph, PERIOD)
    sound = plucked(6400)
    heard = []
    for model in (graph, once, for_period(once, PERIOD)):
        network = StreamingModel(model, PERIOD)
        out = np.zeros_like(sound)
        for start in range(0, 6400, PERIOD):
            network.process(sound[:, start : start + PERIOD], out[:, start : start + PERIOD])
        heard.append(out)
    assert np.array_equal(heard[0], heard[1]) and np.array_equal(heard[0], heard[2])


def test_what_is_not_kept_is_not_made_beside_a_bank_that_sounds(tmp_path: Path) -> None:
    (tmp_path / "a.nam").write_text(write_capture())
    strict = KeptNetworks(Store(tmp_path / "kept"), make=False)
    asked: list[Callable[[], object]] = [
        lambda: strict.capture(tmp_path / "a.nam", 1.0),
        lambda: strict.stage(None, PERIOD),
        lambda: strict.response(tmp_path / "none.wav", RATE_HZ, PERIOD),
    ]
    for ask in asked:
        with pytest.raises(PresetError, match="was not laid out before"):
            ask()
    assert MadeNetworks().response(tmp_path / "none.wav", RATE_HZ, PERIOD) is None


@given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_file_is_as_good_as_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, change: int
) -> None:
    store = Store(tmp_path_factory.mktemp("kept"))
    key = store.key("x", 1)
    assert store.read(key) is None
    store.write(key, {"a": 1.5}, content)
    assert store.read(key) == ({"a": 1.5}, content)
    data = bytearray(store.file(key).read_bytes())
    data[at % len(data)] ^= change
    store.file(key).write_bytes(bytes(data))
    assert store.read(key) is None
    store.file(key).write_bytes(bytes(data[: at % len(data)]))
    assert store.read(key) is None


def test_what_was_not_used_for_longest_is_removed_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for age, key in enumerate(("new", "old", "oldest")):
        store.write(key, {}, bytes(1000))
        os.utime(store.file(key), (1e9 - age, 1e9 - age))
    store.use("oldest")
    store.trim(2500)
    assert [store.read(each) is None for each in ("new", "old", "oldest")] == [False, True, False]
    store.trim(0)
    assert list(tmp_path.iterdir()) == []


# Tried before it is played.


def test_a_preset_that_fails_where_nobody_hears_it_is_named() -> None:
    def told(**fault: int) -> str:
        made = path([Scale(0.5, **fault)], [Scale()])
        made.prepare(RATE_HZ, PERIOD)
        return tried(made, RATE_HZ, PERIOD)

    assert told() == ""
    assert "a defect" in told(raise_at=40)
    assert "is no number" in told(nan_at=40)


@pytest.mark.parametrize(("share", "slow"), [(0.9, False), (1.1, True)])
def test_a_preset_that_takes_longer_than_its_periods_is_too_slow(share: float, slow: bool) -> None:
    now_ns = 0

    def clock() -> int:
        nonlocal now_ns
        now_ns += round(share * 1e9 * PERIOD / RATE_HZ)
        return now_ns

    made = path([Scale(0.5)], [Scale()])
    made.prepare(RATE_HZ, PERIOD)
    assert ("too slow" in tried(made, RATE_HZ, PERIOD, clock)) == slow
    assert made.tone_a.blocks[0].period == round(TRIED_S * RATE_HZ / PERIOD)  # type: ignore[attr-defined]


# Pauses.


def test_a_thread_in_the_pauses_of_a_loop_stands_still_between_them() -> None:
    """Whatever it does: what it computes between two pauses is a small part of all."""
    pace, done = Pace(), threading.Event()
    counted = [0]

    def step() -> None:
        counted[0] += 1

    def compute() -> None:
        with pace.kept():
            while not done.is_set():
                step()

    started = time.perf_counter()
    for _ in range(100_000):
        step()
    step_s = (time.perf_counter() - started) / 100_000
    counted[0] = 0
    thread = threading.Thread(target=compute)
    thread.start()
    seen = []
    try:
        for _ in range(50):
            while not pace.waiting:
                time.sleep(0.0001)
            before = counted[0]
            time.sleep(0.002)
            if pace.waiting:
                assert counted[0] == before, "it waits"
            pace.period_ended()
            seen.append(counted[0])
    finally:
        done.set()
        pace.period_ended()
        thread.join()
    assert sys.getprofile() is None
    steps = np.diff(seen)
    # Looking at the clock at every call makes a step longer, never shorter.
    assert 0 < np.median(steps) * step_s < 0.001


def test_a_thread_goes_on_where_the_loop_does_not() -> None:
    pace = Pace()
    with pace.kept():
        for _ in range(20_000):
            str(1)
    assert pace.waiting, "it has rested, and nobody told it to go on"


# Another process.


def test_a_process_is_started_waited_for_and_ended() -> None:
    ended = Child([sys.executable, "-c", "import sys; sys.exit(3)"])
    assert ended.wait(60.0) == 3
    sleeping = Child([sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(TimeoutError):
        sleeping.wait(0.1)
    with pytest.raises(LinkError, match="cannot be started"):
        Child(["/none/at/all"])


# Pieces.


@dataclass(frozen=True)
class Shared:
    """A record that others have, too."""

    values: tuple[int, ...] = (1, 2)


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held
        self.itself = [self]


def test_a_bank_is_taken_to_pieces_and_what_others_share_is_left() -> None:
    shared = Shared()
    sound = np.zeros(1000, np.float32)
    inner = Holder((sound, shared))
    outer = Holder({"inner": inner, "function": play, "number": 1})
    gone = [weakref.ref(outer), weakref.ref(inner)]
    rests: list[int] = []
    gc.disable()
    try:
        things: list[object] = [outer]
        del outer, inner
        dismantle(things, lambda: rests.append(1))
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()
    assert shared == Shared() and things == [] and rests and sys.getrefcount(sound) == 2


def test_every_bundled_preset_is_freed_and_a_second_one_plays_the_same(guitar: Audio) -> None:
    """Nothing that a second bank needs goes with the first."""
    files = [bundled_presets()[index] for index in (3, 5)]
    sounds = []
    gc.disable()
    try:
        for _ in range(2):
            paths = [read_preset(file).path() for file in files]
            player = Player(paths)
            player.prepare(RATE_HZ, PERIOD, 0.3)
            sounds.append(play(player, guitar[:, :9600], PERIOD, 0.3))
            seen = [weakref.ref(block) for each in paths for block in each.tone_a.blocks]  # type: ignore[union-attr]
            things: list[object] = list(player.bank)
            del player, paths
            dismantle(things, lambda: None)
            assert seen and all(each() is None for each in seen)
    finally:
        gc.enable()
    assert np.array_equal(sounds[0], sounds[1])
