"""Dry at once, wet when it is loaded: the loop with a bank that is still on its way."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from device.bank import loaded_bank
from device.boards.simulated import PortFaults, SimulatedAudio
from device.engine_kinds import Ceiling
from device.processes.audio import AudioLoop
from device.processes.bank_report import BankEntry, BankReport, read_bank, write_bank
from device.processes.link import ControlState, Heartbeat, Link, Listener, connect
from device.processes.loading import Candidate, Loaded, Loader
from device.processes.meters import Meters, Reading, read_meters
from device.sound.dry import DryPath
from device.sound.path import SoundPath
from device.sound.player import Player
from models.units import Audio
from tests.device.parts import Scale, path
from tests.device.signal import click_dbfs, sine
from tests.device.test_processes import StoppedClock

PERIOD = 64
GOOD = """
format = 1
name = "Good"
[tone.a]
chain = [{ block = "gain", gain_db = -6.0 }]
[tone.b]
chain = [{ block = "drive" }]
[morph]
engine = "crossfade"
path = "direct"
"""


class Source:
    """A bank that comes when the test says so."""

    def __init__(self) -> None:
        self.loaded: Loaded | None = None
        self.failure: BaseException | None = None
        self.offered: deque[Candidate] = deque()
        self.rejected = 0
        self.looks = 0
        self.heard: list[Candidate] = []
        self.gone: list[Candidate] = []

    def period_ended(self) -> None:
        pass

    def look(self) -> None:
        self.looks += 1

    def on_air(self, candidate: Candidate) -> None:
        self.heard.append(candidate)

    def left(self, candidate: Candidate) -> None:
        self.gone.append(candidate)

    def take(self) -> Loaded | None:
        loaded, self.loaded = self.loaded, None
        return loaded


class Rig:
    """A loop that begins without presets, and control's end of its link."""

    def __init__(self, folder: Path, sound: Audio, faults: PortFaults | None = None) -> None:
        self.source = Source()
        self.port = SimulatedAudio(sound, 48000, PERIOD, faults)
        self.file = folder / "meters"
        self.lives = 0
        self.listener = Listener(folder / "s")
        self.loop = AudioLoop(
            self.port,
            None,
            Meters(self.file),
            StoppedClock(),
            self.listener,
            source=self.source,
            life=self,
            age_ms=lambda: 1000 + int(self.loop._heartbeat.periods),
        )
        self.port.open()
        link = connect(folder / "s")
        assert link is not None
        self.link: Link = link
        self.state = ControlState()
        self.heartbeat = Heartbeat()

    def alive(self) -> None:
        self.lives += 1

    def say(self, **fields: object) -> None:
        for name, value in fields.items():
            setattr(self.state, name, value)
        self.link.send(self.state.pack())

    def play(self, periods: int) -> Heartbeat:
        for _ in range(periods):
            assert self.loop.step()
        self.link.receive(self.heartbeat)
        return self.heartbeat

    def load(self, *paths: SoundPath | DryPath, problems: dict[int, str] | None = None) -> None:
        player = Player(paths)
        player.prepare(48000, PERIOD)
        self.source.loaded = Loaded(player, {}, problems or {})

    def close(self) -> None:
        self.link.close()
        self.listener.close()
        if self.loop._link is not None:
            self.loop._link.close()

    @property
    def played(self) -> Audio:
        return self.port.played

    def reading(self) -> Reading:
        self.loop.finish()
        return read_meters(self.file)


Make = Callable[..., Rig]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes the test's one rig."""
    made: list[Rig] = []

    def rig(sound: Audio, faults: PortFaults | None = None) -> Rig:
        made.append(Rig(tmp_path, sound, faults))
        return made[0]

    yield rig
    made[0].close()


def period(index: int) -> int:
    return index * PERIOD


def test_the_guitar_is_dry_until_the_bank_is_there_and_then_comes_without_a_click(
    make: Make,
) -> None:
    sound = sine(110.0, 48000)
    rig = make(sound)
    rig.say(position=1.0)
    heartbeat = rig.play(100)
    assert heartbeat.loading and heartbeat.presets == 0 and heartbeat.periods >= 96
    assert np.array_equal(rig.played[:, : period(100)], sound[:, : period(100)])
    values = rig.reading().values
    assert values["loading"] == 1 and values["loading_periods"] == 100
    assert values["dry_after_ms"] == 1001 and values["wet_after_ms"] == 0
    late = 150  # the tone comes late, and is not heard before
    rig.load(path([Scale(1.0, late)], [Scale(-0.5, late)]))
    heartbeat = rig.play(600)
    assert not heartbeat.loading and heartbeat.presets == 1 and heartbeat.latency_frames == late
    values = rig.reading().values
    assert values["loading"] == 0 and values["loading_periods"] == 100
    # Three periods of latency, ten of 10 ms in which it is faded in (8 periods).
    assert 1110 <= values["wet_after_ms"] <= 1112
    wet = slice(period(115), period(700))
    expected = -0.5 * sound[:, period(115) - late : period(700) - late]
    np.testing.assert_allclose(rig.played[:, wet], expected, atol=1e-6)
    assert click_dbfs(rig.played[:, : period(700)]) < -60.0
    assert rig.lives == 700 // rig.loop._heartbeat_periods


def test_what_was_asked_for_meanwhile_is_what_it_begins_with(make: Make) -> None:
    rig = make(np.full((1, 48000), 0.5, np.float32))
    rig.say(position=0.25, preset=1)
    rig.play(5)
    rig.say(position=1.0, preset=2)
    rig.play(5)
    rig.load(*(path([Scale(0.0)], [Scale(gain)]) for gain in (0.1, 0.2, 0.4)))
    heartbeat = rig.play(30)
    assert heartbeat.preset == 2 and rig.played[0, period(39)] == np.float32(0.2)
    # Neither a change of preset nor a turn of the knob was heard on the way there.
    assert rig.reading().values["preset_changes"] == 0
    assert np.diff(rig.played[0, : period(40)]).max() < 1e-6


def test_a_preset_that_the_bank_does_not_hold_is_refused_and_the_first_plays(
    make: Make,
) -> None:
    rig = make(np.full((1, 6400), 0.5, np.float32))
    rig.say(preset=7)
    rig.play(3)
    rig.load(path([Scale(0.5)], []))
    rig.play(40)
    assert rig.reading().values["preset_refused"] == 1
    assert rig.played[0, period(42)] == 0.25


def test_an_absent_interface_does_not_keep_the_bank_from_coming(make: Make) -> None:
    rig = make(sine(110.0, 6400), PortFaults(absent=range(100)))
    rig.say(position=0.0)
    heartbeat = rig.play(20)
    assert heartbeat.absent and heartbeat.loading and heartbeat.periods >= 16
    rig.load(path([Scale()], []))
    heartbeat = rig.play(20)
    assert heartbeat.absent and not heartbeat.loading
    assert rig.reading().values["dry_after_ms"] == 0  # nobody heard anything yet
    assert rig.lives > 0


def test_a_bank_that_never_comes_leaves_the_guitar_dry(make: Make) -> None:
    sound = sine(110.0, 6400)
    rig = make(sound)
    rig.say()
    rig.play(10)
    rig.source.failure = MemoryError()
    heartbeat = rig.play(80)
    assert not heartbeat.loading and heartbeat.broken == 1
    assert np.array_equal(rig.played[:, : period(90)], sound[:, : period(90)])


def test_mute_is_silence_without_a_click_loaded_or_not(make: Make) -> None:
    sound = sine(110.0, 48000 * 2)
    rig = make(sound)
    rig.say(mute=True)
    rig.play(50)
    assert not rig.played[:, period(10) : period(50)].any()
    rig.load(path([Scale(-0.5)], []))
    rig.play(50)
    assert not rig.played[:, period(50) : period(100)].any()
    rig.say(mute=False)
    rig.play(200)
    assert np.array_equal(
        rig.played[:, period(120) : period(300)],
        np.float32(-0.5) * sound[:, period(120) : period(300)],
    )
    rig.say(mute=True, bypass=True)  # mute goes before bypass
    rig.play(100)
    assert not rig.played[:, period(320) : period(400)].any()
    assert rig.reading().values["mute"] == 1
    assert click_dbfs(rig.played[:, period(10) : period(400)]) < -60.0


def test_a_ceiling_reaches_the_bank_also_where_it_was_lowered_before(make: Make) -> None:
    rig = make(sine(110.0, 6400))
    seen: list[Ceiling] = []
    sounding = path([Scale()], [])
    sounding.limit = seen.append  # type: ignore[method-assign, assignment]
    rig.say(ceiling=Ceiling.STAGE)
    rig.play(3)
    rig.load(sounding)
    rig.play(3)
    rig.say(ceiling=Ceiling.CROSSFADE)
    rig.play(3)
    assert seen == [Ceiling.STAGE, Ceiling.CROSSFADE]
    assert rig.reading().values["ceiling"] == 0


def test_a_loader_loads_once_beside_the_loop_and_gives_the_switch_back() -> None:
    before = sys.getswitchinterval()
    begun, go = threading.Event(), threading.Event()
    player = Player([DryPath("x")])

    def load() -> Loaded:
        begun.set()
        assert go.wait(10)
        return Loaded(player)

    loader = Loader(load)
    loader.start()
    assert begun.wait(10) and loader.take() is None and sys.getswitchinterval() < before
    go.set()
    loader.join(10)
    loaded = loader.take()
    assert loaded is not None and loaded.player is player
    assert loader.take() is None and loader.failure is None
    assert sys.getswitchinterval() == pytest.approx(before)


def test_a_loader_that_fails_says_why() -> None:
    def load() -> Loaded:
        raise MemoryError("no room")

    loader = Loader(load)
    loader.start()
    loader.join(10)
    assert loader.take() is None and isinstance(loader.failure, MemoryError)


def test_a_broken_preset_is_dry_and_named_and_the_others_play(tmp_path: Path) -> None:
    """Whatever is wrong: the file, a key, what it names, or only what preparing shows."""
    texts = {
        "good": GOOD,
        "toml": "format = ",
        "key": GOOD.replace("gain_db", "gian_db"),
        "cab": GOOD.replace('"drive"', '"cab", file = "none.wav"'),
        "last": GOOD.replace('"Good"', '"Last"'),
    }
    files = [tmp_path / f"{name}.toml" for name in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text)
    files.insert(1, tmp_path / "missing.toml")
    player, problems = loaded_bank(files, 0, 48000, PERIOD, cache=tmp_path / "cache")
    assert [each.name for each in player.bank] == ["Good", "missing", "toml", "key", "cab", "Last"]
    assert sorted(problems) == [1, 2, 3, 4]
    for index, sentence in problems.items():
        assert sentence.startswith(str(files[index])) and "\n" not in sentence
    assert "none.wav" in problems[4] and "gian_db" in problems[3]
    sound = np.full((1, PERIOD), 0.5, np.float32)
    out = np.empty_like(sound)
    for index in range(len(files)):
        player.select(index)
        for _ in range(12):
            player.process(sound, 0.0, out)
        dry = index in problems
        assert np.allclose(out, 0.5 if dry else 0.5 * 10 ** (-6 / 20), atol=1e-3) and (
            isinstance(player.bank[index], DryPath) == dry
        )


def test_a_preset_that_fails_only_when_it_is_prepared_is_left_out_too(tmp_path: Path) -> None:
    class Bad(Scale):
        def prepare(self, rate_hz: int, period_frames: int) -> None:
            raise RuntimeError("out of memory")

    player = Player([path([Scale()], []), path([Bad()], [])])
    with pytest.raises(RuntimeError):
        player.prepare(48000, PERIOD)
    seen: list[tuple[int, str]] = []

    def instead(index: int, problem: Exception) -> DryPath:
        seen.append((index, str(problem)))
        return DryPath("left out")

    player.prepare(48000, PERIOD, instead=instead)
    assert seen == [(1, "out of memory")] and player.bank[1].name == "left out"


def test_the_bank_s_report_is_read_as_written_and_foreign_ones_are_none(tmp_path: Path) -> None:
    assert read_bank(tmp_path) is None
    report = BankReport(
        7, (BankEntry("A", "a.toml", 0), BankEntry("B", "b.toml", 64, "b.toml: is broken"))
    )
    write_bank(tmp_path, report)
    assert read_bank(tmp_path) == report
    assert [each.name for each in tmp_path.iterdir()] == ["bank.json"]
    for text in ("", "[]", '{"presets": 3}', '{"presets": [{}], "pid": 1}', '{"pid": 1}'):
        (tmp_path / "bank.json").write_text(text)
        assert read_bank(tmp_path) is None
    write_bank(tmp_path / "none", report)  # a disk that does not take it costs nothing else
