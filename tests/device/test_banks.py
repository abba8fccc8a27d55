"""Which bank plays: the slot's or the pedal's own, and what is said where one cannot be used."""

import gc
import json
import os
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

import device.processes.quiet as quiet
from device import ahead
from device.boards.simulated import SimulatedAudio
from device.config import Config, load_config
from device.errors import ConfigError, SlotError
from device.processes.audio import AudioLoop
from device.processes.bank_report import BankReport, read_bank
from device.processes.banks import Banks
from device.processes.journal import Journal
from device.processes.link import ControlState, Listener, connect
from device.processes.loading import Loader
from device.processes.meters import Meters, read_meters
from device.slots import LinkWatch, follow, identity, read_slot
from device.sound.dry import DryPath
from device.sound.player import Player
from device.sound.trial import Why
from models.stage.model import STAGE_FILE
from tests.conftest import ROOT
from tests.device.signal import click_dbfs, sine
from tests.device.test_processes import StoppedClock

PERIOD, RATE_HZ = 64, 48000
PRESET = """
format = 1
name = "{name}"
[tone.a]
chain = [{{ block = "gain", gain_db = {gain_db} }}]
[tone.b]
chain = [{{ block = "drive" }}]
[morph]
engine = "{engine}"
path = "direct"
"""
OLD_DB, NEW_DB = -6.0, -12.0


class Pedal:
    """A pedal.toml, two slots and the link to one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slots = folder / "models"
        self.link = self.slots / "active"
        for version, (name, gain_db) in enumerate((("a", OLD_DB), ("b", NEW_DB)), start=1):
            self.fill(name, version, gain_db)
        (folder / "own.toml").write_text(self.preset("Own", 0.0))
        self.toml()
        self.banks: Banks
        self.said: list[str] = []

    @staticmethod
    def preset(name: str, gain_db: float, engine: str = "crossfade") -> str:
        return PRESET.format(name=name, gain_db=gain_db, engine=engine)

    def toml(self, presets: str = "[]", slot: str = "models/active") -> None:
        (self.folder / "pedal.toml").write_text(
            f'[bank]\npresets = {presets}\n[slots]\nmodels = "{slot}"\n'
        )

    def fill(self, name: str, version: int, gain_db: float, engine: str = "crossfade") -> Path:
        slot = self.slots / name
        (slot / "presets").mkdir(parents=True, exist_ok=True)
        file = slot / "presets" / "1.toml"
        file.write_text(self.preset(name, gain_db, engine))
        files = [{"path": "presets/1.toml", "bytes": file.stat().st_size}]
        release = {"version": version, "name": f"Release {version}", "files": files}
        (slot / "release.json").write_text(json.dumps(release))
        return slot

    def switch(self, name: str | None) -> None:
        """As an update does."""
        if name is None:
            self.link.unlink()
            return
        new = self.slots / "new"
        new.symlink_to(name)
        os.replace(new, self.link)

    @property
    def config(self) -> Config:
        return load_config(self.folder / "pedal.toml", None, None, self.folder / "rt")

    def make(self) -> Banks:
        self.banks = Banks(self.config, Journal("audio"), lambda: 0, status=self.said.append)
        return self.banks

    def first(self) -> Player:
        return self.make().first().player

    @property
    def report(self) -> BankReport:
        report = read_bank(self.folder / "rt")
        assert report is not None
        return report

    def broken(self, name: str) -> None:
        """A stage network of NaN, which its preset plays."""
        slot = self.fill(name, 9, NEW_DB, "stage")
        network = onnx.load(STAGE_FILE)
        for tensor in network.graph.initializer:
            if tensor.name not in ("whiten", "shape", "traits") and tensor.data_type == 1:
                values = onnx.numpy_helper.to_array(tensor)
                if values.ndim == 3:
                    spoilt = onnx.numpy_helper.from_array(values * np.nan, tensor.name)
                    tensor.CopyFrom(spoilt)
        onnx.save(network, slot / "stage.onnx")


@pytest.fixture
def pedal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pedal]:
    """What another process would do is done here; one test below starts it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)

    class Here:
        def __init__(self, arguments: list[str]) -> None:
            assert arguments[1:3] == ["-m", "device.ahead"]
            self.file = arguments[3]

        def wait(self, patience_s: float) -> int:
            monkeypatch.setattr(os, "setpriority", lambda *_: None)
            return ahead.main([self.file])

    monkeypatch.setattr(ahead, "die_with_parent", lambda: None)
    monkeypatch.setattr(quiet, "Child", Here)
    switch_s = sys.getswitchinterval()
    yield Pedal(tmp_path)
    sys.setswitchinterval(switch_s)


def played_db(player: Player) -> float:
    guitar = np.full((1, PERIOD), 0.1, np.float32)
    out = np.empty_like(guitar)
    for _ in range(40):
        player.process(guitar, 0.0, out)
    return round(float(20.0 * np.log10(out[0, -1] / 0.1)), 1)


# Slots.


def test_without_a_link_the_pedal_plays_its_own(pedal: Pedal) -> None:
    pedal.toml('["own.toml"]')
    assert played_db(pedal.first()) == 0.0
    assert pedal.report.slot == pedal.report.rejected == "" and pedal.banks.rejected == 0
    assert pedal.banks.look() is None


def test_a_slot_plays_its_presets_and_says_which_release_it_is(pedal: Pedal) -> None:
    pedal.switch("b")
    assert played_db(pedal.first()) == NEW_DB
    report = pedal.report
    assert report.slot == str(pedal.slots / "b") and report.release == "Release 2"
    assert (report.version, report.rejected) == (2, "") and pedal.said == ["1 presets"]


def test_presets_of_slot_and_pedal_stand_side_by_side(pedal: Pedal) -> None:
    pedal.toml('["own.toml", "slot:presets/1.toml"]')
    pedal.switch("a")
    player = pedal.first()
    assert [path.name for path in player.bank] == ["Own", "a"]
    pedal.toml('["slot:../1.toml"]')
    with pytest.raises(ConfigError, match="leads out of the slot"):
        _ = pedal.config


def test_a_preset_of_the_slot_is_the_bundled_one_where_there_is_no_slot(pedal: Pedal) -> None:
    pedal.toml('["slot:presets/1-clean-to-lead.toml"]')
    assert [file.name for file in pedal.config.presets] == ["1-clean-to-lead.toml"]
    assert pedal.config.presets[0].is_file()


def _cut(slot: Path) -> None:
    (slot / "presets" / "1.toml").write_text("format = 1")


def _remove(slot: Path) -> None:
    (slot / "presets" / "1.toml").unlink()


def _empty(slot: Path) -> None:
    shutil.rmtree(slot)
    slot.mkdir()


def _file(slot: Path) -> None:
    shutil.rmtree(slot)
    slot.write_text("not a folder")


SPOILT: list[tuple[Callable[[Path], None], str]] = [
    (_cut, "cut short"),
    (_remove, "missing"),
    (_empty, "holds nothing"),
    (_file, "cannot be read"),
    (shutil.rmtree, "cannot be read"),
]


@pytest.mark.parametrize(("spoil", "told"), SPOILT, ids=[each[0].__name__ for each in SPOILT])
def test_a_slot_that_cannot_be_used_is_named_and_the_pedal_s_own_play(
    pedal: Pedal, spoil: Callable[[Path], None], told: str
) -> None:
    pedal.toml('["own.toml"]')
    pedal.switch("a")
    spoil(pedal.slots / "a")
    assert played_db(pedal.first()) == 0.0
    report = pedal.report
    assert told in report.rejected and report.rejected_slot == str(pedal.slots / "a")
    assert report.slot == "" and pedal.banks.rejected == 1
    assert pedal.banks.look() is None, "it is not tried again"


@pytest.mark.parametrize(("spoil", "told"), SPOILT, ids=[each[0].__name__ for each in SPOILT])
def test_while_another_plays_it_goes_on(
    pedal: Pedal, spoil: Callable[[Path], None], told: str
) -> None:
    pedal.switch("a")
    pedal.first()
    spoil(pedal.slots / "b")
    pedal.switch("b")
    assert pedal.banks.look() is None and pedal.banks.look() is None
    report = pedal.report
    assert report.slot == str(pedal.slots / "a") and told in report.rejected
    assert report.rejected_slot == str(pedal.slots / "b") and pedal.banks.rejected == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": "x", "files": [1, {"path": 2}]}'])
def test_a_release_that_says_nothing_costs_its_version_only(tmp_path: Path, text: str) -> None:
    shutil.copy(STAGE_FILE, tmp_path / "stage.onnx")
    (tmp_path / "release.json").write_text(text)
    slot = read_slot(tmp_path)
    assert slot is not None and slot.version is None and slot.stage == tmp_path / "stage.onnx"
    assert slot.bundle is None and slot.presets == ()


def test_an_identity_is_one_release_in_one_place(pedal: Pedal) -> None:
    assert follow(None) is None and identity(None) == "" and follow(pedal.link) is None
    pedal.switch("a")
    first = identity(follow(pedal.link))
    assert identity(follow(pedal.link)) == first != identity(pedal.slots / "b")
    new = pedal.slots / "a" / "new"
    new.write_text("{}")
    new.replace(pedal.slots / "a" / "release.json")
    assert identity(follow(pedal.link)) != first


def test_a_link_is_seen_to_change_once_for_each_switch(pedal: Pedal) -> None:
    watch = LinkWatch(pedal.link)
    assert not watch.changed()
    for name in ("a", "b", "b", None):
        pedal.switch(name)
        assert watch.changed() and not watch.changed()
    assert not LinkWatch(None).changed()


# Another bank.


def test_another_slot_is_offered_once_and_the_report_follows(pedal: Pedal) -> None:
    pedal.switch("a")
    pedal.first()
    assert pedal.banks.look() is None, "it plays already"
    pedal.switch("b")
    candidate = pedal.banks.look()
    assert candidate is not None and candidate.broken == 0
    assert candidate.trial.other[0].name == "b" and pedal.banks.look() is None
    candidate.trial.on_air = True
    pedal.banks.on_air(candidate)
    assert pedal.report.version == 2 and pedal.banks.look() is None
    pedal.banks.left(candidate)
    assert pedal.report.version == 2 and pedal.report.rejected == ""
    pedal.switch("a")
    assert pedal.banks.look() is not None


@pytest.mark.parametrize("on_air", [False, True])
def test_a_bank_that_was_left_is_named_and_not_taken_again(pedal: Pedal, on_air: bool) -> None:
    pedal.switch("a")
    pedal.first()
    pedal.switch("b")
    candidate = pedal.banks.look()
    assert candidate is not None
    if on_air:
        candidate.trial.on_air = True
        pedal.banks.on_air(candidate)
    candidate.trial.reject(Why.NAN)
    pedal.banks.left(candidate)
    report = pedal.report
    assert report.version == 1 and report.rejected_slot == str(pedal.slots / "b")
    assert "version 2: its sound held what is no number" in report.rejected
    assert pedal.banks.look() is None
    pedal.switch("a")
    assert pedal.banks.look() is None, "it plays already"


def test_a_network_that_gives_nan_is_not_even_offered(pedal: Pedal) -> None:
    pedal.switch("a")
    pedal.first()
    pedal.broken("b")
    pedal.switch("b")
    assert pedal.banks.look() is None and pedal.banks.rejected == 1
    assert "is no number" in pedal.report.rejected or "finite" in pedal.report.rejected


def test_a_bank_with_more_broken_presets_than_the_one_that_plays_is_refused(
    pedal: Pedal,
) -> None:
    pedal.toml('["own.toml", "gone.toml", "slot:presets/1.toml"]')
    pedal.switch("a")
    pedal.first()
    assert [each.problem is None for each in pedal.report.presets] == [True, False, True]
    pedal.switch("b")
    candidate = pedal.banks.look()
    assert candidate is not None and candidate.broken == 1, "what was broken before may be so"
    assert isinstance(candidate.trial.other[1], DryPath)
    pedal.banks.left(candidate)
    slot = pedal.fill("b", 3, NEW_DB)
    (slot / "presets" / "1.toml").write_text(pedal.preset("b", 99.0))
    (slot / "release.json").write_text('{"version": 3}')
    pedal.switch("b")
    assert pedal.banks.look() is None and "gain_db" in pedal.report.rejected


def test_what_is_newest_wins_when_the_link_changes_during_a_load(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.switch("a")
    pedal.first()
    pedal.fill("c", 3, -18.0)
    made = quiet.make_ready
    seen: list[str] = []

    def make_ready(config: Config, folder: Path | None) -> ahead.Ready:
        assert folder is not None
        seen.append(folder.name)
        if folder.name == "b":
            pedal.switch("c")
        return made(config, folder)

    monkeypatch.setattr(quiet, "make_ready", make_ready)
    pedal.switch("b")
    candidate = pedal.banks.look()
    assert seen == ["b", "c"] and candidate is not None
    assert candidate.trial.other[0].name == "c" and pedal.banks.rejected == 0


def test_a_slot_that_vanishes_while_it_is_loaded_for_another_is_no_rejection(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.switch("a")
    pedal.first()

    def make_ready(config: Config, folder: Path | None) -> ahead.Ready:
        pedal.switch("a")
        raise SlotError("half gone")

    monkeypatch.setattr(quiet, "make_ready", make_ready)
    pedal.switch("b")
    assert pedal.banks.look() is None and pedal.report.rejected == ""


def test_a_process_that_dies_or_hangs_costs_the_bank_only(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying:
        def __init__(self, arguments: list[str]) -> None: ...
        def wait(self, patience_s: float) -> int:
            return -11

    pedal.switch("a")
    pedal.first()
    monkeypatch.setattr(quiet, "Child", Dying)
    pedal.switch("b")
    assert pedal.banks.look() is None and "ended with -11" in pedal.report.rejected


def test_what_was_laid_out_and_is_damaged_is_found_out(pedal: Pedal) -> None:
    """Beside a bank that sounds nothing is made anew: the bank is refused."""
    shutil.copy(STAGE_FILE, pedal.slots / "b" / "stage.onnx")
    pedal.fill("b", 2, NEW_DB, "stage")
    pedal.switch("a")
    pedal.first()
    ready = quiet.make_ready(pedal.config, pedal.slots / "b")
    bank, problems, _ = quiet.quiet_bank(pedal.config, ready)
    assert not problems and bank[0].name == "b"
    kept = pedal.folder / "cache" / "purga" / "networks"
    for file in kept.glob("*.kept"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    _, problems, _ = quiet.quiet_bank(pedal.config, ready)
    assert "was not laid out before" in problems[0]


def test_a_bank_that_was_left_is_freed_although_nobody_collects(pedal: Pedal) -> None:
    pedal.switch("a")
    pedal.first()
    pedal.switch("b")
    gc.collect()
    gc.disable()
    try:
        candidate = pedal.banks.look()
        assert candidate is not None
        path = candidate.trial.other[0]
        held = [path, *path.parts, *path.tone_a.blocks, path.morph]  # type: ignore[attr-defined]
        seen = [weakref.ref(each) for each in held if not isinstance(each, tuple)]
        del path, held
        pedal.banks.left(candidate)
        assert all(each() is None for each in seen)
    finally:
        gc.enable()


# A whole run.


def test_a_slot_is_switched_while_one_plays(pedal: Pedal) -> None:
    """Loader, loop, control's packet and another process, as on stage; time is simulated."""
    pedal.switch("a")
    config = pedal.config
    sound = sine(110.0, 12 * RATE_HZ)
    banks = pedal.make()
    loader = Loader(banks.first, swaps=banks)
    listener, meters = Listener(config.control_socket), Meters(config.meters)
    port = SimulatedAudio(sound, RATE_HZ, PERIOD)
    loop = AudioLoop(port, None, meters, StoppedClock(), listener, source=loader)
    port.open()
    link = connect(config.control_socket)
    assert link is not None
    state = ControlState(bank=1)

    def play(seconds: float) -> float:
        for _ in range(round(seconds * RATE_HZ / PERIOD)):
            assert loader.catch_up(60.0)
            assert loop.step()
        at = loop._heartbeat.periods * PERIOD
        piece = slice(at - 4800, at)
        level = np.abs(port.played[:, piece]).max() / np.abs(sound[:, piece]).max()
        return round(float(20.0 * np.log10(level)), 1)

    def switch(name: str) -> None:
        pedal.switch(name)
        state.bank += 1
        link.send(state.pack())

    try:
        link.send(state.pack())
        loader.start()
        while loop._player is None:
            loop.step()
        begun = loop._heartbeat.periods
        assert play(0.5) == OLD_DB
        switch("b")
        assert play(0.5) == NEW_DB
        assert play(5.5) == NEW_DB
        switch("b")
        assert play(0.5) == NEW_DB
        pedal.broken("a")
        switch("a")
        assert play(0.5) == NEW_DB
        loop.finish()
        values = read_meters(config.meters).values
        assert values["banks_swapped"] == 1 and values["banks_rejected"] == 1
        assert values["path_errors"] == values["tone_nan_periods"] == values["xruns"] == 0
        heard = port.played[:, (begun + 40) * PERIOD : loop._heartbeat.periods * PERIOD]
        assert click_dbfs(heard) < -60.0
        whole = heard[:, : heard.shape[1] // 480 * 480]
        assert np.abs(whole).reshape(-1, 480).max(axis=1).min() > 0.05, "no gap"
    finally:
        link.close()
        listener.close()


def test_the_process_that_makes_ready_is_one_of_its_own(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(pedal.folder / "cache"))
    ready = quiet.make_ready(pedal.config, pedal.slots / "b")
    assert ready.presets == (str(pedal.slots / "b" / "presets" / "1.toml"),)
    assert (ready.version, ready.name, ready.problems) == (2, "Release 2", {})
    with pytest.raises(SlotError, match="cannot be read"):
        quiet.make_ready(pedal.config, pedal.slots / "none")


def test_who_is_started_again_imports_only_what_plays(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a song the tone is to be back; what an update needs can wait for one."""
    pedal.switch("a")
    imported: list[int] = []
    monkeypatch.setattr(quiet, "load_libraries", lambda: imported.append(1))
    pedal.first()
    assert imported == [1]
    pedal.first()
    assert imported == [1]
    pedal.switch("b")
    assert pedal.banks.look() is not None
    assert imported == [1, 1]


def test_loading_beside_a_bank_that_sounds_imports_and_makes_nothing(
    pedal: Pedal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever would hold Python's lock for long was done before."""
    import pedalboard

    import models.nam.capture
    from device import kept
    from device.sound.blocks import cab

    slot = pedal.fill("b", 2, NEW_DB, "stage")
    shutil.copy(STAGE_FILE, slot / "stage.onnx")
    for name in ("1-clean-to-lead.toml", "open-1x12.flac", "closed-4x12.flac"):
        shutil.copy(Path(cab.__file__).parents[2] / "presets" / name, slot / "presets")
    ready = quiet.make_ready(pedal.config, slot)
    quiet.load_libraries()
    quiet.quiet_bank(pedal.config, ready)
    before = set(sys.modules)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("too long beside a bank that sounds")

    for place, name in (
        (models.nam.capture, "read_capture"),
        (kept, "for_period"),
        (cab, "_read"),
        (cab, "_library_gain"),
    ):
        monkeypatch.setattr(place, name, forbidden)
    convolution = pedalboard.Convolution
    monkeypatch.setattr(
        pedalboard,
        "Convolution",
        lambda source, *rest: convolution(source, *rest) if type(source) is str else forbidden(),
    )
    bank, problems, _ = quiet.quiet_bank(pedal.config, ready)
    assert not problems and len(bank) == 2
    assert set(sys.modules) == before


def test_a_run_of_every_process_follows_the_link(pedal: Pedal) -> None:
    """``control`` sees it, ``audio`` has a bank made ready, time waits; nothing is lost."""
    pedal.switch("a")
    soundfile.write(pedal.folder / "in.wav", sine(110.0, 12 * RATE_HZ)[0], RATE_HZ)
    runtime, out = pedal.folder / "rt", pedal.folder / "out"
    command = [sys.executable, "-m", "device", "run", "--board", "simulated", "--json"]
    command += ["--config", str(pedal.folder / "pedal.toml"), "--runtime", str(runtime)]
    command += ["--input", str(pedal.folder / "in.wav"), "--out", str(out)]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline_s = time.monotonic() + 120.0
        while (
            not (runtime / "meters").exists()
            or read_meters(runtime / "meters").values["periods"] < 200
        ):
            assert time.monotonic() < deadline_s and run.poll() is None
            time.sleep(0.01)
        pedal.switch("b")
        printed, told = run.communicate(timeout=120.0)
    finally:
        run.kill()
    assert run.returncode == 0, told
    values = read_meters(runtime / "meters").values
    assert values["banks_swapped"] == 1 and values["banks_rejected"] == 0
    assert values["xruns"] == values["path_errors"] == values["tone_nan_periods"] == 0
    assert pedal.report.version == 2 and json.loads(printed.splitlines()[-1])
    heard, _ = soundfile.read(out / "run.wav", dtype="float32")
    level = 20.0 * np.log10(np.abs(heard[-4800:]).max() / np.abs(heard[4800:9600]).max())
    assert level == pytest.approx(NEW_DB - OLD_DB, abs=0.1)
    assert click_dbfs(heard[None, :]) < -60.0
