"""What the update asks of the models' trials."""

import hashlib
import os
from functools import partial
from pathlib import Path

import pytest

from deploy.errors import UpdateError
from deploy.places import Places
from deploy.slots import SlotState
from deploy.trial import trials
from deploy.trial.limits import Here, Limits, here_of
from deploy.trial.models_trial import ModelsTrial
from deploy.trial.verdict import Verdict, one_line, plain_figures
from device.processes.bank_report import BankReport, write_bank
from device.processes.meters import Meters
from tests.deploy.trial.slots_made import PLAIN, preset, release_of

PEDAL = """[audio]
rate_hz = 96000
period_frames = 32
interface_dbu = 9.5
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "root")


@pytest.fixture
def slot(places: Places) -> SlotState:
    folder = places.slots("models") / "b"
    folder.mkdir(parents=True)
    preset(folder, PLAIN)
    content = release_of(folder).model_dump_json().encode()
    (folder / "release.json").write_bytes(content)
    return SlotState("b", folder, 7, hashlib.sha256(content).hexdigest(), "trial", "")


def test_models_for_a_newer_firmware_are_not_fetched(places: Places, slot: SlotState) -> None:
    release = release_of(slot.folder, needs_firmware=5)
    versions: tuple[int | None, ...] = (5, 6, None)
    for version in versions:
        ModelsTrial(places, places.root, firmware=partial(_same, version)).admit(release)
    with pytest.raises(UpdateError, match="needs firmware release 5, and 4 runs here"):
        ModelsTrial(places, places.root, firmware=lambda: 4).admit(release)


def test_they_are_tried_for_this_pedal(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Here] = []

    def self_test(folder: Path, limits: Limits, here: Here) -> Verdict:
        asked.append(here)
        return Verdict(True, "")

    monkeypatch.setattr(trials, "self_test", self_test)
    pedal = tmp_path / "pedal.toml"
    pedal.write_text(PEDAL)
    (tmp_path / "run").mkdir()
    trial = ModelsTrial(places, tmp_path / "run", pedal)
    trial.self_test(slot.folder)
    (places.slots("models") / "a").mkdir()
    (places.slots("models") / "active").symlink_to("a")
    trial.self_test(slot.folder)
    present = (places.slots("models") / "a").resolve()
    assert asked == [Here(96000, 32, 9.5), Here(96000, 32, 9.5, present)]


@pytest.mark.parametrize("content", [None, "", "no toml", "[audio]\nrate_hz = 1\n"])
def test_a_wrong_pedal_toml_is_no_reason_to_refuse(tmp_path: Path, content: str | None) -> None:
    pedal = tmp_path / "pedal.toml"
    if content is not None:
        pedal.write_text(content)
    assert here_of(pedal) == here_of(None) == Here()


def test_how_the_pedal_is_is_noted_before_and_watched_after(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    meters = Meters(runtime / "meters")
    meters.store("rate_hz", 48000)
    meters.store("period_frames", 64)
    meters.count("periods", 75_000)
    meters.count("path_errors", 5)
    write_bank(runtime, BankReport(_pid()))
    monkeypatch.setattr(trials, "self_test", lambda *about: Verdict(True, ""))
    assert ModelsTrial(places, runtime).self_test(slot.folder).ok
    assert (places.root / "probation-models.json").exists()
    # Another process of the update, after the slot was activated.
    trial = ModelsTrial(places, runtime)
    write_bank(runtime, BankReport(_pid(), slot=str(slot.folder.resolve())))
    assert trial.look(slot) is None
    meters.count("periods", 751 * 600)
    verdict = trial.look(slot)
    assert verdict is not None and verdict.ok, verdict


def test_a_failed_self_test_notes_nothing(
    places: Places, slot: SlotState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "self_test", lambda *about: Verdict(False, "It hums."))
    assert not ModelsTrial(places, tmp_path).self_test(slot.folder).ok
    assert not (places.root / "probation-models.json").exists()


def test_sentences_are_one_short_line(tmp_path: Path) -> None:
    assert one_line(f"{tmp_path}/x.onnx: is\n  not\tgood\x1b[31m", tmp_path) == (
        "x.onnx: is not good?[31m"
    )
    assert len(one_line("x" * 10_000)) == 400


def test_figures_are_numbers_and_texts() -> None:
    figures = plain_figures({"a": 1, "b": float("nan"), "c": True, "d": None, "e": 1 / 3})
    assert figures == {"a": 1.0, "b": "nan", "c": "True", "d": "None", "e": 0.3333}


def _same(version: int | None) -> int | None:
    return version


def _pid() -> int:
    return os.getpid()
